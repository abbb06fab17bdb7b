package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Monitor codes are part of the CLI's contract.
const (
	// AccessRemovedOnExit: no person who has left still has an active account.
	AccessRemovedOnExit = "JAMF_ACCESS_REMOVED_ON_EXIT"
	// UserMFAEnabled: every active human account has a second factor.
	UserMFAEnabled = "JAMF_USER_MFA_ENABLED"
)

// rosterMaxAge is how old a staff roster may be before it proves nothing.
const rosterMaxAge = 7 * 24 * time.Hour

// EnableMonitors enables the monitors of a connection and evaluates them on
// the last applied sync. Twice is as good as once.
func (d *DB) EnableMonitors(ctx context.Context, connectionID int64) error {
	return d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		connection, err := lockConnection(ctx, tx, connectionID)
		if err != nil {
			return err
		}
		for _, code := range []string{AccessRemovedOnExit, UserMFAEnabled} {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO monitors (connection_id, code, enabled_at) VALUES ($1, $2, $3)
				ON CONFLICT DO NOTHING`, connectionID, code, now); err != nil {
				return err
			}
		}
		if connection.AppliedSync == 0 {
			return nil
		}
		return evaluateMonitors(ctx, tx, connectionID, connection.AppliedSync, now)
	})
}

// A verdict is a query for the state of every human account that is present,
// by a monitor: kind, source_id, person, state, reason, due_at. Its only
// parameters are the connection ($1) and the time ($2).
type verdict struct {
	query string
	// vacuous is a query for the reason why the monitor cannot say anything at
	// all at this moment, or "".
	vacuous string
}

// Whoever cannot be told is not_evaluable: an account that belongs to nobody
// on the roster may belong to somebody who has left it.
var verdicts = map[string]verdict{
	AccessRemovedOnExit: {
		query: `
			SELECT a.kind, a.source_id,
				coalesce((array_agg(p.email ORDER BY p.exited_at) FILTER (WHERE p.id IS NOT NULL))[1], '') AS person,
				CASE
					WHEN a.status = 'inactive' THEN 'passing'
					WHEN min(p.exited_at) <= $2 AND a.status = 'unknown' THEN 'not_evaluable'
					WHEN min(p.exited_at) + grace <= $2 THEN 'failing'
					WHEN min(p.exited_at) <= $2 THEN 'due'
					WHEN count(p.id) = 0 THEN 'not_evaluable'
					ELSE 'passing'
				END AS state,
				CASE
					WHEN min(p.exited_at) <= $2 AND a.status = 'unknown' THEN 'the person has left, and whether the account is active is unknown'
					WHEN min(p.exited_at) <= $2 THEN 'the person has left and the account is active'
					WHEN count(p.id) > 0 THEN ''
					WHEN a.email = '' THEN 'the account has no e-mail address to find its owner by'
					ELSE 'nobody on the staff roster has this e-mail address'
				END AS reason,
				CASE WHEN min(p.exited_at) <= $2 THEN min(p.exited_at) + grace END AS due_at
			FROM (
				SELECT a.*, c.organization_id, make_interval(secs => c.exit_grace_seconds) AS grace
				FROM accounts a JOIN connections c ON c.id = a.connection_id
				WHERE a.connection_id = $1 AND a.removed_at IS NULL AND a.kind = 'account'
			) a
			CROSS JOIN LATERAL (VALUES (lower(a.email)), (lower(a.username))) AS known (address)
			LEFT JOIN person_addresses pa ON pa.organization_id = a.organization_id AND pa.address = known.address
			LEFT JOIN people p ON p.id = pa.person_id
			GROUP BY a.kind, a.source_id, a.status, a.email, a.grace`,
		vacuous: `
			SELECT CASE
				WHEN imported_at IS NULL THEN 'there is no staff roster'
				WHEN imported_at < $2::timestamptz - $3 * interval '1 second' THEN 'the staff roster is older than 7 days'
				ELSE ''
			END
			FROM connections c LEFT JOIN rosters r USING (organization_id) WHERE c.id = $1`,
	},
	UserMFAEnabled: {
		query: `
			SELECT kind, source_id, '' AS person,
				CASE
					WHEN mfa = 'enabled' THEN 'passing'
					WHEN mfa = 'disabled' AND status = 'active' THEN 'failing'
					ELSE 'not_evaluable'
				END AS state,
				CASE
					WHEN mfa = 'enabled' THEN ''
					WHEN mfa = 'unknown' THEN 'whether a second factor is asked for is unknown: the source does not say'
					WHEN status = 'active' THEN 'no second factor is asked for'
					ELSE 'no second factor is asked for, and whether the account is active is unknown'
				END AS reason,
				NULL::timestamptz AS due_at
			FROM accounts
			WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account' AND status <> 'inactive'`,
	},
}

