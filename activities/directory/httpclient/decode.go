package httpclient

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decode decodes the body of a response: one JSON value of any size. A name counts
// in its exact spelling, and one that comes twice in an object is an error: which of
// two contradictory values is meant nobody could tell.
func Decode(body []byte, into any) error {
	return json.Unmarshal(body, into, jsontext.AllowInvalidUTF8(true))
}
