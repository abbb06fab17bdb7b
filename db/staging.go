package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"jamf-access-review/activities/directory"
)

// ErrStagingLost is returned when a snapshot is not, or no longer, staged as
// the caller left it: PostgreSQL crashed and emptied its unlogged tables, or
// somebody else has gone on with the same read.
var ErrStagingLost = errors.New("the staged snapshot is gone or was continued by somebody else")

// StagedRead says how far the reading of a snapshot has come.
type StagedRead struct {
	Cursor   directory.Cursor
	Pages    int
	Users    int
	Requests int
	// Attempts is how often it was begun: once, and again each time the
	// source contradicted itself.
	Attempts int
	// Complete is set once the source was read to its end.
	Complete bool
	// Trouble is how the source has failed since a page was last stored.
	Trouble Trouble

	// inPlace says that the snapshot is staged as accounts: a first one, when
	// none are on record.
	inPlace  bool
	sieve    sieve
	unstored unstored
}

// OpenStaging returns how far a sync's snapshot is staged, beginning it if it
// is not. For a sync that has ended it returns ErrStagingLost. Twice is as good
// as once.
func (d *DB) OpenStaging(ctx context.Context, connectionID int64, number int) (StagedRead, error) {
	var read StagedRead
	err := d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, connection Connection, now time.Time) error {
		if _, err := tx.ExecContext(ctx, `
			WITH begun AS (
				INSERT INTO staged_reads (connection_id, number, in_place)
				SELECT connection_id, number, $4 FROM syncs WHERE connection_id = $1 AND number = $2 AND outcome = 'running'
				ON CONFLICT DO NOTHING RETURNING number
			)
			UPDATE syncs SET read_since = $3 WHERE connection_id = $1 AND number = (SELECT number FROM begun)`,
			connectionID, number, now, connection.AppliedSync == 0); err != nil {
			return err
		}
		row, err := stagedRead(ctx, tx, connectionID, number)
		if err != nil {
			return err
		}
		read = row.read()
		read.sieve, err = sieveOf(ctx, tx, connectionID, row.HighestBlock)
		return err
	})
	return read, err
}

// RestartStaging drops what is staged of a sync's snapshot and begins it again,
// as another attempt. It must be staged as the caller left it: otherwise
// ErrStagingLost, and nothing changes. So nobody drops what somebody else has gone
// on with, or has finished.
func (d *DB) RestartStaging(ctx context.Context, connectionID int64, number int, before StagedRead) (StagedRead, error) {
	var read StagedRead
	err := d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		if err := stagingWritten(tx.ExecContext(ctx, `
			WITH begun AS (
				UPDATE staged_reads SET cursor = '', highest_block = $3, pages = 0, users = 0, directory_summary = NULL, held = '', attempts = attempts + 1
				WHERE connection_id = $1 AND number = $2 AND attempts = $5 AND pages = $6 RETURNING number
			)
			UPDATE syncs SET read_since = $4 WHERE connection_id = $1 AND number = (SELECT number FROM begun)`,
			connectionID, number, noBlock, now, before.Attempts, before.storedPages())); err != nil {
			return err
		}
		row, err := stagedRead(ctx, tx, connectionID, number)
		if err != nil {
			return err
		}
		read = row.read()
		read.sieve, err = sieveOf(ctx, tx, connectionID, row.HighestBlock)
		return err
	})
	return read, err
}

// Pages are stored at once that took as many requests, or brought as many users
// to stage, as this. Who goes on with a read whose reader has died makes so many
// requests again.
const (
	maxUnstoredRequests = 10
	maxUnstoredUsers    = 1000
)

// unstored is what was read since a page was last stored.
type unstored struct {
	pages, requests int
	sifted
}

// StagePage stores one page and moves the cursor past it. The page before it
// must be the last one: otherwise ErrStagingLost, and nothing changes. So a page
// is never stored twice, by one reader or by two. A user that is staged already,
// or that no record can hold, makes the read inconsistent: *directory.Error.
//
// A page may be stored with one that comes later, or by StoreRead.
func (d *DB) StagePage(ctx context.Context, connectionID int64, number int, before StagedRead, page directory.Page) (StagedRead, error) {
	read := before.with(page)
	if !read.Complete && read.unstored.requests < maxUnstoredRequests && len(read.unstored.stage) < maxUnstoredUsers {
		return read, nil
	}
	return d.storeRead(ctx, connectionID, number, read, page.Summary)
}

