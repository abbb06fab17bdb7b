package truto

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"jamf-access-review/activities/directory"
)

// maxPages bounds a read whose cursors are always new.
const maxPages = 50_000

// progress is how far a read has come. It is what a Cursor holds.
type progress struct {
	Next  string `json:"next,omitempty"` // Truto's cursor of the next page
	Pages int    `json:"pages,omitempty"`
	Rows  int    `json:"rows,omitempty"` // that were listed, in scope or not
	Trail trail  `json:"trail,omitzero"`
	// Totals and LeftOut are what the Summary will have.
	Totals  map[directory.Kind]int `json:"totals,omitempty"`
	LeftOut map[string]int         `json:"left_out,omitempty"`
	// Summary is set once everything was emitted.
	Summary *directory.Summary `json:"summary,omitempty"`
}

func begin(scope directory.Scope) *progress {
	at := &progress{Totals: map[directory.Kind]int{directory.Account: 0}, LeftOut: map[string]int{}}
	if scope == directory.ScopeEveryone {
		at.Totals[directory.EndUser] = 0
	}
	return at
}

func parseCursor(cursor directory.Cursor, scope directory.Scope) (*progress, error) {
	at := begin(scope)
	if cursor == "" {
		return at, nil
	}
	err := json.Unmarshal([]byte(cursor), at)
	if err != nil || at.Summary == nil && (at.Next == "" || at.Pages <= 0 || at.Totals == nil || at.LeftOut == nil) {
		return nil, inconsistent("the read cannot go on where it stopped; it has to start again")
	}
	return at, nil
}

// cursor returns at as a Cursor. Its fields cannot fail to encode.
func (at *progress) cursor() directory.Cursor {
	b, _ := json.Marshal(at)
	return directory.Cursor(b)
}

// take moves on past a page.
func (at *progress) take(page *listing) error {
	at.Pages++
	at.Rows += len(page.Rows)
	next := string(page.Next)
	switch {
	case page.contradicts(at.Rows):
		return inconsistent("Truto answered another number of users than it says")
	case next != "" && (next == at.Next || at.Trail.crosses(next)):
		return inconsistent("Truto repeats a cursor: its list of users leads back to itself")
	case next != "" && at.Pages >= maxPages:
		return inconsistent("Truto's list of users does not end within %d pages", maxPages)
	}
	at.Next = next
	return nil
}

// trail notices cursors that lead in a circle, however long it is and across
// resumptions, without remembering them all. This is Brent's way: one cursor
// is marked, and replaced after one step, two, four and so on; once the mark
// lies on the circle and the steps are as many as its length, it is met again.
type trail struct {
	Mark  string `json:"mark,omitempty"` // a hash: cursors may be long
	Steps int    `json:"steps,omitempty"`
	Span  int    `json:"span,omitempty"`
}

func (t *trail) crosses(cursor string) bool {
	sum := sha256.Sum256([]byte(cursor))
	hash := hex.EncodeToString(sum[:12])
	if hash == t.Mark {
		return true
	}
	if t.Steps++; t.Steps >= t.Span {
		*t = trail{Mark: hash, Span: max(1, 2*t.Span)}
	}
	return false
}
