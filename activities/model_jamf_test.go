package activities_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

// jamfSource is the Jamf Pro of a history, and what it truly has: every change
// is made to both.
type jamfSource struct {
	simulatedJamf
	release  int
	everyone bool // end users are read too
	rejected bool // the secret on record is not the Jamf Pro's
	deserted bool // it says that nobody is in any group

	entries    map[int]jamftest.Account
	removed    map[int]jamftest.Account
	groups     map[int]jamftest.Group
	clients    map[int]jamftest.Client
	endUsers   map[int]jamftest.EndUser
	privileges []string
	names      int
}

const (
	modern = iota
	beforeAccountGroups
	classicOnly
)

// inventory are the privileges of the API role of clients that come and go.
var inventory = []string{"Read Computers", "Read Mobile Devices"}

func newJamfSource(r *rand.Rand) *jamfSource {
	s := &jamfSource{
		simulatedJamf: newSimulatedJamf(),
		release:       []int{modern, modern, beforeAccountGroups, classicOnly}[r.IntN(4)],
		everyone:      r.IntN(4) == 0,
		entries:       map[int]jamftest.Account{},
		removed:       map[int]jamftest.Account{},
		groups:        map[int]jamftest.Group{},
		clients:       map[int]jamftest.Client{1: {ID: 1, DisplayName: "Access review", ClientID: "client", Roles: []string{"Access review"}}},
		endUsers:      map[int]jamftest.EndUser{},
		privileges:    jamftest.Privileges(),
	}
	s.SetRelease([]jamftest.Release{jamftest.Modern(), jamftest.BeforeAccountGroups(), jamftest.ClassicOnly()}[s.release])
	s.AddRole(jamftest.Role{DisplayName: "Inventory", Privileges: inventory})
	for range 5 + r.IntN(8) {
		s.addOne(r)
	}
	for range r.IntN(3) {
		s.addGroup(r, 0)
	}
	for range r.IntN(2) {
		s.addGroup(r, 1)
	}
	for range r.IntN(3) {
		s.endUserComes()
	}
	return s
}

func (s *jamfSource) name(prefix string) string {
	s.names++
	return fmt.Sprintf("%s%d", prefix, s.names)
}

func (s *jamfSource) addOne(r *rand.Rand) {
	name := s.name("user")
	if r.IntN(8) == 0 && len(s.removed) > 0 {
		name = s.removed[pick(r, s.removed)].Username // of somebody who is gone
		for _, a := range s.entries {
			if a.Username == name {
				return
			}
		}
	}
	a := jamftest.Account{Username: name, RealName: "Of " + name, Email: name + "@example.com", Disabled: r.IntN(6) == 0}
	if r.IntN(6) == 0 {
		a.Email = ""
	}
	s.giveRole(r, &a)
	a.ID = s.AddAccount(a)
	s.entries[a.ID] = a
}

func (s *jamfSource) giveRole(r *rand.Rand, a *jamftest.Account) {
	a.AccessLevel = []string{jamftest.FullAccess, jamftest.FullAccess, jamftest.SiteAccess, jamftest.GroupAccess}[r.IntN(4)]
	a.PrivilegeSet = []string{jamftest.Administrator, jamftest.Auditor, jamftest.Custom, jamftest.EnrollmentOnly}[r.IntN(4)]
	a.Privileges = nil
	if a.PrivilegeSet == jamftest.Custom {
		a.Privileges = []string{"Read Policies", "Update Policies", "Read Scripts"}[:1+r.IntN(3)]
	}
	a.LDAPServerID = r.IntN(2)
}

func (s *jamfSource) update(id int, change func(*jamftest.Account)) {
	a := s.entries[id]
	change(&a)
	s.entries[id] = a
	s.UpdateAccount(id, func(at *jamftest.Account) { *at = a })
}

// removeAccount leaves two: a Jamf Pro has an account.
func (s *jamfSource) remove(id int) {
	if a, ok := s.entries[id]; ok && len(s.entries) > 2 {
		s.removed[id] = a
		delete(s.entries, id)
		s.RemoveAccount(id)
	}
}

func (s *jamfSource) restore(id int) {
	a := s.removed[id]
	for _, other := range s.entries {
		if other.Username == a.Username {
			return
		}
	}
	delete(s.removed, id)
	s.entries[id] = a
	s.RestoreAccount(id)
}

