package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"jamf-access-review/activities/directory"
)

// Credentials returns a connection's credentials, or ErrDisconnected.
func (d *DB) Credentials(ctx context.Context, connectionID int64) (directory.Credentials, error) {
	var sealed []byte
	err := d.sql.GetContext(ctx, &sealed, `SELECT sealed FROM credentials WHERE connection_id = $1`, connectionID)
	return d.openCredentials(connectionID, sealed, err)
}

// OfferCredentials seals credentials that are to replace a connection's own
// once its source has accepted them, and returns their id. Twice makes two
// offers.
func (d *DB) OfferCredentials(ctx context.Context, connectionID int64, offered directory.Credentials) (int64, error) {
	sealed, err := d.seal(forCredentials, connectionID, offered)
	if err != nil {
		return 0, err
	}
	var id int64
	err = d.sql.GetContext(ctx, &id, `
		INSERT INTO credential_candidates (connection_id, sealed, created_at) VALUES ($1, $2, $3) RETURNING id`,
		connectionID, sealed, recorded(d.clock.now()))
	if isForeignKeyViolation(err) {
		err = fmt.Errorf("the connection: %w", ErrNotFound)
	}
	return id, err
}

// OfferedCredentials returns the credentials of an offer, or ErrNotFound. Of those
// that were rejected before it returns why: the *directory.Error.
func (d *DB) OfferedCredentials(ctx context.Context, connectionID, offer int64) (directory.Credentials, error) {
	var row struct {
		Sealed    []byte `db:"sealed"`
		Rejection []byte `db:"rejection"`
	}
	err := d.sql.GetContext(ctx, &row, `
		SELECT sealed, rejection FROM credential_candidates WHERE id = $1 AND connection_id = $2`, offer, connectionID)
	if err != nil {
		return directory.Credentials{}, notFound(err, "the offered credentials")
	}
	if row.Rejection != nil {
		var r rejection
		if err := json.Unmarshal(row.Rejection, &r); err != nil {
			return directory.Credentials{}, err
		}
		return directory.Credentials{}, &directory.Error{Code: r.Code, Message: r.Message, Privilege: r.Privilege}
	}
	return d.openCredentials(connectionID, row.Sealed, nil)
}

// rejection is why a source did not accept credentials.
type rejection struct {
	Code      directory.Code `json:"code"`
	Message   string         `json:"message"`
	Privilege string         `json:"privilege,omitempty"`
}

// RejectCredentials destroys offered credentials, and keeps why they were
// rejected. Twice is as good as once, and so is an offer that is not there.
func (d *DB) RejectCredentials(ctx context.Context, connectionID, offer int64, why *directory.Error) error {
	r, err := jsonb(rejection{why.Code, why.Message, why.Privilege})
	if err != nil {
		return err
	}
	_, err = d.sql.ExecContext(ctx, `
		UPDATE credential_candidates SET sealed = NULL, rejection = $3 WHERE id = $1 AND connection_id = $2`, offer, connectionID, r)
	return err
}

