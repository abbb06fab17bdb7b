package httpclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"golang.org/x/sync/semaphore"
)

const defaultLimit = 5

// Limiter bounds how many requests are at a server at once, across all
// clients that share it. It remembers a server only while somebody asks it
// something.
type Limiter struct {
	limit int

	mu    sync.Mutex
	hosts map[string]*host
}

// NewLimiter returns a Limiter of perHost requests at once; 5 when it is 0.
func NewLimiter(perHost int) *Limiter {
	if perHost <= 0 {
		perHost = defaultLimit
	}
	return &Limiter{limit: perHost, hosts: map[string]*host{}}
}

// host is one server's share. A request takes up weight of its limit: a busy
// server doubles the weight, which halves how many fit, and each answer that
// is not busy takes one off again.
type host struct {
	users int // guarded by Limiter.mu
	sem   *semaphore.Weighted

	mu     sync.Mutex
	limit  int64
	weight int64
}

// hold returns the server's share and keeps it remembered until drop.
func (l *Limiter) hold(name string) *host {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.hosts[name]
	if h == nil {
		h = &host{sem: semaphore.NewWeighted(int64(l.limit)), limit: int64(l.limit), weight: 1}
		l.hosts[name] = h
	}
	h.users++
	return h
}

func (l *Limiter) drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.hosts[name]; h.users > 1 {
		h.users--
	} else {
		delete(l.hosts, name)
	}
}

func (h *host) acquire(ctx context.Context) (release func(), err error) {
	h.mu.Lock()
	weight := h.weight
	h.mu.Unlock()
	if err := h.sem.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { h.sem.Release(weight) }, nil
}

func (h *host) answered(busy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if busy {
		h.weight = min(2*h.weight, h.limit)
	} else {
		h.weight = max(h.weight-1, 1)
	}
}

// limited is the transport of one try: it waits until its turn has come, then
// for a place at the server, and keeps that until the body is closed. A turn
// comes first, so that whoever waits for one takes no place from others. The
// timeout starts once the place is found, since waiting for one is not the
// server's fault.
type limited struct {
	client *Client
	next   http.RoundTripper
}

func (t *limited) RoundTrip(req *http.Request) (*http.Response, error) {
	limiter, server := t.client.cfg.Limiter, t.client.server
	answered, err := t.client.cfg.Pace(req)
	if err != nil {
		return nil, unsent(req, err)
	}
	host := limiter.hold(server)
	release, err := host.acquire(req.Context())
	if err != nil {
		answered(nil)
		limiter.drop(server)
		return nil, unsent(req, err)
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), t.client.cfg.Timeout, errTimeout)
	done := sync.OnceFunc(func() {
		cancel()
		release()
		limiter.drop(server)
	})

	t.client.requests.Add(1)
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	answered(resp)
	if err != nil {
		t.client.cfg.Observer.Answered(0)
		err = timedOut(ctx, err)
		done()
		return nil, err
	}
	t.client.cfg.Observer.Answered(resp.StatusCode)
	host.answered(resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500)
	resp.Body = &heldBody{ReadCloser: resp.Body, ctx: ctx, done: done}
	return resp, nil
}

// unsent closes the body of a request that is not sent, as every transport
// has to, and returns why it is not.
func unsent(req *http.Request, why error) error {
	if req.Body != nil {
		req.Body.Close()
	}
	return why
}

// CloseIdleConnections lets http.Client's own method reach the transport.
func (t *limited) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// heldBody ends a try when it is closed.
type heldBody struct {
	io.ReadCloser
	ctx  context.Context
	done func()
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = timedOut(b.ctx, err)
	}
	return n, err
}

func (b *heldBody) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return err
}

func timedOut(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		return errTimeout
	}
	return err
}
