package jamf_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

func releases() map[string]jamftest.Release {
	return map[string]jamftest.Release{
		"modern":                jamftest.Modern(),
		"before account groups": jamftest.BeforeAccountGroups(),
		"before users":          jamftest.BeforeUsers(),
		"classic only":          jamftest.ClassicOnly(),
		"old token path":        jamftest.OldTokenPath(),
	}
}

func TestReadWholeDirectoryOfEveryRelease(t *testing.T) {
	t.Parallel()
	for name, release := range releases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: &release, ContextPath: "/jamf"}).everyone()
			b.server.Demo(250)
			b.server.GenerateEndUsers(230)
			s := mustRead(t, b.source(t))

			equal(t, s.order, directory.Kinds())
			equal(t, s.summary.Totals, map[directory.Kind]int{
				directory.DirectoryGroup: 1, directory.APIClient: 4, directory.Account: 250, directory.EndUser: 230,
			})
			equal(t, s.summary.Version, release.Version)
			if len(s.summary.Limitations) != 0 {
				t.Errorf("limitations %v with every privilege held", s.summary.Limitations)
			}
			if n := b.server.MaxConcurrent(); n > 5 {
				t.Errorf("%d requests at once", n)
			}
			total := 0
			for path, n := range b.server.Requests() {
				total += n
				if path == "elsewhere" {
					t.Errorf("%d requests outside the context path", n)
				}
			}
			if made := total - b.server.TokenRequests(); s.requests != made {
				t.Errorf("pages count %d requests of %d", s.requests, made)
			}
		})
	}
}

func TestReadSaysTheSameThroughEitherAPI(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{}).everyone()
	b.server.Demo(60)
	b.server.GenerateEndUsers(3)
	newer := mustRead(t, b.source(t))
	b.server.SetRelease(jamftest.ClassicOnly())
	classic := mustRead(t, b.source(t))
	equal(t, len(classic.users), len(newer.users))
	for id, want := range newer.users {
		got := classic.users[id]
		if id.Kind == directory.Account {
			want.Privileges, got.Privileges = nil, nil // only Classic lists them
		}
		equal(t, got, want)
	}
	equal(t, []bool{newer.summary.PrivilegesUnread, classic.summary.PrivilegesUnread}, []bool{true, false})
	equal(t, []int{newer.summary.InternalGroups, classic.summary.InternalGroups}, []int{2, 2})
}

func TestReadMapsAccounts(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	site := b.server.AddSite("North")
	custom := []string{"Update Accounts", "Read Accounts", "Read Accounts"}
	accounts := map[string]struct {
		account jamftest.Account
		want    directory.User
	}{
		"full administrator": {
			jamftest.Account{Username: "a", RealName: "A", Email: "a@example.com", PrivilegeSet: jamftest.Administrator},
			directory.User{Username: "a", Name: "A", Email: "a@example.com", Status: directory.StatusActive, Roles: []string{"Administrator"}, AccessLevel: "Full Access", FromDirectory: new(false)},
		},
		"disabled site auditor of a directory": {
			jamftest.Account{Username: "b", AccessLevel: jamftest.SiteAccess, SiteID: site, LDAPServerID: 3, Disabled: true},
			directory.User{Username: "b", Status: directory.StatusInactive, Roles: []string{"Auditor"}, AccessLevel: "Site Access", Site: "North", FromDirectory: new(true)},
		},
		"enrollment only": {
			jamftest.Account{Username: "c", PrivilegeSet: jamftest.EnrollmentOnly},
			directory.User{Username: "c", Status: directory.StatusActive, Roles: []string{"Enrollment Only"}, AccessLevel: "Full Access", FromDirectory: new(false)},
		},
		"custom": {
			jamftest.Account{Username: "d", PrivilegeSet: jamftest.Custom, Privileges: custom},
			directory.User{Username: "d", Status: directory.StatusActive, Roles: []string{"Custom"}, AccessLevel: "Full Access", FromDirectory: new(false), Privileges: []string{"Read Accounts", "Update Accounts"}},
		},
		"unknown words": {
			jamftest.Account{Username: "e", PrivilegeSet: "Operator", AccessLevel: "Tenant Access"},
			directory.User{Username: "e", Status: directory.StatusActive, Roles: []string{"Operator"}, AccessLevel: "Tenant Access", FromDirectory: new(false)},
		},
		"group access in no group": {
			jamftest.Account{Username: "f", PrivilegeSet: jamftest.Administrator, AccessLevel: jamftest.GroupAccess},
			directory.User{Username: "f", Status: directory.StatusActive, AccessLevel: "Group Access", FromDirectory: new(false)},
		},
	}
	ids := map[string]int{}
	for name, c := range accounts {
		ids[name] = b.server.AddAccount(c.account)
	}
	for _, release := range []jamftest.Release{jamftest.Modern(), jamftest.ClassicOnly()} {
		b.server.SetRelease(release)
		s := mustRead(t, b.source(t))
		for name, c := range accounts {
			t.Run(release.Version+" "+name, func(t *testing.T) {
				want := c.want
				want.Identity = directory.Identity{Kind: directory.Account, ID: fmt.Sprint(ids[name])}
				want.MFA = directory.MFAUnknown
				if release.Version == jamftest.Modern().Version {
					want.Privileges = nil // its API does not list them
				}
				equal(t, s.user(t, directory.Account, ids[name]), want)
			})
		}
	}
}

