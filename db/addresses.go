package db

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// departuresKept is how long after an exit it is remembered of somebody who is no
// longer listed, where no account of theirs is known.
const departuresKept = 400 * 24 * time.Hour

// replaceAddresses makes the addresses on record those of the people of a roster, and
// of those who had an exit and are no longer listed under that address: whoever has left
// has left. What is known of somebody besides what is listed goes with what is listed of
// them: to another exit, or away where they have none. To have stayed they must be listed
// for certain.
func replaceAddresses(ctx context.Context, tx *sqlx.Tx, org int64, now time.Time) error {
	for _, statement := range []struct {
		query      string
		parameters []any
	}{
		{following + `
			UPDATE person_addresses a SET exited_at = leaves_at, person = listed_as
			FROM following f WHERE organization_id = $1 AND exited_at IS NOT NULL AND lower(a.person) = f.person
				AND (certain OR leaves_at <= $2)`, []any{now}},
		{`
			DELETE FROM person_addresses a USING people p, LATERAL unnest(p.email || p.aliases) AS listed
			WHERE a.organization_id = $1 AND p.organization_id = $1 AND a.address = lower(listed)`, nil},
		{`
			DELETE FROM person_addresses
			WHERE organization_id = $1 AND (exited_at IS NULL OR exited_at = 'infinity')`, nil},
		{`
			DELETE FROM person_addresses a
			WHERE organization_id = $1 AND exited_at <= $2 AND NOT EXISTS (
				SELECT FROM findings f JOIN connections c ON c.id = connection_id
				WHERE c.organization_id = $1 AND lower(f.person) = lower(a.person)
			)`, []any{now.Add(-departuresKept)}},
		{`
			UPDATE person_addresses SET delisted = true WHERE organization_id = $1 AND NOT delisted`, nil},
		{`
			INSERT INTO person_addresses (organization_id, address, person, exited_at)
			SELECT DISTINCT $1::bigint, lower(address), email, exited_at
			FROM people, LATERAL unnest(email || aliases) AS address
			WHERE organization_id = $1 AND address <> ''`, nil},
	} {
		if _, err := tx.ExecContext(ctx, statement.query, append([]any{org}, statement.parameters...)...); err != nil {
			return err
		}
	}
	return nil
}
