package db

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"time"

	"github.com/jmoiron/sqlx"

	"jamf-access-review/activities/directory"
)

// heldShown is how many of those whom a held snapshot would take are kept for a
// person to look at.
const heldShown = 1000

// recordHeld writes down what a snapshot that is held would take, and from whom,
// in place of what was written down of an earlier one.
func recordHeld(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, snapshot snapshot, now time.Time) error {
	t := snapshot.counts.taken
	if _, err := tx.ExecContext(ctx, `
		UPDATE syncs SET would_take = $3, would_take_humans = $4, would_take_admins = $5 WHERE connection_id = $1 AND number = $2`,
		connectionID, number, t.Accounts, t.Humans, t.Admins); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM held_changes WHERE connection_id = $1`, connectionID); err != nil {
		return err
	}
	if err := keepUnread(ctx, tx, connectionID, snapshot); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO held_changes (connection_id, number, kind, source_id, change, at, before, after)
		SELECT $1, $7, kind, source_id, CASE WHEN staged IS NULL THEN 'removed' ELSE 'changed' END, $8, before, after
		FROM (
			SELECT kind, source_id, kept, staged FROM `+compared+`
			WHERE taken OR a.admin AND NOT s.admin
			ORDER BY kind, source_id LIMIT $9
		) difference `+differing,
		connectionID, directory.FullAccess, directory.Administrator, directory.AdministrativeWord,
		kindsRead(snapshot.summary), snapshot.counts.changed, number, now, heldShown)
	return err
}

// lastTaken is what the last snapshot would have taken that was held since one
// was applied; nil where none was.
func lastTaken(ctx context.Context, tx *sqlx.Tx, connection Connection) (*taken, error) {
	var t taken
	err := tx.GetContext(ctx, &t, `
		SELECT would_take, would_take_humans, would_take_admins FROM syncs
		WHERE connection_id = $1 AND number > $2 AND outcome = 'held' AND would_take IS NOT NULL
		ORDER BY number DESC LIMIT 1`, connection.ID, connection.AppliedSync)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &t, err
}

// HeldChanges yields what the last sync that was held would have taken, and from
// whom, if none was applied since: accounts that it would remove, deactivate or
// replace, and full administrators who would be none any more; 1000 at most, in
// order of kind and id.
func (d *DB) HeldChanges(ctx context.Context, connectionID int64) iter.Seq2[Change, error] {
	return stream[Change](ctx, d.sql, `
		SELECT number, at, kind, source_id, coalesce(username, '') AS username, change, before, after
		FROM held_changes JOIN connections c ON c.id = connection_id LEFT JOIN accounts USING (connection_id, kind, source_id)
		WHERE connection_id = $1 AND number > c.applied_number
		ORDER BY kind, source_id`, connectionID)
}
