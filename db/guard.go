package db

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"jamf-access-review/activities/directory"
)

// snapshotCounts is what a staged snapshot would do, before it does it.
type snapshotCounts struct {
	staged       int
	stagedByKind map[directory.Kind]int
	// present is how many accounts are on record, of the kinds that were read,
	// and presentHumans how many of them are console accounts. activeHumans, which
	// is only counted where some would be taken, is how many of those are not
	// inactive.
	present, presentHumans, activeHumans int
	// taken is how much of that the snapshot would take away.
	taken taken
	// admins is how many active full administrators there are among those that
	// are to be compared. adminsKept is how many of them would not be taken, and
	// adminsThen how many accounts on record would be administrators; where that is
	// none, how many others there are.
	admins, adminsKept, adminsThen int
	// privilegesUntold is how many console accounts have privileges on record, and
	// none in the snapshot.
	privilegesUntold int
	// unconfirmed is how many would be removed that the source was not asked for.
	unconfirmed int
	// changed are the blocks that are to be compared.
	changed pq.Int64Array
}

// taken is how many accounts a snapshot would take away: removed, no longer
// active, or somebody else's. Another Jamf at the same address, or behind the same
// integrated account, has the same ids.
type taken struct {
	Accounts int `db:"would_take"`
	Humans   int `db:"would_take_humans"` // console accounts among them that are not inactive
	// Admins says that no full administrator would be left.
	Admins bool `db:"would_take_admins"`
}

// count counts what is staged, and the accounts that it is about.
func count(ctx context.Context, tx *sqlx.Tx, connectionID int64, inPlace bool, summary directory.Summary) (snapshotCounts, error) {
	staged := `staged_accounts`
	if inPlace {
		staged = `accounts`
	}
	c := snapshotCounts{stagedByKind: map[directory.Kind]int{}}
	var kinds []struct {
		Kind  directory.Kind `db:"kind"`
		Count int            `db:"count"`
	}
	if err := tx.SelectContext(ctx, &kinds, `
		SELECT kind, sum(users) AS count FROM (
			SELECT kind, count(*) AS users FROM `+staged+` WHERE connection_id = $1 GROUP BY kind
			UNION ALL
			SELECT `+kindOfBlock+` AS kind, sum(users) FROM staged_blocks WHERE connection_id = $1 GROUP BY 1
		) s GROUP BY kind`, connectionID); err != nil {
		return c, err
	}
	for _, k := range kinds {
		c.stagedByKind[k.Kind] = k.Count
		c.staged += k.Count
	}
	if inPlace {
		return c, nil
	}
	err := tx.QueryRowxContext(ctx, `
		WITH changed AS MATERIALIZED (SELECT array_agg(block) AS blocks FROM (`+changedBlocks+`) b WHERE `+kindOfBlock+` = ANY($2)),
		unchanged AS (
			SELECT coalesce(sum(users), 0) AS users, coalesce(sum(users) FILTER (WHERE `+kindOfBlock+` = 'account'), 0) AS humans
			FROM staged_blocks WHERE connection_id = $1
		)
		SELECT (SELECT blocks FROM changed),
			(SELECT users FROM unchanged) + count(*),
			(SELECT humans FROM unchanged) + count(*) FILTER (WHERE kind = 'account')
		FROM accounts
		WHERE connection_id = $1 AND removed_at IS NULL AND kind = ANY($2)
			AND (block IS NULL OR block = ANY((SELECT blocks FROM changed)::bigint[]))`,
		connectionID, kindsRead(summary),
	).Scan(&c.changed, &c.present, &c.presentHumans)
	return c, err
}

// isFullAdmin is the condition of active full administrators, as package
// directory has them: with directory.FullAccess as $2, directory.Administrator
// as $3 and directory.AdministrativeWord as $4.
const isFullAdmin = `kind = 'account' AND status <> 'inactive' AND CASE access_level
	WHEN $2 THEN $3 = ANY(roles)
	WHEN '' THEN array_to_string(roles, ',') ILIKE '%' || $4 || '%'
	ELSE false
END`

// isSomebodyElse is a condition: of what the account a is called, username, e-mail
// address and name, nothing is what s is called, which has the same id.
const isSomebodyElse = `a.username || a.email || a.name <> ''
	AND (a.username = '' OR lower(a.username) <> lower(s.username))
	AND (a.email = '' OR lower(a.email) <> lower(s.email))
	AND (a.name = '' OR lower(a.name) <> lower(s.name))`

// compared is what a query for what a snapshot would take is from: the accounts on
// record that are to be compared, as a, and what is staged of them, if it is, as s.
// Its parameters are the connection, those of isFullAdmin, the kinds that were read
// ($5) and the changed blocks ($6).
const compared = `(
		SELECT kind, source_id, status, username, email, name, privileges, ` + isFullAdmin + ` AS admin, ctid AS kept
		FROM accounts
		WHERE connection_id = $1 AND removed_at IS NULL AND kind = ANY($5) AND (block IS NULL OR block = ANY($6))
	) a LEFT JOIN (
		SELECT kind, source_id, status, username, email, name, privileges, ` + isFullAdmin + ` AS admin, ctid AS staged
		FROM staged_accounts WHERE connection_id = $1
	) s USING (kind, source_id),
	LATERAL (
		SELECT s.source_id IS NULL OR a.status <> 'inactive' AND s.status = 'inactive' OR ` + isSomebodyElse + ` AS taken
	) t`

