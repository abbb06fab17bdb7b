package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Trigger says why a sync was run.
type Trigger string

const (
	TriggerConnect   Trigger = "connect"
	TriggerSchedule  Trigger = "schedule"
	TriggerResync    Trigger = "resync"
	TriggerReconnect Trigger = "reconnect"
)

// Outcome says what became of a sync.
type Outcome string

const (
	// Running: it has not ended.
	Running Outcome = "running"
	// Applied: the record speaks of it.
	Applied Outcome = "applied"
	// Held: it was read completely and would remove so much that a person has
	// to accept it. The record is as it was.
	Held Outcome = "held"
	// Failed: it was not read completely. The record is as it was.
	Failed Outcome = "failed"
)

// Codes of Sync.Error, beside those of a source (directory.Code).
const (
	CodeHeld = "held"
	// CodeInterrupted: it had not ended when its connection went on without it.
	CodeInterrupted = "interrupted"
)

// Sync is one attempt to bring the record up to date.
type Sync struct {
	Number     int        `db:"number"`
	Trigger    Trigger    `db:"trigger"`
	Outcome    Outcome    `db:"outcome"`
	Error      string     `db:"error"`  // a code, when it was not applied
	Reason     string     `db:"reason"` // the same in words
	StartedAt  time.Time  `db:"started_at"`
	FinishedAt *time.Time `db:"finished_at"`
	// Accounts is how many accounts were present at the source.
	Accounts int `db:"accounts"`
	Added    int `db:"added"` // restored ones included
	Changed  int `db:"changed"`
	Removed  int `db:"removed"`
	// Requests is how many HTTP requests the reading took.
	Requests int `db:"requests"`
}

// EndedSync is a sync that was to be ended.
type EndedSync struct {
	Sync
	// Source is that of its connection.
	Source string
	// Again says that it had ended before.
	Again bool
}

const syncColumns = `number, trigger, outcome, error, reason, started_at, finished_at, accounts, added, changed, removed, requests`

const selectSync = `SELECT ` + syncColumns + ` FROM syncs `

// BeginSync gives out the number of a new sync. The key says whose sync it
// is: a second call with the same key returns the same sync, so a number is
// never used twice and none is left out. A sync of another key that never
// ended is closed as interrupted.
func (d *DB) BeginSync(ctx context.Context, connectionID int64, key string, trigger Trigger) (Sync, error) {
	var s Sync
	err := d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, _ Connection, now time.Time) (err error) {
		s, err = beginSync(ctx, tx, connectionID, key, trigger, now)
		return err
	})
	return s, err
}

// beginSync is BeginSync, once the connection is locked.
func beginSync(ctx context.Context, tx *sqlx.Tx, connectionID int64, key string, trigger Trigger, now time.Time) (Sync, error) {
	s, err := syncByKey(ctx, tx, connectionID, key)
	if !errors.Is(err, ErrNotFound) {
		return s, err
	}
	if err := interrupt(ctx, tx, connectionID, "it was interrupted before it ended", now); err != nil {
		return Sync{}, err
	}
	err = tx.GetContext(ctx, &s, `
		WITH next AS (
			UPDATE connections SET last_number = last_number + 1 WHERE id = $1 RETURNING last_number, every_seconds
		)
		INSERT INTO syncs (connection_id, number, run_key, trigger, outcome, started_at, every_seconds)
		SELECT $1, last_number, $2, $3, 'running', $4, every_seconds FROM next
		RETURNING `+syncColumns,
		connectionID, key, trigger, now)
	return s, err
}

// FailSync records that the sync of a key was not completed, and the state that
// its connection is in from then on. A sync that ended before is left as it ended,
// and so is its connection.
func (d *DB) FailSync(ctx context.Context, connectionID int64, key string, trigger Trigger, code, reason string, becomes StateChange) (EndedSync, error) {
	var s EndedSync
	err := d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, connection Connection, now time.Time) (err error) {
		s.Source = connection.Source
		if s.Sync, err = beginSync(ctx, tx, connectionID, key, trigger, now); err != nil {
			return err
		}
		if s.Again = s.Outcome != Running; s.Again {
			return nil
		}
		read, err := stagedRead(ctx, tx, connectionID, s.Number)
		if err != nil && !errors.Is(err, ErrStagingLost) {
			return err
		}
		s.Outcome, s.Error, s.Reason, s.FinishedAt, s.Requests = Failed, code, reason, &now, read.Requests
		return endSync(ctx, tx, connectionID, s.Sync, becomes)
	})
	return s, err
}

// endSync records how a sync ended, drops what was staged of it, changes the
// state of its connection, and gives notice of that.
func endSync(ctx context.Context, tx *sqlx.Tx, connectionID int64, s Sync, becomes StateChange) error {
	if _, err := tx.ExecContext(ctx, `
		UPDATE syncs SET outcome = $3, error = $4, reason = $5, finished_at = $6,
			accounts = $7, added = $8, changed = $9, removed = $10, requests = $11
		WHERE connection_id = $1 AND number = $2`,
		connectionID, s.Number, s.Outcome, s.Error, s.Reason, s.FinishedAt,
		s.Accounts, s.Added, s.Changed, s.Removed, s.Requests); err != nil {
		return err
	}
	if err := clearStaging(ctx, tx, connectionID); err != nil {
		return err
	}
	// What a later sync rejects was good until then.
	if _, err := tx.ExecContext(ctx, `
		UPDATE credentials SET token_fresh = false WHERE connection_id = $1 AND token_fresh`, connectionID); err != nil {
		return err
	}
	was, err := setState(ctx, tx, connectionID, becomes)
	if err != nil {
		return err
	}
	return noticeSync(ctx, tx, connectionID, s, was, becomes)
}

// Syncs returns a connection's latest syncs that have ended, newest first.
func (d *DB) Syncs(ctx context.Context, connectionID int64, limit int) ([]Sync, error) {
	syncs := []Sync{}
	err := d.sql.SelectContext(ctx, &syncs, selectSync+`
		WHERE connection_id = $1 AND outcome <> 'running' ORDER BY number DESC LIMIT $2`, connectionID, limit)
	return syncs, err
}

// SyncByNumber returns one sync, or ErrNotFound.
func (d *DB) SyncByNumber(ctx context.Context, connectionID int64, number int) (Sync, error) {
	var s Sync
	err := d.sql.GetContext(ctx, &s, selectSync+`WHERE connection_id = $1 AND number = $2`, connectionID, number)
	return s, notFound(err, fmt.Sprintf("sync %d", number))
}

func syncByKey(ctx context.Context, tx *sqlx.Tx, connectionID int64, key string) (Sync, error) {
	var s Sync
	err := tx.GetContext(ctx, &s, selectSync+`WHERE connection_id = $1 AND run_key = $2`, connectionID, key)
	return s, notFound(err, "the sync")
}

// interrupt ends a sync that has not ended, and drops what it has staged. A
// connection whose syncs have all ended has no read.
func interrupt(ctx context.Context, tx *sqlx.Tx, connectionID int64, reason string, now time.Time) error {
	result, err := tx.ExecContext(ctx, `
		UPDATE syncs SET outcome = 'failed', error = $4, reason = $2, finished_at = $3
		WHERE connection_id = $1 AND outcome = 'running'`, connectionID, reason, now, CodeInterrupted)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); n == 0 || err != nil {
		return err
	}
	return clearStaging(ctx, tx, connectionID)
}
