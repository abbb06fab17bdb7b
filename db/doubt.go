package db

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"jamf-access-review/activities/directory"
)

// doubtGroups returns an *directory.Error (Inconsistent) when groups that had
// members have none any more, and the accounts do not agree: one that was in
// such a group still has its access from groups and is in none. Sources answer
// so by mistake, and it would take roles from people on record only. It is
// believed when an earlier sync found the same.
func doubtGroups(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int) (doubt, err error) {
	var groups pq.StringArray
	if err := tx.GetContext(ctx, &groups, `
		WITH lost AS MATERIALIZED (
			SELECT group_name
			FROM accounts a JOIN staged_accounts s USING (connection_id, kind, source_id), LATERAL unnest(a.groups) AS group_name
			WHERE a.connection_id = $1 AND a.removed_at IS NULL AND a.kind = 'account'
				AND a.access_level = 'Group Access' AND a.groups <> '{}'
				AND s.access_level = 'Group Access' AND s.groups = '{}'
		), kept AS (
			SELECT unnest(groups) AS group_name FROM staged_accounts WHERE connection_id = $1 AND kind = 'account'
			UNION ALL
			SELECT unnest(groups) FROM accounts JOIN staged_blocks USING (connection_id, block)
			WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account'
		)
		SELECT coalesce(array_agg(group_name ORDER BY group_name), '{}') FROM (
			SELECT group_name FROM lost EXCEPT SELECT group_name FROM kept WHERE EXISTS (SELECT FROM lost)
		) emptied`,
		connectionID); err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		return nil, nil
	}
	var foundBefore bool
	if err := tx.GetContext(ctx, &foundBefore, `
		SELECT doubted_groups @> $2 AND doubted_number < $3 FROM connections WHERE id = $1`,
		connectionID, groups, number); err != nil || foundBefore {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `
		UPDATE connections SET doubted_groups = $2, doubted_number = $3 WHERE id = $1`,
		connectionID, groups, number); err != nil {
		return nil, err
	}
	// Without their names, which are free text and may name a person.
	return directory.Errorf(directory.Inconsistent,
		"groups (%d) that had members list none, and accounts that were in them still have Group Access; the next sync believes it if it finds the same",
		len(groups)), nil
}
