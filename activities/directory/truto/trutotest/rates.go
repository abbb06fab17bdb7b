package trutotest

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// window counts the requests of a fixed span, which begins with the first of
// them.
type window struct {
	ends time.Time
	used int
}

// admit counts a request towards the rates of its account and its API token,
// and says in the header which of them is closer to its end.
func (s *Server) admit(h http.Header, token, account string) bool {
	now := time.Now()
	limit, scarce := s.cfg.PerToken, s.take("token "+token, now)
	if account != "" {
		w := s.take("account "+account, now)
		if s.cfg.PerAccount-w.used <= limit-scarce.used {
			limit, scarce = s.cfg.PerAccount, w
		}
	}
	reset := scarce.ends.Sub(now).Seconds()
	h.Set("ratelimit-limit", strconv.Itoa(limit))
	h.Set("ratelimit-remaining", strconv.Itoa(max(limit-scarce.used, 0)))
	h.Set("ratelimit-reset", s.seconds(reset))
	if scarce.used > limit {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(reset))))
		return false
	}
	return true
}

// seconds is whole, as Truto writes it, unless spans are shorter than that.
func (s *Server) seconds(n float64) string {
	if s.cfg.Span < time.Second {
		return strconv.FormatFloat(n, 'f', 3, 64)
	}
	return strconv.Itoa(int(math.Ceil(n)))
}

func (s *Server) take(key string, now time.Time) *window {
	w := s.windows[key]
	if w == nil || !now.Before(w.ends) {
		w = &window{ends: now.Add(s.cfg.Span)}
		s.windows[key] = w
	}
	w.used++
	return w
}
