// Package trutotest is a simulated Truto: what an access review asks of its
// API, over real HTTP, with the habits, the rates and the faults of the real
// one. Tests use it, and so does the demonstration.
package trutotest

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/loopback"
)

// Config says what a Server starts with. The zero Config is a Truto with one
// integrated account of an empty Jamf Pro.
type Config struct {
	// APIToken is "token" by default.
	APIToken string
	// Account is the id of the first integrated account, DefaultAccount by
	// default.
	Account string
	// PerAccount and PerToken are how many requests Span allows: 50 and 500
	// in 10 s by default.
	PerAccount, PerToken int
	Span                 time.Duration
}

// DefaultAccount is the id of the first integrated account unless it is given
// another.
const DefaultAccount = "6f1b3a52-8c1e-4f0d-9a77-0d6a2b9c1e45"

// Server is a simulated Truto. It is an http.Handler, and its methods, and
// those of its accounts, may be called at any time, concurrently and while it
// serves. It has the methods of its first integrated account.
type Server struct {
	*Account
	cfg   Config
	mux   *http.ServeMux
	fault atomic.Pointer[faults.Func]

	mu       *sync.Mutex
	accounts map[string]*Account
	tokens   map[string]bool
	links    map[string]*Account // by link token not used yet
	windows  map[string]*window
	counters counters
}

// New returns a Server with one integrated account.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, mu: &sync.Mutex{},
		accounts: map[string]*Account{},
		tokens:   map[string]bool{cfg.APIToken: true},
		links:    map[string]*Account{},
		windows:  map[string]*window{},
		counters: counters{byPath: map[string]int{}, byStatus: map[int]int{}},
	}
	s.mux = s.routes()
	s.Account = s.AddAccount(cfg.Account)
	return s
}

func (c Config) withDefaults() Config {
	if c.APIToken == "" {
		c.APIToken = "token"
	}
	if c.Account == "" {
		c.Account = DefaultAccount
	}
	if c.PerAccount <= 0 {
		c.PerAccount = 50
	}
	if c.PerToken <= 0 {
		c.PerToken = 500
	}
	if c.Span <= 0 {
		c.Span = 10 * time.Second
	}
	return c
}

// AddAccount adds an integrated account of an empty Jamf Pro.
func (s *Server) AddAccount(id string) *Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &Account{mu: s.mu, id: id, status: Active, integration: "jamf"}
	s.accounts[id] = a
	return a
}

// AddToken makes another API token good.
func (s *Server) AddToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = true
}

// RevokeToken makes an API token good no more.
func (s *Server) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// Authorise does what a person does with a link token in Truto's dialogue: the
// account is active again. A link token does so once.
func (s *Server) Authorise(linkToken string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.links[linkToken]
	if a == nil {
		return false
	}
	delete(s.links, linkToken)
	a.accept()
	return true
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.begin(r)()
	seen := &statusWriter{ResponseWriter: w}
	defer func() { s.end(seen.status) }()
	if fault := s.fault.Load(); fault != nil && *fault != nil {
		if f := (*fault)(r); f != nil {
			f.Serve(seen, r, http.HandlerFunc(s.serve))
			return
		}
	}
	s.serve(seen, r)
}

// Listen serves on address, such as "127.0.0.1:0", until the returned stop is
// called, and returns the base URL to connect to.
func (s *Server) Listen(address string) (base *url.URL, stop func() error, err error) {
	return loopback.Listen(address, s)
}