// StoreRead stores the pages that StagePage has left unstored. Twice is as good
// as once.
func (d *DB) StoreRead(ctx context.Context, connectionID int64, number int, read StagedRead) (StagedRead, error) {
	if read.unstored.pages == 0 {
		return read, nil
	}
	return d.storeRead(ctx, connectionID, number, read, nil)
}

func (r StagedRead) storedPages() int { return r.Pages - r.unstored.pages }

// with is how far the reading has come with one more page.
func (r StagedRead) with(page directory.Page) StagedRead {
	r.Cursor = page.Cursor
	r.Pages++
	r.Users += len(page.Users)
	r.Requests += page.Requests
	r.Complete = page.Summary != nil
	r.unstored.pages++
	r.unstored.requests += page.Requests
	r.sieve.sift(page.Users, &r.unstored.sifted)
	if r.Complete {
		r.sieve.closeBlock(&r.unstored.sifted)
	}
	return r
}

func (d *DB) storeRead(ctx context.Context, connectionID int64, number int, read StagedRead, summary *directory.Summary) (StagedRead, error) {
	encoded, err := jsonb(summary)
	if err != nil {
		return StagedRead{}, err
	}
	read.sieve.stageOpen(&read.unstored.sifted)
	if err := storable(read.unstored.stage); err != nil {
		return StagedRead{}, err
	}
	err = d.inTx(ctx, func(tx *sqlx.Tx, _ time.Time) error {
		if err := stagingWritten(tx.ExecContext(ctx, `
			UPDATE staged_reads SET cursor = $5, pages = $6, users = $7, requests = $8, directory_summary = $9, highest_block = $10,
				unreachable = 0, busy_seconds = 0
			WHERE connection_id = $1 AND number = $2 AND attempts = $3 AND pages = $4`,
			connectionID, number, read.Attempts, read.storedPages(),
			read.Cursor, read.Pages, read.Users, read.Requests, encoded, read.sieve.highest)); err != nil {
			return err
		}
		if read.inPlace {
			return copyFirstUsers(ctx, tx, connectionID, number, read.unstored.stage)
		}
		return read.unstored.store(ctx, tx, connectionID)
	})
	if isUniqueViolation(err) {
		return StagedRead{}, directory.Errorf(directory.Inconsistent, "the same user came twice in one read")
	}
	if err != nil {
		return StagedRead{}, err
	}
	read.unstored, read.Trouble = unstored{}, Trouble{}
	return read, nil
}

// stagingWritten makes ErrStagingLost of a statement that found no read to write.
func stagingWritten(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrStagingLost)
	}
	return nil
}

// copyFirstUsers stages users of a first snapshot as accounts. That need not be
// durable before it is applied: a crash of the server empties staged_reads.
func copyFirstUsers(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, users []stagedUser) error {
	if _, err := tx.ExecContext(ctx, `SET LOCAL synchronous_commit = off`); err != nil {
		return err
	}
	return copyInto(ctx, tx, `accounts (arrived_in, connection_id, `, users, number, connectionID)
}

func copyUsers(ctx context.Context, tx *sqlx.Tx, connectionID int64, users []stagedUser) error {
	return copyInto(ctx, tx, `staged_accounts (connection_id, `, users, connectionID)
}

