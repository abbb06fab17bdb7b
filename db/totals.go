package db

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// Totals is the state of everything on record, in numbers: it is as large
// with a hundred thousand connections as with one.
type Totals struct {
	Connections []ConnectionsIn
	Monitors    []MonitorsIn
}

// ConnectionsIn are the connections to one sort of source that are in one
// state.
type ConnectionsIn struct {
	Source string `db:"source"`
	State  State  `db:"state"`
	Count  int    `db:"count"`
	// Stale is how many of them have had no sync applied for so long that their
	// monitors prove nothing any more (see Monitors). It is 0 for those
	// that were disconnected.
	Stale int `db:"stale"`
	// Held is how many of them wait for a person to accept what their last
	// sync would remove.
	Held int `db:"held"`
	// OldestAge is how long ago the oldest applied sync among theirs began to
	// read. A connection without one counts from when it was made.
	OldestAge time.Duration `db:"-"`
}

// MonitorsIn are the monitors of one code that are in one state.
type MonitorsIn struct {
	Code  string       `db:"code"`
	State MonitorState `db:"state"`
	Count int          `db:"count"`
}

// Totals counts connections and monitors, as they read now. Monitors of
// connections that were disconnected are left out. It changes nothing.
func (d *DB) Totals(ctx context.Context) (Totals, error) {
	var o Totals
	err := d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) (err error) {
		if o.Connections, err = countConnections(ctx, tx, now); err != nil {
			return err
		}
		o.Monitors, err = countMonitors(ctx, tx, now)
		return err
	})
	return o, err
}

// countConnections looks at a connection's later syncs only where there are
// some: the applied one is the last of almost all connections.
func countConnections(ctx context.Context, tx *sqlx.Tx, now time.Time) ([]ConnectionsIn, error) {
	var rows []struct {
		ConnectionsIn
		OldestSeconds float64 `db:"oldest_seconds"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT source, state, count(*) AS count,
			count(*) FILTER (WHERE state <> 'disconnected' AND stale) AS stale,
			count(*) FILTER (WHERE state <> 'disconnected' AND last_outcome = 'held') AS held,
			greatest(extract(epoch FROM max(age)), 0) AS oldest_seconds
		FROM (
			SELECT c.source, c.state, $1::timestamptz - `+readSince+` AS age, `+isStale+` AS stale,
				CASE WHEN c.last_number > c.applied_number THEN (
					SELECT outcome FROM syncs
					WHERE connection_id = c.id AND outcome <> 'running' ORDER BY number DESC LIMIT 1
				) END AS last_outcome
			FROM connections c LEFT JOIN LATERAL (
				SELECT started_at, read_since, every_seconds FROM syncs WHERE connection_id = c.id AND number = c.applied_number
				UNION ALL
				SELECT c.created_at, NULL, NULL WHERE c.applied_number = 0
			) s ON true
		) connection
		GROUP BY source, state ORDER BY source, state`, now); err != nil {
		return nil, err
	}
	counts := make([]ConnectionsIn, len(rows))
	for i, row := range rows {
		counts[i] = row.ConnectionsIn
		counts[i].OldestAge = time.Duration(row.OldestSeconds * float64(time.Second))
	}
	return counts, nil
}

func countMonitors(ctx context.Context, tx *sqlx.Tx, now time.Time) ([]MonitorsIn, error) {
	counts := []MonitorsIn{}
	err := tx.SelectContext(ctx, &counts, `
		SELECT code, state, count(*) AS count FROM (`+latestOutcomes+`) o
		WHERE connection_state <> 'disconnected' GROUP BY code, state ORDER BY code, state`, now)
	return counts, err
}
