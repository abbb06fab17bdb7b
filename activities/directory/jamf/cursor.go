package jamf

import (
	"encoding/json"
	"slices"

	"jamf-access-review/activities/directory"
)

// progress is where a read has got to: in a section, which is a kind, and how
// far within it. It is what a Cursor holds.
type progress struct {
	Section directory.Kind `json:"section,omitempty"`
	Done    int            `json:"done,omitempty"`    // users of the section that were emitted
	Total   *int           `json:"total,omitempty"`   // users of the section, once known
	Size    int            `json:"size,omitempty"`    // page size: pages of another size start elsewhere
	Classic bool           `json:"classic,omitempty"` // read from the Classic API
	Order   order          `json:"order,omitzero"`
	// Ends are the ids that ended the section's pages. End users' are not
	// kept: there can be a thousand pages of them.
	Ends []string `json:"ends,omitempty"`
	// Groupless says that an account of the section has its access from groups
	// and is in none of those that were read before it.
	Groupless bool `json:"groupless,omitempty"`
	// Privileges says that accounts were read with theirs.
	Privileges bool `json:"privileges,omitempty"`
	// Survey identifies what users are made of besides their own entries, so
	// that all of one read are made of the same.
	Survey string `json:"survey,omitempty"`
	// Totals are those of the sections before.
	Totals map[directory.Kind]int `json:"totals,omitempty"`
	// Summary is set once everything was emitted.
	Summary *directory.Summary `json:"summary,omitempty"`
}

func parseCursor(cursor directory.Cursor) (*progress, error) {
	at := &progress{}
	if cursor == "" {
		at.Section = directory.Kinds()[0]
	} else if err := json.Unmarshal([]byte(cursor), at); err != nil {
		return nil, inconsistent("the read cannot go on where it stopped; it has to start again")
	}
	known := slices.Contains(directory.Kinds(), at.Section)
	if at.Summary == nil && (!known || at.Done < 0 || at.Size < 0 || at.Total != nil && (at.Size == 0 || *at.Total < at.Done)) {
		return nil, inconsistent("the read cannot go on where it stopped; it has to start again")
	}
	if at.Totals == nil {
		at.Totals = map[directory.Kind]int{}
	}
	return at, nil
}

// cursor returns at as a Cursor. Its fields cannot fail to encode.
func (at *progress) cursor() directory.Cursor {
	b, _ := json.Marshal(at)
	return directory.Cursor(b)
}

// enter returns the beginning of a section.
func (at *progress) enter(section directory.Kind, size int) *progress {
	return &progress{Section: section, Size: size, Totals: at.Totals, Survey: at.Survey, Privileges: at.Privileges}
}
