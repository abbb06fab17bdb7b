package db

import (
	"encoding/hex"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func TestCredentialsAreKeptSealed(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	_, err := r.Token(r.ctx, c.ID, (&issuer{valid: time.Hour}).renew)
	require.NoError(t, err)
	_, err = r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "client-of-acme", ClientSecret: secret})
	require.NoError(t, err)

	dump, err := exec.CommandContext(r.ctx, "pg_dump", "--dbname", r.url, "--inserts").CombinedOutput()
	require.NoError(t, err, string(dump))
	for _, all := range []string{string(dump), r.dump()} {
		require.Contains(t, all, "acme.example")
		for _, plain := range []string{secret, "client-of-acme", "token-1", "client_secret"} {
			require.NotContains(t, all, plain)
			require.NotContains(t, all, hex.EncodeToString([]byte(plain)), "bytes are shown so")
		}
	}
	got, err := r.Credentials(r.ctx, c.ID)
	require.NoError(t, err)
	require.Equal(t, newConnection("acme").Credentials, got)

	r.exec(`UPDATE credentials SET sealed = convert_to($1, 'UTF8')`, secret)
	require.Contains(t, r.dump(), hex.EncodeToString([]byte(secret)), "what is not sealed is found")
}

func TestSealedValueOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	r := setup(t)
	a, b := r.connect("a"), r.connect("b")
	for _, c := range []Connection{a, b} {
		_, err := r.Token(r.ctx, c.ID, (&issuer{valid: time.Hour}).renew)
		require.NoError(t, err)
	}
	r.exec(`UPDATE credentials SET token_sealed = sealed WHERE connection_id = $1`, a.ID)
	_, err := r.Token(r.ctx, a.ID, (&issuer{}).renew)
	require.ErrorContains(t, err, "tampered")
	r.exec(`UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE connection_id = $2) WHERE connection_id = $1`, a.ID, b.ID)
	_, err = r.Credentials(r.ctx, a.ID)
	require.ErrorContains(t, err, "tampered")
	_, err = r.Credentials(r.ctx, b.ID)
	require.NoError(t, err)
}

func TestWrongOrNoKeyset(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	other, err := NewKeyset()
	require.NoError(t, err)

	wrong := r.openWith(WithKeyset(other))
	_, err = wrong.Credentials(r.ctx, c.ID)
	require.ErrorContains(t, err, "the keyset has no key for it")
	_, err = wrong.Reseal(r.ctx, func() error { t.Error("nobody needs a keyset that opens nothing"); return nil })
	require.ErrorContains(t, err, "the keyset has no key for it")

	none := r.openWith()
	_, err = none.Credentials(r.ctx, c.ID)
	require.ErrorIs(t, err, ErrNoKeyset)
	_, err = none.CreateConnection(r.ctx, newConnection("new"))
	require.ErrorIs(t, err, ErrNoKeyset)
	_, err = none.Connection(r.ctx, "new")
	require.ErrorIs(t, err, ErrNotFound)
}

// kept is where Reseal has nothing to keep.
func kept() error { return nil }

func TestNothingIsSealedWithAKeysetThatIsNotKept(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	rotated, err := r.keyset.Rotated()
	require.NoError(t, err)
	full := errors.New("the disk is full")
	_, err = r.openWith(WithKeyset(rotated)).Reseal(r.ctx, func() error { return full })
	require.ErrorIs(t, err, full)
	_, err = r.Credentials(r.ctx, c.ID)
	require.NoError(t, err)
}

func TestRotationOfKeys(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	source := &issuer{valid: time.Hour}
	token, err := r.Token(r.ctx, c.ID, source.renew)
	require.NoError(t, err)
	offer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "new"})
	require.NoError(t, err)
	rotated, err := r.keyset.Rotated()
	require.NoError(t, err)
	newer := r.openWith(WithKeyset(rotated))

	expectOpens := func() {
		t.Helper()
		credentials, err := newer.Credentials(r.ctx, c.ID)
		require.NoError(t, err)
		require.Equal(t, newConnection("acme").Credentials, credentials)
		got, err := newer.Token(r.ctx, c.ID, source.renew)
		require.NoError(t, err)
		require.Equal(t, token, got)
		offered, err := newer.OfferedCredentials(r.ctx, c.ID, offer)
		require.NoError(t, err)
		require.Equal(t, "new", offered.ClientID)
	}
	expectOpens()
	for range 2 {
		n, err := newer.Reseal(r.ctx, kept)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		expectOpens()
	}
	_, err = r.Credentials(r.ctx, c.ID)
	require.ErrorContains(t, err, "the keyset has no key for it")
	require.Equal(t, 1, source.requests)
}

