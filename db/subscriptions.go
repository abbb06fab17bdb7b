package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Webhook is where notices go. All of it is kept sealed: a URL can be as good
// as a secret.
type Webhook struct {
	URL string `json:"url"`
	// Secret signs what is sent.
	Secret string `json:"secret"`
}

// NewSubscription is what Subscribe needs to know.
type NewSubscription struct {
	Name         string
	Organization string
	// Server is the part of the webhook's URL that may be shown.
	Server       string
	Webhook      Webhook
	WithFindings bool
}

// Subscription is who is told what happens to the connections of an
// organization, and how that goes.
type Subscription struct {
	Name         string    `db:"name"`
	Organization string    `db:"organization"`
	Server       string    `db:"server"`
	WithFindings bool      `db:"with_findings"`
	CreatedAt    time.Time `db:"created_at"`
	// Of the notices that are still kept:
	Pending         int        `db:"pending"`
	Delivered       int        `db:"delivered"`
	GivenUp         int        `db:"given_up"`
	LastDeliveredAt *time.Time `db:"last_delivered_at"`
	// LastError is why the last attempt failed of a notice that is not
	// delivered yet, or never was; "" when there is none.
	LastError   string     `db:"last_error"`
	LastErrorAt *time.Time `db:"last_error_at"`
}

// Subscribe has notices of what happens from now on sent to a webhook. It
// returns ErrAlreadyExists when the name is taken, so a second call changes
// nothing.
func (d *DB) Subscribe(ctx context.Context, n NewSubscription) error {
	err := d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		org, err := organizationID(ctx, tx, n.Organization)
		if err != nil {
			return err
		}
		var id int64
		if err := tx.GetContext(ctx, &id, `
			INSERT INTO subscriptions (organization_id, name, server, sealed, with_findings, created_at)
			VALUES ($1, $2, $3, '', $4, $5) RETURNING id`, org, n.Name, n.Server, n.WithFindings, now); err != nil {
			return err
		}
		// What is sealed is bound to the id.
		sealed, err := d.seal(forWebhook, id, n.Webhook)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE subscriptions SET sealed = $2 WHERE id = $1`, id, sealed)
		return err
	})
	if isUniqueViolation(err) {
		return fmt.Errorf("subscription %q: %w", n.Name, ErrAlreadyExists)
	}
	return err
}

// Unsubscribe removes a subscription with its notices, and returns the routes
// on which some were waiting to be delivered. A second call returns
// ErrNotFound.
func (d *DB) Unsubscribe(ctx context.Context, name string) ([]Route, error) {
	var routes []Route
	err := d.inTx(ctx, func(tx *sqlx.Tx, _ time.Time) error {
		var id int64
		if err := tx.GetContext(ctx, &id, `SELECT id FROM subscriptions WHERE name = $1 FOR UPDATE`, name); err != nil {
			return notFound(err, fmt.Sprintf("subscription %q", name))
		}
		if err := tx.SelectContext(ctx, &routes, `
			SELECT DISTINCT $2::text AS subscription, coalesce(c.name, '') AS connection
			FROM notices n LEFT JOIN connections c ON c.id = n.connection_id
			WHERE n.subscription_id = $1 AND n.state = 'pending'`, id, name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM subscriptions WHERE id = $1`, id)
		return err
	})
	return routes, err
}

// Subscription returns the subscription of a name, or ErrNotFound.
func (d *DB) Subscription(ctx context.Context, name string) (Subscription, error) {
	var s Subscription
	err := d.sql.GetContext(ctx, &s, selectSubscription+` WHERE s.name = $1`, name)
	return s, notFound(err, fmt.Sprintf("subscription %q", name))
}

// Subscriptions returns all subscriptions, in order of their names.
func (d *DB) Subscriptions(ctx context.Context) ([]Subscription, error) {
	subscriptions := []Subscription{}
	err := d.sql.SelectContext(ctx, &subscriptions, selectSubscription+` ORDER BY s.name`)
	return subscriptions, err
}

const selectSubscription = `
	SELECT s.name, o.name AS organization, s.server, s.with_findings, s.created_at,
		n.pending, n.delivered, n.given_up, n.last_delivered_at, coalesce(e.error, '') AS last_error, e.attempted_at AS last_error_at
	FROM subscriptions s JOIN organizations o ON o.id = s.organization_id
	CROSS JOIN LATERAL (
		SELECT count(*) FILTER (WHERE state = 'pending') AS pending,
			count(*) FILTER (WHERE state = 'delivered') AS delivered,
			count(*) FILTER (WHERE state = 'given_up') AS given_up,
			max(ended_at) FILTER (WHERE state = 'delivered') AS last_delivered_at
		FROM notices WHERE subscription_id = s.id
	) n LEFT JOIN LATERAL (
		SELECT error, attempted_at FROM notices
		WHERE subscription_id = s.id AND error <> '' ORDER BY attempted_at DESC LIMIT 1
	) e ON true`
