package db

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"jamf-access-review/activities/directory"
)

// State is the state of a connection.
type State string

const (
	// Connecting: its first sync has not been applied yet.
	Connecting State = "connecting"
	Active     State = "active"
	// NeedsReconnect: its credentials were rejected; a person has to act.
	NeedsReconnect State = "needs_reconnect"
	// Paused: it syncs when asked to and not by itself.
	Paused State = "paused"
	// Disconnected: its credentials were destroyed and its record is kept.
	Disconnected State = "disconnected"
)

// Connection is a source that is kept in the record.
type Connection struct {
	ID           int64
	Name         string
	Organization string
	Source       string
	BaseURL      string
	// Account is which of several directories at BaseURL is meant, if so.
	Account string
	Scope   directory.Scope
	// Every is the time from one scheduled sync to the next.
	Every time.Duration
	// ExitGrace is how long after leaving a person's account may stay active.
	ExitGrace time.Duration
	// Hold says which snapshots are held for a person to accept.
	Hold   Hold
	State  State
	Reason string // why it is in a state that wants attention
	// Paused says that its schedule was stopped, also where it needs credentials.
	Paused bool
	// Cancelled says that somebody cancelled its workflow.
	Cancelled  bool
	NextSyncAt *time.Time
	CreatedAt  time.Time
	// AppliedSync is the number of the sync that the record speaks of; 0
	// before the first.
	AppliedSync int
	// Report is what the source said of itself at that sync.
	Report directory.Report
}

// NewConnection is what CreateConnection needs to know.
type NewConnection struct {
	Name         string
	Organization string
	Source       string
	BaseURL      string
	Account      string
	Scope        directory.Scope
	Every        time.Duration
	ExitGrace    time.Duration
	Hold         Hold // the zero Hold stands for DefaultHold
	Credentials  directory.Credentials
}

// Hold is the brake of a connection: a snapshot that would remove or
// deactivate more than both of these, of all that is on record or of its active
// console accounts, is held.
type Hold struct {
	Percent int // of those that are present
	Count   int
}

func (h Hold) stops(taken, present int) bool {
	return taken > h.Count && taken*100 > h.Percent*present
}

// DefaultHold is the brake where none was chosen.
func DefaultHold() Hold { return Hold{Percent: 30, Count: 5} }

