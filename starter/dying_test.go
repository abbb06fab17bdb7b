package main_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/db/localpostgres"
	"jamf-access-review/workflows/localtemporal"
)

// Whatever dies at whatever moment of a sync, afterwards the record is what an
// undisturbed sync leaves: these tests disturb a sync at many moments and
// compare with one that was left alone.

// moment is a moment of a sync: what happens there is done once, before the
// sync can go on.
type moment struct {
	name string
	at   func(s *subject, what func())
}

// atRequest is the moment of the n-th request of a sync.
func atRequest(n int64) moment {
	return moment{fmt.Sprintf("at request %d", n), func(s *subject, what func()) {
		var requests atomic.Int64
		s.jamf.SetFault(doing(func(*http.Request) bool { return requests.Add(1) == n }, what))
	}}
}

// applying is the moment at which a snapshot is half applied: a trigger makes
// the transaction wait for a lock that the test holds.
var applying = moment{"half applied", func(s *subject, what func()) {
	database, err := sql.Open("postgres", s.world.databaseURL)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { database.Close() })
	holder, err := database.Conn(s.t.Context())
	require.NoError(s.t, err)
	for _, statement := range []string{
		`CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$`,
		`CREATE TRIGGER wait_for_test AFTER INSERT ON changes FOR EACH STATEMENT EXECUTE FUNCTION wait_for_test()`,
		`SELECT pg_advisory_lock(4711)`,
	} {
		_, err := holder.ExecContext(s.t.Context(), statement)
		require.NoError(s.t, err)
	}
	go func() {
		waiting := false
		for !waiting && s.t.Context().Err() == nil {
			err = holder.QueryRowContext(s.t.Context(), `
				SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted),
					pg_sleep(0.05)`).Scan(&waiting, new(string))
			if err != nil {
				break
			}
		}
		what()
		// Fails where Postgres itself has died: the lock went with it.
		_, _ = holder.ExecContext(context.WithoutCancel(s.t.Context()), `SELECT pg_advisory_unlock(4711)`)
		_ = holder.Close()
	}()
}}

// populate gives a Jamf Pro that is read account by account its people.
func (s *subject) populate() {
	s.jamf.SetRelease(jamftest.ClassicOnly())
	s.jamf.Demo(50)
}

// change makes the changes that the disturbed sync has to find.
func (s *subject) change() {
	s.addAccount("dora", jamftest.Account{})
	s.jamf.RemoveAccount(s.cleo)
	s.jamf.DisableAccount(s.bob)
	s.jamf.UpdateAccount(20, func(a *jamftest.Account) { a.Email = "moved@example.com" })
}

// undisturbed is what the same changes look like when nothing dies.
func undisturbed(t *testing.T) (users []userDoc, changes []changeDoc) {
	t.Helper()
	s := setup(t)
	s.populate()
	s.connect("--every", "24h")
	s.change()
	s.resync()
	return s.anybodyElse(), timeless(s.changesOf(2))
}

// anybodyElse are all users but the API client that reads them, which has
// another id in each test.
func (s *subject) anybodyElse() []userDoc {
	s.t.Helper()
	return slices.DeleteFunc(s.users(), func(u userDoc) bool { return u.Username == s.clientID })
}

func timeless(changes []changeDoc) []changeDoc {
	for i := range changes {
		changes[i].At = changes[0].At
	}
	return changes
}

// requireSame compares the record with an undisturbed one.
func (s *subject) requireSame(users []userDoc, changes []changeDoc) {
	s.t.Helper()
	require.Equal(s.t, users, s.anybodyElse())
	got := timeless(s.changesOf(2))
	for i := range got {
		got[i].At = changes[0].At
	}
	require.Equal(s.t, changes, got, "each change is recorded once")
	syncs := s.syncs()
	require.Len(s.t, syncs, 2, "no sync number was used twice or left out")
	require.Equal(s.t, "applied", syncs[0].Outcome)
	require.Equal(s.t, 2, syncs[0].Number)
}

// awaitSecondSync waits for the disturbed sync, while anything may be down.
func (s *subject) awaitSecondSync() {
	s.t.Helper()
	await(s.t, "the disturbed sync to end", func() bool {
		r := s.run("syncs", s.name, "-o", "json")
		var syncs []syncDoc
		return r.code == 0 && json.Unmarshal([]byte(r.stdout), &syncs) == nil && len(syncs) == 2
	})
}

