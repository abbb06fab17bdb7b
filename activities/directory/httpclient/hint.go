package httpclient

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxHint keeps an absurd hint from overflowing or parking a sync for good.
const maxHint = 24 * time.Hour

// waitHint is how long the server asked to be left alone, 0 when it did not
// say or the time has come.
func waitHint(h http.Header, now time.Time) time.Duration {
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if wait, ok := seconds(v); ok {
			return wait
		}
		if at, err := http.ParseTime(v); err == nil {
			return clampHint(at.Sub(now))
		}
	}
	if v := strings.TrimSpace(h.Get("X-RateLimit-Reset")); v != "" {
		if unix, err := strconv.ParseInt(v, 10, 64); err == nil {
			return clampHint(time.Unix(unix, 0).Sub(now))
		}
	}
	return 0
}

func seconds(v string) (time.Duration, bool) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, false
	}
	n = min(n, int64(maxHint/time.Second))
	return clampHint(time.Duration(max(n, 0)) * time.Second), true
}

func clampHint(d time.Duration) time.Duration { return min(max(d, 0), maxHint) }
