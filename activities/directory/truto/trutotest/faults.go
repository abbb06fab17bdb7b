package trutotest

import (
	"encoding/json"
	"net/http"

	"jamf-access-review/activities/directory/faults"
)

// UsersPath is where users are listed; a user's id follows after a slash.
const UsersPath = "/unified/user-directory/users"

// SetFault makes requests go wrong; nil ends that.
func (s *Server) SetFault(f faults.Func) { s.fault.Store(&f) }

// OnList makes requests for a page of the list go wrong.
func OnList(f *faults.Fault) faults.Func {
	return func(r *http.Request) *faults.Fault {
		if r.URL.Path == UsersPath {
			return f
		}
		return nil
	}
}

// OnPage makes requests for the page of the list that begins after so many
// users go wrong.
func OnPage(after int, f *faults.Fault) faults.Func {
	return func(r *http.Request) *faults.Fault {
		at, ok := parsePlace(r.URL.Query().Get("next_cursor"))
		if r.URL.Path == UsersPath && ok && at.offset == after {
			return f
		}
		return nil
	}
}

// Refused is Truto's own no.
func Refused(status int) *faults.Fault { return refusal(status, false) }

// Remote is the no of the provider behind Truto.
func Remote(status int) *faults.Fault { return refusal(status, true) }

func refusal(status int, remote bool) *faults.Fault {
	b, _ := json.Marshal(refused(status, remote).body)
	return faults.Answer(status, string(b), "Content-Type", "application/json")
}

// HTML is an answer of markup.
func HTML(status int) *faults.Fault {
	return faults.Answer(status, "<html><body>"+http.StatusText(status)+"</body></html>", "Content-Type", "text/html")
}

// Set changes one thing in a good answer; nil takes it away.
func Set(key string, value any) *faults.Fault {
	return faults.Rewritten(func(body map[string]any) {
		if body[key] = value; value == nil {
			delete(body, key)
		}
	})
}

// NoEntries answers an empty list that says that it is the whole one.
func NoEntries() *faults.Fault {
	return faults.Rewritten(func(body map[string]any) {
		body["result"], body["result_count"], body["next_cursor"] = []any{}, 0, nil
	})
}

// FirstPageNext has a page lead to the first one.
func FirstPageNext() *faults.Fault { return Set("next_cursor", place{}.cursor()) }

// EmptyList answers no users, at the end of the list, under the true count.
func EmptyList() *faults.Fault {
	return faults.Rewritten(func(body map[string]any) { body["result"], body["next_cursor"] = []any{}, nil })
}