func TestReadTakesGroupAccessFromTheGroups(t *testing.T) {
	t.Parallel()
	for name, release := range releases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: &release})
			id := b.server.AddAccount(jamftest.Account{Username: "member", AccessLevel: jamftest.GroupAccess, PrivilegeSet: jamftest.Custom, Privileges: []string{"Read Scripts"}})
			b.server.AddGroup(jamftest.Group{Name: "Zeta", PrivilegeSet: jamftest.Administrator, Members: []int{id}})
			b.server.AddGroup(jamftest.Group{Name: "Alpha", PrivilegeSet: jamftest.Auditor, Members: []int{id}})
			b.server.AddGroup(jamftest.Group{Name: "Other", PrivilegeSet: jamftest.Custom})
			s := mustRead(t, b.source(t))
			user := s.user(t, directory.Account, id)
			equal(t, user.Roles, []string{"Administrator", "Auditor"})
			equal(t, user.Groups, []string{"Alpha", "Zeta"})
			equal(t, user.Privileges, nil)
			equal(t, s.summary.LeftOut, map[string]int{"account groups that Jamf Pro keeps itself": 3})
		})
	}
}

func TestReadAsksAgainForGroupsWithoutMembers(t *testing.T) {
	t.Parallel()
	for _, release := range []jamftest.Release{jamftest.Modern(), jamftest.ClassicOnly()} {
		t.Run(release.Version, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: &release})
			id := b.server.AddAccount(jamftest.Account{Username: "member", AccessLevel: jamftest.GroupAccess})
			b.server.AddGroup(jamftest.Group{Name: "Help Desk", PrivilegeSet: jamftest.Auditor, Members: []int{id}})
			b.server.SetFault(faults.Any(
				faults.On("/api/v1/account-groups", jamftest.NoMembers()),
				faults.On("/JSSResource/accounts/groupid", jamftest.NoMembers()),
			).Times(1))
			s := mustRead(t, b.source(t))
			equal(t, s.user(t, directory.Account, id).Groups, []string{"Help Desk"})

			b.server.SetFault(faults.Any(
				faults.On("/api/v1/account-groups", jamftest.NoMembers()),
				faults.On("/JSSResource/accounts/groupid", jamftest.NoMembers()),
			))
			s = mustRead(t, b.source(t))
			equal(t, s.user(t, directory.Account, id).Groups, nil)
		})
	}
}

