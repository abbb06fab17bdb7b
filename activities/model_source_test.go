package activities_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"jamf-access-review/activities/directory/jamf/jamftest"
)

// source is the Jamf Pro of a history, and what it truly has: every change is
// made to both.
type source struct {
	jamf     *jamftest.Server
	release  int
	everyone bool // end users are read too
	rejected bool // the secret on record is not the Jamf Pro's
	deserted bool // it says that nobody is in any group

	accounts   map[int]jamftest.Account
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

func newSource(r *rand.Rand) *source {
	s := &source{
		jamf:       jamftest.New(jamftest.Config{}),
		release:    []int{modern, modern, beforeAccountGroups, classicOnly}[r.IntN(4)],
		everyone:   r.IntN(4) == 0,
		accounts:   map[int]jamftest.Account{},
		removed:    map[int]jamftest.Account{},
		groups:     map[int]jamftest.Group{},
		clients:    map[int]jamftest.Client{1: {ID: 1, DisplayName: "Access review", ClientID: "client", Roles: []string{"Access review"}}},
		endUsers:   map[int]jamftest.EndUser{},
		privileges: jamftest.Privileges(),
	}
	s.jamf.SetRelease([]jamftest.Release{jamftest.Modern(), jamftest.BeforeAccountGroups(), jamftest.ClassicOnly()}[s.release])
	s.jamf.AddRole(jamftest.Role{DisplayName: "Inventory", Privileges: inventory})
	for range 5 + r.IntN(8) {
		s.addAccount(r)
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

func (s *source) name(prefix string) string {
	s.names++
	return fmt.Sprintf("%s%d", prefix, s.names)
}

func (s *source) addAccount(r *rand.Rand) {
	name := s.name("user")
	if r.IntN(8) == 0 && len(s.removed) > 0 {
		name = s.removed[pick(r, s.removed)].Username // of somebody who is gone
		for _, a := range s.accounts {
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
	a.ID = s.jamf.AddAccount(a)
	s.accounts[a.ID] = a
}

func (s *source) giveRole(r *rand.Rand, a *jamftest.Account) {
	a.AccessLevel = []string{jamftest.FullAccess, jamftest.FullAccess, jamftest.SiteAccess, jamftest.GroupAccess}[r.IntN(4)]
	a.PrivilegeSet = []string{jamftest.Administrator, jamftest.Auditor, jamftest.Custom, jamftest.EnrollmentOnly}[r.IntN(4)]
	a.Privileges = nil
	if a.PrivilegeSet == jamftest.Custom {
		a.Privileges = []string{"Read Policies", "Update Policies", "Read Scripts"}[:1+r.IntN(3)]
	}
	a.LDAPServerID = r.IntN(2)
}

func (s *source) update(id int, change func(*jamftest.Account)) {
	a := s.accounts[id]
	change(&a)
	s.accounts[id] = a
	s.jamf.UpdateAccount(id, func(at *jamftest.Account) { *at = a })
}

// removeAccount leaves two: a Jamf Pro has an account.
func (s *source) removeAccount(id int) {
	if a, ok := s.accounts[id]; ok && len(s.accounts) > 2 {
		s.removed[id] = a
		delete(s.accounts, id)
		s.jamf.RemoveAccount(id)
	}
}

func (s *source) restoreAccount(id int) {
	a := s.removed[id]
	for _, other := range s.accounts {
		if other.Username == a.Username {
			return
		}
	}
	delete(s.removed, id)
	s.accounts[id] = a
	s.jamf.RestoreAccount(id)
}

func (s *source) addGroup(r *rand.Rand, ldapServer int) {
	g := jamftest.Group{Name: s.name("group"), AccessLevel: jamftest.FullAccess, PrivilegeSet: jamftest.Auditor, LDAPServerID: ldapServer}
	if ldapServer == 0 {
		for _, id := range sorted(s.accounts) {
			if r.IntN(2) == 0 {
				g.Members = append(g.Members, id)
			}
		}
	}
	g.ID = s.jamf.AddGroup(g)
	s.groups[g.ID] = g
}

func (s *source) updateGroup(id int, change func(*jamftest.Group)) {
	g := s.groups[id]
	g.Members = slices.Clone(g.Members)
	change(&g)
	s.groups[id] = g
	s.jamf.UpdateGroup(id, func(at *jamftest.Group) {
		*at = g
		at.Members = slices.Clone(g.Members)
	})
}

func (s *source) endUserComes() {
	u := jamftest.EndUser{Username: s.name("owner"), RealName: "Owner", Email: "owner@example.com"}
	u.ID = s.jamf.AddEndUser(u)
	s.endUsers[u.ID] = u
}

func (s *source) setPrivileges(held []string) {
	s.privileges = held
	s.jamf.SetPrivileges(held...)
}

func (s *source) holds(privilege string) bool { return slices.Contains(s.privileges, privilege) }

// changeAccount changes one account in some way, or its groups.
func (s *source) changeAccount(r *rand.Rand) {
	id := pick(r, s.accounts)
	switch r.IntN(8) {
	case 0:
		s.addAccount(r)
	case 1:
		s.removeAccount(id)
	case 2:
		if len(s.removed) > 0 {
			s.restoreAccount(pick(r, s.removed))
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
func (s *source) change(r *rand.Rand) {
	switch r.IntN(10) {
	case 0:
		s.addGroup(r, r.IntN(2))
	case 1:
		if len(s.groups) > 0 {
			id := pick(r, s.groups)
			delete(s.groups, id)
			s.jamf.RemoveGroup(id)
		}
	case 2:
		if len(s.groups) > 0 {
			member := pick(r, s.accounts)
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
			s.jamf.RemoveEndUser(id)
		}
	default:
		s.changeAccount(r)
	}
}

func (s *source) changeClient(r *rand.Rand) {
	id := pick(r, s.clients)
	switch {
	case id == 1 || r.IntN(3) == 0:
		c := jamftest.Client{DisplayName: s.name("Client "), ClientID: s.name("client-"), Roles: []string{"Inventory"}}
		c.ID = s.jamf.AddClient(c)
		s.clients[c.ID] = c
	case r.IntN(2) == 0:
		s.jamf.RemoveClient(s.clients[id].ClientID)
		delete(s.clients, id)
	default:
		c := s.clients[id]
		c.Disabled = !c.Disabled
		s.clients[id] = c
		s.jamf.UpdateClient(c.ClientID, func(at *jamftest.Client) { at.Disabled = c.Disabled })
	}
}

// unreadable reports whether a sync cannot succeed, whatever is tried.
func (s *source) unreadable() bool {
	return s.rejected || !s.holds("Read Accounts") || s.everyone && !s.holds("Read User")
}

// truth is what a review must know of the directory at this moment.
func (s *source) truth() truth {
	t := truth{entries: map[string]facts{}, kinds: map[string]bool{"account": true}}
	groupsReadable := s.release != modern || s.holds("Read Account Groups")
	for id, a := range s.accounts {
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
	if s.holds("Read API Integrations") {
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
	return t
}

func (s *source) clientFacts(c jamftest.Client) facts {
	f := facts{Username: c.ClientID, Name: c.DisplayName, Status: "active", Roles: joined(c.Roles)}
	if c.Disabled {
		f.Status = "inactive"
	}
	if s.holds("Read API Roles") {
		f.Privileges = joined(inventory)
		if c.ID == 1 {
			f.Privileges = joined(s.privileges)
		}
	}
	return f
}

func (s *source) throughGroups(account int) (roles, groups string) {
	var r, n []string
	for _, g := range s.groups {
		if slices.Contains(g.Members, account) && !s.deserted {
			r, n = append(r, g.PrivilegeSet), append(n, g.Name)
		}
	}
	return joined(r), joined(n)
}

// joined is a set of words as text.
func joined(words []string) string {
	words = slices.Clone(words)
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ",")
}

// sorted are the keys of a map in order: a history is the same every time.
func sorted[T any](m map[int]T) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func pick[T any](r *rand.Rand, m map[int]T) int {
	keys := sorted(m)
	return keys[r.IntN(len(keys))]
}