// compare counts what the snapshot would take from the accounts on record. The source
// was asked for those that are missing up to the one that is confirmed. What is in an
// unchanged block stays as it is, and is only looked for where no other administrator
// would.
func (c *snapshotCounts) compare(ctx context.Context, tx *sqlx.Tx, connectionID int64, summary directory.Summary, confirmed directory.Identity) error {
	if err := tx.QueryRowxContext(ctx, `
		SELECT count(*) FILTER (WHERE taken), count(*) FILTER (WHERE taken AND kind = 'account' AND a.status <> 'inactive'),
			count(*) FILTER (WHERE a.admin),
			count(*) FILTER (WHERE a.admin AND NOT taken AND s.status <> 'inactive'), count(*) FILTER (WHERE s.admin),
			count(*) FILTER (WHERE kind = 'account' AND a.privileges <> '{}' AND s.privileges = '{}'),
			count(*) FILTER (WHERE s.source_id IS NULL AND (kind, source_id) > ($7, $8))
		FROM `+compared,
		connectionID, directory.FullAccess, directory.Administrator, directory.AdministrativeWord,
		kindsRead(summary), c.changed, string(confirmed.Kind), confirmed.ID,
	).Scan(&c.taken.Accounts, &c.taken.Humans, &c.admins, &c.adminsKept, &c.adminsThen, &c.privilegesUntold, &c.unconfirmed); err != nil {
		return err
	}
	if c.taken.Humans > 0 {
		if err := tx.GetContext(ctx, &c.activeHumans, `
			SELECT count(*) FROM accounts
			WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account' AND status <> 'inactive'`, connectionID); err != nil {
			return err
		}
	}
	if c.keepsAdmins() {
		return nil
	}
	var others int
	err := tx.GetContext(ctx, &others, `
		SELECT count(*) FROM accounts JOIN staged_blocks USING (connection_id, block)
		WHERE connection_id = $1 AND removed_at IS NULL AND `+isFullAdmin,
		connectionID, directory.FullAccess, directory.Administrator, directory.AdministrativeWord)
	c.adminsKept, c.adminsThen = c.adminsKept+others, c.adminsThen+others
	c.taken.Admins = !c.keepsAdmins()
	return err
}

// keepsAdmins says whether some full administrator would be left, and one of those
// there are, if there are any.
func (c snapshotCounts) keepsAdmins() bool {
	return c.admins == 0 || c.adminsKept > 0 && c.adminsThen > 0
}

// check refuses a snapshot that is not whole.
func (c snapshotCounts) check(summary directory.Summary) error {
	for kind, total := range summary.Totals {
		if staged := c.stagedByKind[kind]; staged != total {
			return directory.Errorf(directory.Inconsistent, "the source says that it has %d of kind %s and listed %d", total, kind, staged)
		}
	}
	for kind := range c.stagedByKind {
		if _, read := summary.Totals[kind]; !read {
			return directory.Errorf(directory.Inconsistent, "the source listed some of kind %s and does not say how many it has", kind)
		}
	}
	if c.staged == 0 && c.present > 0 {
		return directory.Errorf(directory.Inconsistent, "the source listed nobody, and %d were there at the last sync", c.present)
	}
	if c.stagedByKind[directory.Account] == 0 && c.presentHumans > 0 {
		return directory.Errorf(directory.Inconsistent, "the source listed no account, and %d were there at the last sync", c.presentHumans)
	}
	return nil
}

// brake says why a snapshot is to be held, or "". Active console accounts are
// looked at by themselves, too: among a million end users, or among those who left
// long ago, all of them would be few.
func (c snapshotCounts) brake(hold Hold) string {
	switch {
	case hold.stops(c.taken.Accounts, c.present):
		return c.wouldTake()
	case hold.stops(c.taken.Humans, c.activeHumans):
		return c.wouldTakeHumans()
	case c.taken.Admins:
		return c.wouldTakeAdmins()
	default:
		return ""
	}
}

// exceeds says why a snapshot is to be held although a person has accepted what
// another one would have taken, or "": what it would take beyond that is too much
// by itself.
func (c snapshotCounts) exceeds(accepted taken, hold Hold) string {
	switch {
	case hold.stops(c.taken.Accounts-accepted.Accounts, c.present):
		return fmt.Sprintf("%s, and %d were accepted", c.wouldTake(), accepted.Accounts)
	case hold.stops(c.taken.Humans-accepted.Humans, c.activeHumans):
		return fmt.Sprintf("%s, and %d were accepted", c.wouldTakeHumans(), accepted.Humans)
	case c.taken.Admins && !accepted.Admins:
		return c.wouldTakeAdmins() + ", and that was not accepted"
	default:
		return ""
	}
}

func (c snapshotCounts) wouldTake() string {
	return fmt.Sprintf("it would remove, deactivate or replace %d of %d accounts", c.taken.Accounts, c.present)
}

func (c snapshotCounts) wouldTakeHumans() string {
	return fmt.Sprintf("it would remove, deactivate or replace %d of %d active console accounts", c.taken.Humans, c.activeHumans)
}

func (c snapshotCounts) wouldTakeAdmins() string {
	if c.adminsKept == 0 {
		return fmt.Sprintf("it would remove, deactivate or replace every full administrator (%d)", c.admins)
	}
	return fmt.Sprintf("it would take their role from every full administrator (%d)", c.admins)
}
