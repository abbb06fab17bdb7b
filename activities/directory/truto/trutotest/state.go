package trutotest

import (
	"slices"
	"strconv"
	"sync"
)

// States of an integrated account.
const (
	Active           = "active"
	Connecting       = "connecting"
	NeedsReauth      = "needs_reauth"
	ValidationError  = "validation_error"
	PostInstallError = "post_install_error"
)

// Refresh is what comes of refreshing an account's credentials.
type Refresh int

const (
	RefreshMends    Refresh = iota // Jamf Pro accepts them again
	RefreshUseless                 // it succeeds, and Jamf Pro still rejects them
	RefreshFails                   // Truto says that it did not succeed
	RefreshRejected                // Jamf Pro refuses it
)

// Quirks are habits of a provider's list of users.
type Quirks struct {
	// PageSize is how many users a page has at most, whatever is asked for.
	PageSize int
	// EmptyPages puts so many empty pages with a cursor before each page.
	EmptyPages int
	// NamesOnly lists users with nothing but id and name.
	NamesOnly bool
	// SaysPartial sets is_partial_response on lists.
	SaysPartial bool
	// End is what the last cursor is: null by default.
	End End
	// NumericIDs writes ids that are numbers as numbers.
	NumericIDs bool
}

// End is how a list says that it is at its end.
type End int

const (
	EndNull End = iota
	EndEmpty
	EndAbsent
)

// User is a user as Truto tells of one. What is nil is not told.
type User struct {
	ID       string // the next number unless given
	Username string
	Name     string
	// Emails are the addresses; Primary is which of them is said to be the
	// primary one, -1 for none.
	Emails  []string
	Primary int
	Status  string
	MFA     *bool
	Roles   []string
	Groups  []string
}

// Account is an integrated account and the directory behind it.
type Account struct {
	mu *sync.Mutex // its server's

	id          string
	status      string
	integration string
	blocked     bool
	rejected    bool // Jamf Pro refuses what Truto logs in with
	missing     []string
	refresh     Refresh
	refreshes   int
	quirks      Quirks

	users   []User
	removed []User
	last    int
}

// AccountID is the account's id.
func (a *Account) AccountID() string { return a.id }

// AddUser adds a user and returns the id.
func (a *Account) AddUser(u User) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u.ID == "" {
		a.last++
		u.ID = strconv.Itoa(a.last)
	}
	a.users = append(a.users, u)
	return u.ID
}

// UpdateUser changes a user, if there is one of the id.
func (a *Account) UpdateUser(id string, change func(*User)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := indexOf(a.users, id); i >= 0 {
		u := a.users[i]
		change(&u)
		u.ID = id
		a.users[i] = u
	}
}

// RemoveUser deletes a user without a trace.
func (a *Account) RemoveUser(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := indexOf(a.users, id); i >= 0 {
		a.removed = append(a.removed, a.users[i])
		a.users = slices.Delete(a.users, i, i+1)
	}
}

// RestoreUser brings a removed user back under the old id, at the end of the
// list.
func (a *Account) RestoreUser(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := indexOf(a.removed, id); i >= 0 {
		a.users = append(a.users, a.removed[i])
		a.removed = slices.Delete(a.removed, i, i+1)
	}
}

// Users returns all users in the order of the list.
func (a *Account) Users() []User {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.users)
}

// SetStatus sets the account's state.
func (a *Account) SetStatus(status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
}

// SetIntegration sets what the account is an account of.
func (a *Account) SetIntegration(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.integration = name
}

// SetBlocked blocks the account, or ends that.
func (a *Account) SetBlocked(blocked bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.blocked = blocked
}

// Reject makes Jamf Pro refuse what Truto logs in with, until a refresh that
// mends it or a person with a link token.
func (a *Account) Reject() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rejected = true
}

// Accept makes Jamf Pro accept what Truto logs in with, as it does after a
// person has authorised the account again.
func (a *Account) Accept() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.accept()
}

func (a *Account) accept() { a.rejected, a.status = false, Active }

// Lack makes Jamf Pro refuse for want of privileges; without any it has all.
func (a *Account) Lack(privileges ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.missing = privileges
}

// SetRefresh sets what comes of refreshing the account's credentials.
func (a *Account) SetRefresh(r Refresh) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refresh = r
}

// Refreshes is how often the account's credentials were refreshed.
func (a *Account) Refreshes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refreshes
}

// SetQuirks sets the habits of the account's list.
func (a *Account) SetQuirks(q Quirks) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quirks = q
}

func indexOf(users []User, id string) int {
	return slices.IndexFunc(users, func(u User) bool { return u.ID == id })
}
