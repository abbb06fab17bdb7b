package db

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
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
	r.migrateDownTo(version)
	_, err := r.Migrate(r.ctx)
	require.NoError(r.t, err)
}

func (r *record) migrateDownTo(version int64) {
	r.t.Helper()
	provider, err := r.migrations()
	require.NoError(r.t, err)
	_, err = provider.DownTo(r.ctx, version)
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

// Before there were blocks of accounts, groups that were kept while they could
// not be read had the digest of an account without groups.
func TestMigrateLooksAgainAtGroupsThatWereKept(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), inGroups("2", "Packagers"), inGroups("3", "Packagers"))
	r.migrateDownTo(10)
	without := inGroups("2")
	r.exec(`UPDATE accounts SET facts_digest = $1 WHERE source_id = '2'`, factsDigest(&without))
	_, err := r.Migrate(r.ctx)
	require.NoError(t, err)

	require.NoError(t, r.check(c, account("1"), without, inGroups("3", "Packagers")))
	require.Empty(t, r.accounts(c, false)["account/2"].Groups)
	require.Len(t, r.changes(c, 2), 1)
}

// Arrivals are in the history, whatever the schema keeps them in.
func TestMigrateKeepsArrivals(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c, connecting := r.connect("acme"), r.connect("connecting")
	r.sync(c, account("1"), account("2"))
	r.sync(c, account("1", inactive), account("2"), account("3"))
	r.stage(connecting, nil, []directory.User{account("1")})
	first, second := r.changes(c, 1), r.changes(c, 2)
	require.Equal(t, []int{2, 2}, []int{len(first), len(second)})

	r.migrateDownTo(12)
	require.Equal(t, 4, one[int](r, `SELECT count(*) FROM changes`))
	require.Equal(t, 3, one[int](r, `SELECT count(*) FROM accounts`), "what is being read is not on record")
	_, err := r.Migrate(r.ctx)
	require.NoError(t, err)
	require.Equal(t, first, r.changes(c, 1))
	require.Equal(t, second, r.changes(c, 2))
	r.sync(c, account("2"))
	require.Equal(t, first, r.changes(c, 1))
}

// What passed before the upgrade passes after it, if it was found by the roster
// that is on record, and a workflow that was cancelled is known to have been.
func TestMigrateKeepsWhatOutcomesRestOn(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	c, gone := r.connectMonitored("acme"), r.connectMonitored("gone")
	r.sync(c, account("1"))
	r.sync(gone, account("1"))
	r.become(r.connect("cancelled"), StateChange{State: Paused, Reason: "its workflow was cancelled; resume starts it again", Cancelled: true})
	require.NoError(t, r.Disconnect(r.ctx, gone.ID))
	r.clock.Advance(time.Minute)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))

	r.migrateFrom(13)
	require.Equal(t, Passing, r.monitors(c)[AccessRemovedOnExit].State)
	require.Equal(t, NotEvaluable, r.monitors(gone)[AccessRemovedOnExit].State)
	require.Equal(t, Passing, r.monitors(gone)[UserMFAEnabled].State)
	cancelled, err := r.Connection(r.ctx, "cancelled")
	require.NoError(t, err)
	require.True(t, cancelled.Cancelled)
}

// What was asked for before is not known to be asked for in the order of now.
func TestMigrateForgetsWhoWasConfirmedMissing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	s, read := r.readingOn(c)
	_, err := r.ConfirmMissing(r.ctx, c.ID, s.Number, read, directory.Identity{Kind: directory.Account, ID: "ann"}, 0)
	require.NoError(t, err)
	require.NotZero(t, r.confirmed(c, s))
	r.migrateFrom(10)
	r.openStaging(c, s)
	require.Zero(t, r.confirmed(c, s))
}

// A list that is asked for while a migration rewrites what it lists.
func TestAccountsAreListedAfterAMigration(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"))
	migration, err := r.DB.sql.BeginTxx(r.ctx, nil)
	require.NoError(t, err)
	defer migration.Rollback()
	_, err = migration.ExecContext(r.ctx, `ALTER TABLE accounts ALTER COLUMN name TYPE varchar(200)`)
	require.NoError(t, err)
	listed := make(chan int, 1)
	go func() {
		n := 0
		for _, err := range r.Accounts(r.ctx, c.ID, false) {
			if err == nil {
				n++
			}
		}
		listed <- n
	}()
	require.Eventually(t, func() bool {
		return one[int](r, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 1
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, migration.Commit())
	require.Equal(t, 1, <-listed)
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

func TestAServerThatLetsNobodyInIsUnavailable(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	_, err = Open(t.Context(), "postgres://"+silent.Addr().String()+"/x?sslmode=disable")
	var unavailable *UnavailableError
	require.ErrorAs(t, err, &unavailable)
}
