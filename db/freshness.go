package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// staleAfter is how many intervals may pass without an applied sync before
// outcomes prove nothing any more.
const staleAfter = 3

// isStale is a condition: at the time $1 the sync s of the connection c proves
// nothing any more, $2 being staleAfter. What it read is as old as its
// beginning, however late it was applied, and an interval that was made longer
// since makes it no younger.
const isStale = `$1::timestamptz - s.started_at > $2 * least(c.every_seconds, s.every_seconds) * interval '1 second'`

// staleness says why a sync proves nothing at a time, or "".
func staleness(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, now time.Time) (string, error) {
	var startedAt time.Time
	err := tx.GetContext(ctx, &startedAt, `
		SELECT s.started_at FROM syncs s JOIN connections c ON c.id = s.connection_id
		WHERE s.connection_id = $3 AND s.number = $4 AND `+isStale, now, staleAfter, connectionID, number)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return staleReason(startedAt, now), err
}

func staleReason(startedAt, now time.Time) string {
	age := now.Sub(startedAt).Round(time.Second)
	return fmt.Sprintf("the last applied sync is %s old, more than %d intervals", age, staleAfter)
}
