package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// NoticeKind says what a notice is about. Kinds are part of what receivers
// rely on.
type NoticeKind string

const (
	// NoticeState: a connection is in another state, or its syncs began to
	// fail, or go well again.
	NoticeState NoticeKind = "connection.state"
	// NoticeHeld: a sync is held for a person to accept.
	NoticeHeld NoticeKind = "sync.held"
	// NoticeMonitor: a monitor's outcome is in another state than the one
	// before.
	NoticeMonitor NoticeKind = "monitor.state"
	// NoticeTest: somebody asked whether notices arrive.
	NoticeTest NoticeKind = "test"
)

// NoticeDetails are what a notice tells besides its kind and its connection.
// They hold nothing about a person. Receivers see them under these names.
type NoticeDetails struct {
	Monitor string `json:"monitor,omitempty"` // its code
	// State and Was are of the connection or of the monitor; Was is "" where
	// there was none before.
	State  string        `json:"state,omitempty"`
	Was    string        `json:"was,omitempty"`
	Reason string        `json:"reason,omitempty"`
	Sync   int           `json:"sync,omitempty"`
	Counts *NoticeCounts `json:"counts,omitempty"` // of the monitor
}

// NoticeCounts says how many accounts a monitor found in which state.
type NoticeCounts struct {
	Passing      int `json:"passing"`
	Due          int `json:"due"`
	Failing      int `json:"failing"`
	NotEvaluable int `json:"not_evaluable"`
	Excepted     int `json:"excepted"`
}

