package db

import (
	"fmt"
	"time"
)

const (
	// staleAfter is how many intervals old what was read may be before outcomes
	// prove nothing any more, and snapshotMaxAge how old however long those are.
	staleAfter     = 3
	snapshotMaxAge = 30 * 24 * time.Hour
	// LongestInterval is the longest after which outcomes last until the third
	// sync from then.
	LongestInterval = snapshotMaxAge / staleAfter
	// RosterMaxAge is how old a staff roster may be before it proves nothing.
	RosterMaxAge = 7 * 24 * time.Hour
	// maxFuture is how far ahead of the clock a time may be that was recorded by
	// it. Where the clock was set back what is on record would not grow old.
	maxFuture = time.Minute
)

// readSince is when the reading of the sync s began: what it read is as old as
// that, however late it was applied. Before, it may have waited for its turn.
const readSince = `coalesce(s.read_since, s.started_at)`

// interval is by which the sync s of the connection c grows old, in seconds: one
// that was made longer since makes it no younger.
const interval = `least(c.every_seconds, s.every_seconds)`

// isStale is a condition: at the time $1 the sync s of the connection c proves
// nothing any more.
var isStale = notWithin(readSince, fmt.Sprintf(`least(%d * %s, %d)`, staleAfter, interval, seconds(snapshotMaxAge)))

// isOldRoster is a condition: at the time $1 the roster r proves nothing any more.
var isOldRoster = notWithin(`r.imported_at`, fmt.Sprint(seconds(RosterMaxAge)))

// notWithin is a condition: a time is more than a number of seconds before the
// time $1, or after it.
func notWithin(t, seconds string) string {
	return fmt.Sprintf(`($1::timestamptz - %[1]s > %[2]s * interval '1 second' OR %[1]s - $1::timestamptz > %[3]d * interval '1 second')`,
		t, seconds, int64(maxFuture.Seconds()))
}

// staleReason is why a sync of an interval proves nothing whose reading began so
// long ago.
func staleReason(age time.Duration, everySeconds int64) string {
	const read = "what the last applied sync read is "
	switch {
	case age < 0:
		return read + "dated in the future"
	case age > snapshotMaxAge:
		return read + "older than " + days(snapshotMaxAge)
	}
	every := time.Duration(everySeconds) * time.Second
	return fmt.Sprintf("%solder than %d of its intervals, of %s", read, staleAfter, every)
}

// noRoster is the reason of an exit monitor without a staff roster.
const noRoster = "there is no staff roster"

// rosterReason is why a roster, nil where there is none, proves nothing at a
// time, or "".
func rosterReason(importedAt *time.Time, now time.Time) string {
	switch {
	case importedAt == nil:
		return noRoster
	case importedAt.Sub(now) > maxFuture:
		return "the staff roster is dated in the future"
	case now.Sub(*importedAt) > RosterMaxAge:
		return "the staff roster is older than " + days(RosterMaxAge)
	}
	return ""
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", d/(24*time.Hour)) }