func TestOfferTwiceMakesTwoOffers(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c, other := r.connect("acme"), r.connect("other")
	first, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "first"})
	require.NoError(t, err)
	second, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "second"})
	require.NoError(t, err)
	for offer, id := range map[int64]string{first: "first", second: "second"} {
		got, err := r.OfferedCredentials(r.ctx, c.ID, offer)
		require.NoError(t, err)
		require.Equal(t, id, got.ClientID)
		_, err = r.OfferedCredentials(r.ctx, other.ID, offer)
		require.ErrorIs(t, err, ErrNotFound)
	}
}

// Who was paused when the credentials were rejected is so with new ones.
func TestAPausedConnectionIsSoAfterAReconnect(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.subscribe("hook")
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: NeedsReconnect, Paused: true}))
	offer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "new"})
	require.NoError(t, err)
	told := r.news("hook", func() { require.NoError(t, r.AcceptCredentials(r.ctx, c.ID, offer, directory.Token{Value: "new"})) })
	require.Equal(t, []string{"connection.state needs_reconnect>paused"}, told)
	require.Equal(t, []any{Paused, true}, []any{r.reload(c).State, r.reload(c).Paused})
}

func TestAcceptedOfferReplacesTheCredentials(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	source := &issuer{valid: time.Hour}
	_, err := r.Token(r.ctx, c.ID, source.renew)
	require.NoError(t, err)
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: NeedsReconnect, Reason: "rejected"}))
	older, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "older"})
	require.NoError(t, err)
	offer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "new"})
	require.NoError(t, err)
	newer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "newer"})
	require.NoError(t, err)

	token := directory.Token{Value: "accepted", RenewAt: start.Add(time.Hour), Fresh: true}
	require.NoError(t, r.AcceptCredentials(r.ctx, c.ID, offer, token))
	credentials, err := r.Credentials(r.ctx, c.ID)
	require.NoError(t, err)
	require.Equal(t, "new", credentials.ClientID)
	got, err := r.Token(r.ctx, c.ID, source.renew)
	require.NoError(t, err)
	require.Equal(t, directory.Token{Value: "accepted", RenewAt: token.RenewAt, Generation: 2}, got)
	require.Equal(t, []any{Active, ""}, []any{r.reload(c).State, r.reload(c).Reason})
	_, err = r.OfferedCredentials(r.ctx, c.ID, older)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.OfferedCredentials(r.ctx, c.ID, newer)
	require.NoError(t, err)

	before := r.dump()
	require.ErrorIs(t, r.AcceptCredentials(r.ctx, c.ID, offer, token), ErrNotFound)
	require.Equal(t, before, r.dump())
}

func TestAcceptedOfferRevivesADisconnectedConnection(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.Disconnect(r.ctx, c.ID))
	offer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "new"})
	require.NoError(t, err)
	require.NoError(t, r.AcceptCredentials(r.ctx, c.ID, offer, directory.Token{Value: "t", RenewAt: start.Add(time.Hour)}))
	require.Equal(t, Active, r.reload(c).State)
	token, err := r.Token(r.ctx, c.ID, (&issuer{}).renew)
	require.NoError(t, err)
	require.Equal(t, "t", token.Value)
}

func TestPausedConnectionStaysPausedWhenAnOfferIsAccepted(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Paused}))
	offer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{})
	require.NoError(t, err)
	require.NoError(t, r.AcceptCredentials(r.ctx, c.ID, offer, directory.Token{}))
	require.Equal(t, Paused, r.reload(c).State)
}

func TestRejectedCredentialsAreDestroyedAndStayRejected(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	offer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "client", ClientSecret: secret})
	require.NoError(t, err)
	why := &directory.Error{Code: directory.MissingPrivilege, Message: "it is missing", Privilege: "Read Accounts", Cause: err}
	for range 2 {
		require.NoError(t, r.RejectCredentials(r.ctx, c.ID, offer, why))
		_, err = r.OfferedCredentials(r.ctx, c.ID, offer)
		require.Equal(t, why, err)
		require.Zero(t, one[int](r, `SELECT count(sealed) FROM credential_candidates`))
	}
	require.ErrorIs(t, r.AcceptCredentials(r.ctx, c.ID, offer, directory.Token{Value: "token"}), ErrRejected, "by another attempt")
	resealed, err := r.Reseal(r.ctx, kept)
	require.NoError(t, err)
	require.Equal(t, 1, resealed)
	got, err := r.Credentials(r.ctx, c.ID)
	require.NoError(t, err)
	require.Equal(t, newConnection("acme").Credentials, got)

	require.NoError(t, r.RejectCredentials(r.ctx, c.ID, offer+1, why), "there is none")
	newer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "client", ClientSecret: secret})
	require.NoError(t, err)
	require.NoError(t, r.AcceptCredentials(r.ctx, c.ID, newer, directory.Token{Value: "token", RenewAt: r.clock.Now()}))
	require.Zero(t, one[int](r, `SELECT count(*) FROM credential_candidates`))
}
