package main_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

var (
	syncKeys = []string{"number", "trigger", "outcome", "error", "reason", "started_at", "finished_at",
		"accounts", "added", "changed", "removed", "requests"}
	syncedKeys  = []string{"connection", "state", "source", "source_version", "sync", "monitors"}
	statusKeys  = []string{"connection", "state", "reason", "next_sync_at", "last_sync", "scope", "every"}
	userKeys    = []string{"id", "kind", "username", "email", "name", "status", "mfa", "roles", "groups", "access_level", "site", "directory", "removed_at"}
	changeKeys  = []string{"sync", "at", "kind", "id", "change", "before", "after"}
	monitorKeys = []string{"code", "state", "sync", "evaluated_at", "counts", "reason", "findings"}
	countKeys   = []string{"passing", "due", "failing", "not_evaluable", "excepted"}
	findingKeys = []string{"id", "kind", "username", "email", "person", "state", "reason", "since", "due_at"}
)

func TestConnectSyncsAndSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	before := time.Now().Truncate(time.Second)
	r := s.ok(s.connectArgs("--client-secret-file", file(t, s.secret+"\n"), "-o", "json")...)
	t.Cleanup(func() { s.run("disconnect", s.name) })

	raw := document[map[string]any](t, r)
	require.Subset(t, keysOf(raw), syncedKeys)
	require.Subset(t, keysOf(raw["sync"].(map[string]any)), syncKeys)
	doc := document[syncedDoc](t, r)
	require.Equal(t, s.name, doc.Connection)
	require.Equal(t, "active", doc.State)
	require.Equal(t, "jamf_pro", doc.Source)
	require.Equal(t, jamftest.Modern().Version, doc.SourceVersion)
	require.Equal(t, []monitorDoc{
		{Code: "JAMF_ACCESS_REMOVED_ON_EXIT", State: "not_evaluable", Reason: "there is no staff roster"},
		{Code: "JAMF_USER_MFA_ENABLED", State: "not_evaluable", Reason: "cannot be evaluated for 3 of 3 accounts"},
	}, doc.Monitors)
	require.Equal(t, 1, doc.Sync.Number)
	require.Equal(t, "connect", doc.Sync.Trigger)
	require.Equal(t, "applied", doc.Sync.Outcome)
	require.Empty(t, doc.Sync.Error)
	require.Equal(t, 4, doc.Sync.Accounts, "three accounts and the API client")
	require.Equal(t, 4, doc.Sync.Added)
	require.Positive(t, doc.Sync.Requests)
	require.False(t, doc.Sync.StartedAt.Before(before))
	require.False(t, doc.Sync.FinishedAt.Before(doc.Sync.StartedAt))
	require.Equal(t, time.UTC, doc.Sync.StartedAt.Location())

	for _, shown := range []string{
		"JAMF_ACCESS_REMOVED_ON_EXIT", "JAMF_USER_MFA_ENABLED",
		"Read Accounts", "Read Account Groups", "Read API Integrations", "Read API Roles", "Read SSO Settings", "Read Sites", "Read User",
		"primary e-mail, username, full name, account status", "MFA status",
		"validating the credentials and privileges", "reading the directory for the first time",
		"enabling the monitors", "starting the recurring sync", "connected",
	} {
		require.Contains(t, r.stderr, shown)
	}
	require.NotContains(t, r.stdout+r.stderr, s.secret)

	require.Subset(t, keysOf(ask[map[string]any](s.cli, "status", s.name)), statusKeys)
	status := s.status()
	require.Equal(t, "active", status.State)
	require.Equal(t, "admins", status.Scope)
	require.Equal(t, "6h", status.Every)
	require.Equal(t, &doc.Sync, status.LastSync)
	require.NotNil(t, status.NextSyncAt)
	require.WithinRange(t, *status.NextSyncAt, before, before.Add(6*time.Hour+time.Minute))
}

func TestConnectPrintsATableForPeople(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.name, s.org = "acme-tables", "acme"
	r := s.withSecret().ok(s.connectArgs()...)
	t.Cleanup(func() { s.run("disconnect", s.name, "--erase") })
	require.Contains(t, r.stdout, "JAMF_ACCESS_REMOVED_ON_EXIT")
	require.Contains(t, r.stdout, "there is no staff roster")
	for _, command := range []string{"status", "syncs", "users", "changes", "monitors", "resync"} {
		s.requireNarrow(command, s.name)
	}
	s.requireNarrow("list")
}