// evaluateMonitors writes the outcome of each enabled monitor for a sync, and
// its findings. A finding keeps its "since" for as long as its state stays.
func evaluateMonitors(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, now time.Time) error {
	var codes []string
	if err := tx.SelectContext(ctx, &codes, `SELECT code FROM monitors WHERE connection_id = $1 ORDER BY code`, connectionID); err != nil {
		return err
	}
	if err := setBased(ctx, tx); err != nil {
		return err
	}
	for _, code := range codes {
		v, ok := verdicts[code]
		if !ok {
			return fmt.Errorf("monitor %s is enabled and this program does not know it", code)
		}
		if err := v.evaluate(ctx, tx, connectionID, code, number, now); err != nil {
			return fmt.Errorf("evaluate %s: %w", code, err)
		}
	}
	return nil
}

func (v verdict) evaluate(ctx context.Context, tx *sqlx.Tx, connectionID int64, code string, number int, now time.Time) error {
	vacuous := ""
	if v.vacuous != "" {
		if err := tx.GetContext(ctx, &vacuous, v.vacuous, connectionID, now, seconds(rosterMaxAge)); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `
		WITH verdict AS MATERIALIZED (
			SELECT kind, source_id, person, due_at,
				CASE WHEN $5 <> '' AND state <> 'passing' THEN 'not_evaluable' ELSE state END AS state,
				CASE WHEN $5 <> '' AND state <> 'passing' THEN $5 ELSE reason END AS reason
			FROM (`+v.query+`) v
		), ended AS (
			DELETE FROM findings f WHERE f.connection_id = $1 AND f.code = $3 AND NOT EXISTS (
				SELECT FROM verdict v WHERE v.kind = f.kind AND v.source_id = f.source_id AND v.state <> 'passing')
		), found AS (
			INSERT INTO findings AS f (connection_id, code, kind, source_id, person, state, reason, since, due_at)
			SELECT $1, $3, v.kind, v.source_id, v.person, v.state, v.reason, $2, v.due_at
			FROM verdict v LEFT JOIN (
				SELECT * FROM findings WHERE connection_id = $1 AND code = $3
			) old USING (kind, source_id)
			WHERE v.state <> 'passing' AND (v.person, v.state, v.reason, v.due_at)
				IS DISTINCT FROM (old.person, old.state, old.reason, old.due_at)
			ON CONFLICT (connection_id, code, kind, source_id) DO UPDATE SET
				person = excluded.person, state = excluded.state, reason = excluded.reason, due_at = excluded.due_at,
				since = CASE WHEN f.state = excluded.state THEN f.since ELSE excluded.since END
		), counts AS (
			SELECT count(*) FILTER (WHERE state = 'passing') AS passing,
				count(*) FILTER (WHERE state = 'due') AS due,
				count(*) FILTER (WHERE state = 'failing') AS failing,
				count(*) FILTER (WHERE state = 'not_evaluable') AS not_evaluable,
				EXISTS (SELECT FROM accounts WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account') AS any
			FROM verdict
		)
		INSERT INTO outcomes (connection_id, code, number, state, reason, evaluated_at, passing, due, failing, not_evaluable, excepted)
		SELECT $1, $3, $4,
			CASE
				WHEN $5 <> '' OR NOT counts.any THEN 'not_evaluable'
				WHEN failing > 0 THEN 'failing'
				WHEN due > 0 THEN 'due'
				WHEN not_evaluable > 0 THEN 'not_evaluable'
				ELSE 'passing'
			END,
			CASE
				WHEN $5 <> '' THEN $5
				WHEN NOT counts.any THEN 'the last sync found no human account'
				WHEN failing > 0 THEN failing || ' of ' || total || ' accounts fail'
				WHEN due > 0 THEN due || ' of ' || total || ' accounts are in their grace period'
				WHEN not_evaluable > 0 THEN not_evaluable || ' of ' || total || ' accounts cannot be evaluated'
				ELSE ''
			END,
			$2, passing, due, failing, not_evaluable, 0
		FROM counts, LATERAL (SELECT passing + due + failing + not_evaluable AS total) t
		ON CONFLICT (connection_id, code, number) DO UPDATE SET
			state = excluded.state, reason = excluded.reason, evaluated_at = excluded.evaluated_at,
			passing = excluded.passing, due = excluded.due, failing = excluded.failing,
			not_evaluable = excluded.not_evaluable, excepted = excluded.excepted`,
		connectionID, now, code, number, vacuous)
	return err
}
