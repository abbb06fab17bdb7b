package jamftest

import (
	"maps"
	"strings"
	"sync"
)

// counters say what a server was asked.
type counters struct {
	mu      sync.Mutex
	byPath  map[string]int
	now     int
	highest int
}

// begin notes a request that is under way until the returned end is called.
func (c *counters) begin() (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	c.highest = max(c.highest, c.now)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
	}
}

func (c *counters) count(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byPath == nil {
		c.byPath = map[string]int{}
	}
	c.byPath[path]++
}

// Requests is how many requests there were for each path. An id in a path is
// written {id}.
func (s *Server) Requests() map[string]int {
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	return maps.Clone(s.counters.byPath)
}

// TokenRequests is how many access tokens were asked for.
func (s *Server) TokenRequests() int {
	n := 0
	for path, count := range s.Requests() {
		if strings.HasSuffix(path, "/oauth/token") {
			n += count
		}
	}
	return n
}

// MaxConcurrent is the most requests that were under way at once.
func (s *Server) MaxConcurrent() int {
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	return s.counters.highest
}