func TestUsersAreListedWithTheirFacts(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dan := s.addAccount("dan", jamftest.Account{AccessLevel: jamftest.GroupAccess})
	s.jamf.AddGroup(jamftest.Group{Name: "Canary desk", PrivilegeSet: jamftest.Auditor, Members: []int{dan}})
	s.jamf.AddGroup(jamftest.Group{Name: "Canary enrollers", PrivilegeSet: jamftest.EnrollmentOnly, Members: []int{dan}})
	s.jamf.AddGroup(jamftest.Group{Name: "Canary directory", PrivilegeSet: jamftest.Administrator, LDAPServerID: 1})
	s.addAccount("eve", jamftest.Account{AccessLevel: jamftest.SiteAccess, SiteID: s.jamf.AddSite("Canary north"), Disabled: true})
	s.connect()

	for _, raw := range ask[[]map[string]any](s.cli, "users", s.name) {
		require.Subset(t, keysOf(raw), userKeys)
	}
	byName := map[string]userDoc{}
	for _, u := range s.users() {
		byName[u.Username] = u
	}
	ada := byName[username("ada")]
	require.Equal(t, "account", ada.Kind)
	require.Equal(t, email("ada"), ada.Email)
	require.Equal(t, "Canary ada", ada.Name)
	require.Equal(t, "active", ada.Status)
	require.Equal(t, "unknown", ada.MFA, "Jamf does not say")
	require.Equal(t, []string{"Administrator"}, ada.Roles)
	require.Equal(t, []string{}, ada.Groups)
	require.Equal(t, []string{"Auditor", "Enrollment Only"}, byName[username("dan")].Roles)
	require.Equal(t, []string{"Canary desk", "Canary enrollers"}, byName[username("dan")].Groups)
	require.Equal(t, "inactive", byName[username("eve")].Status)
	require.Equal(t, "Canary north", byName[username("eve")].Site)
	require.Equal(t, "directory_group", byName["Canary directory"].Kind)
	require.Equal(t, "api_client", byName[s.clientID].Kind)
	require.Empty(t, s.users("--removed"))
}

func TestClientSecretIsReadFrom(t *testing.T) {
	t.Parallel()
	for name, give := range map[string]func(*subject) (cli, []string){
		"a file": func(s *subject) (cli, []string) {
			return s.cli, []string{"--client-secret-file", file(s.t, s.secret)}
		},
		"a file before the environment": func(s *subject) (cli, []string) {
			return s.with("JAMF_CLIENT_SECRET=wrong"), []string{"--client-secret-file", file(s.t, s.secret+"\r\n")}
		},
		"standard input": func(s *subject) (cli, []string) {
			return s.reading(s.secret + "\n"), []string{"--client-secret-file", "-"}
		},
		"the environment": func(s *subject) (cli, []string) { return s.withSecret(), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			c, args := give(s)
			require.Equal(t, "applied", ask[syncedDoc](c, s.connectArgs(args...)...).Sync.Outcome)
		})
	}
}

func TestScopeEveryoneAddsEndUsers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.jamf.AddEndUser(jamftest.EndUser{Username: username("uma"), RealName: "Canary uma", Email: email("uma")})
	s.jamf.AddEndUser(jamftest.EndUser{Username: username("vic"), RealName: "Canary vic", Email: email("vic")})
	require.Equal(t, 6, s.connect("--scope", "everyone").Sync.Accounts)
	require.Equal(t, []string{username("uma"), username("vic")}, usernames(s.users(), "end_user"))
	require.Equal(t, "everyone", s.status().Scope)
	table := s.ok("users", s.name).stdout
	require.Contains(t, table, email("uma"))
	require.Contains(t, table, "(end")
	require.Contains(t, table, "(api client)")
	require.NotContains(t, table, "Nobody")
}

