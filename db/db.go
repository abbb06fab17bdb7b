// Package db is the record, kept in PostgreSQL: connections and their sealed
// credentials, syncs, accounts and their changes, the staff roster, monitors
// and their outcomes. It is the only package that knows SQL.
//
// An exported method is one transaction, unless it says otherwise. Each says
// what it does when it is called twice, because everything that calls it may be
// interrupted and called again.
package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

var (
	// ErrNotFound is returned when what was named does not exist.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyExists is returned when a name is taken.
	ErrAlreadyExists = errors.New("already exists")
	// ErrDisconnected is returned for a connection that has no credentials
	// any more.
	ErrDisconnected = errors.New("disconnected")
	// ErrRejected is returned for offered credentials that were rejected while
	// they were about to be accepted.
	ErrRejected = errors.New("the offered credentials were rejected")
)

// DB is the record. It is safe for concurrent use.
type DB struct {
	sql *sqlx.DB
	// renewals are connections that wait for a source while they hold the lock of
	// credentials. They are apart, so that slow sources hold up nothing but who
	// needs those credentials.
	renewals *sqlx.DB
	// keyset is nil where none was given; then nothing can be sealed.
	keyset *Keyset
	clock  *serverClock
	// host and address are where the PostgreSQL is, without its password.
	host, address string
}

// Option configures Open.
type Option func(*DB)

// WithKeyset gives the record the means to seal and open credentials.
func WithKeyset(k *Keyset) Option { return func(d *DB) { d.keyset = k } }

// WithClock replaces PostgreSQL's clock and this machine's, for tests.
func WithClock(now func() time.Time) Option {
	return func(d *DB) { d.clock = &serverClock{machine: now, given: true} }
}

// maxConns bounds the connections of one process, twice: those for the record
// and those for renewals. A worker's activities are mostly waiting for their
// source, not for Postgres.
const maxConns = 10

// Open connects to the PostgreSQL at the URL. It returns an *UnavailableError
// when none answers there that can be used.
func Open(ctx context.Context, databaseURL string, options ...Option) (*DB, error) {
	d := &DB{clock: &serverClock{machine: time.Now}, address: address(databaseURL)}
	for _, o := range options {
		o(d)
	}
	connector, host, err := newConnector(databaseURL)
	if err != nil {
		return nil, &UnavailableError{Address: d.address, Cause: withoutURL(err)}
	}
	d.host = host
	d.sql, d.renewals = newPool(clockedConnector{connector, d.clock}), newPool(clockedConnector{connector, d.clock})
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := d.sql.PingContext(ctx); err != nil {
		d.Close()
		return nil, &UnavailableError{Address: d.address, Cause: err}
	}
	return d, nil
}

// connectTimeout is how long a server may take to let a session in.
const connectTimeout = 10 * time.Second

// newConnector makes sessions whose times are in UTC, however the server or
// the environment is set, and says on which host.
func newConnector(databaseURL string) (connector *pq.Connector, host string, err error) {
	config, err := pq.NewConfig(databaseURL)
	if err != nil {
		return nil, "", err
	}
	if config.Runtime == nil {
		config.Runtime = map[string]string{}
	}
	config.Runtime["timezone"] = "UTC"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout // a context ends no wait for a greeting
	}
	// A statement and its parameters then go in one message, and not in two.
	config.BinaryParameters = true
	connector, err = pq.NewConnectorConfig(config)
	return connector, config.Host, err
}

// withoutURL strips the URL, and the password in it, from an error that quotes
// what it could not parse.
func withoutURL(err error) error {
	if parsing, ok := errors.AsType[*url.Error](err); ok {
		return parsing.Err
	}
	return err
}

func newPool(connector driver.Connector) *sqlx.DB {
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(maxConns)
	pool.SetMaxIdleConns(maxConns)
	pool.SetConnMaxIdleTime(time.Minute)
	pool.SetConnMaxLifetime(clockAge)
	return sqlx.NewDb(pool, "postgres")
}

// Close closes the connections.
func (d *DB) Close() error { return errors.Join(d.sql.Close(), d.renewals.Close()) }

// Ping makes sure that PostgreSQL answers. It changes nothing.
func (d *DB) Ping(ctx context.Context) error { return d.sql.PingContext(ctx) }

// recorded is a time as Postgres keeps it, so that what is returned equals
// what is read back.
func recorded(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// inTx runs f in one transaction, with its time.
func (d *DB) inTx(ctx context.Context, f func(tx *sqlx.Tx, now time.Time) error) error {
	return d.inTxOf(ctx, d.sql, f)
}

func (d *DB) inTxOf(ctx context.Context, pool *sqlx.DB, f func(tx *sqlx.Tx, now time.Time) error) error {
	tx, err := pool.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx, recorded(d.clock.now())); err != nil {
		return err
	}
	return tx.Commit()
}

// setBased prepares a transaction for statements over all accounts of a
// connection. Statistics may know nothing of its accounts yet; a nested loop
// that is chosen for one expected row and meets a million does not end. Where
// one is wanted it is written LATERAL, and then looks expensive enough to be
// compiled first, which for a connection of a usual size takes longest of all.
func setBased(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `SET LOCAL enable_nestloop = off; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'`)
	return err
}

// jsonb encodes a parameter; nil is NULL.
func jsonb(value any) (sql.NullString, error) {
	b, err := json.Marshal(value)
	return sql.NullString{String: string(b), Valid: string(b) != "null"}, err
}

func isUniqueViolation(err error) bool { return hasCode(err, "23505") }

func isForeignKeyViolation(err error) bool { return hasCode(err, "23503") }

func hasCode(err error, code pqerror.Code) bool {
	pqErr, ok := errors.AsType[*pq.Error](err)
	return ok && pqErr.Code == code
}

// notFound turns "no rows" into ErrNotFound, naming what was looked for.
func notFound(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return err
}
