// Package jamftest is a simulated Jamf Pro: what an access review reads of
// one, over real HTTP, with the habits and the faults of a real server. Tests
// use it, and so does the demonstration.
package jamftest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/loopback"
)

// Config says what a Server starts with. The zero Config is a new server with
// one API client that may read everything.
type Config struct {
	// ClientID and ClientSecret are those of the first API client: "client"
	// and "secret" by default.
	ClientID, ClientSecret string
	// Release is Modern by default.
	Release *Release
	// ContextPath is what the server's paths begin with, such as "/jamf".
	ContextPath string
	// Latency is how long each answer takes at least.
	Latency time.Duration
}

// Server is a simulated Jamf Pro. It is an http.Handler, and its methods may
// be called at any time, concurrently and while it serves.
type Server struct {
	contextPath string
	latency     atomic.Int64
	mux         *http.ServeMux
	counters    counters
	fault       atomic.Pointer[faults.Func]

	mu       sync.Mutex
	release  Release
	accounts table[Account]
	groups   table[Group]
	sites    table[Site]
	clients  table[Client]
	roles    table[Role]
	endUsers endUsers
	sso      SSO
	tokens   map[string]issued
	turn     int // for what comes in another order each time
}

// New returns a Server with the standard API client.
func New(cfg Config) *Server {
	s := &Server{
		contextPath: strings.TrimSuffix(cfg.ContextPath, "/"),
		release:     Modern(),
		tokens:      map[string]issued{},
	}
	if cfg.Release != nil {
		s.release = *cfg.Release
	}
	s.SetLatency(cfg.Latency)
	s.mux = s.routes()
	s.AddRole(Role{DisplayName: reviewRole, Privileges: Privileges()})
	s.AddClient(Client{
		DisplayName: "Access review",
		ClientID:    orDefault(cfg.ClientID, "client"),
		Secret:      orDefault(cfg.ClientSecret, "secret"),
		Roles:       []string{reviewRole},
	})
	return s
}

// reviewRole is the API role of the first API client.
const reviewRole = "Access review"

// Privileges are all that an access review needs.
func Privileges() []string {
	return []string{
		"Read Accounts", "Read Account Groups", "Read SSO Settings",
		"Read API Integrations", "Read API Roles", "Read Sites", "Read User",
	}
}

// SetPrivileges replaces the privileges of the first API client.
func (s *Server) SetPrivileges(privileges ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.roles.ids {
		if role := s.roles.rows[id]; role.DisplayName == reviewRole {
			role.Privileges = privileges
			s.roles.rows[id] = role
		}
	}
}

// Revoke takes privileges from the first API client.
func (s *Server) Revoke(privileges ...string) {
	var left []string
	for _, held := range Privileges() {
		if !slices.Contains(privileges, held) {
			left = append(left, held)
		}
	}
	s.SetPrivileges(left...)
}

// SetLatency sets how long each answer takes at least.
func (s *Server) SetLatency(d time.Duration) { s.latency.Store(int64(d)) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.counters.begin()()
	path, ok := strings.CutPrefix(r.URL.Path, s.contextPath)
	if !ok || !strings.HasPrefix(path, "/") {
		s.counters.count("elsewhere")
		writeHTML(w, http.StatusNotFound, http.StatusText(http.StatusNotFound))
		return
	}
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath = path, ""
	_, pattern := s.mux.Handler(r)
	s.counters.count(pathOf(pattern, path))

	if wait := time.Duration(s.latency.Load()); wait > 0 {
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
	}
	if fault := s.fault.Load(); fault != nil && *fault != nil {
		if f := (*fault)(r); f != nil {
			f.Serve(w, r, http.HandlerFunc(s.serve))
			return
		}
	}
	s.serve(w, r)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.mux.Handler(r); pattern == "" || s.lacks(r.URL.Path) {
		notFound().write(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

func (s *Server) lacks(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release.lacks(path)
}

// pathOf is what a request is counted under: its path, with {id} for an id.
func pathOf(pattern, path string) string {
	if _, p, ok := strings.Cut(pattern, " "); ok {
		return p
	}
	return path
}

// Listen serves on address, such as "127.0.0.1:0", until the returned stop is
// called, and returns the base URL to connect to.
func (s *Server) Listen(address string) (base *url.URL, stop func() error, err error) {
	base, stop, err = loopback.Listen(address, s)
	if err != nil {
		return nil, nil, err
	}
	base.Path = s.contextPath
	return base, stop, nil
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