// AcceptCredentials makes offered credentials a connection's own, with a
// token that was got for them, and drops this offer and older ones. A second
// call finds no offer and returns ErrNotFound; one that was rejected meanwhile is
// ErrRejected.
func (d *DB) AcceptCredentials(ctx context.Context, connectionID, offer int64, token directory.Token) error {
	sealedToken, err := d.seal(forToken, connectionID, token.Value)
	if err != nil {
		return err
	}
	return d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		c, err := lockConnection(ctx, tx, connectionID)
		if err != nil && !errors.Is(err, ErrDisconnected) {
			return err
		}
		var sealed []byte
		if err := tx.GetContext(ctx, &sealed, `
			DELETE FROM credential_candidates WHERE id = $1 AND connection_id = $2 RETURNING sealed`,
			offer, connectionID); err != nil {
			return notFound(err, "the offered credentials")
		}
		if sealed == nil {
			return ErrRejected
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO credentials (connection_id, sealed, token_sealed, token_renew_at, token_generation) VALUES ($1, $2, $3, $4, 1)
			ON CONFLICT (connection_id) DO UPDATE SET sealed = excluded.sealed,
				token_sealed = excluded.token_sealed, token_renew_at = excluded.token_renew_at, token_fresh = false,
				token_generation = credentials.token_generation + 1`,
			connectionID, sealed, sealedToken, d.clock.byServer(token.RenewAt)); err != nil {
			return err
		}
		if c.State == NeedsReconnect || c.State == Disconnected {
			becomes := StateChange{State: Active, NextSyncAt: c.NextSyncAt}
			if c.Paused {
				becomes = StateChange{State: Paused, Paused: true}
			}
			if err := changeState(ctx, tx, connectionID, becomes, now); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM credential_candidates WHERE connection_id = $1 AND id < $2`, connectionID, offer)
		return err
	})
}

// Reseal seals all credentials, tokens, offers and webhooks with the keyset's
// newest key, and returns how many connections and subscriptions had any. Twice
// is as good as once. keep is called when all of them could be, and before anything
// is stored: it puts the keyset where whoever opens them then finds it.
func (d *DB) Reseal(ctx context.Context, keep func() error) (int, error) {
	resealed := map[string]bool{}
	err := d.inTx(ctx, func(tx *sqlx.Tx, _ time.Time) error {
		if _, err := tx.ExecContext(ctx, `SELECT FROM connections ORDER BY id FOR NO KEY UPDATE`); err != nil {
			return err
		}
		for _, column := range []sealedColumn{
			{"credential_candidates", "id", "sealed", forCredentials, "connection_id"},
			{"credentials", "connection_id", "sealed", forCredentials, "connection_id"},
			{"credentials", "connection_id", "token_sealed", forToken, "connection_id"},
			{"subscriptions", "id", "sealed", forWebhook, "id"},
		} {
			owners, err := d.resealColumn(ctx, tx, column)
			if err != nil {
				return err
			}
			for _, owner := range owners {
				resealed[owner] = true
			}
		}
		return keep()
	})
	return len(resealed), err
}

// sealedColumn is where sealed values are kept.
type sealedColumn struct {
	table, key, column string
	purpose            purpose
	// owner is the column of the id that the values are bound to.
	owner string
}

func (d *DB) resealColumn(ctx context.Context, tx *sqlx.Tx, c sealedColumn) (owners []string, err error) {
	var rows []struct {
		Key    int64  `db:"key"`
		Owner  int64  `db:"owner"`
		Sealed []byte `db:"sealed"`
	}
	if err := tx.SelectContext(ctx, &rows, fmt.Sprintf(`
		SELECT %[2]s AS key, %[4]s AS owner, %[3]s AS sealed FROM %[1]s
		WHERE %[3]s IS NOT NULL ORDER BY 2, 1 FOR UPDATE`, c.table, c.key, c.column, c.owner)); err != nil {
		return nil, err
	}
	for _, row := range rows {
		owner := fmt.Sprintf("connection %d", row.Owner)
		if c.purpose == forWebhook {
			owner = fmt.Sprintf("subscription %d", row.Owner)
		}
		sealed, err := d.reseal(c.purpose, row.Owner, row.Sealed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", owner, err)
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`UPDATE %s SET %s = $2 WHERE %s = $1`, c.table, c.column, c.key), row.Key, sealed); err != nil {
			return nil, err
		}
		owners = append(owners, owner)
	}
	return owners, nil
}

func (d *DB) openCredentials(connectionID int64, sealed []byte, err error) (directory.Credentials, error) {
	var c directory.Credentials
	if err == nil {
		err = d.open(forCredentials, connectionID, sealed, &c)
	}
	return c, disconnected(err)
}

// disconnected turns "no rows" of credentials into ErrDisconnected.
func disconnected(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrDisconnected
	}
	return err
}
