package activities_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/truto/trutotest"
)

// trutoSource is the integrated account of a history, and what is truly behind
// it: every change is made to both.
type trutoSource struct {
	simulatedTruto
	everyone bool
	rejected bool
	lacking  bool // privileges of what Truto logs in with
	useless  int  // the way in which refreshes are of no use
	quirks   trutotest.Quirks

	users   map[int]trutotest.User
	removed map[int]trutotest.User
	names   int
}

func newTrutoSource(r *rand.Rand) *trutoSource {
	s := &trutoSource{
		simulatedTruto: newSimulatedTruto(), everyone: r.IntN(3) == 0,
		users: map[int]trutotest.User{}, removed: map[int]trutotest.User{},
	}
	s.quirks = trutotest.Quirks{
		EmptyPages: r.IntN(2), NamesOnly: r.IntN(3) == 0, SaysPartial: r.IntN(4) == 0, End: trutotest.End(r.IntN(3)),
	}
	s.SetQuirks(s.quirks)
	for range 2 {
		s.keep(trutotest.User{Username: s.name("first"), Status: "active", Roles: []string{"Administrator"}})
	}
	for range 4 + r.IntN(8) {
		s.addOne(r)
	}
	return s
}

func (s *trutoSource) name(prefix string) string {
	s.names++
	return fmt.Sprintf("%s%d", prefix, s.names)
}

func (s *trutoSource) keep(u trutotest.User) {
	id, _ := strconv.Atoi(s.AddUser(u))
	s.users[id] = u
}

func (s *trutoSource) addOne(r *rand.Rand) {
	name := s.name("user")
	u := trutotest.User{Username: name, Name: "Of " + name}
	for _, change := range trutoChanges {
		change(s, r, &u)
	}
	s.keep(u)
}

// trutoChanges are what may change in a user. What is not told is nil.
var trutoChanges = []func(*trutoSource, *rand.Rand, *trutotest.User){
	func(_ *trutoSource, r *rand.Rand, u *trutotest.User) {
		u.Status = []string{"active", "active", "Enabled", "inactive", "Disabled", "invited", "Locked", "", "deleted"}[r.IntN(9)]
	},
	func(_ *trutoSource, r *rand.Rand, u *trutotest.User) {
		u.MFA = []*bool{new(true), new(true), new(false), nil}[r.IntN(4)]
	},
	func(_ *trutoSource, r *rand.Rand, u *trutotest.User) {
		u.Roles = [][]string{{"Administrator"}, {"ADMINISTRATOR", "Auditor"}, {"Site admins"}, {"Auditor"}, {"Custom"}, {"User"}, {}, nil}[r.IntN(8)]
	},
	func(s *trutoSource, r *rand.Rand, u *trutotest.User) {
		u.Groups = [][]string{{"Help Desk"}, {"Packagers", "Help Desk"}, {}, nil}[r.IntN(4)]
	},
	func(s *trutoSource, r *rand.Rand, u *trutotest.User) {
		address := s.name("mail") + "@Example.com"
		u.Emails, u.Primary = [][]string{{address}, {"old." + address, address}, {}, nil}[r.IntN(4)], 0
		if len(u.Emails) == 2 {
			u.Primary = r.IntN(3) - 1
		}
	},
	func(s *trutoSource, r *rand.Rand, u *trutotest.User) { u.Username = s.name("renamed") },
	func(s *trutoSource, r *rand.Rand, u *trutotest.User) { u.Name = s.name("Name ") },
}

// update leaves two accounts: a Jamf Pro has one.
func (s *trutoSource) update(id int, change func(*trutotest.User)) {
	was := s.users[id]
	u := was
	change(&u)
	if s.users[id] = u; s.few() {
		s.users[id] = was
		return
	}
	s.UpdateUser(strconv.Itoa(id), func(at *trutotest.User) { *at = u })
}

func (s *trutoSource) remove(id int) {
	was, ok := s.users[id]
	if !ok {
		return
	}
	delete(s.users, id)
	if s.few() {
		s.users[id] = was
		return
	}
	s.removed[id] = was
	s.RemoveUser(strconv.Itoa(id))
}