func (s *jamfSource) addGroup(r *rand.Rand, ldapServer int) {
	g := jamftest.Group{Name: s.name("group"), AccessLevel: jamftest.FullAccess, PrivilegeSet: jamftest.Auditor, LDAPServerID: ldapServer}
	if ldapServer == 0 {
		for _, id := range sorted(s.entries) {
			if r.IntN(2) == 0 {
				g.Members = append(g.Members, id)
			}
		}
	}
	g.ID = s.AddGroup(g)
	s.groups[g.ID] = g
}

func (s *jamfSource) updateGroup(id int, change func(*jamftest.Group)) {
	g := s.groups[id]
	g.Members = slices.Clone(g.Members)
	change(&g)
	s.groups[id] = g
	s.UpdateGroup(id, func(at *jamftest.Group) {
		*at = g
		at.Members = slices.Clone(g.Members)
	})
}

func (s *jamfSource) endUserComes() {
	u := jamftest.EndUser{Username: s.name("owner"), RealName: "Owner", Email: "owner@example.com"}
	u.ID = s.AddEndUser(u)
	s.endUsers[u.ID] = u
}

// changePrivileges gives and takes any.
func (s *jamfSource) changePrivileges(r *rand.Rand) string {
	s.privileges = nil
	for _, p := range jamftest.Privileges() {
		if r.IntN(5) > 0 {
			s.privileges = append(s.privileges, p)
		}
	}
	if r.IntN(2) == 0 {
		s.privileges = jamftest.Privileges()
	}
	s.SetPrivileges(s.privileges...)
	return fmt.Sprint("held: ", s.privileges)
}

func (s *jamfSource) mayRead(privilege string) bool { return slices.Contains(s.privileges, privilege) }

// changeOne changes one account in some way, or its groups.
func (s *jamfSource) changeOne(r *rand.Rand) {
	id := pick(r, s.entries)
	switch r.IntN(8) {
	case 0:
		s.addOne(r)
	case 1:
		s.remove(id)
	case 2:
		if len(s.removed) > 0 {
			s.restore(pick(r, s.removed))
		}
	case 3:
		s.update(id, func(a *jamftest.Account) { a.Disabled = !a.Disabled })
	case 4:
		s.update(id, func(a *jamftest.Account) { a.Username = s.name("renamed") })
	case 5:
		s.update(id, func(a *jamftest.Account) { a.Email = s.name("mail") + "@Example.com" })
	case 6:
		s.update(id, func(a *jamftest.Account) { s.giveRole(r, a) })
	case 7:
		s.update(id, func(a *jamftest.Account) { a.RealName = s.name("Name ") })
	}
}

// change changes anything.
func (s *jamfSource) change(r *rand.Rand) {
	switch r.IntN(10) {
	case 0:
		s.addGroup(r, r.IntN(2))
	case 1:
		if len(s.groups) > 0 {
			id := pick(r, s.groups)
			delete(s.groups, id)
			s.RemoveGroup(id)
		}
	case 2:
		if len(s.groups) > 0 {
			member := pick(r, s.entries)
			s.updateGroup(pick(r, s.groups), func(g *jamftest.Group) {
				g.Name = s.name("group")
				if g.LDAPServerID != 0 {
					return
				}
				if i := slices.Index(g.Members, member); i >= 0 {
					g.Members = slices.Delete(g.Members, i, i+1)
				} else {
					g.Members = append(g.Members, member)
				}
			})
		}
	case 3:
		s.changeClient(r)
	case 4:
		s.endUserComes()
	case 5:
		if len(s.endUsers) > 0 {
			id := pick(r, s.endUsers)
			delete(s.endUsers, id)
			s.RemoveEndUser(id)
		}
	default:
		s.changeOne(r)
	}
}

func (s *jamfSource) changeClient(r *rand.Rand) {
	id := pick(r, s.clients)
	switch {
	case id == 1 || r.IntN(3) == 0:
		c := jamftest.Client{DisplayName: s.name("Client "), ClientID: s.name("client-"), Roles: []string{"Inventory"}}
		c.ID = s.AddClient(c)
		s.clients[c.ID] = c
	case r.IntN(2) == 0:
		s.RemoveClient(s.clients[id].ClientID)
		delete(s.clients, id)
	default:
		c := s.clients[id]
		c.Disabled = !c.Disabled
		s.clients[id] = c
		s.UpdateClient(c.ClientID, func(at *jamftest.Client) { at.Disabled = c.Disabled })
	}
}

// unreadable reports whether a sync cannot succeed, whatever is tried.
func (s *jamfSource) unreadable() bool {
	return s.rejected || !s.mayRead("Read Accounts") || s.everyone && !s.mayRead("Read User")
}