// notice puts a notice into the outbox for each subscription of a connection's
// organization: nothing where there is none. Whoever calls it holds the
// connection's lock, so that the notices' numbers are in the order in which
// they come to be seen.
func notice(ctx context.Context, tx *sqlx.Tx, connectionID int64, kind NoticeKind, details NoticeDetails, now time.Time) error {
	content, err := jsonb(details)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO notices (subscription_id, connection_id, kind, details, created_at)
		SELECT id, $1, $2, $3::jsonb, $4::timestamptz FROM subscriptions
		WHERE organization_id = (SELECT organization_id FROM connections WHERE id = $1)
		FOR KEY SHARE`, connectionID, kind, content, now)
	return err
}

func noticeState(ctx context.Context, tx *sqlx.Tx, connectionID int64, was State, is StateChange, now time.Time) error {
	return notice(ctx, tx, connectionID, NoticeState, NoticeDetails{State: string(is.State), Was: string(was), Reason: is.Reason}, now)
}

// noticeSync gives notice of how a sync ended, where that is news: it is held,
// it put its connection in another state, or it failed and the one before did
// not, or the other way round.
func noticeSync(ctx context.Context, tx *sqlx.Tx, connectionID int64, s Sync, was State, is StateChange) error {
	if s.Outcome == Held {
		if err := notice(ctx, tx, connectionID, NoticeHeld, NoticeDetails{Sync: s.Number, Reason: s.Reason}, *s.FinishedAt); err != nil {
			return err
		}
	}
	if s.Outcome == Failed {
		is.Reason = s.Reason
	}
	news := was != is.State
	if !news {
		before, err := outcomeBefore(ctx, tx, connectionID, s.Number)
		if err != nil {
			return err
		}
		news = s.Outcome == Failed && before != Failed || s.Outcome == Applied && (before == Failed || before == Held)
	}
	if !news {
		return nil
	}
	return noticeState(ctx, tx, connectionID, was, is, *s.FinishedAt)
}

// outcomeBefore is the outcome of the sync before the one of a number; "" when
// there is none. Interrupted ones are left out: what ended them was no fault
// of the source, and nobody was told.
func outcomeBefore(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int) (before Outcome, err error) {
	err = tx.GetContext(ctx, &before, `
		SELECT outcome FROM syncs
		WHERE connection_id = $1 AND number < $2 AND error <> $3 ORDER BY number DESC LIMIT 1`, connectionID, number, CodeInterrupted)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return before, err
}

// outcome is what a monitor found at a sync.
type outcome struct {
	State  MonitorState
	Reason string
	Number int
	NoticeCounts
}

// noticeMonitor gives notice of a monitor whose outcome is in another state
// than the one before, "" if there was none.
func noticeMonitor(ctx context.Context, tx *sqlx.Tx, connectionID int64, code string, was MonitorState, is outcome, now time.Time) error {
	if is.State == was {
		return nil
	}
	return notice(ctx, tx, connectionID, NoticeMonitor, NoticeDetails{
		Monitor: code, State: string(is.State), Was: string(was), Reason: is.Reason, Sync: is.Number, Counts: &is.NoticeCounts,
	}, now)
}

// NoticeTest puts a test into the outbox of a subscription, and returns its
// id. Twice makes two tests.
func (d *DB) NoticeTest(ctx context.Context, subscription string) (id string, err error) {
	err = d.sql.GetContext(ctx, &id, `
		INSERT INTO notices (subscription_id, kind, details, created_at)
		SELECT id, $2, '{}', $3::timestamptz FROM subscriptions WHERE name = $1
		RETURNING id`, subscription, NoticeTest, recorded(d.clock.now()))
	return id, notFound(err, fmt.Sprintf("subscription %q", subscription))
}

// Route is what is delivered in order: the notices about one connection to one
// subscription, both by name. Connection is "" for tests.
type Route struct {
	Subscription string `json:"subscription" db:"subscription"`
	Connection   string `json:"connection,omitempty" db:"connection"`
}

// PendingRoutes returns the routes on which something about a connection waits
// to be delivered.
func (d *DB) PendingRoutes(ctx context.Context, connectionID int64) ([]Route, error) {
	var routes []Route
	err := d.sql.SelectContext(ctx, &routes, selectPendingRoutes+` AND n.connection_id = $1 ORDER BY 1`, connectionID)
	return routes, err
}

// PendingRoutesOf is PendingRoutes about all connections of an organization.
func (d *DB) PendingRoutesOf(ctx context.Context, organization string) ([]Route, error) {
	var routes []Route
	err := d.sql.SelectContext(ctx, &routes, selectPendingRoutes+`
		AND c.organization_id = (SELECT id FROM organizations WHERE name = $1) ORDER BY 1, 2`, organization)
	return routes, err
}

const selectPendingRoutes = `
	SELECT DISTINCT s.name AS subscription, c.name AS connection
	FROM notices n JOIN subscriptions s ON s.id = n.subscription_id JOIN connections c ON c.id = n.connection_id
	WHERE n.state = 'pending'`

// Notice is what is to be delivered, and where to.
type Notice struct {
	// ID is the same at every attempt.
	ID           string
	Kind         NoticeKind
	At           time.Time
	Organization string
	Connection   string // "" for a test
	ConnectionID int64
	Subscription string
	Details      NoticeDetails
	// WithFindings says that the receiver is to be told of people.
	WithFindings bool
	Webhook      Webhook
}

// NextNotice returns the oldest notice of a route that waits to be delivered,
// or ErrNotFound when there is none. It changes nothing.
func (d *DB) NextNotice(ctx context.Context, r Route) (Notice, error) {
	var row struct {
		ID             string     `db:"id"`
		Kind           NoticeKind `db:"kind"`
		Details        []byte     `db:"details"`
		CreatedAt      time.Time  `db:"created_at"`
		Organization   string     `db:"organization"`
		ConnectionID   int64      `db:"connection_id"`
		SubscriptionID int64      `db:"subscription_id"`
		WithFindings   bool       `db:"with_findings"`
		Sealed         []byte     `db:"sealed"`
	}
	if err := d.sql.GetContext(ctx, &row, `
		SELECT n.id, n.kind, n.details, n.created_at, o.name AS organization, coalesce(n.connection_id, 0) AS connection_id,
			s.id AS subscription_id, s.with_findings, s.sealed
		FROM notices n JOIN subscriptions s ON s.id = n.subscription_id JOIN organizations o ON o.id = s.organization_id
		WHERE s.name = $1 AND n.state = 'pending'
			AND (n.connection_id = (SELECT id FROM connections WHERE name = $2) OR $2 = '' AND n.connection_id IS NULL)
		ORDER BY n.number LIMIT 1`, r.Subscription, r.Connection); err != nil {
		return Notice{}, notFound(err, "a notice to deliver")
	}
	n := Notice{
		ID: row.ID, Kind: row.Kind, At: row.CreatedAt, Organization: row.Organization, Connection: r.Connection, ConnectionID: row.ConnectionID,
		Subscription: r.Subscription, WithFindings: row.WithFindings,
	}
	if err := json.Unmarshal(row.Details, &n.Details); err != nil {
		return Notice{}, fmt.Errorf("notice %s: %w", n.ID, err)
	}
	return n, d.open(forWebhook, row.SubscriptionID, row.Sealed, &n.Webhook)
}

// NoticeOutcome says what became of a notice.
type NoticeOutcome string

const (
	NoticePending   NoticeOutcome = "pending"
	NoticeDelivered NoticeOutcome = "delivered"
	// NoticeGivenUp: it was not delivered and is not tried again.
	NoticeGivenUp NoticeOutcome = "given_up"
)

const (
	// NoticePatience is how long after it was given a notice is tried.
	NoticePatience = 3 * 24 * time.Hour
	// noticesKept is how long it can be seen what became of a notice.
	noticesKept = 30 * 24 * time.Hour
)

// NoticeAttempt is what came of an attempt to deliver a notice.
type NoticeAttempt struct {
	Error string // why it failed; "" when it did not
	// Final says that another attempt is of no use.
	Final bool
}

// RecordAttempt records an attempt to deliver a notice and returns what becomes
// of it: after NoticePatience an attempt that failed was the last. When a notice
// has ended, those of its subscription that ended long ago are forgotten. A second
// call counts as a second attempt; for a notice that has ended, or is gone, it
// changes nothing and returns ErrNotFound.
func (d *DB) RecordAttempt(ctx context.Context, noticeID string, a NoticeAttempt) (NoticeOutcome, error) {
	var row struct {
		State          NoticeOutcome `db:"state"`
		SubscriptionID int64         `db:"subscription_id"`
	}
	err := d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		return notFound(tx.GetContext(ctx, &row, `
			UPDATE notices SET attempts = attempts + 1, attempted_at = $4, error = $2, state = becomes,
				ended_at = CASE WHEN becomes <> 'pending' THEN $4::timestamptz END
			FROM (
				SELECT id AS this, CASE WHEN $2 = '' THEN 'delivered' WHEN $3 OR created_at <= $5 THEN 'given_up' ELSE 'pending' END AS becomes
				FROM notices WHERE id = $1
			) n
			WHERE id = this AND state = 'pending'
			RETURNING state, subscription_id`,
			noticeID, a.Error, a.Final, now, now.Add(-NoticePatience)), "a notice to deliver")
	})
	if err == nil && row.State != NoticePending {
		err = d.forgetNotices(ctx, row.SubscriptionID)
	}
	return row.State, err
}

// forgetNotices waits for nobody and is a transaction of its own: whoever removes a
// subscription, or a connection, may hold some of its notices and wait for others.
func (d *DB) forgetNotices(ctx context.Context, subscriptionID int64) error {
	return d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		_, err := tx.ExecContext(ctx, `
			DELETE FROM notices WHERE number IN (
				SELECT number FROM notices WHERE subscription_id = $1 AND ended_at <= $2 FOR UPDATE SKIP LOCKED
			)`, subscriptionID, now.Add(-noticesKept))
		return err
	})
}

// Delivery is a notice as those see it who ask what became of it.
type Delivery struct {
	ID          string        `db:"id"`
	Kind        NoticeKind    `db:"kind"`
	Connection  string        `db:"connection"` // "" for a test
	Outcome     NoticeOutcome `db:"state"`
	Attempts    int           `db:"attempts"`
	Error       string        `db:"error"` // of the last attempt
	CreatedAt   time.Time     `db:"created_at"`
	AttemptedAt *time.Time    `db:"attempted_at"`
	EndedAt     *time.Time    `db:"ended_at"`
}

const selectDelivery = `
	SELECT n.id, n.kind, coalesce(c.name, '') AS connection, n.state, n.attempts, n.error, n.created_at, n.attempted_at, n.ended_at
	FROM notices n JOIN subscriptions s ON s.id = n.subscription_id LEFT JOIN connections c ON c.id = n.connection_id `

// Deliveries returns a subscription's latest notices, newest first.
func (d *DB) Deliveries(ctx context.Context, subscription string, limit int) ([]Delivery, error) {
	deliveries := []Delivery{}
	err := d.sql.SelectContext(ctx, &deliveries, selectDelivery+`
		WHERE s.name = $1 ORDER BY n.number DESC LIMIT $2`, subscription, limit)
	return deliveries, err
}

// DeliveryOf returns one notice, or ErrNotFound.
func (d *DB) DeliveryOf(ctx context.Context, noticeID string) (Delivery, error) {
	var delivery Delivery
	err := d.sql.GetContext(ctx, &delivery, selectDelivery+`WHERE n.id = $1`, noticeID)
	return delivery, notFound(err, "the notice")
}