func TestReadDirectoryGroupsAndAPIClients(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	site := b.server.AddSite("North")
	group := b.server.AddGroup(jamftest.Group{
		Name: "Admins", AccessLevel: jamftest.SiteAccess, PrivilegeSet: jamftest.Custom, SiteID: site, LDAPServerID: 1,
		Privileges: []string{"Update Policies", "Read Policies"},
	})
	b.server.AddRole(jamftest.Role{DisplayName: "One", Privileges: []string{"Read B", "Read A"}})
	b.server.AddRole(jamftest.Role{DisplayName: "Two", Privileges: []string{"Read C", "Read A"}})
	client := b.server.AddClient(jamftest.Client{DisplayName: "Pipeline", ClientID: "id-1", Roles: []string{"Two", "One"}, Disabled: true})
	s := mustRead(t, b.source(t))
	equal(t, s.user(t, directory.DirectoryGroup, group), directory.User{
		Identity: directory.Identity{Kind: directory.DirectoryGroup, ID: fmt.Sprint(group)},
		Username: "Admins", Name: "Admins", Status: directory.StatusActive, MFA: directory.MFAUnknown,
		Roles: []string{"Custom"}, AccessLevel: "Site Access", Site: "North", FromDirectory: new(true),
		Privileges: []string{"Read Policies", "Update Policies"},
	})
	equal(t, s.user(t, directory.APIClient, client), directory.User{
		Identity: directory.Identity{Kind: directory.APIClient, ID: fmt.Sprint(client)},
		Username: "id-1", Name: "Pipeline", Status: directory.StatusInactive, MFA: directory.MFAUnknown,
		Roles: []string{"One", "Two"}, Privileges: []string{"Read A", "Read B", "Read C"},
	})
	if s.count(directory.EndUser) != 0 || len(s.summary.Totals) != 3 {
		t.Errorf("scope admins read %v", s.summary.Totals)
	}
}

// API roles are documented without a total. However many there are, and whether
// or not the server has pages of them, all are read.
func TestReadFindsEveryRoleOfAListWithoutATotal(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]*faults.Fault{"pages": jamftest.NoTotal(), "no pages": jamftest.NoPages()} {
		for _, roles := range []int{2, 99, 100, 101, 200, 250} {
			t.Run(fmt.Sprint(roles, " in ", name), func(t *testing.T) {
				t.Parallel()
				b := setup(t, jamftest.Config{})
				addRoles(b.server, roles)
				client := b.server.AddClient(jamftest.Client{ClientID: "last", Roles: []string{"last"}})
				b.server.SetFault(faults.On("/api/v1/api-roles", list))
				s := mustRead(t, b.source(t))
				equal(t, s.user(t, directory.APIClient, client).Privileges, []string{"Read Scripts"})
				equal(t, s.summary.Limitations, nil)
			})
		}
	}
}

// addRoles has as many roles as said, beside what clients need none of, and
// calls the last one so.
func addRoles(server *jamftest.Server, roles int) {
	for range roles - 2 { // one is the review's own
		server.AddRole(jamftest.Role{DisplayName: "other"})
	}
	server.AddRole(jamftest.Role{DisplayName: "last", Privileges: []string{"Read Scripts"}})
}

func TestReadFindsContradictionsInAListWithoutATotal(t *testing.T) {
	t.Parallel()
	const roles = "/api/v1/api-roles"
	repeated := jamftest.NoTotal()
	repeated.Ask = jamftest.PageInstead(0).Ask
	for name, fault := range map[string]func(*jamftest.Server) faults.Func{
		"page repeated": func(*jamftest.Server) faults.Func {
			return faults.Any(jamftest.OnPage(roles, 1, repeated), faults.On(roles, jamftest.NoTotal()))
		},
		"list never ends": func(*jamftest.Server) faults.Func {
			return func(r *http.Request) *faults.Fault {
				if r.URL.Path != roles || r.URL.Query().Get("page-size") == "1" {
					return faults.On(roles, jamftest.NoTotal())(r)
				}
				return repeated
			}
		},
		"role removed on the way": func(s *jamftest.Server) faults.Func {
			return func(r *http.Request) *faults.Fault {
				if r.URL.Path != roles {
					return nil
				}
				if r.URL.Query().Get("page") == "1" {
					s.RemoveRole(5)
				}
				return jamftest.NoTotal()
			}
		},
		"no results": func(*jamftest.Server) faults.Func { return faults.On(roles, faults.Answer(200, `{}`)) },
		"total lost on the way": func(*jamftest.Server) faults.Func {
			return jamftest.OnPage(roles, 1, jamftest.NoTotal())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			addRoles(b.server, 250)
			b.server.SetFault(fault(b.server))
			_, err := read(t, b.source(t), "")
			wantCode(t, err, directory.Inconsistent)
		})
	}
}