// truth is what a review must know of the directory at this moment.
func (s *jamfSource) truth() truth {
	t := truth{entries: map[string]facts{}, kinds: map[string]bool{"account": true}, rolesUnread: !s.mayRead("Read API Roles")}
	groupsReadable := s.release != modern || s.mayRead("Read Account Groups")
	for id, a := range s.entries {
		f := facts{
			Username: a.Username, Email: a.Email, Name: a.RealName, Status: "active", Roles: a.PrivilegeSet,
			Level: a.AccessLevel, Directory: strconv.FormatBool(a.LDAPServerID != 0),
		}
		if a.Disabled {
			f.Status = "inactive"
		}
		if a.PrivilegeSet == jamftest.Custom && s.release == classicOnly {
			f.Privileges = joined(a.Privileges)
		}
		if a.AccessLevel == jamftest.GroupAccess {
			f.Roles, f.Privileges = "", ""
			if groupsReadable {
				f.Roles, f.Groups = s.throughGroups(id)
			}
		}
		t.entries[fmt.Sprintf("account/%d", id)] = f
	}
	if groupsReadable {
		t.kinds["directory_group"] = true
		for id, g := range s.groups {
			if g.LDAPServerID != 0 {
				t.entries[fmt.Sprintf("directory_group/%d", id)] = facts{
					Username: g.Name, Name: g.Name, Status: "active", Roles: g.PrivilegeSet, Level: g.AccessLevel, Directory: "true",
				}
			}
		}
	}
	if s.mayRead("Read API Integrations") {
		t.kinds["api_client"] = true
		for id, c := range s.clients {
			t.entries[fmt.Sprintf("api_client/%d", id)] = s.clientFacts(c)
		}
	}
	if s.everyone {
		t.kinds["end_user"] = true
		for id, u := range s.endUsers {
			t.entries[fmt.Sprintf("end_user/%d", id)] = facts{Username: u.Username, Email: u.Email, Name: u.RealName, Status: "unknown"}
		}
	}
	for key, f := range t.entries {
		f.MFA = "unknown" // it never says
		t.entries[key] = f
	}
	return t
}

func (s *jamfSource) clientFacts(c jamftest.Client) facts {
	f := facts{Username: c.ClientID, Name: c.DisplayName, Status: "active", Roles: joined(c.Roles)}
	if c.Disabled {
		f.Status = "inactive"
	}
	if s.mayRead("Read API Roles") {
		f.Privileges = joined(inventory)
		if c.ID == 1 {
			f.Privileges = joined(s.privileges)
		}
	}
	return f
}

func (s *jamfSource) throughGroups(account int) (roles, groups string) {
	var r, n []string
	for _, g := range s.groups {
		if slices.Contains(g.Members, account) && !s.deserted {
			r, n = append(r, g.PrivilegeSet), append(n, g.Name)
		}
	}
	return joined(r), joined(n)
}

func (s *jamfSource) scope() directory.Scope { return scopeOf(s.everyone) }

func (s *jamfSource) accounts() []person {
	var people []person
	for _, id := range sorted(s.entries) {
		a := s.entries[id]
		people = append(people, person{id, a.Username, a.Email, a.RealName, a.PrivilegeSet == jamftest.Administrator})
	}
	return people
}

func (s *jamfSource) firstPage() []int {
	ids := sorted(s.entries)
	if len(ids) <= pageSize {
		return nil
	}
	return ids[:pageSize]
}

func (s *jamfSource) disable(id int) { s.update(id, func(a *jamftest.Account) { a.Disabled = true }) }

func (s *jamfSource) reject() {
	s.simulatedJamf.reject()
	s.rejected = true
}

func (s *jamfSource) isRejected() bool      { return s.rejected }
func (s *jamfSource) renewed(accepted bool) { s.rejected = !accepted }

func (s *jamfSource) lists() map[string]string {
	return map[string]string{"account": accountsPath, "api_client": "/api/v1/api-integrations", "end_user": "/api/v1/users"}
}

func (s *jamfSource) passing(r *rand.Rand) *faults.Fault {
	return of(r, faults.Reset(), faults.Truncated(), jamftest.Maintenance(), faults.Busy(429, 0), faults.Busy(503, 0),
		jamftest.HTML(500, "oops"), jamftest.HTML(502, "oops"), faults.Answer(504, ""), faults.Answer(408, ""))
}

