package activities_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"jamf-access-review/db"
)

// facts are what the record must hold of an entry, in plain words; lists are
// sorted and joined by commas.
type facts struct {
	Username, Email, Name, Status, MFA, Roles, Groups, Level, Directory, Privileges string
}

// truth is a whole directory: its entries by kind/id, and the kinds of which
// it may be known.
type truth struct {
	entries map[string]facts
	kinds   map[string]bool
	// rolesUnread says that the privileges of API clients may not be known.
	rolesUnread bool
}

// oracle says what the record must hold, and knows nothing of how.
type oracle struct {
	present   map[string]facts
	removed   map[string]time.Time
	removedAs map[string]facts
	changes   []string
	syncs     []string
	// startedAt is when the applied sync began; zero before the first.
	startedAt time.Time
	// doubted are the groups that the last sync would not believe to be
	// without members; doubting says that a sync has failed since one was
	// applied, and may have doubted any.
	doubted  []string
	doubting bool
	// held is what the snapshot may have taken that was held last; none since
	// one was applied.
	held   []losses
	roster *roster
	// departed are those who had an exit on an earlier roster, by their addresses.
	departed map[string]departure
	// exit is the first monitor's verdict, as of when it was last evaluated,
	// dues are the ends of the grace periods in it, and exits those to come.
	exit, mfa   db.MonitorState
	dues, exits []time.Time
}

type departure struct {
	person string
	exited time.Time
}

type roster struct {
	importedAt time.Time
	people     []db.Person
}

func newOracle() *oracle {
	return &oracle{present: map[string]facts{}, removed: map[string]time.Time{}, removedAs: map[string]facts{}}
}

// losses is what a snapshot would take from the record.
type losses struct {
	present, taken, accounts, accountsTaken, admins, adminsKept, adminsThen int
}

func (o *oracle) losses(t truth) (l losses) {
	for key, was := range o.present {
		if !t.kinds[kindOf(key)] {
			continue
		}
		is, there := t.entries[key]
		gone := !there || is.Status == "inactive" && was.Status != "inactive"
		lost := gone || somebodyElse(was, is)
		l.present++
		if lost {
			l.taken++
		}
		if kindOf(key) != "account" {
			continue
		}
		if was.Status != "inactive" {
			l.accounts++
			if lost {
				l.accountsTaken++
			}
		}
		if was.Status != "inactive" && administers(was) {
			l.admins++
			if !lost && is.Status != "inactive" {
				l.adminsKept++
			}
		}
		if there && is.Status != "inactive" && administers(is) {
			l.adminsThen++
		}
	}
	return l
}

// holds reports whether a snapshot is certainly held, and mayHold whether it may
// be: by the brake or, where a person accepts what was held last, because it takes
// more than that.
func (o *oracle) holds(t truth, accept bool) bool {
	l := o.losses(t)
	if accept {
		return len(o.held) > 0 && !slices.ContainsFunc(o.held, func(held losses) bool { return !l.exceed(held) })
	}
	return l.exceed(losses{})
}

func (o *oracle) mayHold(t truth, accept bool) bool {
	l := o.losses(t)
	return o.holds(t, accept) || accept && slices.ContainsFunc(o.held, l.exceed)
}

// exceed reports whether losses are too much, beside those that were accepted.
func (l losses) exceed(accepted losses) bool {
	much := func(taken, present int) bool { return taken > 5 && taken*10 > present*3 }
	return much(l.taken-accepted.taken, l.present) || much(l.accountsTaken-accepted.accountsTaken, l.accounts) ||
		l.withoutAdmins() && !accepted.withoutAdmins()
}

func (l losses) withoutAdmins() bool { return l.admins > 0 && (l.adminsKept == 0 || l.adminsThen == 0) }

// hold notes what may have been held.
func (o *oracle) hold(candidates []truth) {
	o.held = nil
	for _, c := range candidates {
		o.held = append(o.held, o.losses(c))
	}
}

// somebodyElse reports whether nothing that an entry was called is what it is
// called now.
func somebodyElse(was, is facts) bool {
	called := false
	for _, name := range [][2]string{{was.Username, is.Username}, {was.Email, is.Email}, {was.Name, is.Name}} {
		if name[0] != "" && strings.EqualFold(name[0], name[1]) {
			return false
		}
		called = called || name[0] != ""
	}
	return called
}

// administers reports whether an account is a full administrator.
func administers(f facts) bool {
	if f.Level == "" { // as Truto has it
		return strings.Contains(strings.ToLower(f.Roles), "admin")
	}
	return f.Level == "Full Access" && f.Roles == "Administrator"
}