// Where an entry comes twice another has not come at all.
func TestReadDoesNotBelieveAListThatRepeatsAnEntry(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/v1/account-groups", "/api/v1/api-integrations", "/api/v1/api-roles"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			b.server.Demo(20)
			b.server.AddRole(jamftest.Role{DisplayName: "other"})
			b.server.SetFault(faults.On(path, faults.Rewritten(func(list map[string]any) {
				if rows, ok := list["results"].([]any); ok && len(rows) > 1 {
					rows[len(rows)-1] = rows[0]
				}
			})))
			_, err := read(t, b.source(t), "")
			wantCode(t, err, directory.Inconsistent)
		})
	}
}

// The names of sites are not told where no list of them is.
func TestReadDoesNotTakeAnErrorForNoSites(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.server.Demo(20)
	b.server.SetFault(faults.On("/api/v1/sites", faults.Answer(200, `{"httpStatus":500,"errors":[]}`)))
	_, err := read(t, b.source(t), "")
	wantCode(t, err, directory.Inconsistent)
	b.server.SetFault(faults.Any(faults.On("/api/v1/sites", jamftest.HTML(404, "")), faults.On("/JSSResource/sites", jamftest.HTML(404, ""))))
	equal(t, mustRead(t, b.source(t)).summary.SitesUnread, true)
}

func TestReadGoesOnWithoutOptionalPrivileges(t *testing.T) {
	t.Parallel()
	for privilege, check := range map[string]func(*testing.T, *snapshot){
		"Read Account Groups":   func(t *testing.T, s *snapshot) { wantUnread(t, s, directory.DirectoryGroup) },
		"Read API Integrations": func(t *testing.T, s *snapshot) { wantUnread(t, s, directory.APIClient) },
		"Read API Roles": func(t *testing.T, s *snapshot) {
			equal(t, s.user(t, directory.APIClient, 1).Privileges, nil)
			equal(t, s.summary.RolesUnread, true)
		},
		"Read Sites": func(t *testing.T, s *snapshot) {
			equal(t, s.user(t, directory.Account, 7).Site, "id 2")
			equal(t, s.summary.SitesUnread, true)
		},
		"Read SSO Settings": func(t *testing.T, s *snapshot) {
			if s.summary.SingleSignOn != nil {
				t.Error("single sign-on is known")
			}
		},
	} {
		t.Run(privilege, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			b.server.Demo(20)
			b.server.AddAccount(jamftest.Account{Username: "groupless", AccessLevel: jamftest.GroupAccess})
			b.server.Revoke(privilege)
			s := mustRead(t, b.source(t))
			if len(s.summary.Limitations) != 1 || s.summary.Limitations[0].Privilege != privilege {
				t.Errorf("limitations %v", s.summary.Limitations)
			}
			check(t, s)

			report, err := b.source(t).Probe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equal(t, report, s.summary.Report)
		})
	}
}

// Who asks is an API client, with a role: a server where there are none is not
// the Jamf Pro that it logged in to.
func TestReadDoesNotBelieveThatThereAreNoAPIClients(t *testing.T) {
	t.Parallel()
	const clients, roles = "/api/v1/api-integrations", "/api/v1/api-roles"
	for name, c := range map[string]struct {
		fault faults.Func
		says  string
		check func(*testing.T, *snapshot)
	}{
		"clients not there":                     {faults.On(clients, jamftest.HTML(404, "Not Found")), "API clients (HTTP 404 was answered", wantNoClients},
		"clients not there, in the API's words": {faults.On(clients, faults.Answer(404, `{"httpStatus":404,"errors":[]}`)), "API clients (HTTP 404 was answered", wantNoClients},
		"no clients":                            {faults.On(clients, jamftest.NoEntries()), "API clients (api/v1/api-integrations is empty", wantNoClients},
		"roles not there":                       {faults.On(roles, jamftest.HTML(404, "Not Found")), "the privileges of API clients (HTTP 404 was answered", wantNoPrivileges},
		"no roles":                              {faults.On(roles, faults.Answer(200, `{"results":[]}`)), "the privileges of API clients (api/v1/api-roles is empty", wantNoPrivileges},
	} {
		for _, release := range []jamftest.Release{jamftest.Modern(), jamftest.ClassicOnly()} {
			t.Run(name+" "+release.Version, func(t *testing.T) {
				t.Parallel()
				b := setup(t, jamftest.Config{Release: &release})
				b.server.Demo(20)
				b.server.SetFault(c.fault)
				s := mustRead(t, b.source(t))
				equal(t, s.count(directory.Account), 20)
				c.check(t, s)
				if l := s.summary.Limitations; len(l) != 1 || l[0].Privilege != "" || !strings.HasPrefix(l[0].String(), c.says) {
					t.Errorf("limitations %v", l)
				}
				report, err := b.source(t).Probe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				equal(t, report, s.summary.Report)
			})
		}
	}
}