func TestAnOldJamfHasTheSameUsersAsANewOne(t *testing.T) {
	t.Parallel()
	for name, release := range map[string]jamftest.Release{
		"without account groups": jamftest.BeforeAccountGroups(),
		"without users":          jamftest.BeforeUsers(),
		"Classic only":           jamftest.ClassicOnly(),
		"first token address":    jamftest.OldTokenPath(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.jamf.Demo(12)
			s.jamf.AddEndUser(jamftest.EndUser{Username: username("uma"), RealName: "Canary uma", Email: email("uma")})
			s.connect("--scope", "everyone")
			before := s.users()
			s.jamf.SetRelease(release)
			doc := s.resync()
			require.Zero(t, doc.Sync.Added+doc.Sync.Removed)
			require.Equal(t, release.Version, doc.SourceVersion)
			for _, c := range s.changesOf(2) {
				require.Equal(t, []string{"privileges"}, keysOf(c.After), "which the Classic API alone lists")
			}
			require.Equal(t, before, s.users())
		})
	}
}

func TestContextPathIsKept(t *testing.T) {
	t.Parallel()
	s := setup(t, func(c *jamftest.Config) { c.ContextPath = "/jamf" })
	s.url += "/api/v1/accounts?page=0"
	require.Equal(t, "applied", s.connect().Sync.Outcome)
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil   func(*subject)
		args    []string
		exit    int
		code    string
		message string // with URL for the Jamf's address
		hint    string
	}{
		"wrong secret": {
			spoil: func(s *subject) { s.secret = newSecret() },
			exit:  3, code: "credentials_rejected", message: "secret", hint: "client secret",
		},
		"wrong client id": {
			spoil: func(s *subject) { s.clientID = "canary-nobody" },
			exit:  3, code: "credentials_rejected", message: "client ID", hint: "client id",
		},
		"disabled client": {
			spoil: func(s *subject) {
				s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.Disabled = true })
			},
			exit: 3, code: "credentials_rejected", message: "enabled", hint: "enabled",
		},
		"something else answers pages": {
			spoil: func(s *subject) {
				s.url = serve(s.t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Write([]byte("<html><body>Welcome, canary</body></html>"))
				}))
			},
			exit: 5, code: "unreachable", message: "URL/api/v1/oauth/token does not look like a Jamf Pro: it answered HTTP 200 text/html", hint: "URL",
		},
		"something else answers JSON": {
			spoil: func(s *subject) {
				s.url = serve(s.t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Write([]byte(`{"hello":"canary"}`))
				}))
			},
			exit: 5, code: "unreachable", message: "does not look like a Jamf Pro", hint: "URL",
		},
		"wrong path": {
			spoil: func(s *subject) { s.url += "/nowhere" },
			exit:  5, code: "unreachable", message: "URL/api/oauth/token answered HTTP 404", hint: "URL",
		},
		"connection refused": {
			spoil: func(s *subject) { s.url = "http://127.0.0.1:1" },
			exit:  5, code: "unreachable", message: "cannot reach URL", hint: "URL",
		},
		"host not found": {
			spoil: func(s *subject) { s.url = "https://jamf.invalid" },
			exit:  5, code: "unreachable", message: "cannot reach URL", hint: "URL",
		},
		"TLS to a port without": {
			spoil: func(s *subject) { s.url = strings.Replace(s.url, "http:", "https:", 1) },
			exit:  5, code: "unreachable", message: "cannot reach URL", hint: "URL",
		},
		"answers that contradict themselves": {
			spoil: func(s *subject) { s.jamf.SetFault(faults.On("/api/v1/accounts", jamftest.WrongTotal(1))) },
			exit:  9, code: "inconsistent_source", message: "", hint: "nothing was changed",
		},
		"the privilege to read accounts is missing": {
			spoil: func(s *subject) { s.jamf.Revoke("Read Accounts") },
			exit:  4, code: "missing_privilege", message: `"Read Accounts"`, hint: "API role",
		},
		"the same on an old Jamf": {
			spoil: func(s *subject) { s.jamf.SetRelease(jamftest.ClassicOnly()); s.jamf.Revoke("Read Accounts") },
			exit:  4, code: "missing_privilege", message: `"Read Accounts"`, hint: "API role",
		},
		"everyone without the privilege to read users": {
			spoil: func(s *subject) { s.jamf.Revoke("Read User") },
			args:  []string{"--scope", "everyone"},
			exit:  4, code: "missing_privilege", message: `"Read User"`, hint: "API role",
		},
		"an API client without a role": {
			spoil: func(s *subject) { s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.Roles = nil }) },
			exit:  4, code: "missing_privilege", message: `"Read Accounts"`, hint: "API role",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			c.spoil(s)
			failed := s.withSecret().refuse(c.exit, c.code, s.connectArgs(c.args...)...)
			require.Contains(t, failed.Message, strings.ReplaceAll(c.message, "URL", s.url))
			require.Contains(t, failed.Hint, c.hint)
			require.NotContains(t, failed.Message, s.secret)
			require.NotContains(t, failed.Message, "Welcome")
			s.refuse(6, "not_found", "status", s.name)
		})
	}
}

