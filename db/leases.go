package db

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Lease is the right of one reader to ask a server. It ends when its time is up,
// by PostgreSQL's own clock.
type Lease struct{ server, holder string }

// LeaseServer gives a reader of a connection the right to read a server for a
// time, so that one connection at a time reads it, on however many machines
// workers run. It returns nil while another connection has that right. A
// connection's next reader takes over from the one before.
func (d *DB) LeaseServer(ctx context.Context, server string, connectionID int64, span time.Duration) (*Lease, error) {
	lease := Lease{server: server}
	err := d.sql.GetContext(ctx, &lease.holder, `
		INSERT INTO source_leases AS l (server, connection_id, expires_at)
		VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')
		ON CONFLICT (server) DO UPDATE SET
			connection_id = excluded.connection_id, expires_at = excluded.expires_at, holder = excluded.holder
		WHERE l.connection_id = excluded.connection_id OR l.expires_at <= clock_timestamp()
		RETURNING holder`,
		server, connectionID, span.Seconds())
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &lease, nil
}

// ReadsServer reports whether a reader of a connection has the right to read a
// server at this moment.
func (d *DB) ReadsServer(ctx context.Context, server string, connectionID int64) (bool, error) {
	var reads bool
	err := d.sql.GetContext(ctx, &reads, `
		SELECT EXISTS (SELECT FROM source_leases WHERE server = $1 AND connection_id = $2 AND expires_at > clock_timestamp())`,
		server, connectionID)
	return reads, err
}

// ProlongLease lets a lease last for a time from now on, and reports whether its
// reader still has it.
func (d *DB) ProlongLease(ctx context.Context, lease Lease, span time.Duration) (bool, error) {
	prolonged, err := d.sql.ExecContext(ctx, `
		UPDATE source_leases SET expires_at = clock_timestamp() + $3 * interval '1 second' WHERE server = $1 AND holder = $2`,
		lease.server, lease.holder, span.Seconds())
	if err != nil {
		return false, err
	}
	n, err := prolonged.RowsAffected()
	return n == 1, err
}

// ReleaseLease ends a lease. One that its reader does not have any more, or a
// second time, changes nothing.
func (d *DB) ReleaseLease(ctx context.Context, lease Lease) error {
	_, err := d.sql.ExecContext(ctx, `DELETE FROM source_leases WHERE server = $1 AND holder = $2`, lease.server, lease.holder)
	return err
}
