package db

import (
	"context"
	"time"
)

// LeaseServer gives a connection the right to read a server for a time, so that
// one connection at a time reads it, on however many machines workers run. It
// reports whether the right was given: not while another connection has it.
// Whoever has it prolongs it with another call, and loses it when the time is
// up. The time is PostgreSQL's own.
func (d *DB) LeaseServer(ctx context.Context, server string, connectionID int64, span time.Duration) (bool, error) {
	given, err := d.sql.ExecContext(ctx, `
		INSERT INTO source_leases AS l (server, connection_id, expires_at)
		VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')
		ON CONFLICT (server) DO UPDATE SET connection_id = excluded.connection_id, expires_at = excluded.expires_at
		WHERE l.connection_id = excluded.connection_id OR l.expires_at <= clock_timestamp()`,
		server, connectionID, span.Seconds())
	if err != nil {
		return false, err
	}
	n, err := given.RowsAffected()
	return n == 1, err
}

// ReleaseServer ends a connection's right to read a server. Without it, or a
// second time, nothing changes.
func (d *DB) ReleaseServer(ctx context.Context, server string, connectionID int64) error {
	_, err := d.sql.ExecContext(ctx, `DELETE FROM source_leases WHERE server = $1 AND connection_id = $2`, server, connectionID)
	return err
}
