package db

import (
	"context"
	"time"
)

// Trouble is how a source has failed.
type Trouble struct {
	// Unreachable is how often it could not be reached.
	Unreachable int `json:"unreachable,omitempty"`
	// Busy is how long it was waited for while it was busy.
	Busy time.Duration `json:"busy,omitempty"`
}

// And is both together.
func (t Trouble) And(more Trouble) Trouble {
	return Trouble{Unreachable: t.Unreachable + more.Unreachable, Busy: t.Busy + more.Busy}
}

// AddTrouble notes that the source has failed again. A page that is stored
// makes up for it. Each call adds; where the sync is not staged it returns
// ErrStagingLost.
func (d *DB) AddTrouble(ctx context.Context, connectionID int64, number int, more Trouble) error {
	return stagingWritten(d.sql.ExecContext(ctx, `
		UPDATE staged_reads SET unreachable = unreachable + $3, busy_seconds = busy_seconds + $4
		WHERE connection_id = $1 AND number = $2`, connectionID, number, more.Unreachable, seconds(more.Busy)))
}
