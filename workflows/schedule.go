package workflows

import (
	"hash/fnv"
	"time"
)

// nextSync is when a connection that has just synced does so again by itself.
// Each connection keeps its own beat: moments one interval apart, shifted by a
// share of the interval that depends on its name alone. So connections made at
// once, or held up together by an outage, do not sync together. A beat that
// comes within half an interval is left out: the sync that was asked for has
// taken its place.
func nextSync(connection string, every time.Duration, now time.Time) time.Time {
	beat := now.UTC().Truncate(every).Add(shift(connection, every))
	for beat.Sub(now) < every/2 {
		beat = beat.Add(every)
	}
	return beat
}

// retrySync is when a connection syncs again after the latest of a number of
// failures in a row: soon, then less and less often, and never later than it
// would have.
func retrySync(connection string, every time.Duration, now time.Time, failures int) time.Time {
	const first, doublings = time.Minute, 6
	regular := nextSync(connection, every, now)
	wait := first << min(failures-1, doublings)
	wait += shift(connection, wait)
	if early := now.Add(wait); early.Before(regular) {
		return early
	}
	return regular
}

// shift spreads connections evenly over a span of time.
func shift(connection string, span time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(connection))
	return time.Duration(h.Sum64() % uint64(span))
}
