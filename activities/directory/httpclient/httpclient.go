// Package httpclient is what every source over HTTP needs: few requests at
// once, retries that keep to the server's own hint, bounded answers, and
// errors in words that hold nothing but the address.
package httpclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"jamf-access-review/activities/directory"
)

const (
	userAgent    = "jamf-access-review"
	maxRedirects = 3
	maxHeader    = 64 << 10
)

// Config says how a Client talks to its server. Only Base is required.
type Config struct {
	// Base names the one server the client talks to. Its path is only kept,
	// for Client.Base.
	Base *url.URL
	// Limiter is shared by all clients of a process. Nil limits this client
	// by itself.
	Limiter *Limiter
	// Timeout bounds one try, from its first byte to the end of the answer's
	// body: 60 s by default.
	Timeout time.Duration
	// MaxTries is how often a request is sent before its failure is
	// reported: 3 by default.
	MaxTries int
	// MinWait is the wait before the second try where the server gives no
	// hint: 500 ms by default.
	MinWait time.Duration
	// MaxWait is the longest wait between two tries: 20 s by default. A
	// server that asks for more is reported as busy at once.
	MaxWait time.Duration
	// MaxBody is the largest body accepted, in bytes: 32 MiB by default.
	MaxBody int64
	// RetryStatuses are the answers that are tried again: 408, 425, 429,
	// 500, 502, 503 and 504 by default.
	RetryStatuses []int
	// GuardAddresses refuses to connect to addresses that no source has, but
	// this machine or its cloud may: link-local, multicast, unspecified and
	// metadata addresses, and loopback unless Base is on loopback itself.
	// Private networks are allowed. A proxy from the environment is not
	// looked at: it is the operator's.
	GuardAddresses bool
	// NoRedirects returns an answer that is a redirect as it is. Otherwise
	// redirects on the same server are followed.
	NoRedirects bool
	// HidePaths leaves the path out of every address that is shown: it is as
	// good as a secret.
	HidePaths bool
	// Pace, if set, is asked before each try, also before one is repeated, and
	// returns once it may be sent, or with the context's error. It must not
	// change the request. What it returns is called once with the answer, or
	// with nil when none came, and may add the hint that the answer lacks to
	// its header.
	Pace func(*http.Request) (answered func(*http.Response), err error)
	// Observer, if set, is told of every try and of every wait for a busy
	// server.
	Observer Observer
}

// Observer is told what becomes of requests, to count them. It is called from
// several goroutines at once.
type Observer interface {
	// Answered is told of each try: the answer's status, or 0 when none came.
	Answered(status int)
	// Waits is told how long the client waits before it asks a server again
	// that answered that it is busy.
	Waits(time.Duration)
}

type noObserver struct{}

func (noObserver) Answered(int)        {}
func (noObserver) Waits(time.Duration) {}

// Client sends requests to one server. It keeps no cookies and logs nothing.
// It is safe for concurrent use.
type Client struct {
	cfg      Config
	http     *http.Client
	server   string // Base's origin
	requests atomic.Int64
}

// New returns a client for cfg.Base's server.
func New(cfg Config) *Client {
	cfg = cfg.withDefaults()
	return newClient(cfg, newTransport(cfg))
}

func newTransport(cfg Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer(cfg),
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           cfg.Limiter.limit,
		MaxIdleConnsPerHost:    cfg.Limiter.limit,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
}

func newClient(cfg Config, transport http.RoundTripper) *Client {
	c := &Client{cfg: cfg, server: origin(cfg.Base)}
	c.http = &http.Client{
		Transport:     &limited{client: c, next: transport},
		CheckRedirect: c.checkRedirect,
	}
	return c
}

func (c Config) withDefaults() Config {
	if c.Limiter == nil {
		c.Limiter = NewLimiter(0)
	}
	if c.Timeout <= 0 {
		c.Timeout = time.Minute
	}
	if c.MaxTries <= 0 {
		c.MaxTries = 3
	}
	if c.MinWait <= 0 {
		c.MinWait = 500 * time.Millisecond
	}
	if c.MaxWait <= 0 {
		c.MaxWait = 20 * time.Second
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 32 << 20
	}
	if c.RetryStatuses == nil {
		c.RetryStatuses = []int{408, 425, 429, 500, 502, 503, 504}
	}
	if c.Pace == nil {
		c.Pace = func(*http.Request) (func(*http.Response), error) { return func(*http.Response) {}, nil }
	}
	if c.Observer == nil {
		c.Observer = noObserver{}
	}
	return c
}

// Close lets go of idle connections at once, rather than after a while.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Base returns a copy of the address the client was made for.
func (c *Client) Base() *url.URL { return new(*c.cfg.Base) }

// Requests is how many requests were sent so far, retries and redirects
// included.
func (c *Client) Requests() int { return int(c.requests.Load()) }

// Request is one request to a Client's server.
type Request struct {
	Method string // GET when empty
	URL    *url.URL
	Header http.Header
	Body   []byte
	// Repeatable marks a request other than a GET that does no harm when it
	// is sent twice. Others are sent once.
	Repeatable bool
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

// Describe says in words what was answered, without its body.
func (r *Response) Describe() string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.IsHTML():
		kind = "text/html"
	case err != nil:
		kind = "without a content type"
	}
	return fmt.Sprintf("HTTP %d %s", r.Status, kind)
}

