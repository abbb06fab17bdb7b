package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Judged is how many exit monitors were evaluated again by a roster, and how many
// others have to be synced first: their connections never were, or long ago.
type Judged struct{ Evaluated, Waiting int }

// JudgeByRoster evaluates the exit monitors of an organization again, by its roster
// and on what was last synced, each in a transaction of its own: no sync waits for
// more than its own connection's. report, if not nil, is told how far it has come.
// Each call adds outcomes; one that was broken off can be made again.
func (d *DB) JudgeByRoster(ctx context.Context, organization string, report func(done, all int)) (Judged, error) {
	var judged Judged
	var connections []int64
	if err := d.sql.SelectContext(ctx, &connections, `
		SELECT c.id FROM connections c JOIN organizations o ON o.id = organization_id
		WHERE o.name = $1 AND state <> 'disconnected' ORDER BY c.id`, organization); err != nil {
		return judged, err
	}
	for i, id := range connections {
		if report != nil {
			report(i, len(connections))
		}
		err := d.judgeExits(ctx, id, &judged)
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDisconnected) {
			return judged, err
		}
	}
	return judged, nil
}

func (d *DB) judgeExits(ctx context.Context, connectionID int64, judged *Judged) error {
	return d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, connection Connection, now time.Time) error {
		var monitored bool
		if err := tx.GetContext(ctx, &monitored, `
			SELECT EXISTS (SELECT FROM monitors WHERE connection_id = $1 AND code = $2)`, connectionID, AccessRemovedOnExit); err != nil || !monitored {
			return err
		}
		if err := setBased(ctx, tx); err != nil {
			return err
		}
		evaluated, err := evaluateAgain(ctx, tx, connection, []string{AccessRemovedOnExit}, now)
		if err != nil {
			return fmt.Errorf("connection %q: %w", connection.Name, err)
		}
		if evaluated > 0 {
			judged.Evaluated++
		} else {
			judged.Waiting++
		}
		return nil
	})
}
