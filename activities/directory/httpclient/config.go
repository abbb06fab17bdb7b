package httpclient

import (
	"net/http"
	"net/url"
	"time"
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

func (noObserver) Answered(int) {}

func (noObserver) Waits(time.Duration) {}

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
