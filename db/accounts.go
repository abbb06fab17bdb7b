package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"iter"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"jamf-access-review/activities/directory"
)

// Account is a user on record.
type Account struct {
	directory.User
	// RemovedAt is when a sync first found it gone; nil while it is present.
	RemovedAt *time.Time
}

// Accounts yields a connection's accounts in order of kind and username, as
// they come from the database: the present ones, or the removed ones.
func (d *DB) Accounts(ctx context.Context, connectionID int64, removed bool) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		// Kind by kind, so that the few who administer do not wait for the
		// many end users to be sorted.
		tx, err := d.sql.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if err != nil {
			yield(Account{}, err)
			return
		}
		defer tx.Rollback()
		// Before the transaction sees its moment: of a table that a migration has
		// rewritten since, an earlier moment has no rows.
		if _, err := tx.ExecContext(ctx, `LOCK TABLE accounts IN ACCESS SHARE MODE`); err != nil {
			yield(Account{}, err)
			return
		}
		for _, kind := range slices.Sorted(slices.Values(directory.Kinds())) {
			if !accountsOfKind(ctx, tx, connectionID, kind, removed, yield) {
				return
			}
		}
	}
}

// accountsOfKind yields accounts of one kind and reports whether to go on.
func accountsOfKind(ctx context.Context, tx *sqlx.Tx, connectionID int64, kind directory.Kind, removed bool, yield func(Account, error) bool) bool {
	rows, err := tx.QueryxContext(ctx, `
		SELECT kind, source_id, username, email, name, status, mfa, roles, groups, access_level, site, directory, privileges, removed_at
		FROM accounts
		WHERE connection_id = (SELECT id FROM connections WHERE id = $1 AND applied_number > 0) AND kind = $2 AND (removed_at IS NOT NULL) = $3
		ORDER BY username, source_id`, connectionID, string(kind), removed)
	if err != nil {
		yield(Account{}, err)
		return false
	}
	defer rows.Close()
	for rows.Next() {
		var a Account
		var roles, groups, privileges pq.StringArray
		if err := rows.Scan(&a.Kind, &a.ID, &a.Username, &a.Email, &a.Name, &a.Status, &a.MFA,
			&roles, &groups, &a.AccessLevel, &a.Site, &a.FromDirectory, &privileges, &a.RemovedAt); err != nil {
			yield(Account{}, err)
			return false
		}
		a.Roles, a.Groups, a.Privileges = roles, groups, privileges
		if !yield(a, nil) {
			return false
		}
	}
	if err := rows.Err(); err != nil {
		yield(Account{}, err)
		return false
	}
	return true
}

// Change is what a sync found different about one account.
type Change struct {
	Sync int       `db:"number"`
	At   time.Time `db:"at"`
	Kind string    `db:"kind"`
	ID   string    `db:"source_id"`
	// Username is what the account is called now.
	Username string          `db:"username"`
	Change   string          `db:"change"` // added, removed, changed or restored
	Before   json.RawMessage `db:"before"` // only the facts that differ
	After    json.RawMessage `db:"after"`
}

// Changes yields the changes of a connection since a time, oldest first, as
// they come from the database. Arrivals of accounts that have not changed are in
// the accounts, which are not looked at where nobody has arrived since then.
func (d *DB) Changes(ctx context.Context, connectionID int64, since time.Time) iter.Seq2[Change, error] {
	return stream[Change](ctx, d.sql, `
		WITH since AS MATERIALIZED (SELECT min(number) AS number FROM syncs WHERE connection_id = $1 AND finished_at >= $2)
		SELECT number, at, kind, source_id, username, change, before, after FROM (
			SELECT number, at, kind, source_id, coalesce(username, '') AS username, change, before, after
			FROM changes LEFT JOIN accounts USING (connection_id, kind, source_id)
			WHERE connection_id = $1 AND number >= (SELECT number FROM since)
			UNION ALL
			SELECT arrived_in, finished_at, kind, source_id, accounts.username, 'added', '{}', to_jsonb(f)
			FROM accounts JOIN syncs USING (connection_id), LATERAL (SELECT `+facts+`) f
			WHERE connection_id = $1 AND number = arrived_in AND outcome = 'applied' AND number >= (SELECT number FROM since)
				AND (SELECT max(added) > 0 FROM syncs WHERE connection_id = $1 AND number >= (SELECT number FROM since))
		) change
		WHERE at >= $2
		ORDER BY at, number, kind, source_id`, connectionID, since)
}
