package jamftest

import (
	"fmt"
	"slices"
)

// Words of the Classic API for Account and Group; the newer API's follow from
// them.
const (
	FullAccess  = "Full Access"
	SiteAccess  = "Site Access"
	GroupAccess = "Group Access"

	Administrator  = "Administrator"
	Auditor        = "Auditor"
	EnrollmentOnly = "Enrollment Only"
	Custom         = "Custom"
)

// Account is a console account. Its zero values are an enabled account of
// Jamf Pro's own with full access as an auditor.
type Account struct {
	ID           int
	Username     string
	RealName     string
	Email        string
	AccessLevel  string
	PrivilegeSet string
	Privileges   []string // with Custom
	SiteID       int      // 0 for none
	LDAPServerID int      // 0 for none
	Federated    bool
	Disabled     bool
}

// Group is a group of accounts, or of a directory service when it has an
// LDAPServerID.
type Group struct {
	ID           int
	Name         string
	AccessLevel  string
	PrivilegeSet string
	Privileges   []string // with Custom
	SiteID       int
	LDAPServerID int
	Members      []int // ids of accounts
}

// Site is a part of the installation.
type Site struct {
	ID   int
	Name string
}

// Role is an API role.
type Role struct {
	ID          int
	DisplayName string
	Privileges  []string
}

// EndUser is somebody a device belongs to.
type EndUser struct {
	ID       int
	Username string
	RealName string
	Email    string
}

// SSO is the single sign-on settings.
type SSO struct {
	Enabled       bool
	BypassAllowed bool
	Type          string
}

// table keeps rows by id, with their ids in order. Ids are not used again.
type table[T any] struct {
	rows    map[int]T
	removed map[int]T
	ids     []int
	last    int
}

func (t *table[T]) put(id int, row T) {
	if t.rows == nil {
		t.rows, t.removed = map[int]T{}, map[int]T{}
	}
	if _, ok := t.rows[id]; !ok {
		i, _ := slices.BinarySearch(t.ids, id)
		t.ids = slices.Insert(t.ids, i, id)
	}
	t.rows[id] = row
	t.last = max(t.last, id)
}

func (t *table[T]) next(id int) int {
	if id != 0 {
		return id
	}
	return t.last + 1
}

func (t *table[T]) remove(id int) {
	if row, ok := t.rows[id]; ok {
		t.removed[id] = row
		delete(t.rows, id)
		t.ids = slices.DeleteFunc(t.ids, func(other int) bool { return other == id })
	}
}

func (t *table[T]) all() []T {
	out := make([]T, len(t.ids))
	for i, id := range t.ids {
		out[i] = t.rows[id]
	}
	return out
}

// AddAccount adds an account, under the next id unless it has one, and returns
// its id.
func (s *Server) AddAccount(a Account) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.ID = s.accounts.next(a.ID)
	a.AccessLevel = orDefault(a.AccessLevel, FullAccess)
	a.PrivilegeSet = orDefault(a.PrivilegeSet, Auditor)
	s.accounts.put(a.ID, a)
	return a.ID
}

// UpdateAccount changes an account, if there is one of the id.
func (s *Server) UpdateAccount(id int, change func(*Account)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts.rows[id]; ok {
		change(&a)
		a.ID = id
		s.accounts.put(id, a)
	}
}

// DisableAccount takes the login from an account.
func (s *Server) DisableAccount(id int) {
	s.UpdateAccount(id, func(a *Account) { a.Disabled = true })
}

// RemoveAccount deletes an account.
func (s *Server) RemoveAccount(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts.remove(id)
}

// RestoreAccount brings a removed account back under its old id.
func (s *Server) RestoreAccount(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts.removed[id]; ok {
		s.accounts.put(id, a)
	}
}

// Accounts returns all accounts in the order of their ids.
func (s *Server) Accounts() []Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts.all()
}

// AddGroup adds a group and returns its id.
func (s *Server) AddGroup(g Group) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.ID = s.groups.next(g.ID)
	g.AccessLevel = orDefault(g.AccessLevel, FullAccess)
	g.PrivilegeSet = orDefault(g.PrivilegeSet, Auditor)
	s.groups.put(g.ID, g)
	return g.ID
}

// UpdateGroup changes a group, if there is one of the id.
func (s *Server) UpdateGroup(id int, change func(*Group)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.groups.rows[id]; ok {
		g.Members = slices.Clone(g.Members)
		change(&g)
		g.ID = id
		s.groups.put(id, g)
	}
}

// RemoveGroup deletes a group.
func (s *Server) RemoveGroup(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups.remove(id)
}

// AddSite adds a site and returns its id.
func (s *Server) AddSite(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.sites.next(0)
	s.sites.put(id, Site{ID: id, Name: name})
	return id
}

// AddRole adds an API role and returns its id.
func (s *Server) AddRole(r Role) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ID = s.roles.next(r.ID)
	s.roles.put(r.ID, r)
	return r.ID
}

// RemoveRole deletes an API role.
func (s *Server) RemoveRole(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles.remove(id)
}

// SetSSO sets the single sign-on settings.
func (s *Server) SetSSO(sso SSO) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sso = sso
}

// AddEndUser adds an end user and returns the id.
func (s *Server) AddEndUser(u EndUser) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.ID = s.endUsers.added.next(max(u.ID, 0))
	s.endUsers.added.put(u.ID, u)
	return u.ID
}

// RemoveEndUser deletes an end user that AddEndUser added.
func (s *Server) RemoveEndUser(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endUsers.added.remove(id)
}

// GenerateEndUsers makes n more end users, after those that were added. They
// are made up when they are asked for and take no memory.
func (s *Server) GenerateEndUsers(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endUsers.generated = n
}

// endUsers are the added ones, then generated ones with the ids after them.
type endUsers struct {
	added     table[EndUser]
	generated int
}

func (e *endUsers) count() int { return len(e.added.ids) + e.generated }

// at returns the i-th in the order of ids.
func (e *endUsers) at(i int) EndUser {
	if i < len(e.added.ids) {
		return e.added.rows[e.added.ids[i]]
	}
	id := e.added.last + 1 + i - len(e.added.ids)
	username := fmt.Sprintf("user%07d", id)
	return EndUser{ID: id, Username: username, RealName: "User " + username[4:], Email: username + "@example.com"}
}

func (e *endUsers) find(id int) (EndUser, bool) {
	if u, ok := e.added.rows[id]; ok {
		return u, true
	}
	if i := id - e.added.last - 1; i >= 0 && i < e.generated {
		return e.at(i + len(e.added.ids)), true
	}
	return EndUser{}, false
}