// doubts are the groups that accounts had their access from, and nobody is in
// any more, although such accounts still say that they have it from groups.
func (o *oracle) doubts(t truth) []string {
	inhabited := map[string]bool{}
	for _, is := range t.entries {
		for _, group := range strings.Split(is.Groups, ",") {
			inhabited[group] = true
		}
	}
	var doubted []string
	for key, was := range o.present {
		if is := t.entries[key]; was.Groups == "" || was.Level != "Group Access" || is.Level != "Group Access" || is.Groups != "" {
			continue
		}
		for _, group := range strings.Split(was.Groups, ",") {
			if !inhabited[group] && !slices.Contains(doubted, group) {
				doubted = append(doubted, group)
			}
		}
	}
	return doubted
}

// mayDoubt reports whether a sync may fail for want of a second opinion.
func (o *oracle) mayDoubt(t truth) bool {
	return slices.ContainsFunc(o.doubts(t), func(group string) bool { return !slices.Contains(o.doubted, group) })
}

// known is what there is to know of a directory: where groups, or API roles, may
// not be read, accounts that are present have from them what they had.
func (o *oracle) known(t truth) truth {
	t.entries = maps.Clone(t.entries)
	for key, is := range t.entries {
		was, present := o.present[key]
		if !present {
			continue
		}
		if !t.kinds["directory_group"] && is.Level == "Group Access" && was.Level == "Group Access" {
			is.Roles, is.Groups = was.Roles, was.Groups
		}
		if t.rolesUnread && kindOf(key) == "api_client" && is.Roles == was.Roles {
			is.Privileges = was.Privileges
		}
		t.entries[key] = is
	}
	return t
}

// apply makes a directory the record's, at a time, by a sync that began before.
func (o *oracle) apply(t truth, number int, startedAt, now time.Time) {
	change := func(what, key string) { o.changes = append(o.changes, fmt.Sprintf("%d %s %s", number, what, key)) }
	for key, is := range t.entries {
		was, present := o.present[key]
		_, removed := o.removed[key]
		switch {
		case removed:
			change("restored", key)
		case !present:
			change("added", key)
		case is != was:
			change("changed", key)
		}
		o.present[key] = is
		delete(o.removed, key)
		delete(o.removedAs, key)
	}
	for key, was := range o.present {
		if _, there := t.entries[key]; !there && t.kinds[kindOf(key)] {
			change("removed", key)
			o.removed[key], o.removedAs[key] = now, was
			delete(o.present, key)
		}
	}
	o.startedAt, o.doubted, o.doubting, o.held = startedAt, nil, false, nil
	o.evaluate(now)
}

// imports makes a roster the one to judge by, from its import on.
func (o *oracle) imports(r *roster) {
	o.remember(r)
	o.roster = r
	if !o.startedAt.IsZero() {
		o.evaluate(r.importedAt)
	}
}

// remember remembers those who had an exit on the roster that is replaced, but for
// the addresses of the new one. Whoever of them is on that, under whichever address,
// leaves when it says, or stays. Who was known as somebody else is not taken for them,
// nor, to have stayed, who was not known at all.
func (o *oracle) remember(next *roster) {
	if o.departed == nil {
		o.departed = map[string]departure{}
	}
	owners := map[string]string{}
	for address, d := range o.departed {
		owners[address] = strings.ToLower(d.person)
	}
	if o.roster != nil {
		for _, p := range o.roster.people {
			for _, address := range addresses(p) {
				owners[address] = strings.ToLower(p.Email)
				if p.ExitedAt != nil {
					o.departed[address] = departure{p.Email, *p.ExitedAt}
				}
			}
		}
	}
	type listing struct {
		db.Person
		certain bool
	}
	leaves := map[string]listing{}
	var listed []string
	for _, p := range next.people {
		for _, address := range addresses(p) {
			listed = append(listed, address)
			if _, left := o.departed[address]; !left {
				continue
			}
			who := owners[address]
			own := owners[strings.ToLower(p.Email)]
			if own != "" && own != who {
				continue
			}
			l := listing{p, own == who}
			before, again := leaves[who]
			earlier := p.ExitedAt != nil && (before.ExitedAt == nil || p.ExitedAt.Before(*before.ExitedAt))
			same := p.ExitedAt == nil && before.ExitedAt == nil || p.ExitedAt != nil && before.ExitedAt != nil && p.ExitedAt.Equal(*before.ExitedAt)
			if !again || earlier || same && l.certain {
				leaves[who] = l
			}
		}
	}
	for address, d := range o.departed {
		p, again := leaves[strings.ToLower(d.person)]
		left := p.ExitedAt != nil && !p.ExitedAt.After(next.importedAt)
		switch {
		case slices.Contains(listed, address), again && p.certain && p.ExitedAt == nil:
			delete(o.departed, address)
		case again && (p.certain || left):
			o.departed[address] = departure{p.Email, *p.ExitedAt}
		}
	}
}

