package db

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db/localpostgres"
)

// What a sync without changes writes does not depend on how many accounts it
// compared. The server is the test's own: others would write meanwhile.
func TestAnUnchangedSnapshotWritesAsLittleWALForManyAsForFew(t *testing.T) {
	t.Parallel()
	own, err := localpostgres.Start(t.Context(), localpostgres.Config{Durable: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Stop(context.WithoutCancel(t.Context()))) })
	require.NoError(t, createMigrated(t.Context(), own))
	r := setupAt(t, own.URL(migrated))
	// Autovacuum writes WAL of its own, when it likes.
	r.exec(`ALTER SYSTEM SET autovacuum = off`)
	r.exec(`SELECT pg_reload_conf()`)
	few, many := r.walOfUnchanged("few", 10), r.walOfUnchanged("many", 5000)
	require.Less(t, few, int64(64<<10))
	require.Less(t, many, few+(64<<10))
}

// walOfUnchanged is how many bytes of WAL a sync without changes writes.
func (r *record) walOfUnchanged(name string, accounts int) int64 {
	r.t.Helper()
	c := r.connectMonitored(name)
	users := make([]directory.User, accounts)
	for i := range users {
		users[i] = account(fmt.Sprint(i))
	}
	r.sync(c, users...)
	// Pages are written whole once after a checkpoint, and once when they are
	// first read after they were written.
	r.exec(`VACUUM`)
	r.exec(`CHECKPOINT`)
	r.sync(c, users...)
	const position = `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`
	before := one[int64](r, position)
	r.sync(c, users...)
	return one[int64](r, position) - before
}
