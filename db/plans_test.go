package db

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

// others is how many other connections there are, with 50 accounts each.
const others = 1000

// fillOthers copies everything that a connection has to others, each of an
// organization of its own and in the middle of a sync.
func (r *record) fillOthers(c Connection) {
	r.t.Helper()
	for _, statement := range []string{
		`INSERT INTO organizations OVERRIDING SYSTEM VALUE SELECT 1000 + n, 'other-' || n FROM generate_series(1, $1) n`,
		`INSERT INTO rosters SELECT 1000 + n, imported_at FROM rosters, generate_series(1, $1) n`,
		`INSERT INTO people SELECT 1000 + n, email, name, aliases, exited_at FROM people, generate_series(1, $1) n`,
		`INSERT INTO person_addresses SELECT 1000 + n, address, person, exited_at FROM person_addresses, generate_series(1, $1) n`,
	} {
		r.exec(statement, others)
	}
	r.exec(`INSERT INTO connections OVERRIDING SYSTEM VALUE
		SELECT (jsonb_populate_record(c, jsonb_build_object('id', 1000 + n, 'name', 'other-' || n, 'organization_id', 1000 + n))).*
		FROM connections c, generate_series(1, $2) n WHERE id = $1`, c.ID, others)
	for _, table := range []string{"credentials", "syncs", "changes", "account_blocks", "monitors", "findings", "staged_reads", "staged_blocks"} {
		r.exec(`INSERT INTO `+table+` SELECT (jsonb_populate_record(t, jsonb_build_object('connection_id', 1000 + n))).*
			FROM `+table+` t, generate_series(1, $2) n WHERE connection_id = $1`, c.ID, others)
	}
	for _, table := range []string{"accounts", "staged_accounts"} {
		columns := `kind, source_id, ` + factColumns
		r.exec(`INSERT INTO `+table+` (connection_id, `+columns+`) SELECT 1000 + n, `+columns+`
			FROM `+table+`, generate_series(1, $2) n WHERE connection_id = $1`, c.ID, others)
	}
	r.exec(`INSERT INTO outcomes (connection_id, code, number, state, reason, evaluated_at, passing, due, failing, not_evaluable, excepted)
		SELECT 1000 + n, code, number, state, reason, evaluated_at, passing, due, failing, not_evaluable, excepted
		FROM outcomes, generate_series(1, $2) n WHERE connection_id = $1`, c.ID, others)
	r.exec(`ANALYZE`)
}

// rowsScanned is how many rows of each table were read without an index.
func (r *record) rowsScanned() map[string]int64 {
	r.t.Helper()
	// A session has reported what it did when it is gone.
	require.NoError(r.t, r.DB.Close())
	r.DB = r.openWith(WithKeyset(r.keyset))
	require.Eventually(r.t, func() bool {
		return one[int](r, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`) == 0
	}, time.Minute, 10*time.Millisecond)
	var rows []struct {
		Table string `db:"relname"`
		Rows  int64  `db:"seq_tup_read"`
	}
	require.NoError(r.t, r.DB.sql.SelectContext(r.ctx, &rows, `SELECT relname, seq_tup_read FROM pg_stat_user_tables`))
	scanned := map[string]int64{}
	for _, row := range rows {
		scanned[row.Table] = row.Rows
	}
	return scanned
}

// Whatever is done for one connection takes as long beside a thousand others as
// alone: an index leads to its rows.
func TestAConnectionReadsNoRowsOfOthers(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectEveryone("acme")
	require.NoError(t, r.EnableMonitors(r.ctx, c.ID))
	people := make([]Person, 50)
	for i := range people {
		people[i] = Person{Email: fmt.Sprintf("user%d@example.com", i), ExitedAt: &start}
	}
	require.NoError(t, r.ImportRoster(r.ctx, "default", people))
	var users []directory.User
	for i := range 25 {
		users = append(users, account(fmt.Sprint(i)), endUser(i))
	}
	r.sync(c, users...)
	_, s := r.stage(c, nil, append(users[1:], endUser(500)))
	require.NotZero(t, r.staged())
	r.fillOthers(c)
	require.NoError(t, r.Disconnect(r.ctx, r.connect("gone").ID))

	before := r.rowsScanned()
	require.NotZero(t, before["people"], "PostgreSQL counts them, as they were copied")
	sync := s
	for _, users := range [][]directory.User{users, users[1:], users} {
		var key string
		key, sync = r.stage(c, summary(users), users)
		require.NoError(t, r.checkSnapshot(c, sync))
		_, err := r.MissingAccounts(r.ctx, c.ID, sync.Number, 10)
		require.NoError(t, err)
		_, err = r.HoldSnapshot(r.ctx, c.ID, sync.Number, false)
		require.NoError(t, err)
		r.apply(c, key)
	}
	r.accounts(c, false)
	r.accounts(c, true)
	require.Len(t, r.changes(c, sync.Number), 1)
	_, err := r.Findings(r.ctx, c.ID)
	require.NoError(t, err)
	_, err = r.Monitors(r.ctx, c.ID)
	require.NoError(t, err)
	for _, err := range r.PastOutcomes(r.ctx, c.ID, time.Time{}) {
		require.NoError(t, err)
	}
	_, err = r.Overview(r.ctx, c.Name)
	require.NoError(t, err)
	_, err = r.Syncs(r.ctx, c.ID, 10)
	require.NoError(t, err)
	_, err = r.PendingRoutes(r.ctx, c.ID)
	require.NoError(t, err)
	_, err = r.Token(r.ctx, c.ID, (&issuer{valid: time.Hour}).renew)
	require.NoError(t, err)
	require.NoError(t, r.ImportRoster(r.ctx, "default", people))
	_, err = r.Prune(context.WithoutCancel(r.ctx), c.ID, MinKept, true)
	require.NoError(t, err)
	after := r.rowsScanned()
	for table, rows := range after {
		assert.Less(t, rows-before[table], int64(others), "rows of %s were read one after the other", table)
	}
}