// Get asks for u.
func (c *Client) Get(ctx context.Context, u *url.URL, header http.Header) (*Response, error) {
	return c.Do(ctx, Request{URL: u, Header: header})
}

// Do sends the request until an answer comes that is not to be retried, and
// returns it whatever its status. Every error is a *directory.Error or the
// context's: Busy when the server asked for patience to the last try or for
// more of it than MaxWait, Unreachable when no answer came, Inconsistent when
// the answer was not whole or too large.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	e := &exchange{client: c, url: c.shown(r.URL), repeatable: r.Repeatable || r.Method == "" || r.Method == http.MethodGet}
	if origin(r.URL) != c.server {
		return nil, directory.Errorf(directory.Unreachable, "%s is not on %s, and nothing else is asked", e.url, c.server)
	}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.Method, r.URL.String(), r.Body)
	if err != nil {
		return nil, directory.Errorf(directory.Unreachable, "%s is not an address that can be asked", e.url)
	}
	for key, values := range r.Header {
		req.Header[key] = values
	}
	req.Header.Set("User-Agent", userAgent)
	req.SetResponseHandler(e.readBody)

	retrier := &retryablehttp.Client{
		HTTPClient:   c.http,
		RetryMax:     c.cfg.MaxTries - 1,
		RetryWaitMin: c.cfg.MinWait,
		RetryWaitMax: 2 * c.cfg.MinWait,
		CheckRetry:   e.checkRetry,
		Backoff:      e.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	// Held across the waits between tries, so that what the server's busyness
	// taught is not forgotten in them.
	c.cfg.Limiter.hold(c.server)
	defer c.cfg.Limiter.drop(c.server)
	resp, err := retrier.Do(req)
	if resp != nil {
		defer resp.Body.Close()
	}
	return e.outcome(ctx, resp, err)
}

// RoundTripper returns an http.RoundTripper over Do for libraries that want
// one. Its requests count as Repeatable.
func (c *Client) RoundTripper() http.RoundTripper { return roundTripper{c} }

type roundTripper struct{ client *Client }

func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	resp, err := t.client.Do(req.Context(), Request{
		Method: req.Method, URL: req.URL, Header: req.Header, Body: body, Repeatable: true,
	})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(resp.Status), StatusCode: resp.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: resp.Header, Request: req,
		Body: io.NopCloser(bytes.NewReader(resp.Body)), ContentLength: int64(len(resp.Body)),
	}, nil
}

// Redact returns u as it may be shown: scheme, host and path.
func Redact(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// Server returns the part of u that names its server.
func Server(u *url.URL) string { return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() }

func (c *Client) shown(u *url.URL) string {
	if c.cfg.HidePaths {
		return Server(u)
	}
	return Redact(u)
}

// origin is what makes two addresses the same server.
func origin(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	switch {
	case port != "":
	case scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if c.cfg.NoRedirects {
		return http.ErrUseLastResponse
	}
	if origin(req.URL) != c.server {
		return &redirectError{to: Server(req.URL)}
	}
	if len(via) > maxRedirects {
		return &redirectError{}
	}
	return nil
}

// exchange is one request and all its tries.
type exchange struct {
	client     *Client
	url        string
	repeatable bool
	body       []byte
	// busySince is when the server first answered that it is busy.
	busySince time.Time
}

func (e *exchange) checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return e.repeatable && passing(err), nil
	case !slices.Contains(e.client.cfg.RetryStatuses, resp.StatusCode):
		return false, nil
	}
	if e.busySince.IsZero() {
		e.busySince = time.Now()
	}
	if waitHint(resp.Header, time.Now()) > e.client.cfg.MaxWait {
		return false, errTooLong
	}
	return e.repeatable, nil
}

func (e *exchange) backoff(minWait, maxWait time.Duration, try int, resp *http.Response) time.Duration {
	wait := min(retryablehttp.LinearJitterBackoff(minWait, maxWait, try, nil), e.client.cfg.MaxWait)
	if resp == nil {
		return wait
	}
	if hint := waitHint(resp.Header, time.Now()); hint > 0 {
		wait = hint
	}
	if slices.Contains(e.client.cfg.RetryStatuses, resp.StatusCode) {
		e.client.cfg.Observer.Waits(wait)
	}
	return wait
}

// readBody is part of a try, so that a body that breaks off is asked for
// again.
func (e *exchange) readBody(resp *http.Response) error {
	if slices.Contains(e.client.cfg.RetryStatuses, resp.StatusCode) {
		return nil
	}
	defer resp.Body.Close()
	limit := e.client.cfg.MaxBody
	if resp.ContentLength > limit {
		return errTooLarge
	}
	var buf bytes.Buffer
	buf.Grow(int(max(resp.ContentLength, 0)) + bytes.MinRead)
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1)); err != nil {
		return &bodyError{err}
	}
	if int64(buf.Len()) > limit {
		return errTooLarge
	}
	e.body = buf.Bytes()
	return nil
}

func (e *exchange) outcome(ctx context.Context, resp *http.Response, err error) (*Response, error) {
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.Is(err, errTooLong):
		return nil, e.explain(err)
	case slices.Contains(e.client.cfg.RetryStatuses, resp.StatusCode):
		busy := directory.Errorf(directory.Busy, "%s answered HTTP %d", e.url, resp.StatusCode)
		busy.RetryAfter = waitHint(resp.Header, time.Now())
		busy.Waited = time.Since(e.busySince)
		return nil, busy
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: e.body, URL: e.url}, nil
}
