package httpclient

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxTextRunes bounds every Text, so that a hostile source cannot fill a
// database with one field.
const MaxTextRunes = 1000

// Text is a string in JSON, or a number or boolean where a string is due; null
// and absent are "". It holds only what PostgreSQL can store.
type Text string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (t *Text) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	token, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case 'n':
		*t = ""
	case '"', '0', 't', 'f':
		*t = storable(token.String())
	default:
		return errors.New("not a value of the expected shape")
	}
	return nil
}

// UnmarshalJSON implements json.Unmarshaler: decoded by encoding/json, a Text
// holds the same.
func (t *Text) UnmarshalJSON(b []byte) error { return Decode(b, t) }

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