func addresses(p db.Person) (addresses []string) {
	for _, address := range append([]string{p.Email}, p.Aliases...) {
		addresses = append(addresses, strings.ToLower(address))
	}
	return addresses
}

// evaluate judges the accounts on record by the roster, at a time.
func (o *oracle) evaluate(now time.Time) {
	o.exit, o.mfa, o.dues, o.exits = db.NotEvaluable, db.NotEvaluable, nil, nil
	accounts, unclear, failing := 0, 0, 0 // for the exit monitor
	disabled, untold := 0, 0              // for the other
	for key, a := range o.present {
		if kindOf(key) != "account" {
			continue
		}
		accounts++
		if a.Status == "inactive" {
			continue
		}
		switch {
		case a.MFA == "enabled":
		case a.MFA == "disabled" && a.Status == "active":
			disabled++
		default:
			untold++
		}
		for _, address := range []string{strings.ToLower(a.Email), strings.ToLower(a.Username)} {
			if d, departs := o.departed[address]; departs && d.exited.After(now) {
				o.exits = append(o.exits, d.exited)
			}
		}
		exited, owned, mailed := o.exitOf(a, now)
		employed := exited == nil || exited.After(now)
		switch {
		case !owned, employed && !mailed && a.Email != "":
			unclear++
		case exited == nil:
		case exited.After(now):
			o.exits = append(o.exits, *exited)
		case a.Status == "unknown":
			unclear++
		case exited.Add(grace).After(now):
			o.dues = append(o.dues, exited.Add(grace))
		default:
			failing++
		}
	}
	if o.stale(now) {
		o.dues = nil
		return
	}
	switch {
	case disabled > 0:
		o.mfa = db.Failing
	case accounts > 0 && untold == 0:
		o.mfa = db.Passing
	}
	switch {
	case accounts == 0 || o.roster == nil || now.Sub(o.roster.importedAt) > 7*24*time.Hour:
		o.dues = nil
	case failing > 0:
		o.exit = db.Failing
	case len(o.dues) > 0:
		o.exit = db.Due
	case unclear == 0:
		o.exit = db.Passing
	}
}

// exitOf is when the owner of an account leaves, the first where several know
// it as theirs, whether anybody does, and whether by its e-mail address. An address
// that is nobody's may be of somebody who had left.
func (o *oracle) exitOf(a facts, now time.Time) (exited *time.Time, owned, mailed bool) {
	if o.roster == nil {
		return nil, false, false
	}
	for _, address := range []string{strings.ToLower(a.Email), strings.ToLower(a.Username)} {
		exit, known := o.ownerOf(address, now)
		if !known {
			continue
		}
		owned, mailed = true, mailed || strings.EqualFold(address, a.Email)
		if exit != nil && (exited == nil || exit.Before(*exited)) {
			exited = exit
		}
	}
	return exited, owned, mailed
}

func (o *oracle) ownerOf(address string, now time.Time) (exited *time.Time, known bool) {
	for _, p := range o.roster.people {
		if slices.Contains(addresses(p), address) {
			return p.ExitedAt, true
		}
	}
	d, known := o.departed[address]
	return &d.exited, known && !d.exited.After(now)
}

// monitors are the monitors' states as they must read at a time; none before
// the first sync.
func (o *oracle) monitors(now time.Time) map[string]db.MonitorState {
	if o.startedAt.IsZero() {
		return map[string]db.MonitorState{}
	}
	exit, mfa := o.exit, o.mfa
	for _, due := range o.dues {
		if !due.After(now) {
			exit = db.Failing
		}
	}
	left := func(exit time.Time) bool { return !exit.After(now) }
	if exit == db.Passing && slices.ContainsFunc(o.exits, left) || o.roster != nil && now.Sub(o.roster.importedAt) > 7*24*time.Hour {
		exit = db.NotEvaluable
	}
	if o.stale(now) {
		exit, mfa = db.NotEvaluable, db.NotEvaluable
	}
	return map[string]db.MonitorState{db.AccessRemovedOnExit: exit, db.UserMFAEnabled: mfa}
}

// stale says that what was read is too old at a time to prove anything.
func (o *oracle) stale(now time.Time) bool { return now.Sub(o.startedAt) > 3*every }

func kindOf(key string) string {
	kind, _, _ := strings.Cut(key, "/")
	return kind
}
