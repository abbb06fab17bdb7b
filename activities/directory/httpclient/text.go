package httpclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// MaxTextRunes bounds every Text, so that a hostile source cannot fill a
// database with one field.
const MaxTextRunes = 1000

// Text is a string in JSON, or a number or boolean where a string is due; null
// and absent are "". It holds only what PostgreSQL can store.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case 'n':
		*t = ""
	case '{', '[':
		return errors.New("not a value of the expected shape")
	case '"':
		// Most strings have no escapes and need not be decoded once more.
		s := string(b[1 : len(b)-1])
		if bytes.IndexByte(b, '\\') >= 0 {
			if err := json.Unmarshal(b, &s); err != nil {
				return err
			}
		}
		*t = storable(s)
	default:
		*t = storable(string(b))
	}
	return nil
}

// storable drops what a text column cannot hold, and what is too long.
func storable(s string) Text {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	if len(s) <= MaxTextRunes {
		return Text(s)
	}
	runes := 0
	for i := range s {
		if runes == MaxTextRunes {
			return Text(s[:i])
		}
		runes++
	}
	return Text(s)
}
