package db

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// What cannot be read is not gone: accounts are left what they have on record of
// it.

// keepUnread leaves accounts what a snapshot could not read. What an account has on
// record is of another time where it has other roles or another sort of access, and
// not known any more. Of a site that could not be read its id is known.
//
// Privileges of accounts are mostly neither told nor on record.
func keepUnread(ctx context.Context, tx *sqlx.Tx, connectionID int64, snapshot snapshot) error {
	summary := snapshot.summary
	for _, part := range []struct {
		unread          bool
		kept, condition string
	}{
		{summary.GroupsUnread, `groups, roles`, `s.access_level = 'Group Access' AND a.access_level = 'Group Access'`},
		{summary.RolesUnread, `privileges`, `s.kind = 'api_client' AND s.roles = a.roles`},
		{summary.PrivilegesUnread && snapshot.counts.privilegesUntold > 0, `privileges`, `s.kind = 'account' AND s.roles = a.roles AND s.access_level = a.access_level`},
		{summary.SitesUnread, `site`, `s.site LIKE 'id %' AND a.site <> '' AND a.site NOT LIKE 'id %'`},
	} {
		if !part.unread {
			continue
		}
		if err := keep(ctx, tx, connectionID, part.kept, part.condition); err != nil {
			return err
		}
	}
	return nil
}

// keep leaves the staged accounts that a condition chooses the facts of some
// columns that they have on record, if they are present there. Facts of which some
// are kept and some, in the other columns, are new get a digest that no facts have,
// so that each later read is compared with them.
func keep(ctx context.Context, tx *sqlx.Tx, connectionID int64, kept, condition string) error {
	others := without(facts, kept)
	_, err := tx.ExecContext(ctx, `
		UPDATE staged_accounts s SET (`+kept+`) = ROW (`+prefixed("a.", kept)+`),
			facts_digest = CASE
				WHEN (`+prefixed("s.", others)+`) IS NOT DISTINCT FROM (`+prefixed("a.", others)+`) THEN a.facts_digest
				ELSE sha256(s.facts_digest)
			END
		FROM accounts a
		WHERE s.connection_id = $1 AND a.connection_id = $1 AND a.kind = s.kind AND a.source_id = s.source_id
			AND a.removed_at IS NULL AND NOT (`+isSomebodyElse+`) AND `+condition, connectionID)
	return err
}
