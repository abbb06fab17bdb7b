package activities_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
)

// source is the simulated source of a history, and what it truly has: every
// change is made to both.
type source interface {
	simulated
	scope() directory.Scope
	// truth is what a review must know of the directory at this moment.
	truth() truth
	// accounts are those in whom a roster is interested, by id.
	accounts() []person
	// firstPage are the ids on the first of several pages of the list; none
	// where there is one page only.
	firstPage() []int

	// change changes anything, changeOne only one account or those in it.
	change(*rand.Rand)
	changeOne(*rand.Rand)
	addOne(*rand.Rand)
	// changePrivileges changes what may be read, and says to what.
	changePrivileges(*rand.Rand) string
	// unreadable reports whether a sync cannot succeed, whatever is tried.
	unreadable() bool
	// isRejected reports whether the credentials on record are, and renewed
	// says whether those of renew took their place.
	isRejected() bool
	renewed(accepted bool)

	// lists are the paths of the lists of each kind.
	lists() map[string]string
	// passing is a fault, and lie an answer, that a sync survives if it comes
	// once; lastingLie and outage are such that last.
	passing(*rand.Rand) *faults.Fault
	lie(*rand.Rand) func(*http.Request) *faults.Fault
	lastingLie(*rand.Rand) faults.Func
	outage(*rand.Rand) faults.Func
	// disturbances are those of this sort of source alone.
	disturbances() []disturbance
}

// person is the owner of an account.
type person struct {
	id                    int
	username, email, name string
	administers           bool
}

// newSource makes one source in three a Truto.
func newSource(seed uint64) source {
	r := rand.New(rand.NewPCG(seed, 2))
	if seed%3 == 0 {
		return newTrutoSource(r)
	}
	return newJamfSource(r)
}

func scopeOf(everyone bool) directory.Scope {
	if everyone {
		return directory.ScopeEveryone
	}
	return directory.ScopeAdmins
}

// of makes one fault of several.
func of(r *rand.Rand, all ...*faults.Fault) *faults.Fault { return all[r.IntN(len(all))] }

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
