package db

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/db/localpostgres"
)

func setupEmpty(t *testing.T, name string) *record {
	t.Helper()
	url, err := server.CreateDatabase(t.Context(), name, "")
	require.NoError(t, err)
	return setupAt(t, url)
}

func TestMigrateOnEmptyAndTwice(t *testing.T) {
	t.Parallel()
	r := setupEmpty(t, "empty")

	pending, err := r.Pending(r.ctx)
	require.NoError(t, err)
	require.Zero(t, one[int](r, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`), "to ask changes nothing")
	applied, err := r.Migrate(r.ctx)
	require.NoError(t, err)
	require.Equal(t, pending, applied)
	require.Positive(t, applied)

	applied, err = r.Migrate(r.ctx)
	require.NoError(t, err)
	require.Zero(t, applied)
	pending, err = r.Pending(r.ctx)
	require.NoError(t, err)
	require.Zero(t, pending)
	r.connect("acme")
}

func TestMigrateByManyAtOnceAppliesOnce(t *testing.T) {
	t.Parallel()
	r := setupEmpty(t, "crowded")
	want, err := r.Pending(r.ctx)
	require.NoError(t, err)

	applied := make([]int, 4)
	for _, err := range together(len(applied), func(i int) (err error) {
		applied[i], err = r.Migrate(r.ctx)
		return err
	}) {
		require.NoError(t, err)
	}
	total := 0
	for _, n := range applied {
		total += n
	}
	require.Equal(t, want, total)
}

func TestMigrateDownAndUp(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.sync(r.connect("acme"), account("1"))
	provider, err := r.migrations()
	require.NoError(t, err)

	_, err = provider.DownTo(r.ctx, 0)
	require.NoError(t, err)
	require.Empty(t, r.tables(""))

	_, err = r.Migrate(r.ctx)
	require.NoError(t, err)
	r.sync(r.connect("acme"), account("1"))
}

// migrateFrom takes the schema back to a version, and brings it up to date again.
func (r *record) migrateFrom(version int64) {
	r.t.Helper()
	provider, err := r.migrations()
	require.NoError(r.t, err)
	_, err = provider.DownTo(r.ctx, version)
	require.NoError(r.t, err)
	_, err = r.Migrate(r.ctx)
	require.NoError(r.t, err)
}

// What was on record before there were blocks is in blocks afterwards.
func TestMigrateMakesBlocksOfWhatIsOnRecord(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectEveryone("acme")
	users := append(endUsers(upTo(300)...), account("1"))
	r.sync(c, users...)
	r.sync(c, users[10:]...)
	kept, made := r.blocks(c)
	require.Equal(t, made, kept)

	r.migrateFrom(6)
	again, made := r.blocks(c)
	require.Equal(t, []string{kept, kept}, []string{again, made})
	s := r.sync(c, users[10:]...)
	require.Equal(t, []int{291, 0, 0, 0}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
}

// A roster that was imported before addresses said whose they are.
func TestMigrateKeepsWhoseAnAddressIs(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{
		{Email: "Boss@example.com", Aliases: []string{"user1"}, ExitedAt: ago(grace)}, {Email: "user2@example.com"},
	}))
	r.sync(c, account("1"), account("2"))
	monitors, findings := r.monitors(c), r.findings(c, AccessRemovedOnExit)
	require.Equal(t, "Boss@example.com", findings[0].Person)

	r.migrateFrom(8)
	require.Equal(t, monitors, r.monitors(c))
	require.Equal(t, "boss@example.com=Boss@example.com user1=Boss@example.com user2@example.com=user2@example.com",
		one[string](r, `SELECT string_agg(address || '=' || person, ' ' ORDER BY address) FROM person_addresses`))
	r.sync(c, account("1"), account("2"))
	require.Equal(t, findings, r.findings(c, AccessRemovedOnExit))
}

func TestUnavailableNamesTheAddressAndNoPassword(t *testing.T) {
	t.Parallel()
	gone, err := localpostgres.Start(t.Context(), localpostgres.Config{})
	require.NoError(t, err)
	url := gone.URL("postgres")
	require.NoError(t, gone.Stop(t.Context()))

	for _, url := range []string{url, "postgres://me:pass-word@[::1/x", "postgres://me:pass-word@host:bad port/x", "password=pass-word foo"} {
		_, err := Open(t.Context(), url)
		var unavailable *UnavailableError
		require.ErrorAs(t, err, &unavailable)
		require.NotContains(t, err.Error(), "pass-word")
		require.NotContains(t, err.Error(), "postgres://")
	}
	_, err = Open(t.Context(), url)
	require.ErrorContains(t, err, "127.0.0.1")
}