func TestAfterAFailedConnectTheNameIsFree(t *testing.T) {
	t.Parallel()
	s := setup(t)
	right := s.secret
	s.secret = newSecret()
	s.withSecret().refuse(3, "credentials_rejected", s.connectArgs()...)
	s.secret = right
	require.Equal(t, 1, s.connect().Sync.Number)
}

func TestAFailureIsTableTextForPeople(t *testing.T) {
	t.Parallel()
	s := setup(t)
	r := s.with("JAMF_CLIENT_SECRET=wrong").run(s.connectArgs()...)
	require.Equal(t, 3, r.code)
	require.Empty(t, r.stdout)
	require.Contains(t, r.stderr, "Error: ")
	require.Contains(t, r.stderr, "client secret in Jamf Pro")
}

func TestWithoutAnOptionalPrivilegeOnlyWhatItTellsIsLost(t *testing.T) {
	t.Parallel()
	full := func(t *testing.T) *subject {
		s := setup(t)
		s.jamf.Demo(20)
		return s
	}
	without := func(kind string) func([]userDoc) []userDoc {
		return func(users []userDoc) []userDoc {
			return slices.DeleteFunc(users, func(u userDoc) bool { return u.Kind == kind })
		}
	}
	same := func(users []userDoc) []userDoc { return users }
	for privilege, lose := range map[string]func([]userDoc) []userDoc{
		"Read API Integrations": without("api_client"),
		"Read API Roles":        same,
		"Read SSO Settings":     same,
		"Read Sites": func(users []userDoc) []userDoc {
			for i := range users {
				if users[i].Site != "" {
					users[i].Site = "an id"
				}
			}
			return users
		},
		"Read Account Groups": func(users []userDoc) []userDoc {
			for i := range users {
				users[i].Groups = []string{}
				if users[i].AccessLevel == jamftest.GroupAccess {
					users[i].Roles = []string{}
				}
			}
			return without("directory_group")(users)
		},
	} {
		t.Run(privilege, func(t *testing.T) {
			t.Parallel()
			whole, less := full(t), full(t)
			less.clientID, less.secret = whole.clientID, whole.secret
			less.url, less.jamf = whole.url, whole.jamf
			whole.connect()
			users := whole.users()

			less.jamf.Revoke(privilege)
			require.Equal(t, "applied", less.connect().Sync.Outcome)
			limitations := less.status().Limitations
			require.Len(t, limitations, 1)
			require.Equal(t, privilege, limitations[0].Privilege)
			require.NotEmpty(t, limitations[0].Lost)
			require.Contains(t, less.ok("status", less.name).stdout, privilege)
			require.Equal(t, withoutSiteIDs(lose(users)), withoutSiteIDs(less.users()))
		})
	}
}

// siteID is how a site is told whose name may not be read.
var siteID = regexp.MustCompile(`^id [0-9]+$`)

func withoutSiteIDs(users []userDoc) []userDoc {
	for i := range users {
		users[i].Site = siteID.ReplaceAllString(users[i].Site, "an id")
	}
	return users
}

func TestConnectWaitsForABusyServer(t *testing.T) {
	t.Parallel()
	s := setup(t)
	page := faults.Answer(http.StatusServiceUnavailable, "<html><body>canary maintenance</body></html>",
		"Content-Type", "text/html", "Retry-After", "1")
	s.jamf.SetFault(faults.On("/", page).Times(5))
	r := s.withSecret().ok(s.connectArgs("-o", "json")...)
	t.Cleanup(func() { s.run("disconnect", s.name) })
	require.Equal(t, "applied", document[syncedDoc](t, r).Sync.Outcome)
	require.Contains(t, r.stderr, "waiting: ")
	require.Contains(t, r.stderr, "HTTP 503")
	require.NotContains(t, r.stderr, "maintenance")
}

