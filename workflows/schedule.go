package workflows

import (
	"hash/fnv"
	"time"
)

// firstSync is when a connection begins to sync by itself: after half an
// interval to a whole one, by a share that depends on its name alone, so that
// connections made at once do not sync at once.
func firstSync(connection string, every time.Duration, now time.Time) time.Time {
	return now.Add(every/2 + shift(connection, every-every/2))
}

// nextSync is when a connection whose time to sync was due syncs by itself
// again. The beat that firstSync began goes on: a sync that somebody asked for
// does not shift it, a late one does not either, and what was missed is left
// out.
func nextSync(due time.Time, every time.Duration, now time.Time) time.Time {
	if missed := now.Sub(due); missed >= 0 {
		return due.Add((missed/every + 1) * every)
	}
	return due
}

// retrySync is when a connection syncs again after the latest of a number of
// failures in a row: soon, then less and less often, and never later than it
// would have.
func retrySync(connection string, regular, now time.Time, failures int) time.Time {
	const first, doublings = time.Minute, 6
	wait := first << min(failures-1, doublings)
	if early := now.Add(wait + shift(connection, wait)); early.Before(regular) {
		return early
	}
	return regular
}

// spreadSync is when a connection syncs whose time to sync was due, and that
// nobody has looked at until now. Many may be in the same case: if it is long
// overdue, they come back over half as long a time, or a quarter of the interval
// if that is shorter.
func spreadSync(connection string, due time.Time, every time.Duration, now time.Time) time.Time {
	const short = time.Minute // a busy worker
	late := now.Sub(due)
	if late < short {
		return now
	}
	return now.Add(shift(connection, min(late/2, every/4)))
}

// shift spreads connections evenly over a span of time.
func shift(connection string, span time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(connection))
	return time.Duration(h.Sum64() % uint64(span))
}
