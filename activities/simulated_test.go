package activities_test

import (
	"net/http"
	"strconv"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/activities/directory/truto/trutotest"
	"jamf-access-review/db"
)

// simulated is a simulated source of any sort: what the laws that hold for all
// sources are tested with.
type simulated interface {
	http.Handler
	SetFault(faults.Func)
	Requests() map[string]int

	// target is what a connection to it has of its own.
	target() db.NewConnection
	// list is the path of the list of accounts, and detail that of one.
	list() string
	detail(id int) string
	// looksAgain is how many requests it takes to look at the list once more.
	looksAgain(users int) int
	// onPage makes requests for one page of accounts go wrong.
	onPage(page int, f *faults.Fault) faults.Func
	// noEntries answers a list that says that it is empty, repeated a first
	// page where another was due, and overstated a total or count that is too
	// high.
	noEntries() *faults.Fault
	repeated() *faults.Fault
	overstated() *faults.Fault

	// add adds an account with a role, at the end of the list.
	add(username, role string) int
	remove(id int)
	restore(id int)
	disable(id int)
	usernames() []string
	// others is how many entries it has besides accounts.
	others() int

	// rejectOnce rejects the access token; a refresh mends it.
	rejectOnce()
	// reject rejects the credentials, until renew, which returns those that
	// are good from then on.
	reject()
	renew() directory.Credentials
	// refreshes is how often access was asked for anew.
	refreshes() int
}

type simulatedJamf struct{ *jamftest.Server }

func newSimulatedJamf() simulatedJamf { return simulatedJamf{jamftest.New(jamftest.Config{})} }

func (s simulatedJamf) target() db.NewConnection {
	return db.NewConnection{Source: directory.JamfPro, Credentials: directory.Credentials{ClientID: "client", ClientSecret: "secret"}}
}

func (s simulatedJamf) list() string { return accountsPath }
func (s simulatedJamf) detail(id int) string {
	return "/JSSResource/accounts/userid/" + strconv.Itoa(id)
}
func (s simulatedJamf) looksAgain(users int) int { return (users + pageSize - 1) / pageSize }
func (s simulatedJamf) onPage(page int, f *faults.Fault) faults.Func {
	return jamftest.OnPage(accountsPath, page, f)
}
func (s simulatedJamf) noEntries() *faults.Fault  { return jamftest.NoEntries() }
func (s simulatedJamf) repeated() *faults.Fault   { return jamftest.PageInstead(0) }
func (s simulatedJamf) overstated() *faults.Fault { return jamftest.WrongTotal(1) }

func (s simulatedJamf) add(username, role string) int {
	return s.AddAccount(jamftest.Account{Username: username, Email: username + "@example.com", PrivilegeSet: role})
}
func (s simulatedJamf) remove(id int)  { s.RemoveAccount(id) }
func (s simulatedJamf) restore(id int) { s.RestoreAccount(id) }
func (s simulatedJamf) disable(id int) { s.DisableAccount(id) }
func (s simulatedJamf) usernames() (names []string) {
	for _, a := range s.Accounts() {
		names = append(names, a.Username)
	}
	return names
}

func (s simulatedJamf) others() int { return 1 } // the API client

func (s simulatedJamf) rejectOnce() { s.RevokeTokens() }
func (s simulatedJamf) reject()     { s.RotateSecret("client") }
func (s simulatedJamf) renew() directory.Credentials {
	return directory.Credentials{ClientID: "client", ClientSecret: s.RotateSecret("client")}
}
func (s simulatedJamf) refreshes() int { return s.TokenRequests() - 1 }

type simulatedTruto struct{ *trutotest.Server }

// newSimulatedTruto is a Truto that nobody waits for.
func newSimulatedTruto() simulatedTruto {
	return simulatedTruto{trutotest.New(trutotest.Config{PerAccount: 1 << 20, PerToken: 1 << 20})}
}

func (s simulatedTruto) target() db.NewConnection {
	return db.NewConnection{Source: directory.Truto, Account: s.AccountID(), Credentials: directory.Credentials{APIToken: "token"}}
}

func (s simulatedTruto) list() string         { return trutotest.UsersPath }
func (s simulatedTruto) detail(id int) string { return trutotest.UsersPath + "/" + strconv.Itoa(id) }
func (s simulatedTruto) onPage(page int, f *faults.Fault) faults.Func {
	return trutotest.OnPage(page*pageSize, f)
}
func (s simulatedTruto) looksAgain(users int) int {
	const size = pageSize - pageSize/3
	return (users + size - 1) / size
}
func (s simulatedTruto) noEntries() *faults.Fault  { return trutotest.NoEntries() }
func (s simulatedTruto) repeated() *faults.Fault   { return trutotest.FirstPageNext() }
func (s simulatedTruto) overstated() *faults.Fault { return trutotest.Set("result_count", 1000) }

func (s simulatedTruto) add(username, role string) int {
	id, _ := strconv.Atoi(s.AddUser(trutotest.User{
		Username: username, Emails: []string{username + "@example.com"}, Status: "active", Roles: []string{role},
	}))
	return id
}
func (s simulatedTruto) remove(id int)  { s.RemoveUser(strconv.Itoa(id)) }
func (s simulatedTruto) restore(id int) { s.RestoreUser(strconv.Itoa(id)) }
func (s simulatedTruto) disable(id int) {
	s.UpdateUser(strconv.Itoa(id), func(u *trutotest.User) { u.Status = "Disabled" })
}
func (s simulatedTruto) usernames() (names []string) {
	for _, u := range s.Users() {
		names = append(names, u.Username)
	}
	return names
}

func (s simulatedTruto) others() int { return 0 }

func (s simulatedTruto) rejectOnce() { s.Reject() }
func (s simulatedTruto) reject() {
	s.SetRefresh(trutotest.RefreshFails)
	s.SetStatus(trutotest.NeedsReauth)
	s.Reject()
}
func (s simulatedTruto) renew() directory.Credentials {
	s.SetRefresh(trutotest.RefreshMends)
	s.Accept()
	return s.target().Credentials
}
func (s simulatedTruto) refreshes() int { return s.Refreshes() }