func TestNoUsersIsExplained(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, a := range s.jamf.Accounts() {
		s.jamf.RemoveAccount(a.ID)
	}
	s.jamf.Revoke("Read API Integrations")
	doc := s.connect()
	require.Equal(t, "applied", doc.Sync.Outcome)
	require.Zero(t, doc.Sync.Accounts)
	table := s.ok("users", s.name).stdout
	for _, why := range []string{"no users", "admins", "Read API Integrations"} {
		require.Contains(t, doc.Sync.Reason, why)
		require.Contains(t, table, why)
	}
	require.Contains(t, s.ok("users", s.name, "--removed").stdout, "Nobody was removed")
	for _, m := range doc.Monitors {
		require.Equal(t, "not_evaluable", m.State, "nobody proves nothing: %s", m.Code)
	}
}

func TestANameIsTakenOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	results := make([]result, 4)
	together(len(results), func(i int) { results[i] = s.withSecret().run(s.connectArgs()...) })
	t.Cleanup(func() { s.run("disconnect", s.name) })
	slices.SortFunc(results, func(a, b result) int { return a.code - b.code })
	require.Zero(t, results[0].code, "%s", results[0])
	for _, r := range results[1:] {
		require.Equal(t, 6, r.code, "%s", r)
	}

	taken := s.withSecret().refuse(6, "already_exists", s.connectArgs("--org", "another")...)
	require.Contains(t, taken.Hint, "another name")
	require.Equal(t, "active", s.status().State, "the connection that has the name is as it was")
}

