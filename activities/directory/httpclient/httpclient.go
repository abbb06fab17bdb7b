// Package httpclient is what every source over HTTP needs: few requests at
// once, retries that keep to the server's own hint, bounded answers, and
// errors in words that hold nothing but the address.
package httpclient

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
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

// Close lets go of idle connections at once, rather than after a while.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Base returns a copy of the address the client was made for.
func (c *Client) Base() *url.URL { return new(*c.cfg.Base) }

// Requests is how many requests were sent so far, retries and redirects
// included.
func (c *Client) Requests() int { return int(c.requests.Load()) }

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
	e := &exchange{client: c, url: cmp.Or(r.Shown, c.shown(r.URL)), repeatable: r.Repeatable || r.Method == "" || r.Method == http.MethodGet}
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
	req.Header.Set("Cache-Control", "no-cache") // what was true a while ago proves nothing now
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
