package truto

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"

	"jamf-access-review/activities/directory"
)

// maxPages bounds a read whose cursors are always new.
const maxPages = 50_000

// progress is how far a read has come. It is what a Cursor holds.
type progress struct {
	walk
	// Again is how far the list was looked at again, once it was read.
	Again *walk `json:"again,omitempty"`
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

// end is the progress of a read that is whole.
func (at *progress) end() *progress {
	return &progress{Summary: &directory.Summary{Report: report(), Totals: at.Totals, LeftOut: at.LeftOut, GroupsUnread: true}}
}

func parseCursor(cursor directory.Cursor, scope directory.Scope) (*progress, error) {
	at := begin(scope)
	if cursor == "" {
		return at, nil
	}
	err := json.Unmarshal([]byte(cursor), at)
	if err != nil || at.Summary == nil && (at.Next == "" && at.Again == nil || at.Pages <= 0 || at.Totals == nil || at.LeftOut == nil) {
		return nil, inconsistent("the read cannot go on where it stopped; it has to start again")
	}
	return at, nil
}

// cursor returns at as a Cursor. Its fields cannot fail to encode.
func (at *progress) cursor() directory.Cursor {
	b, _ := json.Marshal(at)
	return directory.Cursor(b)
}

// walk is a way along the list, from its beginning.
type walk struct {
	Next  string `json:"next,omitempty"` // Truto's cursor of the next page
	Pages int    `json:"pages,omitempty"`
	Rows  int    `json:"rows,omitempty"` // that were listed, in scope or not
	// IDs is the sum of the rows' hashed ids: the same for the same rows, in
	// whatever order they come.
	IDs   []byte `json:"ids,omitempty"`
	Trail trail  `json:"trail,omitzero"`
}

// take moves on past a page.
func (w *walk) take(page *listing) error {
	w.Pages++
	w.Rows += len(page.Rows)
	for i := range page.Rows {
		w.add(string(page.Rows[i].ID))
	}
	next := string(page.Next)
	switch {
	case page.contradicts(w.Rows):
		return inconsistent("Truto answered another number of users than it says")
	case next != "" && (next == w.Next || w.Trail.crosses(next)):
		return inconsistent("Truto repeats a cursor: its list of users leads back to itself")
	case next != "" && w.Pages >= maxPages:
		return inconsistent("Truto's list of users does not end within %d pages", maxPages)
	}
	w.Next = next
	return nil
}

func (w *walk) add(id string) {
	sum := sha256.Sum256([]byte(id))
	if w.IDs == nil {
		w.IDs = make([]byte, len(sum))
	}
	subtle.XORBytes(w.IDs, w.IDs, sum[:])
}

// met reports whether two walks met the same rows.
func (w *walk) met(other *walk) bool { return w.Rows == other.Rows && bytes.Equal(w.IDs, other.IDs) }

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