// A connect may die between its record and its workflow.
func TestANameThatAConnectLeftBehindIsTakenOver(t *testing.T) {
	t.Parallel()
	left, s := setup(t), setup(t)
	left.connect()
	leave := func(age string) {
		s.world.exec(t, `UPDATE connections SET state = 'connecting', created_at = now() - $3::interval, name = $2 WHERE name IN ($1, $2)`, left.name, s.name, age)
	}
	leave("10 seconds")
	s.refuse(6, "already_exists", s.connectArgs()...)
	leave("2 minutes")
	s.refuse(2, "usage", s.connectArgs()...)
	require.Equal(t, "connecting", s.status().State, "what was refused has changed nothing")
	require.Equal(t, 1, s.connect().Sync.Number)
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	connect := func(url string, more ...string) []string {
		return append([]string{"connect", "usage", "--jamf-url", url, "--client-id", "canary-client", "--confirm-admin"}, more...)
	}
	const good = "https://jamf.invalid"
	cases := map[string]struct {
		args    []string
		message string
	}{
		"no such command":           {[]string{"conect"}, "conect"},
		"no such subcommand":        {[]string{"staff", "imprt"}, "imprt"},
		"no command":                {nil, "without one of its commands"},
		"no subcommand":             {[]string{"notify"}, "starter notify"},
		"no such flag":              {[]string{"list", "--al"}, "--al"},
		"no such output":            {[]string{"list", "--output", "yaml", "-o", "json"}, "yaml"},
		"no name":                   {[]string{"status"}, "name of one connection"},
		"two names":                 {[]string{"status", "a", "b"}, "name of one connection"},
		"too much":                  {[]string{"list", "a"}, "a"},
		"bad name":                  {append(connect(good)[:1:1], append([]string{"a b"}, connect(good)[2:]...)...), "a b"},
		"name too long":             {append(connect(good)[:1:1], append([]string{strings.Repeat("a", 64)}, connect(good)[2:]...)...), "63"},
		"no URL":                    {[]string{"connect", "usage", "--client-id", "canary-client", "--confirm-admin"}, "--jamf-url"},
		"no client id":              {[]string{"connect", "usage", "--jamf-url", good, "--confirm-admin"}, "--client-id"},
		"no secret":                 {connect(good), "secret"},
		"no such file":              {connect(good, "--client-secret-file", "/nowhere/secret"), "/nowhere/secret"},
		"empty secret":              {connect(good, "--client-secret-file", "-"), "empty"},
		"secret as flag":            {connect(good, "--client-secret", "canary-flag"), "--client-secret"},
		"secret as argument":        {connect(good, "canary-argument"), "name of one connection"},
		"scope":                     {connect(good, "--scope", "all"), "all"},
		"interval too short":        {connect(good, "--every", "9s"), "10s"},
		"interval is no duration":   {connect(good, "--every", "often"), "often"},
		"negative grace":            {connect(good, "--exit-grace", "-1h"), "--exit-grace"},
		"no organization":           {connect(good, "--org", ""), "--org"},
		"URL: link-local":           {connect("https://169.254.169.254"), "link-local"},
		"URL: link-local in IPv6":   {connect("https://[::ffff:169.254.169.254]/"), "link-local"},
		"URL: metadata in a number": {connect("https://[fd00:ec2::254]"), "metadata"},
		"URL: unspecified":          {connect("https://0.0.0.0"), "unspecified"},
		"URL: user info":            {connect("https://canary:canary@jamf.invalid"), "user name"},
		"URL: unencrypted":          {connect("http://jamf.invalid"), "http://"},
		"URL: another scheme":       {connect("ftp://jamf.invalid"), "https://"},
		"URL: no host":              {connect("https://"), "host"},
		"URL: bad port":             {connect("https://jamf.invalid:99999"), "port"},
		"URL: spaces":               {connect("https://jamf invalid"), "URL"},
		"reschedule without time":   {[]string{"reschedule", "usage"}, "--every"},
		"reschedule too often":      {[]string{"reschedule", "usage", "--every", "1s"}, "10s"},
		"reschedule by the month":   {[]string{"reschedule", "usage", "--every", "1M"}, "1M"},
		"organization without name": {[]string{"staff", "import", "staff.csv", "--org", ""}, "--org"},
		"organization in two lines": {[]string{"staff", "import", "staff.csv", "--org", "a\nb"}, "--org"},
		"organization and a space":  {[]string{"connect", "usage", "--org", "acme "}, "--org"},
		"port of the system":        {[]string{"dev", "--ui-port", "80"}, "--ui-port 80"},
		"no such port":              {[]string{"demo", "--temporal-port", "-1"}, "--temporal-port -1"},
		"a port twice":              {[]string{"demo", "--ui-port", "9100", "--jamf-port", "9100"}, "--jamf-port and --ui-port"},
		"since":                     {[]string{"changes", "usage", "--since", "yesterday"}, "yesterday"},
		"limit":                     {[]string{"syncs", "usage", "--limit", "0"}, "--limit"},
		"demo of less than nobody":  {[]string{"demo", "--accounts", "-1"}, "--accounts"},
		"roster that is not there":  {[]string{"staff", "import", "/nowhere/staff.csv"}, "/nowhere/staff.csv"},
		"roster that is a folder":   {[]string{"staff", "import", "."}, "directory"},
		"keyset in no folder":       {[]string{"keys", "create", "/nowhere/keyset.json"}, "/nowhere/keyset.json"},
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := shared.cli(t).refuse(2, "usage", cases[name].args...)
			require.Contains(t, failed.Message, cases[name].message)
			require.NotContains(t, failed.Message, "canary:canary")
			require.NotContains(t, failed.Message, "canary-flag")
		})
	}
	t.Run("not confirmed", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		args := slices.DeleteFunc(s.connectArgs(), func(a string) bool { return a == "--confirm-admin" })
		failed := s.withSecret().reading("y\n").refuse(2, "usage", args...)
		require.Contains(t, failed.Hint, "--confirm-admin")
		require.Empty(t, s.jamf.Requests(), "Jamf is left alone")
	})
}

func TestAnUnknownConnectionIsNotFound(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"status", "nobody"}, {"syncs", "nobody"}, {"users", "nobody"}, {"changes", "nobody"}, {"monitors", "nobody"},
		{"resync", "nobody"}, {"resync", "nobody", "--no-wait"}, {"pause", "nobody"}, {"resume", "nobody"},
		{"reschedule", "nobody", "--every", "1h"}, {"disconnect", "nobody"}, {"disconnect", "nobody", "--erase"},
		{"reconnect", "nobody"}, {"staff", "list", "--org", "nobody"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			shared.cli(t).refuse(6, "not_found", args...)
		})
	}
}

