package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// serverClock tells the time by PostgreSQL's clock. What several machines record
// grows old, and is compared, by one clock: what a machine that is ahead has
// recorded would otherwise prove something for longer than it may.
type serverClock struct {
	// machine is this machine's clock, by which tokens expire, and ahead how far
	// PostgreSQL's is ahead of it.
	machine  func() time.Time
	ahead    atomic.Int64
	compared atomic.Bool
	// given says that it is a test's, and PostgreSQL is not asked.
	given bool
}

const (
	// clockPrecision is what two clocks may differ by unnoticed: to ask takes as
	// long.
	clockPrecision = 10 * time.Millisecond
	// clockAge is how long a session lasts, at whose beginning the clocks are
	// compared.
	clockAge = time.Minute
	// maxAsking is how long asking may take for the answer to be of use, where
	// there was one before.
	maxAsking = time.Second
)

// greeting asks for the time, and has PostgreSQL notice within a minute or two that
// the machine of a session is gone, which holds its locks until then. Longest without
// a statement, in a transaction, is one that waits for a source to renew a token. Who
// reads slowly is not gone: nothing bounds how long what is sent may wait. Of what is
// set as a session starts, poolers refuse what they do not know.
const greeting = `
	SELECT clock_timestamp(),
		set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
		set_config('tcp_keepalives_count', '3', false),
		set_config('idle_in_transaction_session_timeout', '600000', false)`

func (c *serverClock) now() time.Time { return c.byServer(c.machine()) }

// byServer is a time of this machine's clock by PostgreSQL's, and byMachine the
// other way round.
func (c *serverClock) byServer(t time.Time) time.Time  { return t.Add(time.Duration(c.ahead.Load())) }
func (c *serverClock) byMachine(t time.Time) time.Time { return t.Add(-time.Duration(c.ahead.Load())) }

// set compares the clocks, with the greeting of a session.
func (c *serverClock) set(ctx context.Context, session driver.Conn) error {
	asker, ok := session.(driver.QueryerContext)
	if !ok {
		return errors.New("the driver's sessions take no queries")
	}
	asked := c.machine()
	rows, err := asker.QueryContext(ctx, greeting, nil)
	if err != nil {
		return err
	}
	answered := c.machine()
	row := make([]driver.Value, len(rows.Columns()))
	if err := errors.Join(rows.Next(row), rows.Close()); err != nil {
		return err
	}
	told, ok := row[0].(time.Time)
	if !ok {
		return fmt.Errorf("the clock tells %T", row[0])
	}
	if answered.Sub(asked) > maxAsking && c.compared.Load() {
		return nil
	}
	c.compared.Store(true)
	c.ahead.Store(int64(aheadBy(told, asked, answered).Truncate(clockPrecision)))
	return nil
}

// aheadBy is how far a clock is ahead that told a time between two others: of
// their middle, since asking takes about as long as answering.
func aheadBy(told, asked, answered time.Time) time.Duration {
	return told.Sub(asked.Add(answered.Sub(asked) / 2))
}

// clockedConnector sets a clock with each session that it opens.
type clockedConnector struct {
	*pq.Connector
	clock *serverClock
}

// Connect implements driver.Connector.
func (c clockedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	session, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if c.clock.given {
		return session, nil
	}
	if err := c.clock.set(ctx, session); err != nil {
		return nil, errors.Join(fmt.Errorf("ask PostgreSQL for the time: %w", err), session.Close())
	}
	return session, nil
}