// CreateConnection records a new connection, in state Connecting, with its
// credentials sealed. It returns ErrAlreadyExists when the name is taken, so
// a second call with the same name changes nothing.
func (d *DB) CreateConnection(ctx context.Context, c NewConnection) (Connection, error) {
	c.Hold = cmp.Or(c.Hold, DefaultHold())
	err := d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		org, err := organizationID(ctx, tx, c.Organization)
		if err != nil {
			return err
		}
		var id int64
		if err := tx.GetContext(ctx, &id, `
			INSERT INTO connections (organization_id, name, source, base_url, account, scope, every_seconds, exit_grace_seconds, hold_percent, hold_count, state, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'connecting', $11)
			RETURNING id`,
			org, c.Name, c.Source, c.BaseURL, c.Account, c.Scope, seconds(c.Every), seconds(c.ExitGrace), c.Hold.Percent, c.Hold.Count, now); err != nil {
			return err
		}
		sealed, err := d.seal(forCredentials, id, c.Credentials)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO credentials (connection_id, sealed) VALUES ($1, $2)`, id, sealed)
		return err
	})
	if isUniqueViolation(err) {
		return Connection{}, fmt.Errorf("connection %q: %w", c.Name, ErrAlreadyExists)
	}
	if err != nil {
		return Connection{}, fmt.Errorf("record connection %q: %w", c.Name, err)
	}
	return d.Connection(ctx, c.Name)
}

// organizationID is the id of an organization, which is recorded if it is new.
// It leaves one that is there alone: an update would wait for every sync of its
// connections, and they for it.
func organizationID(ctx context.Context, tx *sqlx.Tx, name string) (int64, error) {
	if _, err := tx.ExecContext(ctx, `INSERT INTO organizations (name) VALUES ($1) ON CONFLICT DO NOTHING`, name); err != nil {
		return 0, err
	}
	var id int64
	err := tx.GetContext(ctx, &id, `SELECT id FROM organizations WHERE name = $1`, name)
	return id, err
}

// Connection returns the connection of a name, or ErrNotFound.
func (d *DB) Connection(ctx context.Context, name string) (Connection, error) {
	var row connectionRow
	err := d.sql.GetContext(ctx, &row, selectConnection+` WHERE c.name = $1`, name)
	if err != nil {
		return Connection{}, notFound(err, fmt.Sprintf("connection %q", name))
	}
	return row.connection()
}

// ConnectionByID returns the connection of an id, or ErrNotFound.
func (d *DB) ConnectionByID(ctx context.Context, id int64) (Connection, error) {
	var row connectionRow
	err := d.sql.GetContext(ctx, &row, selectConnection+` WHERE c.id = $1`, id)
	if err != nil {
		return Connection{}, notFound(err, "the connection")
	}
	return row.connection()
}

// StateChange is what becomes of a connection.
type StateChange struct {
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Paused says that the schedule was stopped by a person, whatever the state.
	Paused bool `json:"paused,omitempty"`
	// Cancelled says that this is because its workflow was cancelled.
	Cancelled bool `json:"cancelled,omitempty"`
	// NextSyncAt is nil when no sync is scheduled.
	NextSyncAt *time.Time `json:"next_sync_at,omitempty"`
	// Every is the new interval; 0 leaves it as it is.
	Every Interval `json:"every,omitempty"`
	// OnlyFrom, if not "", is the state that the connection must be in for any of
	// this to become of it.
	OnlyFrom State `json:"only_from,omitempty"`
}

// Interval is a time.Duration that reads as "6h0m0s" in JSON.
type Interval time.Duration

// MarshalText implements encoding.TextMarshaler.
func (i Interval) MarshalText() ([]byte, error) { return []byte(time.Duration(i).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Interval) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*i = Interval(d)
	return err
}

// ChangeState records a connection's state, or nothing where that is another than
// change.OnlyFrom. Twice is as good as once. A disconnected connection stays so:
// ErrDisconnected.
func (d *DB) ChangeState(ctx context.Context, connectionID int64, change StateChange) error {
	return d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, c Connection, now time.Time) error {
		if change.OnlyFrom != "" && c.State != change.OnlyFrom {
			return nil
		}
		return changeState(ctx, tx, connectionID, change, now)
	})
}

// changeState changes the state of a connection that is locked, and gives
// notice of it.
func changeState(ctx context.Context, tx *sqlx.Tx, connectionID int64, change StateChange, now time.Time) error {
	was, err := setState(ctx, tx, connectionID, change)
	if err != nil || was == change.State {
		return err
	}
	return noticeState(ctx, tx, connectionID, was, change, now)
}

// setState sets the state of a connection that is locked, and returns what it
// was: a query in RETURNING does not see the update. It is not a join, which
// setBased would make expensive.
func setState(ctx context.Context, tx *sqlx.Tx, connectionID int64, change StateChange) (was State, err error) {
	err = tx.GetContext(ctx, &was, `
		UPDATE connections c
		SET state = $2, state_reason = $3, next_sync_at = $4, every_seconds = coalesce(nullif($5::bigint, 0), c.every_seconds), cancelled = $6, paused = $7
		WHERE c.id = $1
		RETURNING (SELECT state FROM connections WHERE id = $1)`,
		connectionID, change.State, change.Reason, change.NextSyncAt, seconds(time.Duration(change.Every)), change.Cancelled, change.Paused)
	return was, err
}

// Disconnect destroys a connection's credentials and keeps its record. Twice
// is as good as once.
func (d *DB) Disconnect(ctx context.Context, connectionID int64) error {
	return d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		if there, err := lockToEnd(ctx, tx, connectionID); err != nil || !there {
			return err
		}
		if err := changeState(ctx, tx, connectionID, StateChange{State: Disconnected}, now); err != nil {
			return err
		}
		if err := deleteCredentials(ctx, tx, connectionID); err != nil {
			return err
		}
		return interrupt(ctx, tx, connectionID, "the connection was disconnected", now)
	})
}

func deleteCredentials(ctx context.Context, tx *sqlx.Tx, connectionID int64) error {
	_, err := tx.ExecContext(ctx, `
		WITH candidates AS (DELETE FROM credential_candidates WHERE connection_id = $1)
		DELETE FROM credentials WHERE connection_id = $1`, connectionID)
	return err
}

// Erase destroys a connection's credentials, and then removes it with everything
// recorded of it, which takes as long as that is much. Twice is as good as once.
func (d *DB) Erase(ctx context.Context, connectionID int64) error {
	if err := d.destroyCredentials(ctx, connectionID); err != nil {
		return err
	}
	_, err := d.sql.ExecContext(ctx, `DELETE FROM connections WHERE id = $1`, connectionID)
	return err
}

// destroyCredentials does not wait for the end of an erasing, and gives no
// notice: nobody is told that a record is kept which is not.
func (d *DB) destroyCredentials(ctx context.Context, connectionID int64) error {
	return d.inTx(ctx, func(tx *sqlx.Tx, _ time.Time) error {
		if there, err := lockToEnd(ctx, tx, connectionID); err != nil || !there {
			return err
		}
		if _, err := setState(ctx, tx, connectionID, StateChange{State: Disconnected}); err != nil {
			return err
		}
		return deleteCredentials(ctx, tx, connectionID)
	})
}

// EraseConnecting removes a connection that never became one: its name is
// free again. It leaves a connection in any other state alone.
func (d *DB) EraseConnecting(ctx context.Context, connectionID int64) error {
	_, err := d.sql.ExecContext(ctx, `DELETE FROM connections WHERE id = $1 AND state = 'connecting'`, connectionID)
	return err
}

// lockConnection takes the lock under which a connection's record changes,
// before any other lock. It lets rows that refer to the connection be added. It
// returns ErrNotFound for an erased connection and ErrDisconnected for one
// without credentials.
func lockConnection(ctx context.Context, tx *sqlx.Tx, connectionID int64) (Connection, error) {
	var row connectionRow
	err := tx.GetContext(ctx, &row, selectConnection+` WHERE c.id = $1 FOR NO KEY UPDATE OF c`, connectionID)
	if err != nil {
		return Connection{}, notFound(err, "the connection")
	}
	c, err := row.connection()
	if err == nil && c.State == Disconnected {
		err = ErrDisconnected
	}
	return c, err
}

// withConnection runs f in one transaction, once it has the lock of a connection, see
// lockConnection, with the time of that: whoever had it before may have had it for long.
func (d *DB) withConnection(ctx context.Context, connectionID int64, f func(tx *sqlx.Tx, c Connection, now time.Time) error) error {
	return d.inTx(ctx, func(tx *sqlx.Tx, _ time.Time) error {
		c, err := lockConnection(ctx, tx, connectionID)
		if err != nil {
			return err
		}
		return f(tx, c, recorded(d.clock.now()))
	})
}

// lockToEnd is lockConnection for who ends a connection, which may have been
// disconnected, or be gone.
func lockToEnd(ctx context.Context, tx *sqlx.Tx, connectionID int64) (there bool, err error) {
	_, err = lockConnection(ctx, tx, connectionID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if errors.Is(err, ErrDisconnected) {
		err = nil
	}
	return true, err
}

const selectConnection = `
	SELECT c.id, c.name, o.name AS organization, c.source, c.base_url, c.account, c.scope, c.every_seconds, c.exit_grace_seconds, c.hold_percent, c.hold_count,
		c.state, c.state_reason, c.paused, c.cancelled, c.next_sync_at, c.created_at, c.applied_number,
		c.source_version, c.limitations, c.single_sign_on
	FROM connections c JOIN organizations o ON o.id = c.organization_id`

type connectionRow struct {
	ID               int64           `db:"id"`
	Name             string          `db:"name"`
	Organization     string          `db:"organization"`
	Source           string          `db:"source"`
	BaseURL          string          `db:"base_url"`
	Account          string          `db:"account"`
	Scope            directory.Scope `db:"scope"`
	EverySeconds     int64           `db:"every_seconds"`
	ExitGraceSeconds int64           `db:"exit_grace_seconds"`
	HoldPercent      int             `db:"hold_percent"`
	HoldCount        int             `db:"hold_count"`
	State            State           `db:"state"`
	StateReason      string          `db:"state_reason"`
	Paused           bool            `db:"paused"`
	Cancelled        bool            `db:"cancelled"`
	NextSyncAt       *time.Time      `db:"next_sync_at"`
	CreatedAt        time.Time       `db:"created_at"`
	AppliedNumber    int             `db:"applied_number"`
	SourceVersion    string          `db:"source_version"`
	Limitations      []byte          `db:"limitations"`
	SingleSignOn     []byte          `db:"single_sign_on"`
}

func (r connectionRow) connection() (Connection, error) {
	c := Connection{
		ID: r.ID, Name: r.Name, Organization: r.Organization, Source: r.Source, BaseURL: r.BaseURL, Account: r.Account, Scope: r.Scope,
		Every:     time.Duration(r.EverySeconds) * time.Second,
		ExitGrace: time.Duration(r.ExitGraceSeconds) * time.Second,
		Hold:      Hold{Percent: r.HoldPercent, Count: r.HoldCount},
		State:     r.State, Reason: r.StateReason, Paused: r.Paused, Cancelled: r.Cancelled, NextSyncAt: r.NextSyncAt, CreatedAt: r.CreatedAt,
		AppliedSync: r.AppliedNumber,
		Report:      directory.Report{Version: r.SourceVersion},
	}
	if err := json.Unmarshal(r.Limitations, &c.Report.Limitations); err != nil {
		return Connection{}, fmt.Errorf("connection %q: limitations: %w", r.Name, err)
	}
	if r.SingleSignOn != nil {
		if err := json.Unmarshal(r.SingleSignOn, &c.Report.SingleSignOn); err != nil {
			return Connection{}, fmt.Errorf("connection %q: single sign-on: %w", r.Name, err)
		}
	}
	return c, nil
}

func connectionsOf(rows []connectionRow) ([]Connection, error) {
	connections := make([]Connection, 0, len(rows))
	for _, row := range rows {
		c, err := row.connection()
		if err != nil {
			return nil, err
		}
		connections = append(connections, c)
	}
	return connections, nil
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
