package db

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
)

// Overview is a connection with what became of it lately.
type Overview struct {
	Connection
	// LastSync is the last sync that ended; nil before the first.
	LastSync *Sync
	// Monitors are as Monitors returns them.
	Monitors []Monitor
	// Attention is the most urgent reason why it needs a person.
	Attention Attention
}

// Overviews returns all connections, those that need a person first, the most
// urgent before the others. However many there are, it takes the same few
// statements. It changes nothing.
func (d *DB) Overviews(ctx context.Context) ([]Overview, error) {
	return d.overviews(ctx, "")
}

// Overview returns the connection of a name, or ErrNotFound. It changes
// nothing.
func (d *DB) Overview(ctx context.Context, name string) (Overview, error) {
	found, err := d.overviews(ctx, name)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("connection %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return Overview{}, err
	}
	return found[0], nil
}

// overviews are those of one name, or of all for "". All statements see the
// same moment.
func (d *DB) overviews(ctx context.Context, name string) ([]Overview, error) {
	tx, err := d.sql.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	// Of each connection little is read; to compile that takes longer.
	if _, err := tx.ExecContext(ctx, `SET LOCAL jit = off`); err != nil {
		return nil, err
	}
	now := d.clock.now().UTC()
	connections, err := namedConnections(ctx, tx, name)
	if err != nil {
		return nil, err
	}
	syncs, err := lastSyncs(ctx, tx, name)
	if err != nil {
		return nil, err
	}
	monitors, err := monitorsNow(ctx, tx, now, `$2 IN ('', connection_name)`, name)
	if err != nil {
		return nil, err
	}
	overviews := make([]Overview, 0, len(connections))
	for _, c := range connections {
		o := Overview{Connection: c, LastSync: syncs[c.ID], Monitors: monitors[c.ID]}
		o.Attention = o.attention(now)
		overviews = append(overviews, o)
	}
	slices.SortStableFunc(overviews, func(a, b Overview) int {
		return cmp.Compare(slices.Index(byUrgency, a.Attention), slices.Index(byUrgency, b.Attention))
	})
	return overviews, nil
}

func namedConnections(ctx context.Context, tx *sqlx.Tx, name string) ([]Connection, error) {
	var rows []connectionRow
	if err := tx.SelectContext(ctx, &rows, selectConnection+`
		WHERE $1 IN ('', c.name)
		ORDER BY array_position('{needs_reconnect,connecting,paused,active,disconnected}', c.state), c.name`, name); err != nil {
		return nil, err
	}
	return connectionsOf(rows)
}

// lastSyncs are the last syncs that ended, by connection. Each is the end of
// an index, however long a connection's history is.
func lastSyncs(ctx context.Context, tx *sqlx.Tx, name string) (map[int64]*Sync, error) {
	var rows []struct {
		ConnectionID int64 `db:"connection_id"`
		Sync
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT s.connection_id, `+syncColumns+`
		FROM connections c CROSS JOIN LATERAL (
			SELECT * FROM syncs WHERE connection_id = c.id AND outcome <> 'running' ORDER BY number DESC LIMIT 1
		) s
		WHERE $1 IN ('', c.name)`, name); err != nil {
		return nil, err
	}
	syncs := make(map[int64]*Sync, len(rows))
	for i := range rows {
		syncs[rows[i].ConnectionID] = &rows[i].Sync
	}
	return syncs, nil
}

// ConnectionNames returns the names that begin with a prefix, in order, at
// most a number of them. It changes nothing.
func (d *DB) ConnectionNames(ctx context.Context, prefix string, atMost int) ([]string, error) {
	names := []string{}
	err := d.sql.SelectContext(ctx, &names, `
		SELECT name FROM connections WHERE starts_with(name, $1) ORDER BY name LIMIT $2`, prefix, atMost)
	return names, err
}