func TestAKilledWorkerLeavesTheRecordWhole(t *testing.T) {
	t.Parallel()
	users, changes := undisturbed(t)
	for _, m := range []moment{
		atRequest(1), atRequest(2), atRequest(5), atRequest(9), atRequest(12), atRequest(25), atRequest(40), atRequest(55), applying,
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			w := ownWorld(t)
			doomed := w.mustStartWorker(t)
			s := w.setup(t)
			s.populate()
			s.connect("--every", "24h")
			s.change()
			m.at(s, func() {
				if err := doomed.end(syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			})
			s.ok("resync", s.name, "--no-wait")
			<-doomed.done
			w.mustStartWorker(t)
			s.awaitSecondSync()
			s.requireSame(users, changes)
		})
	}
}

// mortals are servers of the test's own, which may die.
type mortals struct {
	*world
	t        *testing.T
	dir      string
	postgres *localpostgres.Server
	temporal *localtemporal.Server
}

func newMortals(t *testing.T) *mortals {
	t.Helper()
	dir, err := publicDir()
	require.NoError(t, err)
	m := &mortals{t: t, dir: dir}
	m.startPostgres(0)
	m.startTemporal("")
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if m.world != nil {
			_ = m.world.close()
		}
		_ = m.temporal.Stop(ctx)
		_ = m.postgres.Stop(ctx)
	})
	m.world, err = newWorldOn(t.Context(), "default", m.postgres, m.temporal)
	require.NoError(t, err)
	m.mustStartWorker(t)
	return m
}

func (m *mortals) startPostgres(port int) {
	m.t.Helper()
	var err error
	m.postgres, err = localpostgres.Start(m.t.Context(), localpostgres.Config{Dir: filepath.Join(m.dir, "postgres"), Port: port, Durable: true})
	require.NoError(m.t, err)
}

func (m *mortals) startTemporal(address string) {
	m.t.Helper()
	port := 0
	if address != "" {
		_, err := fmt.Sscanf(address, "127.0.0.1:%d", &port)
		require.NoError(m.t, err)
	}
	var err error
	m.temporal, err = localtemporal.Start(m.t.Context(), localtemporal.Config{
		Dir: filepath.Join(m.dir, "temporal"), Port: port, UIPort: localtemporal.NoUI,
	})
	require.NoError(m.t, err)
}

func (m *mortals) crashPostgres() {
	require.NoError(m.t, m.postgres.Kill())
	m.startPostgres(m.postgres.Port)
}

func (m *mortals) restartPostgres() {
	require.NoError(m.t, m.postgres.Stop(m.t.Context()))
	m.startPostgres(m.postgres.Port)
}

// cutConnections ends every session but its own.
func (m *mortals) cutConnections() {
	database, err := sql.Open("postgres", m.postgres.URL("postgres"))
	require.NoError(m.t, err)
	defer database.Close()
	_, err = database.ExecContext(m.t.Context(), `
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`)
	require.NoError(m.t, err)
}

func (m *mortals) crashTemporal() {
	require.NoError(m.t, m.temporal.Kill())
	m.startTemporal(m.temporal.Address)
}

// crashEverything is what happens when the machine loses its power.
func (m *mortals) crashEverything() {
	require.NoError(m.t, m.workers[len(m.workers)-1].end(syscall.SIGKILL))
	require.NoError(m.t, m.temporal.Kill())
	require.NoError(m.t, m.postgres.Kill())
	m.startPostgres(m.postgres.Port)
	m.startTemporal(m.temporal.Address)
	m.mustStartWorker(m.t)
}

func TestDyingServersLeaveTheRecordWhole(t *testing.T) {
	t.Parallel()
	users, changes := undisturbed(t)
	m := newMortals(t)
	for _, death := range []struct {
		name string
		die  func()
		at   []moment
	}{
		{"Postgres crashes", m.crashPostgres, []moment{atRequest(3), atRequest(30)}},
		{"Postgres restarts", m.restartPostgres, []moment{atRequest(30)}},
		{"connections are cut", m.cutConnections, []moment{atRequest(1), atRequest(30), applying}},
		{"Temporal crashes", m.crashTemporal, []moment{atRequest(30)}},
		{"the machine crashes", m.crashEverything, []moment{atRequest(30)}},
	} {
		for _, moment := range death.at {
			t.Run(death.name+" "+moment.name, func(t *testing.T) {
				s := m.setup(t)
				s.populate()
				s.connect("--every", "24h")
				s.change()
				died := make(chan struct{})
				moment.at(s, func() {
					defer close(died)
					death.die()
				})
				s.ok("resync", s.name, "--no-wait")
				<-died
				s.awaitSecondSync()
				s.requireSame(users, changes)
			})
		}
	}
}