func (s *trutoSource) few() bool { return len(s.accounts()) < 2 }

func (s *trutoSource) restore(id int) {
	s.users[id] = s.removed[id]
	delete(s.removed, id)
	s.RestoreUser(strconv.Itoa(id))
}

func (s *trutoSource) disable(id int) {
	s.update(id, func(u *trutotest.User) { u.Status = "Disabled" })
}

func (s *trutoSource) changeOne(r *rand.Rand) {
	id := pick(r, s.users)
	switch what := r.IntN(len(trutoChanges) + 3); what {
	case 0:
		s.addOne(r)
	case 1:
		s.remove(id)
	case 2:
		if len(s.removed) > 0 {
			s.restore(pick(r, s.removed))
		}
	default:
		s.update(id, func(u *trutotest.User) { trutoChanges[what-3](s, r, u) })
	}
}

func (s *trutoSource) change(r *rand.Rand) { s.changeOne(r) }

func (s *trutoSource) changePrivileges(r *rand.Rand) string {
	s.lacking = r.IntN(2) == 0
	if s.Lack(); s.lacking {
		s.Lack("Read Accounts")
	}
	return fmt.Sprint("lacking: ", s.lacking)
}

func (s *trutoSource) reject() {
	s.SetRefresh([]trutotest.Refresh{trutotest.RefreshFails, trutotest.RefreshUseless, trutotest.RefreshRejected}[s.useless%3])
	s.Reject()
	s.useless++
	s.rejected = true
}

// renew mends it at Truto, whether or not the connection hears of it.
func (s *trutoSource) renew() directory.Credentials {
	s.rejected = false
	return s.simulatedTruto.renew()
}

func (s *trutoSource) isRejected() bool       { return s.rejected }
func (s *trutoSource) renewed(bool)           {}
func (s *trutoSource) unreadable() bool       { return s.rejected || s.lacking }
func (s *trutoSource) scope() directory.Scope { return scopeOf(s.everyone) }

func (s *trutoSource) truth() truth { return s.truthOf(sorted(s.users)) }

// truthOf is the truth if there were nobody but these.
func (s *trutoSource) truthOf(ids []int) truth {
	t := truth{entries: map[string]facts{}, kinds: map[string]bool{"account": true}}
	if s.everyone {
		t.kinds["end_user"] = true
	}
	for _, id := range ids {
		u := s.users[id]
		if kind := kindAtTruto(u); u.Status != "deleted" && t.kinds[kind] {
			t.entries[fmt.Sprintf("%s/%d", kind, id)] = trutoFacts(u)
		}
	}
	return t
}

// kindAtTruto is account for whoever may be able to administer.
func kindAtTruto(u trutotest.User) string {
	roles := strings.ToLower(strings.Join(u.Roles, ","))
	for _, word := range []string{"admin", "auditor", "custom"} {
		if strings.Contains(roles, word) {
			return "account"
		}
	}
	if u.Roles == nil || len(u.Roles) == 0 && (u.Groups == nil || len(u.Groups) > 0) {
		return "account"
	}
	return "end_user"
}

func trutoFacts(u trutotest.User) facts {
	f := facts{Username: u.Username, Name: u.Name, Email: emailAtTruto(u), Groups: joined(u.Groups)}
	f.Roles = joined(strings.Split(strings.ReplaceAll(strings.Join(u.Roles, ","), "ADMINISTRATOR", "Administrator"), ","))
	switch u.Status {
	case "active", "Enabled":
		f.Status = "active"
	case "inactive", "Disabled":
		f.Status = "inactive"
	default:
		f.Status = "unknown"
	}
	switch {
	case u.MFA == nil:
		f.MFA = "unknown"
	case *u.MFA:
		f.MFA = "enabled"
	default:
		f.MFA = "disabled"
	}
	return f
}

func emailAtTruto(u trutotest.User) string {
	if len(u.Emails) == 0 {
		return ""
	}
	return u.Emails[max(u.Primary, 0)]
}

