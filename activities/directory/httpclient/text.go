package httpclient

import (
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
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = storable(s)
	default:
		*t = storable(string(b))
	}
	return nil
}

// storable drops what a text column cannot hold, and what is too long.
func storable(s string) Text {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, string(utf8.RuneError)), "\x00", "")
	if utf8.RuneCountInString(s) > MaxTextRunes {
		s = string([]rune(s)[:MaxTextRunes])
	}
	return Text(s)
}