func wantNoClients(t *testing.T, s *snapshot) { wantUnread(t, s, directory.APIClient) }

func wantNoPrivileges(t *testing.T, s *snapshot) {
	equal(t, s.count(directory.APIClient), 4)
	equal(t, s.user(t, directory.APIClient, 1).Privileges, nil)
}

func wantUnread(t *testing.T, s *snapshot, kind directory.Kind) {
	t.Helper()
	if _, ok := s.summary.Totals[kind]; ok || s.count(kind) != 0 {
		t.Errorf("kind %s counts as read", kind)
	}
}

func TestReadResumesAtEachCursor(t *testing.T) {
	t.Parallel()
	for name, release := range releases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: &release}).everyone()
			b.server.Demo(230)
			b.server.GenerateEndUsers(120)
			b.config.UserPageSize = 50
			whole := mustRead(t, b.source(t))
			emitted := 0
			for _, cursor := range whole.cursors {
				rest, err := read(t, b.source(t), cursor)
				if err != nil {
					t.Fatalf("from %s: %v", cursor, err)
				}
				if rest.summary == nil || len(rest.users) >= len(whole.users) {
					t.Fatalf("from %s: %d users, summary %v", cursor, len(rest.users), rest.summary)
				}
				equal(t, rest.summary, whole.summary)
				for id := range rest.users {
					equal(t, rest.users[id].Roles, whole.users[id].Roles)
				}
				emitted = len(rest.users)
			}
			if emitted != 0 {
				t.Errorf("the last cursor reads %d users", emitted)
			}
		})
	}
}

func TestReadReturnsTheErrorOfEmit(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.server.Demo(300)
	stop := errors.New("stop")
	pages := 0
	err := b.source(t).Read(t.Context(), "", func(directory.Page) error {
		if pages++; pages == 3 {
			return stop
		}
		return nil
	})
	if err != stop || pages != 3 {
		t.Errorf("got %v after %d pages", err, pages)
	}
}

func TestReadRefusesACursorItCannotUse(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.server.Demo(5)
	for _, cursor := range []directory.Cursor{"x", "{}", `{"section":"x"}`, `{"section":"account","done":7,"total":5,"size":100}`} {
		_, err := read(t, b.source(t), cursor)
		wantCode(t, err, directory.Inconsistent)
	}
}

