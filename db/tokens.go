package db

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"jamf-access-review/activities/directory"
)

// RenewToken asks a source for a new access token.
type RenewToken func(context.Context, directory.Credentials) (directory.Token, error)

// Token returns a connection's access token, and has it renewed first when it
// is time. However many ask at once, on however many machines, one token is
// requested: they take turns on the row's lock and find the new token there.
// A renewal's error is returned as it is and leaves everything as it was.
func (d *DB) Token(ctx context.Context, connectionID int64, renew RenewToken) (directory.Token, error) {
	row, err := d.tokenRow(ctx, d.sql, connectionID, "")
	if err != nil {
		return directory.Token{}, err
	}
	if row.usable(d.clock.now()) {
		return d.openToken(connectionID, row)
	}
	return d.renewToken(ctx, connectionID, renew, false, func(row tokenRow) bool { return !row.usable(d.clock.now()) })
}

// ReplaceToken renews a connection's access token because the source rejected
// the one of the generation. When that token has been replaced already it
// does nothing, so twice is as good as once.
func (d *DB) ReplaceToken(ctx context.Context, connectionID, rejected int64, renew RenewToken) error {
	_, err := d.renewToken(ctx, connectionID, renew, true, func(row tokenRow) bool { return row.Generation <= rejected })
	return err
}

// renewToken renews the token if, once it holds the row's lock, that is still
// necessary.
func (d *DB) renewToken(ctx context.Context, connectionID int64, renew RenewToken, fresh bool, necessary func(tokenRow) bool) (directory.Token, error) {
	var token directory.Token
	err := d.inTxOf(ctx, d.renewals, func(tx *sqlx.Tx, _ time.Time) error {
		row, err := d.tokenRow(ctx, tx, connectionID, "FOR UPDATE")
		if err != nil {
			return err
		}
		if !necessary(row) {
			token, err = d.openToken(connectionID, row)
			return err
		}
		credentials, err := d.openCredentials(connectionID, row.Credentials, nil)
		if err != nil {
			return err
		}
		if token, err = renew(ctx, credentials); err != nil {
			return err
		}
		sealed, err := d.seal(forToken, connectionID, token.Value)
		if err != nil {
			return err
		}
		token.RenewAt, token.Generation, token.Fresh = recorded(token.RenewAt), row.Generation+1, fresh
		_, err = tx.ExecContext(ctx, `
			UPDATE credentials SET token_sealed = $2, token_renew_at = $3, token_fresh = $4, token_generation = $5
			WHERE connection_id = $1`,
			connectionID, sealed, d.clock.byServer(token.RenewAt), token.Fresh, token.Generation)
		return err
	})
	if err != nil {
		return directory.Token{}, err
	}
	return token, nil
}

type tokenRow struct {
	Credentials []byte     `db:"sealed"`
	Sealed      []byte     `db:"token_sealed"`
	RenewAt     *time.Time `db:"token_renew_at"`
	Fresh       bool       `db:"token_fresh"`
	Generation  int64      `db:"token_generation"`
}

func (r tokenRow) usable(now time.Time) bool {
	return r.Sealed != nil && r.RenewAt != nil && now.Before(*r.RenewAt)
}

func (d *DB) tokenRow(ctx context.Context, q sqlx.QueryerContext, connectionID int64, locking string) (tokenRow, error) {
	var row tokenRow
	err := sqlx.GetContext(ctx, q, &row, `
		SELECT sealed, token_sealed, token_renew_at, token_fresh, token_generation
		FROM credentials WHERE connection_id = $1 `+locking, connectionID)
	if err != nil {
		err = disconnected(err)
	}
	return row, err
}

func (d *DB) openToken(connectionID int64, row tokenRow) (directory.Token, error) {
	if row.Sealed == nil {
		return directory.Token{}, nil
	}
	token := directory.Token{RenewAt: d.clock.byMachine(*row.RenewAt), Generation: row.Generation, Fresh: row.Fresh}
	err := d.open(forToken, connectionID, row.Sealed, &token.Value)
	return token, err
}
