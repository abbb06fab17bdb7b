// Package faults makes the answers of a simulated source go wrong, in the ways
// that those of any HTTP server do.
package faults

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// Fault is how one request goes wrong. Of its fields, the first that is set
// says how.
type Fault struct {
	// Reset cuts the connection without an answer.
	Reset bool
	// Status answers with Header and Body instead.
	Status int
	Header http.Header
	Body   string
	// Keep answers only this many bytes of the body, then cuts the
	// connection.
	Keep int
	// Ask changes the request before it is answered.
	Ask func(*http.Request)
	// Rewrite changes the body of a good answer.
	Rewrite func([]byte) []byte
}

// Func decides about each request, before it is answered; nil lets it be. It
// may change the server.
type Func func(*http.Request) *Fault

// On makes every request whose path begins with path go wrong.
func On(path string, f *Fault) Func {
	return func(r *http.Request) *Fault {
		if strings.HasPrefix(r.URL.Path, path) {
			return f
		}
		return nil
	}
}

// Times returns f for the first n requests that f is about.
func (f Func) Times(n int) Func {
	var seen atomic.Int64
	return func(r *http.Request) *Fault {
		if fault := f(r); fault != nil && seen.Add(1) <= int64(n) {
			return fault
		}
		return nil
	}
}

// After returns f without the first n requests that f is about.
func (f Func) After(n int) Func {
	var seen atomic.Int64
	return func(r *http.Request) *Fault {
		if fault := f(r); fault != nil && seen.Add(1) > int64(n) {
			return fault
		}
		return nil
	}
}

// Any returns the first fault that one of fs has for a request.
func Any(fs ...Func) Func {
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
	f := &Fault{Status: status, Header: http.Header{}, Body: body}
	for i := 0; i+1 < len(headers); i += 2 {
		f.Header.Set(headers[i], headers[i+1])
	}
	return f
}

// Busy asks to come back after a number of seconds.
func Busy(status, seconds int) *Fault {
	return Answer(status, "{}", "Content-Type", "application/json", "Retry-After", strconv.Itoa(seconds))
}

// Reset cuts the connection.
func Reset() *Fault { return &Fault{Reset: true} }

// Truncated breaks the answer off.
func Truncated() *Fault { return &Fault{Keep: 20} }

// RedirectTo sends the client elsewhere.
func RedirectTo(location string) *Fault {
	return Answer(http.StatusFound, "", "Location", location)
}

// Rewritten changes the JSON object of a good answer.
func Rewritten(change func(map[string]any)) *Fault {
	return &Fault{Rewrite: func(b []byte) []byte {
		var body map[string]any
		if json.Unmarshal(b, &body) != nil {
			return b
		}
		change(body)
		out, _ := json.Marshal(body)
		return out
	}}
}

// Serve answers a request as the fault says, and next where it lets it.
func (f *Fault) Serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
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
	if f.Ask != nil {
		f.Ask(r)
	}
	good := &recorder{header: w.Header(), status: http.StatusOK}
	next.ServeHTTP(good, r)
	body := good.body.Bytes()
	if f.Rewrite != nil && good.status == http.StatusOK {
		body = f.Rewrite(body)
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

// recorder keeps an answer until it is known what becomes of it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