// Answers that are not whole, or contradict each other, never pass for a
// smaller directory.
func TestReadFindsContradictions(t *testing.T) {
	t.Parallel()
	const accounts, users = "/api/v1/accounts", "/api/v1/users"
	for name, fault := range map[string]faults.Func{
		"total grows":              jamftest.OnPage(accounts, 1, jamftest.WrongTotal(1)),
		"total shrinks":            jamftest.OnPage(accounts, 2, jamftest.WrongTotal(-1)),
		"total too small":          faults.On(accounts, jamftest.WrongTotal(-60)),
		"total too large":          faults.On(accounts, jamftest.WrongTotal(60)),
		"empty page in the middle": jamftest.OnPage(accounts, 1, jamftest.EmptyList()),
		"empty first page":         jamftest.OnPage(accounts, 0, jamftest.EmptyList()),
		"page repeated":            jamftest.OnPage(accounts, 1, jamftest.PageInstead(0)),
		"end users repeated":       jamftest.OnPage(users, 1, jamftest.PageInstead(0)),
		"end users empty":          jamftest.OnPage(users, 0, jamftest.EmptyList()),
		"total beyond counting":    faults.On(accounts, jamftest.LargestTotal()),
		"end users beyond":         faults.On(users, jamftest.LargestTotal()),
		"two totals":               faults.On(accounts, faults.Answer(200, `{"totalCount":2,"results":[{"id":"1"},{"id":"2"}],"totalCount":1,"results":[{"id":"1"}]}`)),
		"two statuses of one":      faults.On(accounts, faults.Answer(200, `{"totalCount":1,"results":[{"id":"1","accountStatus":"Enabled","accountStatus":"Disabled"}]}`)),
		"no total":                 faults.On(accounts, faults.Answer(200, `{"results":[]}`)),
		"no results":               faults.On(accounts, faults.Answer(200, `{"totalCount":0}`)),
		"null results":             faults.On(accounts, faults.Answer(200, `{"totalCount":0,"results":null}`)),
		"negative total":           faults.On(accounts, faults.Answer(200, `{"totalCount":-1,"results":[]}`)),
		"row without id":           faults.On(accounts, faults.Answer(200, `{"totalCount":1,"results":[{"username":"a"}]}`)),
		"id with a path":           faults.On(accounts, faults.Answer(200, `{"totalCount":1,"results":[{"id":"../1"}]}`)),
		"another shape":            faults.On(accounts, faults.Answer(200, `[1,2]`)),
		"broken JSON":              faults.On(accounts, faults.Answer(200, `{"totalCount":1,"results":[{"id":"1"`)),
		"markup":                   faults.On(accounts, jamftest.HTML(200, "Log in")),
		"list goes away":           jamftest.OnPage(accounts, 1, jamftest.HTML(404, "Not Found")),
		"groups without results":   faults.On("/api/v1/account-groups", faults.Answer(200, `{}`)),
		"client error":             faults.On(accounts, faults.Answer(400, `{}`)),
		"truncated":                faults.On(accounts, faults.Truncated()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{}).everyone()
			b.server.Demo(250)
			b.server.GenerateEndUsers(150)
			b.config.UserPageSize = 50
			b.server.SetFault(fault)
			s, err := read(t, b.source(t), "")
			wantCode(t, err, directory.Inconsistent)
			if s.summary != nil {
				t.Error("a summary was emitted")
			}
		})
	}
}

func TestReadFindsContradictionsInTheClassicAPI(t *testing.T) {
	t.Parallel()
	const accounts, account = "/JSSResource/accounts", "/JSSResource/accounts/userid/"
	onList := func(body string) faults.Func {
		return func(r *http.Request) *faults.Fault {
			if r.URL.Path == accounts {
				return faults.Answer(200, body, "Content-Type", "text/plain;charset=UTF-8")
			}
			return nil
		}
	}
	for name, fault := range map[string]faults.Func{
		"no list":          onList(`{"accounts":{}}`),
		"no accounts":      onList(`{}`),
		"null list":        onList(`{"accounts":{"users":null,"groups":[]}}`),
		"id twice":         onList(`{"accounts":{"users":[{"id":1},{"id":1}],"groups":[]}}`),
		"another account":  faults.On(account+"2", faults.Answer(200, `{"account":{"id":1}}`)),
		"empty detail":     faults.On(account+"2", faults.Answer(200, `{}`)),
		"markup":           faults.On(account+"2", jamftest.HTML(200, "Log in")),
		"all details lost": faults.On(account, jamftest.HTML(404, "Not Found")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: new(jamftest.ClassicOnly())})
			b.server.Demo(20)
			b.server.SetFault(fault)
			s, err := read(t, b.source(t), "")
			wantCode(t, err, directory.Inconsistent)
			if s.summary != nil {
				t.Error("a summary was emitted")
			}
		})
	}
}

func TestReadLeavesOutWhatVanishesBetweenListAndDetail(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{Release: new(jamftest.ClassicOnly())}).everyone()
	b.server.Demo(120)
	for range 5 {
		b.server.AddEndUser(jamftest.EndUser{Username: "u"})
	}
	b.server.SetFault(func(r *http.Request) *faults.Fault {
		switch r.URL.Path {
		case "/JSSResource/accounts/userid/1":
			b.server.RemoveAccount(60)
			b.server.RemoveAccount(120)
		case "/JSSResource/users/id/1":
			b.server.RemoveEndUser(1)
		}
		return nil
	})
	s := mustRead(t, b.source(t))
	equal(t, s.summary.Totals[directory.Account], 118)
	equal(t, s.summary.Totals[directory.EndUser], 4)
}

