package db

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// setupRoles makes an empty database with an owner of its own, and a role for
// the worker.
func setupRoles(t *testing.T) (owner, worker *record) {
	t.Helper()
	n := databases.Add(1)
	ownerRole, workerRole := fmt.Sprintf("owner_%d", n), fmt.Sprintf("worker_%d", n)
	name := fmt.Sprintf("test_%d", n)
	admin := setup(t)
	admin.exec(fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'p'`, ownerRole))
	admin.exec(fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'p'`, workerRole))
	address, err := server.CreateDatabase(t.Context(), name, "")
	require.NoError(t, err)
	admin.exec(fmt.Sprintf(`ALTER DATABASE %s OWNER TO %s`, name, ownerRole))
	owner = setupAt(t, as(t, address, ownerRole))
	worker = setupAt(t, as(t, address, workerRole))
	return owner, worker
}

// setupGranted is setupRoles with the schema, of which the worker was granted
// what Grant grants.
func setupGranted(t *testing.T) (owner, worker *record) {
	t.Helper()
	owner, worker = setupRoles(t)
	owner.migrateAndGrant(worker.role())
	return owner, worker
}

// as is the address of a database for another role.
func as(t *testing.T, address, role string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "p")
	return u.String()
}

func (r *record) role() string { return one[string](r, `SELECT current_user`) }

func (r *record) migrateAndGrant(role string) {
	r.t.Helper()
	_, err := r.Migrate(r.ctx)
	require.NoError(r.t, err)
	require.NoError(r.t, r.Grant(r.ctx, role))
}

func TestEveryTableIsDecidedUpon(t *testing.T) {
	t.Parallel()
	r := setup(t)
	want := append(r.tables(""), "goose_db_version")
	slices.Sort(want)
	require.Equal(t, want, slices.Sorted(maps.Keys(workerPrivileges)), "say in workerPrivileges what the worker may do with a new table")
	for _, table := range []string{"changes", "outcomes", "syncs", "accounts"} {
		require.NotContains(t, workerPrivileges[table], "DELETE", table)
	}
	for _, table := range []string{"changes", "outcomes"} {
		require.NotContains(t, workerPrivileges[table], "UPDATE", table)
	}
}