func (s *jamfSource) lie(r *rand.Rand) func(*http.Request) *faults.Fault {
	lie := of(r, jamftest.HTML(200, "welcome"), jamftest.WrongTotal(1), jamftest.EmptyList(),
		jamftest.PageInstead(0), jamftest.NoMembers(), faults.Answer(200, "{}"), faults.Answer(200, ""))
	return func(*http.Request) *faults.Fault { return lie }
}

func (s *jamfSource) lastingLie(r *rand.Rand) faults.Func {
	lie := of(r, jamftest.WrongTotal(1), jamftest.EmptyList(), faults.Truncated(), jamftest.HTML(200, "welcome"),
		jamftest.PageInstead(0), faults.Answer(200, "{}"), jamftest.WrongTotal(-1))
	return faults.Any(faults.On(accountsPath, lie), faults.On("/JSSResource/accounts", lie))
}

func (s *jamfSource) outage(r *rand.Rand) faults.Func {
	trouble := of(r, jamftest.Maintenance(), faults.Busy(429, 3600), faults.Reset())
	paths := []string{"/", accountsPath, "/api/v1/account-groups", "/JSSResource/", "/api/v1/oauth"}
	return faults.On(paths[r.IntN(len(paths))], trouble)
}

// disturbances are about groups, which have a list of their own here, and about
// the order of lists, which is asked for here.
func (s *jamfSource) disturbances() []disturbance {
	return []disturbance{
		{"in no order", func(*driven, *rand.Rand) bool {
			// Pages of three are now and then in order by chance, and then the
			// next one seems to repeat them.
			s.SetFault(faults.On("/", jamftest.Unsorted()))
			return false
		}},
		{"groups listed without members", func(*driven, *rand.Rand) bool {
			s.SetFault(func(r *http.Request) *faults.Fault {
				if r.URL.Path == "/api/v1/account-groups" {
					return jamftest.NoMembers()
				}
				return nil
			})
			return true
		}},
		{"one group comes without members", s.emptyGroup},
		{"no API clients are listed", func(sync *driven, r *rand.Rand) bool {
			s.SetFault(faults.On("/api/v1/api-integrations", of(r, jamftest.HTML(404, "Not Found"), jamftest.NoEntries())))
			unread := s.truth()
			delete(unread.kinds, "api_client")
			maps.DeleteFunc(unread.entries, func(key string, _ facts) bool { return kindOf(key) == "api_client" })
			sync.lie = &unread
			return true
		}},
		{"the Classic list leaves somebody out", s.leaveOut},
		{"all groups are said to be empty, again and again", func(sync *driven, _ *rand.Rand) bool {
			s.deserted = true
			sync.lie = new(s.truth())
			s.deserted = false
			s.SetFault(faults.Any(
				faults.On("/api/v1/account-groups", jamftest.NoMembers()),
				faults.On("/JSSResource/accounts/groupid/", jamftest.NoMembers()),
			))
			return false
		}},
	}
}

// leaveOut has a list leave one account out however often it is asked. Nobody
// speaks for an account that never was on record.
func (s *jamfSource) leaveOut(sync *driven, r *rand.Rand) bool {
	id := pick(r, s.entries)
	s.SetFault(func(r *http.Request) *faults.Fault {
		if r.URL.Path == "/JSSResource/accounts" {
			return jamftest.Without(id)
		}
		return nil
	})
	if s.release != classicOnly {
		return true // it is asked for groups only
	}
	key := fmt.Sprintf("account/%d", id)
	if _, onRecord := sync.oracle.present[key]; !onRecord {
		told := s.truth()
		delete(told.entries, key)
		sync.lie = &told
	}
	return false
}

// emptyGroup has one group come back empty at first, and right when it is
// asked for again.
func (s *jamfSource) emptyGroup(_ *driven, r *rand.Rand) bool {
	if len(s.groups) == 0 {
		return true
	}
	id := pick(r, s.groups)
	empty := &faults.Fault{Rewrite: func(b []byte) []byte {
		var list struct {
			Total   int              `json:"totalCount"`
			Results []map[string]any `json:"results"`
		}
		if json.Unmarshal(b, &list) != nil || list.Results == nil {
			return b
		}
		for _, group := range list.Results {
			if group["id"] == strconv.Itoa(id) {
				group["members"] = []any{}
			}
		}
		b, _ = json.Marshal(list)
		return b
	}}
	s.SetFault(faults.Any(
		func(r *http.Request) *faults.Fault {
			if r.URL.Path == "/api/v1/account-groups" {
				return empty
			}
			return nil
		},
		faults.On(fmt.Sprintf("/JSSResource/accounts/groupid/%d", id), jamftest.NoMembers()).Times(1),
	))
	return true
}
