package db

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"jamf-access-review/activities/directory"
)

// MissingAccounts returns, in order of kind and id, up to limit present accounts
// that a completely staged snapshot does not hold, and that are not confirmed to be
// missing. Kinds that were not read are not missing.
func (d *DB) MissingAccounts(ctx context.Context, connectionID int64, number, limit int) ([]directory.Identity, error) {
	var missing []directory.Identity
	err := d.inTx(ctx, func(tx *sqlx.Tx, _ time.Time) error {
		read, summary, err := completeRead(ctx, tx, connectionID, number)
		if err != nil || read.InPlace {
			return err
		}
		if err := setBased(ctx, tx); err != nil {
			return err
		}
		missing, err = missingAccounts(ctx, tx, connectionID, summary, read.confirmed(), limit)
		return err
	})
	return missing, err
}

// missingAccounts are MissingAccounts after the one that is confirmed, in a
// transaction that is setBased.
func missingAccounts(ctx context.Context, tx *sqlx.Tx, connectionID int64, summary directory.Summary, confirmed directory.Identity, limit int) ([]directory.Identity, error) {
	var rows []struct {
		Kind directory.Kind `db:"kind"`
		ID   string         `db:"source_id"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT kind, source_id FROM accounts a
		WHERE connection_id = $1 AND removed_at IS NULL AND kind = ANY($2) AND (kind, source_id) > ($3, $4)
			AND (block IS NULL OR block = ANY(ARRAY(`+changedBlocks+`)))
			AND NOT EXISTS (
				SELECT FROM staged_accounts s
				WHERE s.connection_id = $1 AND s.kind = a.kind AND s.source_id = a.source_id)
		ORDER BY kind, source_id LIMIT $5`,
		connectionID, kindsRead(summary), string(confirmed.Kind), confirmed.ID, limit); err != nil {
		return nil, err
	}
	missing := make([]directory.Identity, len(rows))
	for i, row := range rows {
		missing[i] = directory.Identity{Kind: row.Kind, ID: row.ID}
	}
	return missing, nil
}

// ConfirmMissing notes that the source was asked for the missing accounts up to
// one, with a number of requests, and has none of them. It counts as a page: the
// one before it must be the last one, otherwise ErrStagingLost, and nothing changes.
func (d *DB) ConfirmMissing(ctx context.Context, connectionID int64, number int, before StagedRead, upTo directory.Identity, requests int) (StagedRead, error) {
	if err := stagingWritten(d.sql.ExecContext(ctx, `
		UPDATE staged_reads SET pages = pages + 1, requests = requests + $7, confirmed_attempt = attempts, confirmed_kind = $5, confirmed_source_id = $6,
			unreachable = 0, busy_seconds = 0
		WHERE connection_id = $1 AND number = $2 AND attempts = $3 AND pages = $4`,
		connectionID, number, before.Attempts, before.Pages, string(upTo.Kind), upTo.ID, requests)); err != nil {
		return StagedRead{}, err
	}
	before.Pages++
	before.Requests += requests
	before.Trouble = Trouble{}
	return before, nil
}

// HoldSnapshot decides whether a completely staged snapshot is to be held, by what
// a person accepts or not, and reports it. If so it will be, whoever accepts it
// afterwards: the source need not be asked for everybody who is missing, and what it
// was not asked for is not removed. Twice is as good as once.
func (d *DB) HoldSnapshot(ctx context.Context, connectionID int64, number int, acceptRemovals bool) (bool, error) {
	var held bool
	err := d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, connection Connection, _ time.Time) error {
		snapshot, err := checkedSnapshot(ctx, tx, connectionID, number)
		if err != nil {
			return err
		}
		why, err := snapshot.hold(ctx, tx, connection, acceptRemovals)
		if err != nil {
			return err
		}
		held = why != ""
		_, err = tx.ExecContext(ctx, `
			UPDATE staged_reads SET held = $3 WHERE connection_id = $1 AND number = $2`, connectionID, number, why)
		return err
	})
	return held, err
}
