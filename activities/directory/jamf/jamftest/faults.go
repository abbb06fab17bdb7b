package jamftest

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
	// connection, or with Stall keeps it open until the client gives up.
	Keep  int
	Stall bool
	// Ask changes the request before it is answered.
	Ask func(*http.Request)
	// Rewrite changes the body of a good answer.
	Rewrite func([]byte) []byte
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

// OnPage makes requests for one page of a list go wrong.
func OnPage(path string, page int, f *Fault) FaultFunc {
	return func(r *http.Request) *Fault {
		if r.URL.Path == path && r.URL.Query().Get("page") == strconv.Itoa(page) {
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
	f := &Fault{Status: status, Header: http.Header{}, Body: body}
	for i := 0; i+1 < len(headers); i += 2 {
		f.Header.Set(headers[i], headers[i+1])
	}
	return f
}

// HTML is an answer of markup.
func HTML(status int, text string) *Fault {
	return Answer(status, page(text), "Content-Type", htmlType)
}

// Maintenance is the page that the edge answers during maintenance.
func Maintenance() *Fault { return HTML(http.StatusServiceUnavailable, "Down for maintenance") }

// Busy asks to come back after a number of seconds.
func Busy(status, seconds int) *Fault {
	return Answer(status, "", "Retry-After", strconv.Itoa(seconds))
}

// Reset cuts the connection.
func Reset() *Fault { return &Fault{Reset: true} }

// Truncated breaks the answer off.
func Truncated() *Fault { return &Fault{Keep: 20} }

// Stalled begins an answer and never ends it.
func Stalled() *Fault { return &Fault{Keep: 20, Stall: true} }

// RedirectTo sends the client elsewhere.
func RedirectTo(location string) *Fault {
	return Answer(http.StatusFound, "", "Location", location)
}

// WrongTotal adds to a list's total.
func WrongTotal(more int) *Fault {
	return rewriteList(func(list map[string]any) {
		if total, ok := list["totalCount"].(float64); ok {
			list["totalCount"] = total + float64(more)
		}
	})
}

// EmptyList answers no entries under a list's true total.
func EmptyList() *Fault {
	return rewriteList(func(list map[string]any) { list["results"] = []any{} })
}

// NoEntries answers an empty list that says that it is the whole one.
func NoEntries() *Fault {
	return rewriteList(func(list map[string]any) { list["results"], list["totalCount"] = []any{}, 0 })
}

// NoMembers answers a group, or groups, as though nobody were in them.
func NoMembers() *Fault {
	return &Fault{Rewrite: func(b []byte) []byte {
		var body any
		if json.Unmarshal(b, &body) != nil {
			return b
		}
		dropMembers(body)
		out, _ := json.Marshal(body)
		return out
	}}
}

func dropMembers(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			dropMembers(item)
		}
	case map[string]any:
		if _, ok := v["members"]; ok {
			v["members"] = []any{}
		}
		for _, item := range v {
			dropMembers(item)
		}
	}
}

// PageInstead answers another page than the one asked for.
func PageInstead(page int) *Fault {
	return &Fault{Ask: func(r *http.Request) {
		q := r.URL.Query()
		q.Set("page", strconv.Itoa(page))
		r.URL.RawQuery = q.Encode()
	}}
}

// Unsorted ignores the order that a list is asked for in.
func Unsorted() *Fault {
	return &Fault{Ask: func(r *http.Request) {
		q := r.URL.Query()
		q.Del("sort")
		r.URL.RawQuery = q.Encode()
	}}
}

func rewriteList(change func(map[string]any)) *Fault {
	return &Fault{Rewrite: func(b []byte) []byte {
		var list map[string]any
		if json.Unmarshal(b, &list) != nil {
			return b
		}
		change(list)
		out, _ := json.Marshal(list)
		return out
	}}
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
	if f.Stall {
		<-r.Context().Done()
	}
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
