package main_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/activities/directory/truto/trutotest"
	"jamf-access-review/workflows"
)

type doctorDoc struct {
	Healthy bool       `json:"healthy"`
	Checks  []checkDoc `json:"checks"`
}

type checkDoc struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Error   string `json:"error"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

// doctor runs the doctor, which is to end with a status. Whatever it finds,
// each line says so, and what to do unless it is in order.
func (c cli) doctor(code int, args ...string) doctorDoc {
	c.t.Helper()
	r := c.run(append([]string{"doctor", "-o", "json"}, args...)...)
	require.Equal(c.t, code, r.code, "%s", r)
	d := document[doctorDoc](c.t, r)
	require.Equal(c.t, code == 0, d.Healthy)
	for _, check := range d.Checks {
		require.NotEmpty(c.t, check.Message, "%s", r)
		require.Equal(c.t, check.State == "failing", check.Error != "", "%s", r)
		require.Equal(c.t, check.State != "ok", check.Remedy != "", "%s", r)
	}
	require.NotContains(c.t, r.stdout+r.stderr, "canary-secret")
	require.NotContains(c.t, r.stdout+r.stderr, "goroutine ")
	return d
}

// in are the names of the checks in a state.
func (d doctorDoc) in(state string) []string {
	names := []string{}
	for _, check := range d.Checks {
		if check.State == state {
			names = append(names, check.Name)
		}
	}
	return slices.Compact(names)
}

// only returns the only check in a state.
func (d doctorDoc) only(t *testing.T, state, name string) checkDoc {
	t.Helper()
	require.Equal(t, []string{name}, d.in(state), "%+v", d)
	return d.Checks[slices.IndexFunc(d.Checks, func(c checkDoc) bool { return c.State == state })]
}

var (
	generalChecks = []string{"temporal", "namespace", "search_attributes", "workers", "worker_builds",
		"postgres", "postgres_tls", "migrations", "clock", "keyset", "credentials"}
	connectionChecks = []string{"connection", "workflow", "last_sync", "users",
		"dns", "tls", "source_clock", "url", "token", "version", "privilege"}
)

func (d doctorDoc) names() []string {
	var names []string
	for _, check := range d.Checks {
		names = append(names, check.Name)
	}
	return slices.Compact(names)
}

func TestDoctorFindsNothingWhereNothingIsWrong(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	requests := s.jamf.Requests()["/JSSResource/accounts/userid/{id}"]
	for _, named := range []bool{false, true} {
		want, args := generalChecks, []string{}
		if named {
			want, args = append(slices.Clone(want), connectionChecks...), []string{s.name}
		}
		d := s.doctor(0, args...)
		require.Equal(t, want, d.names())
		require.Empty(t, d.in("failing"))
		require.Empty(t, d.in("skipped"))
		require.Empty(t, d.in("warning"))
	}
	require.Equal(t, requests, s.jamf.Requests()["/JSSResource/accounts/userid/{id}"], "it reads no users")
	require.Len(t, s.syncs(), 1)

	table := s.ok("doctor", s.name)
	require.Contains(t, table.stdout, jamftest.Modern().Version)
	require.Contains(t, oneLine(table.stdout), "as seen from this machine")
	require.Contains(t, table.stderr, "looking at "+s.name)
	s.refuse(2, "usage", "doctor", s.name, "more")
}

func TestDoctorGoesOnWhereAServerOrASettingIsMissing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	unmigrated, err := postgres.CreateDatabase(t.Context(), "doctor_unmigrated", "")
	require.NoError(t, err)
	foreign := filepath.Join(t.TempDir(), "keyset.json")
	s.ok("keys", "create", foreign)
	const closed = "127.0.0.1:1"
	needRecord := append([]string{"credentials"}, connectionChecks...)
	needKeyset := []string{"url", "token", "version", "privilege"}
	for name, c := range map[string]struct {
		env, failing, code string
		exit               int
		said               string
		skipped            []string
	}{
		"no PostgreSQL": {"DATABASE_URL=postgres://canary:canary-secret@" + closed + "/record?sslmode=disable", "postgres", "unreachable", 5, closed,
			append([]string{"postgres_tls", "migrations", "clock"}, needRecord...)},
		"no database named":   {"DATABASE_URL=", "postgres", "usage", 2, "DATABASE_URL", append([]string{"postgres_tls", "migrations", "clock"}, needRecord...)},
		"migrations pending":  {"DATABASE_URL=" + unmigrated, "migrations", "usage", 2, "migrations", needRecord},
		"no Temporal":         {"TEMPORAL_ADDRESS=" + closed, "temporal", "unreachable", 5, closed, []string{"namespace", "search_attributes", "workers", "worker_builds", "workflow"}},
		"no such namespace":   {"TEMPORAL_NAMESPACE=nowhere", "namespace", "unreachable", 5, "nowhere", []string{"search_attributes", "workers", "worker_builds", "workflow"}},
		"no keyset":           {"JAMF_ACCESS_KEYSET=/nowhere/keyset.json", "keyset", "usage", 2, "/nowhere/keyset.json", append([]string{"credentials"}, needKeyset...)},
		"a foreign keyset":    {"JAMF_ACCESS_KEYSET=" + foreign, "credentials", "usage", 2, "does not open", needKeyset},
		"a keyset of nothing": {"JAMF_ACCESS_KEYSET=" + file(t, "{}"), "keyset", "usage", 2, "keyset", append([]string{"credentials"}, needKeyset...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := s.in(t).with(c.env).doctor(c.exit, s.name)
			failing := d.only(t, "failing", c.failing)
			require.Equal(t, c.code, failing.Error)
			require.Contains(t, failing.Message, c.said)
			require.Equal(t, c.skipped, d.in("skipped"))
			require.Equal(t, append(slices.Clone(generalChecks), connectionChecks...), d.names(), "every check has its line")
		})
	}
	t.Run("everything at once", func(t *testing.T) {
		t.Parallel()
		d := s.in(t).with("DATABASE_URL=", "TEMPORAL_ADDRESS="+closed, "JAMF_ACCESS_KEYSET=/nowhere").doctor(5, s.name)
		require.Equal(t, []string{"temporal", "postgres", "keyset"}, d.in("failing"), "the exit status is the first one's")
		require.Empty(t, d.in("ok"))
	})
}

func TestDoctorWarnsOfAKeysetThatOthersCanRead(t *testing.T) {
	t.Parallel()
	setup(t).connect()
	content, err := os.ReadFile(shared.keyset())
	require.NoError(t, err)
	open := file(t, string(content))
	require.NoError(t, os.Chmod(open, 0o644))
	d := shared.cli(t).with("JAMF_ACCESS_KEYSET=" + open).doctor(0)
	require.Contains(t, d.in("warning"), "keyset")
	require.NotContains(t, fmt.Sprint(shared.cli(t).with("JAMF_ACCESS_KEYSET="+string(content)).doctor(0)), "keyData", "a keyset in the environment is not shown")
}

func TestDoctorLooksForWorkersAndTheirBuilds(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	c := w.cli(t)
	none := c.doctor(5)
	require.Contains(t, none.only(t, "failing", "workers").Message, "no worker polls")
	require.Contains(t, none.only(t, "warning", "search_attributes").Message, "JamfConnection", "a worker makes them")

	first := w.mustStartWorker(t)
	await(t, "the worker to be seen", func() bool { return c.run("doctor").code == 0 })
	require.Contains(t, c.doctor(0).in("ok"), "worker_builds")

	other := filepath.Join(w.dir, "other-worker")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags=-buildid=other", "-o", other, "jamf-access-review/worker").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(other)
	cmd.Env = w.env()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	await(t, "both builds to be seen", func() bool { return slices.Contains(c.doctor(0).in("warning"), "worker_builds") })
	require.Contains(t, c.doctor(0).in("ok"), "workers")

	// An older worker goes on with a newer program's database.
	w.exec(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	require.Contains(t, c.doctor(0).in("warning"), "migrations")
	require.Contains(t, c.refuse(2, "usage", "list").Message, "newer version", "an older command might read it wrongly")
	require.NoError(t, first.end(os.Interrupt))
}

// exec changes a world's record behind everybody's back.
func (w *world) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	database, err := sql.Open("postgres", w.databaseURL)
	require.NoError(t, err)
	defer database.Close()
	_, err = database.ExecContext(t.Context(), statement, args...)
	require.NoError(t, err)
}

// moveTo makes a subject's connection one to another address.
func (s *subject) moveTo(url string) {
	s.t.Helper()
	s.world.exec(s.t, `UPDATE connections SET base_url = $2 WHERE name = $1`, s.name, url)
}

func TestDoctorFindsWhatIsWrongWithAConnection(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	const day = 24 * time.Hour
	answering := func(f *faults.Fault) func(*testing.T, *subject) {
		return func(_ *testing.T, s *subject) { s.jamf.SetFault(func(*http.Request) *faults.Fault { return f }) }
	}
	for name, c := range map[string]struct {
		breaks  func(*testing.T, *subject)
		exit    int
		state   string
		check   string
		said    string
		skipped []string
	}{
		"the secret is another": {func(_ *testing.T, s *subject) { s.rotate() }, 3, "failing", "token", "", []string{"version", "privilege"}},
		"the client is disabled": {func(_ *testing.T, s *subject) {
			s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.Disabled = true })
		}, 3, "failing", "token", "", []string{"version", "privilege"}},
		"a privilege without which nothing is read": {func(_ *testing.T, s *subject) { s.jamf.Revoke("Read Accounts") },
			4, "failing", "privilege", "Read Accounts is missing", []string{"privilege"}},
		"a privilege that is missed": {func(_ *testing.T, s *subject) { s.jamf.Revoke("Read Sites") },
			0, "warning", "privilege", "Read Sites is missing; not read: the names of sites", nil},
		"a list that cannot be empty": {func(_ *testing.T, s *subject) {
			s.jamf.SetFault(faults.On("/api/v1/api-integrations", jamftest.HTML(404, "Not Found")))
		}, 0, "warning", "privilege", "Read API Integrations shows nothing; not read: API clients (HTTP 404", nil},
		"a host that nobody knows": {func(_ *testing.T, s *subject) { s.moveTo("https://jamf.invalid") },
			5, "failing", "dns", "jamf.invalid", connectionChecks[5:]},
		"a port that nobody serves": {func(_ *testing.T, s *subject) { s.moveTo("http://127.0.0.1:1") },
			5, "failing", "url", "connection refused", []string{"tls", "source_clock", "token", "version", "privilege"}},
		"not a Jamf": {func(t *testing.T, s *subject) {
			s.moveTo(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Hello</html>") })))
		}, 5, "failing", "url", "does not look like a Jamf Pro", []string{"token", "version", "privilege"}},
		"a busy Jamf": {answering(faults.Answer(http.StatusServiceUnavailable, "", "Retry-After", "30")),
			0, "warning", "url", "busy", []string{"token", "version", "privilege"}},
		"an expired certificate": {func(t *testing.T, s *subject) { s.moveTo(authority.serve(s.jamf, -day)) },
			5, "failing", "tls", "expired", connectionChecks[6:]},
		"a certificate that soon expires": {func(t *testing.T, s *subject) { s.moveTo(authority.serve(s.jamf, 20*day)) },
			0, "warning", "tls", "valid until", nil},
		"a certificate of an unknown authority": {func(t *testing.T, s *subject) { s.moveTo(newAuthority(t).serve(s.jamf, 90*day)) },
			5, "failing", "tls", "unknown authority", connectionChecks[6:]},
		"a clock that is a little off": {func(t *testing.T, s *subject) { s.moveTo(serve(t, atAnotherTime(s.jamf, 30*time.Second))) },
			0, "warning", "source_clock", "ahead of", nil},
		"a clock that is far off": {func(t *testing.T, s *subject) { s.moveTo(serve(t, atAnotherTime(s.jamf, -time.Hour))) },
			1, "failing", "source_clock", "behind", nil},
		"paused": {func(_ *testing.T, s *subject) { s.ok("pause", s.name) }, 0, "warning", "connection", "paused", nil},
		"disconnected": {func(_ *testing.T, s *subject) { s.ok("disconnect", s.name) },
			0, "warning", "connection", "disconnected", []string{"url", "token", "version", "privilege"}},
		"a workflow that somebody ended": {func(t *testing.T, s *subject) {
			require.NoError(t, s.world.client.TerminateWorkflow(t.Context(), workflows.AccessSyncID(s.name), "", "test"))
		}, 6, "failing", "workflow", "does not run", nil},
		"a late sync": {func(t *testing.T, s *subject) {
			s.world.exec(t, `UPDATE connections SET next_sync_at = now() - interval '1 hour' WHERE name = $1`, s.name)
		}, 0, "warning", "workflow", "late", nil},
		"a sync that is held": {func(t *testing.T, s *subject) {
			s.jamf.DisableAccount(s.ada)
			s.failResync(8, "held")
		}, 8, "failing", "last_sync", "every full administrator", nil},
		"a sync that failed, although all is well now": {func(t *testing.T, s *subject) {
			s.jamf.Revoke("Read Accounts")
			s.failResync(4, "missing_privilege")
			s.jamf.Revoke()
		}, 4, "failing", "last_sync", "Read Accounts", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect("--every", "24h")
			c.breaks(t, s)
			d := s.with("SSL_CERT_FILE="+authority.file).doctor(c.exit, s.name)
			found := slices.DeleteFunc(slices.Clone(d.Checks), func(check checkDoc) bool {
				return check.State == "ok" || check.State == "skipped"
			})
			require.Len(t, found, 1, "%+v", d)
			require.Equal(t, c.state, found[0].State)
			require.Equal(t, c.check, found[0].Name)
			require.Contains(t, found[0].Message, c.said)
			require.ElementsMatch(t, c.skipped, d.in("skipped"))
		})
	}
}

func TestDoctorFindsRejectedCredentialsOfAConnection(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	secret := s.loseCredentials()
	require.Equal(t, []string{"connection", "last_sync", "token"}, s.doctor(3, s.name).in("failing"))
	require.Zero(t, s.reconnectWith(secret).code)
	s.doctor(0, s.name)
}

func TestDoctorSaysWhyThereAreNoUsers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, id := range []int{s.ada, s.bob, s.cleo} {
		s.jamf.RemoveAccount(id)
	}
	s.jamf.Revoke("Read API Integrations")
	s.connect()
	d := s.doctor(0, s.name)
	why := d.Checks[slices.IndexFunc(d.Checks, func(c checkDoc) bool { return c.Name == "users" })]
	require.Equal(t, "warning", why.State)
	require.Contains(t, why.Message, `the scope is "admins"`)
	require.Contains(t, why.Message, "Read API Integrations")
}

func TestDoctorOfNobody(t *testing.T) {
	t.Parallel()
	setup(t).connect()
	d := shared.cli(t).doctor(6, "nobody")
	require.Equal(t, "not_found", d.only(t, "failing", "connection").Error)
	require.Equal(t, connectionChecks[1:], d.in("skipped"))
}

func TestDoctorOfATruto(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	s.connectViaTruto()
	require.Empty(t, s.doctor(0, s.name).in("skipped"))
	truto.RevokeToken(s.secret)
	require.Contains(t, s.doctor(5, s.name).only(t, "failing", "url").Message, "API token")
}

// Through Truto nobody looks for the API client in Jamf Pro.
func TestDoctorHasRemediesForTruto(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		upset         func(*trutotest.Server)
		exit          int
		check, remedy string
	}{
		"it is no Truto": {func(truto *trutotest.Server) {
			truto.SetFault(faults.On("/", faults.Answer(http.StatusOK, "{}", "Content-Type", "application/json")))
		}, 5, "url", "--truto-url"},
		"Jamf rejects what Truto logs in with": {func(truto *trutotest.Server) {
			truto.SetStatus(trutotest.NeedsReauth)
			truto.SetRefresh(trutotest.RefreshFails)
		}, 3, "token", "link token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, truto := trutoSetup(t)
			s.connectViaTruto()
			c.upset(truto)
			found := s.doctor(c.exit, s.name).only(t, "failing", c.check)
			require.Contains(t, found.Remedy, c.remedy)
			require.NotContains(t, found.Remedy, "API roles and clients")
		})
	}
}

func TestAKeysetThatIsLostIsReplacedAsTheDoctorSays(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	w.mustStartWorker(t)
	s := w.setup(t)
	s.connect()
	require.NoError(t, os.Remove(w.keyset()))
	s.ok("keys", "create", w.keyset())
	require.Contains(t, s.doctor(2).only(t, "failing", "credentials").Remedy, "`starter reconnect NAME --client-id ID`")
	require.NotZero(t, s.reconnectWith(s.secret).code)
	r := s.reconnectWith(s.secret, "--client-id", s.clientID)
	require.Zero(t, r.code, "%s", r)
	s.doctor(0, s.name)
}

// atAnotherTime serves a Jamf Pro whose clock is off.
func atAnotherTime(jamf http.Handler, ahead time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		jamf.ServeHTTP(w, r)
	})
}
