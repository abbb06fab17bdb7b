package db

import (
	"context"
	"iter"
	"time"
)

// PastOutcome is an outcome of a monitor as it was found, whatever became of it.
type PastOutcome struct {
	Code   string       `db:"code"`
	State  MonitorState `db:"state"`
	Reason string       `db:"reason"`
	// Sync is the snapshot that was judged; a snapshot is judged again by another
	// staff roster.
	Sync        int       `db:"number"`
	EvaluatedAt time.Time `db:"evaluated_at"`
	// RosterAt is when the staff roster was imported that it was judged by, nil where
	// it was by none.
	RosterAt     *time.Time `db:"roster_at"`
	Passing      int        `db:"passing"`
	Due          int        `db:"due"`
	Failing      int        `db:"failing"`
	NotEvaluable int        `db:"not_evaluable"`
	Excepted     int        `db:"excepted"`
}

// PastOutcomes yields all outcomes of a connection's monitors since a time, oldest
// first, as they come from the database. It changes nothing.
func (d *DB) PastOutcomes(ctx context.Context, connectionID int64, since time.Time) iter.Seq2[PastOutcome, error] {
	return stream[PastOutcome](ctx, d.sql, `
		SELECT code, state, reason, number, evaluated_at, roster_at, passing, due, failing, not_evaluable, excepted
		FROM outcomes WHERE connection_id = $1 AND evaluated_at >= $2
		ORDER BY evaluated_at, id`, connectionID, since)
}
