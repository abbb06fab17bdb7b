package trutotest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// UsersPath is where users are listed; a user's id follows after a slash.
const UsersPath = "/unified/user-directory/users"

// Fault is how one request goes wrong. Of its fields, the first that is set
// says how.
type Fault struct {
	// Reset cuts the connection without an answer.
	Reset bool
	// Status answers with Header and Body instead.
	Status int
	Header http.Header
	Body   string
	// Keep answers only this many bytes of the body, then cuts the connection.
	Keep int
	// Rewrite changes the body of a good answer.
	Rewrite func(map[string]any)
}

// FaultFunc decides about each request, before it is answered; nil lets it
// be. It may change the server.
type FaultFunc func(*http.Request) *Fault

// SetFault makes requests go wrong; nil ends that.
func (s *Server) SetFault(f FaultFunc) { s.fault.Store(&f) }

// On makes every request whose path begins with path go wrong.
func On(path string, f *Fault) FaultFunc {
	return func(r *http.Request) *Fault {
		if strings.HasPrefix(r.URL.Path, path) {
			return f
		}
		return nil
	}
}

// OnList makes requests for a page of the list go wrong.
func OnList(f *Fault) FaultFunc {
	return func(r *http.Request) *Fault {
		if r.URL.Path == UsersPath {
			return f
		}
		return nil
	}
}

// Times returns f for the first n requests that f is about.
func (f FaultFunc) Times(n int) FaultFunc {
	var seen atomic.Int64
	return func(r *http.Request) *Fault {
		if fault := f(r); fault != nil && seen.Add(1) <= int64(n) {
			return fault
		}
		return nil
	}
}

// After returns f without the first n requests that f is about.
func (f FaultFunc) After(n int) FaultFunc {
	var seen atomic.Int64
	return func(r *http.Request) *Fault {
		if fault := f(r); fault != nil && seen.Add(1) > int64(n) {
			return fault
		}
		return nil
	}
}

// Any returns the first fault that one of fs has for a request.
func Any(fs ...FaultFunc) FaultFunc {
	return func(r *http.Request) *Fault {
		for _, f := range fs {
			if fault := f(r); fault != nil {
				return fault
			}
		}
		return nil
	}
}

// Answer is any answer, with headers in pairs of name and value.
func Answer(status int, body string, headers ...string) *Fault {
	f := &Fault{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
	for i := 0; i+1 < len(headers); i += 2 {
		f.Header.Set(headers[i], headers[i+1])
	}
	return f
}

// Refused is Truto's own no.
func Refused(status int) *Fault { return refusal(status, false) }

// Remote is the no of the provider behind Truto.
func Remote(status int) *Fault { return refusal(status, true) }

func refusal(status int, remote bool) *Fault {
	b, _ := json.Marshal(refused(status, remote).body)
	return Answer(status, string(b))
}

// HTML is an answer of markup.
func HTML(status int) *Fault {
	return Answer(status, "<html><body>"+http.StatusText(status)+"</body></html>", "Content-Type", "text/html")
}

// Busy asks to come back after a number of seconds.
func Busy(status, seconds int) *Fault {
	return Answer(status, "{}", "Retry-After", strconv.Itoa(seconds))
}

// Reset cuts the connection.
func Reset() *Fault { return &Fault{Reset: true} }

// Truncated breaks the answer off.
func Truncated() *Fault { return &Fault{Keep: 20} }

// RedirectTo sends the client elsewhere.
func RedirectTo(location string) *Fault {
	return Answer(http.StatusFound, "", "Location", location)
}

// Set changes one thing in a good answer; nil takes it away.
func Set(key string, value any) *Fault {
	return &Fault{Rewrite: func(body map[string]any) {
		if body[key] = value; value == nil {
			delete(body, key)
		}
	}}
}

// EmptyList answers no users, at the end of the list, under the true count.
func EmptyList() *Fault {
	return &Fault{Rewrite: func(body map[string]any) { body["result"], body["next_cursor"] = []any{}, nil }}
}

func (f *Fault) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch {
	case f.Reset:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		for name, values := range f.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(f.Status)
		io.WriteString(w, f.Body)
		return
	}
	good := &recorder{header: w.Header(), status: http.StatusOK}
	next.ServeHTTP(good, r)
	body := good.body.Bytes()
	if f.Rewrite != nil && good.status == http.StatusOK {
		body = rewritten(body, f.Rewrite)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(good.status)
	if f.Keep == 0 {
		w.Write(body)
		return
	}
	w.Write(body[:min(f.Keep, len(body))])
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func rewritten(body []byte, change func(map[string]any)) []byte {
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return body
	}
	change(object)
	out, _ := json.Marshal(object)
	return out
}

// recorder keeps an answer until it is known what becomes of it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