func TestReadAcceptsAListThatIsNotSorted(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.server.Demo(250)
	b.server.SetFault(faults.On("/api/v1/accounts", jamftest.Unsorted()))
	s := mustRead(t, b.source(t))
	equal(t, s.count(directory.Account), 250)
}

func TestReadMarksAChangeBetweenTwoResumptions(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jamftest.Server){
		"account removed":  func(s *jamftest.Server) { s.RemoveAccount(5) },
		"group removed":    func(s *jamftest.Server) { s.RemoveGroup(3) },
		"client added":     func(s *jamftest.Server) { s.AddClient(jamftest.Client{DisplayName: "New"}) },
		"groups forbidden": func(s *jamftest.Server) { s.Revoke("Read Account Groups") },
		"roles forbidden":  func(s *jamftest.Server) { s.Revoke("Read API Roles") },
		"clients not there": func(s *jamftest.Server) {
			s.SetFault(faults.On("/api/v1/api-integrations", jamftest.HTML(404, "Not Found")))
		},
	} {
		for _, release := range []jamftest.Release{jamftest.Modern(), jamftest.ClassicOnly()} {
			if name == "groups forbidden" && release.Version != jamftest.Modern().Version {
				continue // its Classic privilege is the accounts' own
			}
			t.Run(name+" "+release.Version, func(t *testing.T) {
				t.Parallel()
				b := setup(t, jamftest.Config{Release: &release})
				b.server.Demo(230)
				whole := mustRead(t, b.source(t))
				change(b.server)
				_, err := read(t, b.source(t), whole.cursors[len(whole.cursors)-3])
				wantCode(t, err, directory.Inconsistent)
			})
		}
	}
}

func TestReadKeepsToPatienceThatIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]*faults.Fault{
		"too many requests": faults.Busy(429, 120),
		"unavailable":       faults.Busy(503, 120),
		"maintenance":       jamftest.Maintenance(),
		"gateway":           jamftest.HTML(502, "Bad Gateway"),
		"unheard of":        jamftest.HTML(530, "Frozen"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			b.server.Demo(5)
			b.server.SetFault(faults.On("/api/v1/accounts", fault))
			_, err := read(t, b.source(t), "")
			e := wantCode(t, err, directory.Busy)
			if fault.Header.Get("Retry-After") == "120" && e.RetryAfter.Seconds() != 120 {
				t.Errorf("retry after %v", e.RetryAfter)
			}
		})
	}
}

func TestReadGoesOnAfterPassingFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]*faults.Fault{
		"reset":       faults.Reset(),
		"truncated":   faults.Truncated(),
		"maintenance": jamftest.Maintenance(),
		"busy":        faults.Busy(429, 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			b.server.Demo(250)
			b.server.SetFault(faults.On("/api/v1/accounts", fault).Times(2))
			s := mustRead(t, b.source(t))
			equal(t, s.count(directory.Account), 250)
		})
	}
}

func TestReadDoesNotFollowARedirectElsewhere(t *testing.T) {
	t.Parallel()
	b, other := setup(t, jamftest.Config{}), setup(t, jamftest.Config{})
	b.server.SetFault(faults.On("/api/v1/accounts", faults.RedirectTo(other.base.JoinPath("api/v1/accounts").String())))
	_, err := read(t, b.source(t), "")
	wantCode(t, err, directory.Unreachable)
	if n := len(other.server.Requests()); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}

func TestReadNeverAsksForTheFailoverAddress(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{}).everyone()
	b.server.Demo(5)
	mustRead(t, b.source(t))
	if _, err := b.source(t).Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path := range b.server.Requests() {
		if strings.Contains(path, "failover") {
			t.Errorf("%s was asked for", path)
		}
	}
}

func TestReadHoldsFewPagesWhileEmitIsSlow(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{}).everyone()
	b.server.GenerateEndUsers(5000)
	b.config.UserPageSize = 50
	const parallel = 5
	pages := 0
	err := b.source(t).Read(t.Context(), "", func(page directory.Page) error {
		if len(page.Users) > 0 && page.Users[0].Kind == directory.EndUser {
			pages++
			if asked := b.server.Requests()["/api/v1/users"]; asked > pages+parallel {
				t.Errorf("%d pages were asked for when %d were emitted", asked, pages)
			}
		}
		return nil
	})
	if err != nil || pages != 100 {
		t.Errorf("%d pages, %v", pages, err)
	}
}