func TestTheWorkersRoleChangesNoHistory(t *testing.T) {
	t.Parallel()
	owner, worker := setupGranted(t)
	require.NoError(t, worker.CheckPrivileges(t.Context()))
	worker.subscribe("hook")
	c := worker.connectMonitored("acme")
	worker.sync(c, account("1"), account("2"))
	worker.sync(c, account("1"))
	n, err := worker.NextNotice(t.Context(), Route{"hook", "acme"})
	require.NoError(t, err)
	_, err = worker.RecordAttempt(t.Context(), n.ID, NoticeAttempt{})
	require.NoError(t, err)
	before := owner.dump()

	for _, table := range []string{"changes", "outcomes", "syncs", "accounts"} {
		for _, statement := range []string{"DELETE FROM " + table, "TRUNCATE " + table} {
			_, err := worker.DB.sql.Exec(statement)
			require.True(t, IsDenied(err), "%s: %v", statement, err)
		}
	}
	for _, statement := range []string{
		`UPDATE changes SET at = now()`, `UPDATE outcomes SET state = 'passing'`,
		`ALTER TABLE changes ADD x int`, `DROP TABLE changes`, `CREATE TABLE x (y int)`, `CREATE INDEX ON changes (at)`,
		`ALTER TABLE syncs DISABLE TRIGGER ALL`, `DROP TRIGGER refuse_ended_sync ON syncs`, `SET session_replication_role = replica`,
		`CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `GRANT DELETE ON changes TO ` + pq.QuoteIdentifier(worker.role()) + `; DELETE FROM changes`,
		`UPDATE goose_db_version SET is_applied = false`,
	} {
		_, err := worker.DB.sql.Exec(statement)
		require.True(t, IsDenied(err), "%s: %v", statement, err)
	}
	_, err = worker.Prune(t.Context(), c.ID, period, false)
	require.ErrorIs(t, err, ErrNotOwner)
	require.Equal(t, before, owner.dump())

	require.NoError(t, worker.Erase(t.Context(), c.ID), "erasing is asked for, and takes the history with it")
	require.Zero(t, one[int](owner, `SELECT (SELECT count(*) FROM changes) + (SELECT count(*) FROM outcomes) + (SELECT count(*) FROM syncs)`))
}

// Accounts are the worker's to change, and their arrivals are part of them.
func TestTheWorkersRoleRewritesNoArrival(t *testing.T) {
	t.Parallel()
	_, worker := setupGranted(t)
	c := worker.connect("acme")
	worker.sync(c, account("1"), account("2"))
	before := worker.changes(c, 1)

	worker.exec(`UPDATE accounts SET roles = '{Auditor}', arrived_in = 1`)
	require.Equal(t, before, worker.changes(c, 1))
	worker.exec(`UPDATE accounts SET arrived_in = 7`)
	_, err := worker.DB.sql.Exec(`UPDATE accounts SET roles = '{}'`)
	require.ErrorContains(t, err, "no sync 7 of connection 1")
}

// Functions of the schema do for the worker's role what it may not do itself,
// and nothing else.
func TestTheWorkersRoleMisusesNoFunction(t *testing.T) {
	t.Parallel()
	_, worker := setupGranted(t)
	c := worker.connect("acme")
	worker.sync(c, account("1"), account("2"))
	_, s := worker.begin(c)
	before := worker.changes(c, 1)
	tx, err := worker.DB.sql.Begin() // temporary tables are a session's
	require.NoError(t, err)
	defer tx.Rollback()
	for _, statement := range []string{
		// As if the first snapshot were still being read.
		`CREATE TEMP TABLE syncs (connection_id bigint, outcome text); GRANT SELECT ON syncs TO PUBLIC`,
		`UPDATE connections SET applied_number = 0`,
		fmt.Sprintf(`INSERT INTO staged_reads (connection_id, number, in_place) VALUES (%d, %d, true)`, c.ID, s.Number),
		`DELETE FROM staged_reads`,
		`DROP TABLE syncs`,
		`CREATE TEMP TABLE changes (LIKE public.changes)`,
		`UPDATE accounts SET roles = '{Auditor}'`,
		`DROP TABLE changes`,
		`UPDATE connections SET applied_number = 1`,
	} {
		_, err := tx.Exec(statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, tx.Commit())
	require.Equal(t, before, worker.changes(c, 1))
	for _, function := range []string{"delete_record", "clear_staging"} {
		_, err := worker.DB.sql.Exec(fmt.Sprintf(`
			CREATE TEMP TABLE mine (id bigint); CREATE TRIGGER x AFTER DELETE ON mine FOR EACH ROW EXECUTE FUNCTION public.%s()`, function))
		require.True(t, IsDenied(err), "%s: %v", function, err)
	}
}

// An older program's prune knows of no arrivals.
func TestASyncThatAddedAccountsIsKeptForThem(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), account("2"))
	r.sync(c, account("1"), account("2"))
	_, err := r.DB.sql.Exec(`DELETE FROM syncs WHERE number = 1`)
	require.ErrorContains(t, err, "sync 1 of connection 1 has added accounts")
	r.exec(`DELETE FROM syncs WHERE number = 2`)
	require.NoError(t, r.Erase(r.ctx, c.ID))
}

func TestASyncThatHasEndedIsChangedByNobody(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"))
	_, err := r.DB.sql.Exec(`UPDATE syncs SET outcome = 'failed'`)
	require.ErrorContains(t, err, "sync 1 of connection 1 has ended")
	_, running := r.begin(c)
	r.exec(`UPDATE syncs SET requests = 1 WHERE number = $1`, running.Number)
}

func TestAWorkerThatMayNotMigrateStartsWhereNothingIsPending(t *testing.T) {
	t.Parallel()
	owner, worker := setupRoles(t)
	_, err := worker.Migrate(t.Context())
	require.ErrorIs(t, err, ErrNotOwner)
	pending, err := worker.Pending(t.Context())
	require.NoError(t, err)
	require.NotZero(t, pending)

	owner.migrateAndGrant(worker.role())
	owner.exec(`DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	_, err = worker.Migrate(t.Context())
	require.ErrorIs(t, err, ErrNotOwner)
	require.NotContains(t, err.Error(), "goose")
	pending, err = worker.Pending(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, pending)
}

func TestMigrateByAWorkersRoleThatIsUpToDate(t *testing.T) {
	t.Parallel()
	_, worker := setupGranted(t)
	applied, err := worker.Migrate(t.Context())
	require.NoError(t, err)
	require.Zero(t, applied)
}

func TestGrantIsExactAndTwiceAsGoodAsOnce(t *testing.T) {
	t.Parallel()
	owner, worker := setupGranted(t)
	owner.exec(`GRANT DELETE, TRUNCATE ON changes TO ` + worker.role())
	owner.exec(`REVOKE INSERT ON changes FROM ` + worker.role())
	require.ErrorContains(t, worker.CheckPrivileges(t.Context()), "INSERT on changes")
	require.ErrorContains(t, worker.CheckPrivileges(t.Context()), "starter migrate --grant-to "+worker.role())

	for _, err := range together(4, func(int) error { return owner.Grant(t.Context(), worker.role()) }) {
		require.NoError(t, err)
	}
	may, err := privileges(t.Context(), owner.DB.sql, worker.role())
	require.NoError(t, err)
	for table, decided := range workerPrivileges {
		require.ElementsMatch(t, decided, may[table], table)
	}
}

func TestGrantToAGroupReachesItsMembers(t *testing.T) {
	t.Parallel()
	owner, worker := setupRoles(t)
	group := worker.role() + "_group"
	admin := setup(t)
	admin.exec(`CREATE ROLE ` + group + ` NOLOGIN`)
	admin.exec(`GRANT ` + group + ` TO ` + worker.role())
	owner.migrateAndGrant(group)
	require.NoError(t, worker.CheckPrivileges(t.Context()))
	worker.connect("acme")
}

func TestGrantRefusesARoleThatNothingHoldsBack(t *testing.T) {
	t.Parallel()
	owner, worker := setupGranted(t)
	before := one[string](owner, `SELECT string_agg(relname || relacl::text, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relacl IS NOT NULL`)
	for _, role := range []string{"postgres", owner.role()} {
		require.ErrorIs(t, owner.Grant(t.Context(), role), ErrUnrestricted, role)
	}
	require.ErrorIs(t, owner.Grant(t.Context(), "nobody_there"), ErrNotFound)
	stranger := worker.role() + "_stranger"
	setup(t).exec(`CREATE ROLE ` + stranger)
	require.ErrorIs(t, worker.Grant(t.Context(), stranger), ErrNotOwner)
	require.Equal(t, before, one[string](owner, `SELECT string_agg(relname || relacl::text, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relacl IS NOT NULL`))

	owner.exec(`GRANT DELETE ON changes TO PUBLIC`)
	require.ErrorContains(t, owner.Grant(t.Context(), worker.role()), "DELETE on changes")
	owner.exec(`GRANT CREATE ON SCHEMA public TO PUBLIC`)
	require.ErrorContains(t, owner.Grant(t.Context(), worker.role()), "CREATE in the schema")
}