func TestServersThatDoNotAnswerAreNamed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	const closed = "127.0.0.1:1"
	for name, c := range map[string]struct {
		env  string
		args []string
		hint string
	}{
		"PostgreSQL":                {"DATABASE_URL=postgres://canary:canary-password@" + closed + "/record?sslmode=disable", []string{"list"}, "DATABASE_URL"},
		"Temporal":                  {"TEMPORAL_ADDRESS=" + closed, []string{"resync", s.name}, "TEMPORAL_ADDRESS"},
		"Temporal, for a signal":    {"TEMPORAL_ADDRESS=" + closed, []string{"pause", s.name}, "TEMPORAL_ADDRESS"},
		"Temporal, for a new name":  {"TEMPORAL_ADDRESS=" + closed, s.connectArgs(), "TEMPORAL_ADDRESS"},
		"Temporal, for a reconnect": {"TEMPORAL_ADDRESS=" + closed, []string{"reconnect", s.name}, "TEMPORAL_ADDRESS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := s.withSecret().with(c.env).in(t).refuse(5, "unreachable", c.args...)
			require.Contains(t, failed.Message, closed)
			require.Contains(t, failed.Hint, "starter dev")
			require.Contains(t, failed.Hint, c.hint)
			require.NotContains(t, failed.Message, "canary-password")
		})
	}
	t.Run("nothing is set", func(t *testing.T) {
		t.Parallel()
		failed := s.with("DATABASE_URL=", "TEMPORAL_ADDRESS=").in(t).refuse(2, "usage", "list")
		require.Contains(t, failed.Message, "DATABASE_URL")
		require.Contains(t, failed.Hint, "starter dev")
	})
	t.Run("the record can be read without Temporal", func(t *testing.T) {
		t.Parallel()
		c := s.with("TEMPORAL_ADDRESS=" + closed).in(t)
		require.Equal(t, "active", ask[statusDoc](c, "status", s.name).State)
		require.NotEmpty(t, ask[[]userDoc](c, "users", s.name))
	})
}

func TestServersThatRefuseAreNotTakenForMissing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	refusing := func(err error) (address string) {
		return s.world.interposed(t, func(context.Context, string) error { return err })
	}
	for name, c := range map[string]struct {
		env  string
		args []string
		said string
		hint string
	}{
		"a user that PostgreSQL does not know":     {"DATABASE_URL=" + as(t, s.world.databaseURL, "nobody"), []string{"list"}, "PostgreSQL at ", "user, password and database in DATABASE_URL"},
		"a database that PostgreSQL does not have": {"DATABASE_URL=" + strings.Replace(s.world.databaseURL, "/test_", "/no_", 1), []string{"list"}, "PostgreSQL at ", "user, password and database in DATABASE_URL"},
		"a namespace that Temporal does not have":  {"TEMPORAL_NAMESPACE=nowhere", []string{"pause", s.name}, "Temporal refuses", "TEMPORAL_NAMESPACE"},
		"a call that Temporal does not permit": {"TEMPORAL_ADDRESS=" + refusing(serviceerror.NewPermissionDenied("not you", "")),
			[]string{"pause", s.name}, "Temporal at ", "TEMPORAL_API_KEY"},
		"an API key that Temporal does not know": {"TEMPORAL_ADDRESS=" + refusing(status.Error(codes.Unauthenticated, "not you")),
			[]string{"pause", s.name}, "Temporal at ", "TEMPORAL_API_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := s.with(c.env).in(t).refuse(5, "unreachable", c.args...)
			require.Contains(t, failed.Message, c.said)
			require.Contains(t, failed.Message, "refuses: ")
			require.Contains(t, failed.Hint, c.hint)
			require.NotContains(t, failed.Hint, "starter dev", "one is there")
			require.NotContains(t, failed.Message, "canary-secret")
		})
	}
}

// Whoever reads the output as JSON sees that it is not whole, and no second
// document after it.
func TestAListThatBreaksOffIsNotFollowedByAnotherDocument(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	w.mustStartWorker(t)
	s := w.setup(t)
	s.connect()
	w.exec(t, `ALTER TABLE accounts ALTER COLUMN name DROP NOT NULL`)
	w.exec(t, `UPDATE accounts SET name = NULL WHERE username = $1`, username("cleo"))
	r := s.run("users", s.name, "-o", "json")
	require.Equal(t, 1, r.code, "%s", r)
	require.Contains(t, r.stdout, username("ada"))
	require.NotContains(t, r.stdout, `"error"`)
	require.False(t, json.Valid([]byte(r.stdout)))
	require.Contains(t, r.stderr, "breaks off")
}
