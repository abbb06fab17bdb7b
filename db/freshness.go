package db

import "fmt"

// staleAfter is how many intervals old what was read may be before outcomes
// prove nothing any more.
const staleAfter = 3

// readSince is when the reading of the sync s began: what it read is as old as
// that, however late it was applied. Before, it may have waited for its turn.
const readSince = `coalesce(s.read_since, s.started_at)`

// isStale is a condition: at the time $1 the sync s of the connection c proves
// nothing any more, $2 being staleAfter. An interval that was made longer since
// makes it no younger.
const isStale = `$1::timestamptz - ` + readSince + ` > $2 * least(c.every_seconds, s.every_seconds) * interval '1 second'`

// staleReason is why a stale sync proves nothing.
var staleReason = fmt.Sprintf("what the last applied sync read is older than %d intervals", staleAfter)
