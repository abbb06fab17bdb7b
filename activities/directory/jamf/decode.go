package jamf

import (
	"errors"
	"strings"

	"jamf-access-review/activities/directory/httpclient"
)

var errShape = errors.New("not a value of the expected shape")

// text is what the API writes where a string is due.
type text = httpclient.Text

// flag is a boolean that may be unknown.
type flag struct{ value *bool }

func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true":
		f.value = new(true)
	case "false":
		f.value = new(false)
	case "null", "":
		f.value = nil
	default:
		return errShape
	}
	return nil
}

// validID reports whether an id can be asked for and kept as it is.
func validID(id text) bool { return id != "" && len(id) <= 64 && httpclient.IsWord(string(id), "-_") }

// compareIDs orders numeric ids by value, before all others.
func compareIDs(a, b string) int {
	aNumeric, bNumeric := isNumeric(a), isNumeric(b)
	switch {
	case aNumeric && bNumeric && len(a) != len(b):
		return len(a) - len(b)
	case aNumeric == bNumeric:
		return strings.Compare(a, b)
	case aNumeric:
		return -1
	default:
		return 1
	}
}

// isNumeric reports whether id is a number as Jamf Pro writes it.
func isNumeric(id string) bool {
	for _, r := range id {
		if r < '0' || r > '9' {
			return false
		}
	}
	return id != "" && (id[0] != '0' || id == "0")
}
