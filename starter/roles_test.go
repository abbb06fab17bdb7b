package main_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// restrict gives the world's worker and CLI a role that was granted what they
// need and no more. It returns the owner's CLI.
func (w *world) restrict(t *testing.T) (owner cli, role string) {
	t.Helper()
	owner, role = w.cli(t), "role-"+w.namespace
	w.execute(t, fmt.Sprintf(`CREATE ROLE %q LOGIN PASSWORD 'canary-secret-of-the-role'`, role))
	granted := ask[map[string]any](owner, "migrate", "--grant-to", role)
	require.Equal(t, role, granted["granted_to"])
	w.databaseURL = as(t, w.databaseURL, role)
	return owner, role
}

// as is the address of a database for a role of restrict's.
func as(t *testing.T, databaseURL, role string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "canary-secret-of-the-role")
	return u.String()
}

// execute runs statements in the world's database.
func (w *world) execute(t *testing.T, statements ...string) {
	t.Helper()
	database, err := sql.Open("postgres", w.databaseURL)
	require.NoError(t, err)
	defer database.Close()
	for _, statement := range statements {
		_, err := database.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

func TestTheWholeJobIsDoneByARoleThatChangesNoHistory(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	owner, role := w.restrict(t)
	wk := w.mustStartWorker(t)
	s := w.setup(t)

	require.Equal(t, "applied", s.connect().Sync.Outcome)
	s.jamf.RemoveAccount(s.cleo)
	s.jamf.DisableAccount(s.bob)
	doc := s.resync("--accept-removals")
	require.Equal(t, []int{1, 1}, []int{doc.Sync.Changed, doc.Sync.Removed})
	require.Len(t, s.changesOf(2), 2)
	s.ok("staff", "import", file(t, rosterHeader+fmt.Sprintf("%s,Canary ada,,\n", email("ada"))), "--org", s.org)
	s.ok("staff", "import", file(t, rosterHeader+fmt.Sprintf("%s,Canary ada,,\n", email("ada"))), "--org", s.org)
	require.Equal(t, "passing", s.monitor("JAMF_ACCESS_REMOVED_ON_EXIT").State)
	secret := s.rotate()
	s.failResync(3, "credentials_rejected")
	require.Zero(t, s.reconnectWith(secret).code)
	s.jamf.RevokeTokens()
	s.resync()
	for _, args := range [][]string{{"pause", s.name}, {"resume", s.name}, {"reschedule", s.name, "--every", "12h"}, {"keys", "rotate"}, {"migrate"}} {
		s.ok(args...)
	}
	s.resync()
	s.ok("disconnect", s.name)
	require.Zero(t, s.reconnectWith(secret, "--client-id", s.clientID).code)

	failed := s.refuse(2, "usage", "prune", "--older-than", "400d")
	require.Contains(t, failed.Message, "owns the database's schema")
	kept := s.changes()
	owner.ok("prune", "--older-than", "400d")
	require.Equal(t, kept, s.changes())

	s.ok("disconnect", s.name, "--erase")
	s.refuse(6, "not_found", "status", s.name)
	require.NoError(t, wk.end(os.Interrupt))
	log, err := os.ReadFile(wk.log)
	require.NoError(t, err)
	require.NotContains(t, string(log), "permission denied")
	require.NotContains(t, string(log), role)
}

func TestARoleThatIsNotThereOrNotHeldBack(t *testing.T) {
	t.Parallel()
	c := ownWorld(t).cli(t)
	require.Contains(t, c.refuse(6, "not_found", "migrate", "--grant-to", "nobody-there").Hint, "CREATE ROLE")
	require.Contains(t, c.refuse(2, "usage", "migrate", "--grant-to", "postgres").Message, "superuser")
}

// A new version brings migrations and grants that a worker's role cannot see to.
func TestAWorkerThatMayNotMigrateSaysWhoMay(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	ownerURL := w.databaseURL
	_, role := w.restrict(t)
	restricted := w.databaseURL
	said := func() string {
		cmd := exec.CommandContext(t.Context(), program("worker"))
		cmd.Env = w.env()
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		return string(out)
	}

	w.databaseURL = ownerURL
	w.execute(t, fmt.Sprintf(`REVOKE INSERT ON changes FROM %q`, role))
	w.databaseURL = restricted
	require.Contains(t, said(), "lacks INSERT on changes")
	require.Contains(t, said(), "starter migrate --grant-to "+role)

	w.databaseURL = ownerURL
	w.execute(t, `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	w.databaseURL = restricted
	require.Contains(t, said(), "run `starter migrate` with the DATABASE_URL of that role")
	failed := w.cli(t).refuse(2, "usage", "list")
	require.Contains(t, failed.Message, "lacks 1 migration ")
	require.Contains(t, failed.Hint, "owns the schema")
}
