package db

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func TestCreateConnection(t *testing.T) {
	t.Parallel()
	r := setup(t)
	created := r.connect("acme")

	require.Equal(t, Connection{
		ID: created.ID, Name: "acme", Organization: "default", Source: "jamf_pro", BaseURL: "https://acme.example",
		Scope: directory.ScopeAdmins, Every: 6 * time.Hour, ExitGrace: 24 * time.Hour,
		Hold: DefaultHold(), State: Connecting, CreatedAt: start, Report: directory.Report{Limitations: []directory.Limitation{}},
	}, created)
	byName, err := r.Connection(r.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, created, byName)
	require.Equal(t, created, r.reload(created))
}

func TestCreateConnectionTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.connect("acme")
	before := r.dump()

	again := newConnection("acme")
	again.Organization = "other"
	_, err := r.CreateConnection(r.ctx, again)
	require.ErrorIs(t, err, ErrAlreadyExists)
	require.Equal(t, before, r.dump())
}

func TestCreateConnectionByManyAtOnceSucceedsOnce(t *testing.T) {
	t.Parallel()
	r := setup(t)
	errs := together(8, func(int) error {
		_, err := r.CreateConnection(r.ctx, newConnection("acme"))
		return err
	})
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
			continue
		}
		require.ErrorIs(t, err, ErrAlreadyExists)
	}
	require.Equal(t, 1, succeeded)
	require.Equal(t, 1, one[int](r, `SELECT count(*) FROM credentials`))
}

func TestUnknownConnection(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, err := r.Connection(r.ctx, "acme")
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.ConnectionByID(r.ctx, 1)
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, r.ChangeState(r.ctx, 1, StateChange{State: Active}), ErrNotFound)
	_, err = r.BeginSync(r.ctx, 1, "key", TriggerResync)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.OfferCredentials(r.ctx, 1, directory.Credentials{})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.Credentials(r.ctx, 1)
	require.ErrorIs(t, err, ErrDisconnected)
}

func TestChangeStateTwiceIsAsGoodAsOnce(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	next := start.Add(time.Hour)
	change := StateChange{State: Active, Reason: "why", NextSyncAt: &next, Every: Interval(time.Hour)}
	for range 2 {
		require.NoError(t, r.ChangeState(r.ctx, c.ID, change))
		got := r.reload(c)
		require.Equal(t, []any{Active, "why", &next, time.Hour}, []any{got.State, got.Reason, got.NextSyncAt, got.Every})
	}
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Paused}))
	change.OnlyFrom = Connecting
	require.NoError(t, r.ChangeState(r.ctx, c.ID, change), "it is connected, and another state is on record since")
	got := r.reload(c)
	require.Equal(t, []any{Paused, "", (*time.Time)(nil), time.Hour}, []any{got.State, got.Reason, got.NextSyncAt, got.Every})
}

// filled is a connection with something in every table that can hold
// something of it.
func filled(r *record, name string) Connection {
	r.t.Helper()
	r.subscribe("to-" + name[:1])
	c := r.connectEveryone(name)
	require.NoError(r.t, r.EnableMonitors(r.ctx, c.ID))
	require.NoError(r.t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", Aliases: []string{"one"}}}))
	_, err := r.Token(r.ctx, c.ID, (&issuer{valid: time.Hour}).renew)
	require.NoError(r.t, err)
	_, err = r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientSecret: secret})
	require.NoError(r.t, err)
	r.sync(c, account("1"), account("2", inactive), endUser(1), endUser(200))
	r.sync(c, account("1"), account("2"), endUser(1), endUser(200))
	r.sync(c, account("3"), endUser(1), endUser(200)) // is held
	r.stage(c, nil, []directory.User{account("3"), endUser(1), endUser(200)})
	_, err = r.LeaseServer(r.ctx, name+".example", c.ID, time.Hour)
	require.NoError(r.t, err)
	for _, table := range r.tables("connection_id") {
		require.NotZero(r.t, one[int](r, `SELECT count(*) FROM `+table+` WHERE connection_id = $1`, c.ID), "nothing in "+table)
	}
	return c
}

