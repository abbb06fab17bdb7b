package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// MinKept is the shortest period that Prune keeps: an audit looks back at up to
// twelve months.
const MinKept = 365 * 24 * time.Hour

// Pruned is how much Prune removed of a connection's record.
type Pruned struct {
	// Accounts that were removed from the source before the period.
	Accounts int
	// Changes are those accounts' own, from their arrival to their removal.
	Changes int
	// Syncs that nothing that is kept refers to.
	Syncs int
	// Outcomes of those syncs.
	Outcomes int
}

// errDryRun ends a transaction that was only to show what it would do.
var errDryRun = errors.New("dry run")

// Prune removes from a connection's record what says nothing about the period
// that is to be kept. Who had access at any moment of it, since when and
// with what, and what the monitors said, is known afterwards as it was before:
//
//   - an account that was removed before the period goes, with its changes; of
//     every other all changes stay;
//   - a sync that ended before it goes, with its outcomes, unless a change that
//     stays was found by it, a monitor was evaluated on it within the period, or
//     it is the last one, the one the record speaks of, or the one that the
//     record spoke of when the period began.
//
// A dry run changes nothing, and counts what would go. It takes the owner of
// the schema, for either: ErrNotOwner. Twice is as good as once.
func (d *DB) Prune(ctx context.Context, connectionID int64, keep time.Duration, dryRun bool) (Pruned, error) {
	if keep < MinKept {
		return Pruned{}, fmt.Errorf("the last %s of the record are kept, %s is too short", MinKept, keep)
	}
	var p Pruned
	err := d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		if _, err := lockConnection(ctx, tx, connectionID); err != nil && !errors.Is(err, ErrDisconnected) {
			return err
		}
		if err := setBased(ctx, tx); err != nil {
			return err
		}
		if err := p.prune(ctx, tx, connectionID, now.Add(-keep)); err != nil {
			return err
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return Pruned{}, ownersOnly(err)
	}
	return p, nil
}

// prune removes accounts first: the syncs that found them are then referred to
// by nothing.
func (p *Pruned) prune(ctx context.Context, tx *sqlx.Tx, connectionID int64, before time.Time) error {
	if err := tx.QueryRowxContext(ctx, `
		WITH gone AS (
			DELETE FROM accounts WHERE connection_id = $1 AND removed_at < $2 RETURNING kind, source_id
		), forgotten AS (
			DELETE FROM changes c USING gone
			WHERE c.connection_id = $1 AND c.kind = gone.kind AND c.source_id = gone.source_id
			RETURNING c.number
		)
		SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM forgotten)`,
		connectionID, before,
	).Scan(&p.Accounts, &p.Changes); err != nil {
		return err
	}
	return tx.QueryRowxContext(ctx, `
		WITH prunable AS MATERIALIZED (
			SELECT number FROM syncs WHERE connection_id = $1 AND finished_at < $2
			EXCEPT (
				SELECT number FROM changes WHERE connection_id = $1
				UNION ALL
				SELECT arrived_in FROM accounts WHERE connection_id = $1
				UNION ALL
				SELECT number FROM outcomes WHERE connection_id = $1 AND evaluated_at >= $2
				UNION ALL
				SELECT unnest(ARRAY[applied_number, last_number]) FROM connections WHERE id = $1
				UNION ALL (
					SELECT number FROM syncs WHERE connection_id = $1 AND outcome = 'applied' AND finished_at < $2
					ORDER BY number DESC LIMIT 1
				)
			)
		), evaluated AS (
			DELETE FROM outcomes o USING prunable p WHERE o.connection_id = $1 AND o.number = p.number RETURNING o.number
		), ended AS (
			DELETE FROM syncs s USING prunable p WHERE s.connection_id = $1 AND s.number = p.number RETURNING s.number
		)
		SELECT (SELECT count(*) FROM ended), (SELECT count(*) FROM evaluated)`,
		connectionID, before,
	).Scan(&p.Syncs, &p.Outcomes)
}
