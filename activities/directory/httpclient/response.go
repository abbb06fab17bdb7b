package httpclient

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
)

// Request is one request to a Client's server.
type Request struct {
	Method string // GET when empty
	URL    *url.URL
	Header http.Header
	Body   []byte
	// Repeatable marks a request other than a GET that does no harm when it
	// is sent twice. Others are sent once.
	Repeatable bool
	// Shown is what errors call URL, where its path may not be shown.
	Shown string
}

// Response is a whole answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// URL is the address that was asked, as it may be shown.
	URL string
}

// IsHTML reports whether the body is markup, whatever its type says.
func (r *Response) IsHTML() bool {
	body := bytes.TrimPrefix(r.Body, []byte("\ufeff"))
	return bytes.HasPrefix(bytes.TrimSpace(body[:min(len(body), 512)]), []byte("<"))
}

// Describe says in words what was answered, and quotes nothing of it.
func (r *Response) Describe() string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.IsHTML():
		kind = "text/html"
	case err != nil:
		kind = "without a content type"
	case !slices.Contains([]string{"application/json", "application/problem+json", "application/xml", "text/plain", "text/xml"}, kind):
		kind = "of another content type"
	}
	return fmt.Sprintf("HTTP %d %s", r.Status, kind)
}