func (s *trutoSource) accounts() []person {
	var people []person
	for _, id := range sorted(s.users) {
		if u := s.users[id]; u.Status != "deleted" && kindAtTruto(u) == "account" {
			f := trutoFacts(u)
			people = append(people, person{id, f.Username, f.Email, f.Name, administers(f)})
		}
	}
	return people
}

// listed are the ids in the order of the list.
func (s *trutoSource) listed() []int {
	var ids []int
	for _, u := range s.Users() {
		id, _ := strconv.Atoi(u.ID)
		ids = append(ids, id)
	}
	return ids
}

func (s *trutoSource) firstPage() []int {
	ids := s.listed()
	if len(ids) <= pageSize {
		return nil
	}
	return ids[:pageSize]
}

func (s *trutoSource) lists() map[string]string {
	return map[string]string{"account": trutotest.UsersPath, "end_user": trutotest.UsersPath}
}

func (s *trutoSource) passing(r *rand.Rand) *faults.Fault {
	return of(r, faults.Reset(), faults.Truncated(), faults.Busy(429, 0), trutotest.Refused(429), trutotest.HTML(503),
		trutotest.Remote(500), trutotest.Refused(502), trutotest.Remote(530), faults.Answer(504, ""), faults.Answer(408, ""))
}

func (s *trutoSource) lie(r *rand.Rand) func(*http.Request) *faults.Fault {
	lie := of(r, trutotest.HTML(200), trutotest.EmptyList(), trutotest.Set("result", nil), trutotest.Set("result_count", 1000),
		trutotest.Set("next_cursor", "nowhere"), trutotest.FirstPageNext(), trutotest.Set("next_cursor", nil),
		trutotest.Set("id", "0"), faults.Answer(200, "{}"), faults.Answer(200, ""))
	return func(*http.Request) *faults.Fault { return lie }
}

func (s *trutoSource) lastingLie(r *rand.Rand) faults.Func {
	lies := []*faults.Fault{
		trutotest.Set("result_count", 1000), faults.Truncated(), trutotest.HTML(200), trutotest.FirstPageNext(),
		faults.Answer(200, "{}"), trutotest.Set("result", nil), trutotest.Set("next_cursor", "nowhere"),
	}
	// One of its empty pages without a cursor is the list of a source in which
	// there is nobody.
	if s.quirks.EmptyPages == 0 {
		lies = append(lies, trutotest.EmptyList())
	}
	return faults.On(trutotest.UsersPath, of(r, lies...))
}

func (s *trutoSource) outage(r *rand.Rand) faults.Func {
	trouble := of(r, trutotest.HTML(503), faults.Busy(429, 3600), faults.Reset(), trutotest.Remote(502),
		trutotest.Refused(503), trutotest.Refused(401), trutotest.Refused(403), trutotest.Refused(404), trutotest.Remote(404))
	paths := []string{"/", "/integrated-account", trutotest.UsersPath, trutotest.UsersPath + "/"}
	return faults.On(paths[r.IntN(len(paths))], trouble)
}

// disturbances are about the end of a list that has no total.
func (s *trutoSource) disturbances() []disturbance {
	return []disturbance{{"the list always ends after its first page", func(sync *driven, r *rand.Rand) bool {
		ending := trutotest.OnPage(0, trutotest.Set("next_cursor", nil))
		s.SetFault(ending)
		if r.IntN(2) == 0 { // and nobody is known who is asked for
			s.SetFault(faults.Any(ending, faults.On(trutotest.UsersPath+"/", trutotest.Remote(404))))
		}
		told := s.listed()
		told = told[:min(len(told), pageSize)]
		if s.quirks.EmptyPages > 0 {
			told = nil
		}
		// Whoever is on record is asked for. Nobody speaks for those who never
		// were, and a list without a total that is the same twice is believed.
		whole := s.truth()
		for _, id := range s.listed() {
			for _, kind := range []string{"account", "end_user"} {
				key := fmt.Sprintf("%s/%d", kind, id)
				_, there := whole.entries[key]
				if _, onRecord := sync.oracle.present[key]; there && onRecord && !slices.Contains(told, id) {
					return false
				}
			}
		}
		sync.lie = new(s.truthOf(told))
		return false
	}}}
}