// copyInto copies users into a table, whose first columns are the same for all.
// Columns of which none of them has a value get their default.
func copyInto(ctx context.Context, tx *sqlx.Tx, table string, users []stagedUser, first ...any) error {
	if len(users) == 0 {
		return nil
	}
	columns, access := plainColumns, slices.ContainsFunc(users, stagedUser.hasAccess)
	if access {
		columns += `, ` + accessColumns
	}
	stmt, err := tx.PrepareContext(ctx, `COPY `+table+`kind, source_id, `+columns+`) FROM STDIN`)
	if err != nil {
		return err
	}
	defer stmt.Close()
	row := slices.Clone(first)
	for _, u := range users {
		row = append(row[:len(first)], string(u.Kind), u.ID, u.Username, u.Email, u.Name,
			string(knownStatus(u.Status)), string(knownMFA(u.MFA)), u.digest)
		if access {
			row = append(row, textArray(u.Roles), textArray(u.Groups), textArray(u.Privileges), u.AccessLevel, u.Site, u.FromDirectory)
		}
		if _, err := stmt.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	_, err = stmt.ExecContext(ctx)
	return err
}

// hasAccess says whether a user has a value for any of accessColumns.
func (u stagedUser) hasAccess() bool {
	return len(u.Roles)+len(u.Groups)+len(u.Privileges) > 0 || u.AccessLevel != "" || u.Site != "" || u.FromDirectory != nil
}

// textArray is a list as a value of text[]. Most are empty, and are not made one
// by one.
func textArray(list []string) any {
	if len(list) == 0 {
		return "{}"
	}
	return pq.StringArray(list)
}

type stagedReadRow struct {
	Cursor   string         `db:"cursor"`
	Pages    int            `db:"pages"`
	Users    int            `db:"users"`
	Requests int            `db:"requests"`
	Attempts int            `db:"attempts"`
	InPlace  bool           `db:"in_place"`
	Summary  sql.NullString `db:"directory_summary"`
	// HighestBlock is the last one that the reading has come to.
	HighestBlock int64 `db:"highest_block"`
	// Held is why it is to be held, where that is decided.
	Held string `db:"held"`

	Unreachable int   `db:"unreachable"`
	BusySeconds int64 `db:"busy_seconds"`

	ConfirmedAttempt int            `db:"confirmed_attempt"`
	ConfirmedKind    directory.Kind `db:"confirmed_kind"`
	ConfirmedID      string         `db:"confirmed_source_id"`
}

func (r stagedReadRow) read() StagedRead {
	return StagedRead{
		Cursor: directory.Cursor(r.Cursor), Pages: r.Pages, Users: r.Users,
		Requests: r.Requests, Attempts: r.Attempts, Complete: r.Summary.Valid,
		Trouble: Trouble{Unreachable: r.Unreachable, Busy: time.Duration(r.BusySeconds) * time.Second},
		inPlace: r.InPlace,
	}
}

// confirmed is the last of the missing accounts that the source was asked for, in
// this attempt.
func (r stagedReadRow) confirmed() directory.Identity {
	if r.ConfirmedAttempt != r.Attempts {
		return directory.Identity{}
	}
	return directory.Identity{Kind: r.ConfirmedKind, ID: r.ConfirmedID}
}

// stagedRead returns the staging of a sync and locks it, or ErrStagingLost.
func stagedRead(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int) (stagedReadRow, error) {
	var row stagedReadRow
	err := tx.GetContext(ctx, &row, `
		SELECT cursor, pages, users, requests, attempts, in_place, directory_summary, highest_block, held, unreachable, busy_seconds,
			confirmed_attempt, confirmed_kind, confirmed_source_id
		FROM staged_reads
		WHERE connection_id = $1 AND number = $2 FOR UPDATE`, connectionID, number)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrStagingLost
	}
	return row, err
}

// completeRead returns the staging of a sync that was read to its end, with
// its summary, and locks it, or returns ErrStagingLost.
func completeRead(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int) (stagedReadRow, directory.Summary, error) {
	var summary directory.Summary
	row, err := stagedRead(ctx, tx, connectionID, number)
	if err == nil && !row.Summary.Valid {
		err = ErrStagingLost
	}
	if err != nil {
		return row, summary, err
	}
	if err := json.Unmarshal([]byte(row.Summary.String), &summary); err != nil {
		return row, summary, fmt.Errorf("the staged summary: %w", err)
	}
	return row, summary, nil
}

func kindsRead(summary directory.Summary) pq.StringArray {
	kinds := pq.StringArray{}
	for kind := range summary.Totals {
		kinds = append(kinds, string(kind))
	}
	return kinds
}

// clearStaging drops what is staged of a connection, which a trigger does once
// the read is gone: whoever is storing a page holds that, and only once the page
// is there are all users seen. Whoever comes later finds no read to go on with.
func clearStaging(ctx context.Context, tx *sqlx.Tx, connectionID int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM staged_reads WHERE connection_id = $1`, connectionID)
	return err
}