func TestDisconnectDestroysCredentialsAndKeepsTheRecord(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := filled(r, "acme")
	accounts := one[string](r, `SELECT string_agg(a::text, '') FROM accounts a`)
	for range 2 {
		require.NoError(t, r.Disconnect(r.ctx, c.ID))

		got := r.reload(c)
		require.Equal(t, Disconnected, got.State)
		require.Equal(t, 2, got.AppliedSync)
		for _, table := range []string{"credentials", "credential_candidates", "staged_reads", "staged_accounts", "staged_blocks"} {
			require.Zero(t, one[int](r, `SELECT count(*) FROM `+table), table)
		}
		require.Equal(t, accounts, one[string](r, `SELECT string_agg(a::text, '') FROM accounts a`))
		require.Equal(t, "failed interrupted", one[string](r, `SELECT outcome || ' ' || error FROM syncs WHERE number = 4`))
	}
	_, err := r.Credentials(r.ctx, c.ID)
	require.ErrorIs(t, err, ErrDisconnected)
	_, err = r.Token(r.ctx, c.ID, (&issuer{}).renew)
	require.ErrorIs(t, err, ErrDisconnected)
	require.ErrorIs(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Active}), ErrDisconnected)
	_, err = r.BeginSync(r.ctx, c.ID, "late", TriggerSchedule)
	require.ErrorIs(t, err, ErrDisconnected)
	_, err = r.OpenStaging(r.ctx, c.ID, 4)
	require.ErrorIs(t, err, ErrDisconnected)
}

func TestCredentialsAreDestroyedBeforeTheRecordIsErased(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := filled(r, "acme")
	accounts := one[string](r, `SELECT string_agg(a::text, '') FROM accounts a`)
	notices := one[int](r, `SELECT count(*) FROM notices`)
	for range 2 {
		require.NoError(t, r.destroyCredentials(r.ctx, c.ID))
		for _, table := range []string{"credentials", "credential_candidates"} {
			require.Zero(t, one[int](r, `SELECT count(*) FROM `+table), table)
		}
		require.Equal(t, Disconnected, r.reload(c).State)
		require.Equal(t, accounts, one[string](r, `SELECT string_agg(a::text, '') FROM accounts a`))
		require.Equal(t, notices, one[int](r, `SELECT count(*) FROM notices`), "nobody is told that its record is kept")
	}
	require.NoError(t, r.Erase(r.ctx, c.ID))
	require.NoError(t, r.destroyCredentials(r.ctx, c.ID))
}

func TestEraseLeavesNoTrace(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := filled(r, "acme")
	other := filled(r, "other")
	for range 2 {
		require.NoError(t, r.Erase(r.ctx, c.ID))
		for _, table := range r.tables("connection_id") {
			require.Zero(t, one[int](r, `SELECT count(*) FROM `+table+` WHERE connection_id = $1`, c.ID), table)
			require.NotZero(t, one[int](r, `SELECT count(*) FROM `+table+` WHERE connection_id = $1`, other.ID), table)
		}
		require.NotContains(t, r.dump(), "acme")
	}
	r.connect("acme")
}

// A table without a column connection_id would escape the test above.
func TestEveryTableIsOfAConnectionOrAnOrganization(t *testing.T) {
	t.Parallel()
	r := setup(t)
	known := append(r.tables("connection_id"), r.tables("organization_id")...)
	known = append(known, "organizations")
	for _, table := range r.tables("") {
		require.True(t, slices.Contains(known, table), table)
	}
}

func TestErasingWhileAPageIsStoredLeavesNoTrace(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for i := range 10 {
		c := r.connect(fmt.Sprintf("acme%d", i))
		_, s := r.begin(c)
		read, err := r.OpenStaging(r.ctx, c.ID, s.Number)
		require.NoError(t, err)
		errs := together(2, func(i int) error {
			if i == 0 {
				return r.Erase(r.ctx, c.ID)
			}
			_, err := r.storePage(c.ID, s.Number, read, directory.Page{Users: []directory.User{account("1")}, Cursor: "1"})
			return err
		})
		require.NoError(t, errs[0])
		require.True(t, errs[1] == nil || errors.Is(errs[1], ErrStagingLost), errs[1])
		for _, table := range []string{"staged_accounts", "accounts"} {
			require.Zero(t, one[int](r, `SELECT count(*) FROM `+table), table)
		}
	}
}

func TestEraseConnectingLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for _, state := range []State{Active, NeedsReconnect, Paused} {
		c := r.connect(string(state))
		require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: state}))
		before := r.dump()
		require.NoError(t, r.EraseConnecting(r.ctx, c.ID))
		require.Equal(t, before, r.dump())
	}
	gone := r.connect("disconnected")
	require.NoError(t, r.Disconnect(r.ctx, gone.ID))
	require.NoError(t, r.EraseConnecting(r.ctx, gone.ID))
	r.reload(gone)
}

func TestEraseConnectingFreesTheName(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.stage(c, nil, []directory.User{account("1")})
	for range 2 {
		require.NoError(t, r.EraseConnecting(r.ctx, c.ID))
		for _, table := range r.tables("connection_id") {
			require.Zero(t, one[int](r, `SELECT count(*) FROM `+table), table)
		}
	}
	r.connect("acme")
}
