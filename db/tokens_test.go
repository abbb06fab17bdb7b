package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

// issuer is a source's token endpoint.
type issuer struct {
	valid time.Duration
	fails error

	mu       sync.Mutex
	requests int
	shown    directory.Credentials
}

func (i *issuer) renew(_ context.Context, c directory.Credentials) (directory.Token, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests++
	i.shown = c
	if i.fails != nil {
		return directory.Token{}, i.fails
	}
	return directory.Token{Value: fmt.Sprintf("token-%d", i.requests), RenewAt: start.Add(i.valid)}, nil
}

func TestTokenIsRequestedOnceWhoeverAsks(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	source := &issuer{valid: time.Hour}
	pools := []*DB{r.DB, r.openWith(WithKeyset(r.keyset))}

	tokens := make([]directory.Token, 20)
	for _, err := range together(len(tokens), func(i int) (err error) {
		tokens[i], err = pools[i%len(pools)].Token(r.ctx, c.ID, source.renew)
		return err
	}) {
		require.NoError(t, err)
	}
	require.Equal(t, 1, source.requests)
	require.Equal(t, newConnection("acme").Credentials, source.shown)
	for _, token := range tokens {
		require.Equal(t, directory.Token{Value: "token-1", RenewAt: start.Add(time.Hour), Generation: 1}, token)
	}
}

func TestTokenIsRenewedWhenItIsTime(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	source := &issuer{valid: time.Hour}
	expect := func(value string, generation int64) {
		t.Helper()
		token, err := r.Token(r.ctx, c.ID, source.renew)
		require.NoError(t, err)
		require.Equal(t, value, token.Value)
		require.Equal(t, generation, token.Generation)
	}
	expect("token-1", 1)
	r.clock.Advance(time.Hour - time.Microsecond)
	expect("token-1", 1)
	source.valid = 2 * time.Hour
	r.clock.Advance(time.Microsecond)
	expect("token-2", 2)
	expect("token-2", 2)
	require.Equal(t, 2, source.requests)
}

func TestRejectedTokenIsReplacedOncePerGeneration(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	source := &issuer{valid: time.Hour}
	rejected, err := r.Token(r.ctx, c.ID, source.renew)
	require.NoError(t, err)
	require.False(t, rejected.Fresh)

	pools := []*DB{r.DB, r.openWith(WithKeyset(r.keyset))}
	for _, err := range together(20, func(i int) error {
		return pools[i%len(pools)].ReplaceToken(r.ctx, c.ID, rejected.Generation, source.renew)
	}) {
		require.NoError(t, err)
	}
	require.Equal(t, 2, source.requests)
	fresh := directory.Token{Value: "token-2", RenewAt: start.Add(time.Hour), Generation: 2, Fresh: true}
	for _, pool := range pools {
		token, err := pool.Token(r.ctx, c.ID, source.renew)
		require.NoError(t, err)
		require.Equal(t, fresh, token)
	}
	require.NoError(t, r.ReplaceToken(r.ctx, c.ID, fresh.Generation, source.renew))
	require.Equal(t, 3, source.requests)
}

func TestScheduledRenewalIsNotFresh(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	source := &issuer{valid: time.Hour}
	require.NoError(t, r.ReplaceToken(r.ctx, c.ID, 0, source.renew))
	r.clock.Advance(time.Hour)
	token, err := r.Token(r.ctx, c.ID, source.renew)
	require.NoError(t, err)
	require.False(t, token.Fresh)
	require.EqualValues(t, 2, token.Generation)
}

func TestFailingRenewalChangesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	source := &issuer{valid: time.Hour}
	_, err := r.Token(r.ctx, c.ID, source.renew)
	require.NoError(t, err)
	before := r.dump()

	source.fails = directory.Errorf(directory.CredentialsRejected, "no")
	require.Same(t, source.fails, r.ReplaceToken(r.ctx, c.ID, 1, source.renew))
	require.Equal(t, before, r.dump())
	r.clock.Advance(time.Hour)
	_, err = r.Token(r.ctx, c.ID, source.renew)
	require.Same(t, source.fails, err)
	require.Equal(t, before, r.dump())

	source.fails = nil
	source.valid = 3 * time.Hour
	token, err := r.Token(r.ctx, c.ID, source.renew)
	require.NoError(t, err)
	require.EqualValues(t, 2, token.Generation)
}

func TestRenewalThatIsGivenUpChangesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	before := r.dump()
	ctx, cancel := context.WithCancel(r.ctx)
	_, err := r.Token(ctx, c.ID, func(ctx context.Context, _ directory.Credentials) (directory.Token, error) {
		cancel()
		return directory.Token{Value: "late", RenewAt: start.Add(time.Hour)}, nil
	})
	require.True(t, errors.Is(err, context.Canceled), err)
	require.Equal(t, before, r.dump())
}

func TestSlowRenewalsHoldUpNothingElse(t *testing.T) {
	t.Parallel()
	r := setup(t)
	patient := make(chan struct{})
	var begun, ended sync.WaitGroup
	for i := range maxConns {
		c := r.connect(fmt.Sprintf("slow-%d", i))
		begun.Add(1)
		ended.Go(func() {
			_, err := r.Token(r.ctx, c.ID, func(context.Context, directory.Credentials) (directory.Token, error) {
				begun.Done()
				<-patient
				return directory.Token{}, errors.New("given up")
			})
			require.ErrorContains(t, err, "given up")
		})
	}
	begun.Wait()
	r.sync(r.connect("fast"), account("1"))
	close(patient)
	ended.Wait()
}
