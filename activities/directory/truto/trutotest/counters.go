package trutotest

import (
	"maps"
	"net/http"
	"strings"
)

// counters say what a server was asked, and how it answered.
type counters struct {
	byPath       map[string]int
	byStatus     map[int]int
	now, highest int
}

// begin notes a request that is under way until the returned end is called.
func (s *Server) begin(r *http.Request) (end func()) {
	path := r.URL.Path
	if _, pattern := s.mux.Handler(r); pattern != "/" {
		_, path, _ = strings.Cut(pattern, " ")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.counters
	c.byPath[path]++
	c.now++
	c.highest = max(c.highest, c.now)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counters.now--
	}
}

func (s *Server) end(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counters.byStatus[status]++
}

// Requests is how many requests there were for each path. An id in a path is
// written {id}.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counters.byPath)
}

// Answered is how many requests were answered with a status.
func (s *Server) Answered(status int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters.byStatus[status]
}

// MaxConcurrent is the most requests that were under way at once.
func (s *Server) MaxConcurrent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters.highest
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
