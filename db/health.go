package db

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// Server is what a PostgreSQL says of itself and of how it is talked to.
type Server struct {
	Address string // without password
	Version string
	Role    string // whose rights this program has
	// Encrypted says that the session uses TLS, and Local that it does not
	// leave this machine.
	Encrypted, Local bool
	// Ahead is how far the server's clock is ahead of this program's; negative
	// when it is behind.
	Ahead time.Duration
}

// Server asks the PostgreSQL about itself. It changes nothing.
func (d *DB) Server(ctx context.Context) (Server, error) {
	var row struct {
		Version   string    `db:"version"`
		Role      string    `db:"role"`
		Encrypted bool      `db:"encrypted"`
		Now       time.Time `db:"now"`
	}
	asked := d.clock.machine()
	if err := d.sql.GetContext(ctx, &row, `
		SELECT current_setting('server_version') AS version, current_user AS role,
			EXISTS (SELECT FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS encrypted,
			clock_timestamp() AS now`); err != nil {
		return Server{}, err
	}
	answered := d.clock.machine()
	return Server{
		Address: d.address, Version: row.Version, Role: row.Role, Encrypted: row.Encrypted, Local: isLocal(d.host),
		Ahead: aheadBy(row.Now, asked, answered),
	}, nil
}

// isLocal says whether a host of a database URL is on this machine: loopback,
// or the folder of a socket.
func isLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasPrefix(host, "/") || err == nil && addr.IsLoopback()
}

// CheckSeals opens every connection's credentials, and returns how many there
// are and the names of the connections whose credentials the keyset does not
// open. It returns no secret and changes nothing.
func (d *DB) CheckSeals(ctx context.Context) (sealed int, unopened []string, err error) {
	if d.keyset == nil {
		return 0, nil, ErrNoKeyset
	}
	rows, err := d.sql.QueryxContext(ctx, `
		SELECT c.id, c.name, k.sealed FROM credentials k JOIN connections c ON c.id = k.connection_id ORDER BY c.name`)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	for ; rows.Next(); sealed++ {
		var id int64
		var name string
		var value []byte
		if err := rows.Scan(&id, &name, &value); err != nil {
			return 0, nil, err
		}
		if _, err := d.openCredentials(id, value, nil); err != nil {
			unopened = append(unopened, name)
		}
	}
	return sealed, unopened, rows.Err()
}
