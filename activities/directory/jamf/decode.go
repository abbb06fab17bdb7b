package jamf

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"jamf-access-review/activities/directory/httpclient"
)

// maxRunes bounds every text, so that a hostile source cannot fill a database
// with one field.
const maxRunes = 1000

var errShape = errors.New("not a value of the expected shape")

// text is a string, or a number or boolean where a string is due; null and
// absent are "". It holds only what Postgres can store.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case 'n':
		*t = ""
	case '{', '[':
		return errShape
	case '"':
		s := string(b[1 : len(b)-1])
		if bytes.IndexByte(b, '\\') >= 0 {
			if err := json.Unmarshal(b, &s); err != nil {
				return err
			}
		}
		*t = text(clean(s))
	default:
		*t = text(clean(string(b)))
	}
	return nil
}

// clean drops what a text column cannot hold, and what goes beyond maxRunes.
func clean(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	if len(s) <= maxRunes {
		return s
	}
	runes := 0
	for i := range s {
		if runes == maxRunes {
			return s[:i]
		}
		runes++
	}
	return s
}

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
