package db

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
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

// EnableMonitors enables the monitors of a connection and evaluates those that
// were not enabled on the last applied sync. Twice is as good as once.
func (d *DB) EnableMonitors(ctx context.Context, connectionID int64) error {
	return d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		connection, err := lockConnection(ctx, tx, connectionID)
		if err != nil {
			return err
		}
		var codes []string
		if err := tx.SelectContext(ctx, &codes, `
			INSERT INTO monitors (connection_id, code, enabled_at) SELECT $1, unnest($2::text[]), $3
			ON CONFLICT DO NOTHING RETURNING code`,
			connectionID, pq.StringArray{AccessRemovedOnExit, UserMFAEnabled}, now); err != nil {
			return err
		}
		if err := setBased(ctx, tx); err != nil {
			return err
		}
		return evaluateAgain(ctx, tx, connection, codes, now)
	})
}

// A verdict is how a monitor judges the human accounts that are present. The
// only parameters of its queries are the connection ($1) and the time ($2).
type verdict struct {
	// judged is the condition of those that it judges.
	judged string
	// query is for the state of all of these that may not pass: kind, source_id,
	// person, state, reason, due_at, and exits_at, when that may change by itself.
	query string
	// vacuous is a query for the reason why the monitor cannot say anything at
	// all at this moment, or "".
	vacuous string
}

// Whoever cannot be told is not_evaluable: an account that belongs to nobody
// on the roster may belong to somebody who has left it. Of two people that an
// account may belong to, by e-mail address and by username, it is taken for the
// one who left first. Every join is by an equality that a hash can serve, see
// setBased, and of tables themselves: of a materialized query the planner does
// not know how many rows are equal, and took minutes over a million.
var verdicts = map[string]verdict{
	AccessRemovedOnExit: {
		judged: `true`,
		query: `
			WITH owner AS NOT MATERIALIZED (
				SELECT address, person, exited_at FROM person_addresses
				WHERE organization_id = (SELECT organization_id FROM connections WHERE id = $1)
			), human AS (
				SELECT kind, source_id, status, email, least(e.exited_at, u.exited_at) AS exited_at,
					CASE WHEN e.person IS NULL OR u.exited_at < coalesce(e.exited_at, 'infinity') THEN u.person ELSE e.person END AS person
				FROM accounts LEFT JOIN owner e ON e.address = lower(email) LEFT JOIN owner u ON u.address = lower(username)
				WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account' AND status <> 'inactive'
			), grace AS (
				SELECT *, exited_at + make_interval(secs => (SELECT exit_grace_seconds FROM connections WHERE id = $1)) AS grace_ends
				FROM human
			)
			SELECT kind, source_id, coalesce(person, '') AS person,
				CASE
					WHEN person IS NULL THEN 'not_evaluable'
					WHEN exited_at > $2 OR exited_at IS NULL THEN 'passing'
					WHEN status = 'unknown' THEN 'not_evaluable'
					WHEN grace_ends > $2 THEN 'due'
					ELSE 'failing'
				END AS state,
				CASE
					WHEN person IS NULL AND email = '' THEN 'the account has no e-mail address to find its owner by'
					WHEN person IS NULL THEN 'nobody on the staff roster has this e-mail address'
					WHEN exited_at > $2 OR exited_at IS NULL THEN ''
					WHEN status = 'unknown' THEN 'the person has left, and whether the account is active is unknown'
					ELSE 'the person has left and the account is active'
				END AS reason,
				CASE WHEN exited_at <= $2 THEN grace_ends END AS due_at,
				CASE WHEN exited_at > $2 THEN exited_at END AS exits_at
			FROM grace`,
		vacuous: `
			SELECT CASE
				WHEN imported_at IS NULL THEN 'there is no staff roster'
				WHEN imported_at < $2::timestamptz - $3 * interval '1 second' THEN 'the staff roster is older than 7 days'
				ELSE ''
			END
			FROM (SELECT (
				SELECT imported_at FROM rosters
				WHERE organization_id = (SELECT organization_id FROM connections WHERE id = $1)
			) AS imported_at) r`,
	},
	UserMFAEnabled: {
		judged: `status <> 'inactive'`,
		query: `
			SELECT kind, source_id, '' AS person,
				CASE WHEN mfa = 'disabled' AND status = 'active' THEN 'failing' ELSE 'not_evaluable' END AS state,
				CASE
					WHEN mfa = 'unknown' THEN 'the source does not say whether a second factor is asked for'
					WHEN status = 'active' THEN 'no second factor is asked for'
					ELSE 'no second factor is asked for, and whether the account is active is unknown'
				END AS reason,
				NULL::timestamptz AS due_at, NULL::timestamptz AS exits_at
			FROM accounts
			WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account' AND status <> 'inactive' AND mfa <> 'enabled'`,
	},
}

// evaluateMonitors adds, in a transaction that is setBased, an outcome of each
// enabled monitor for a sync, with its findings, and gives notice of those whose
// state is another. A finding keeps its "since" for as long as its state stays.
func evaluateMonitors(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, now time.Time) error {
	return evaluate(ctx, tx, connectionID, number, func(enabledMonitor, string) bool { return true }, now)
}

// evaluateAgain judges the accounts of the last applied sync, if there was
// one, by what is known now. One that is too old to prove anything is not
// judged again.
func evaluateAgain(ctx context.Context, tx *sqlx.Tx, connection Connection, codes []string, now time.Time) error {
	if connection.AppliedSync == 0 || len(codes) == 0 {
		return nil
	}
	return evaluate(ctx, tx, connection.ID, connection.AppliedSync, func(m enabledMonitor, stale string) bool {
		return slices.Contains(codes, m.Code) && (stale == "" || m.Was == "")
	}, now)
}

// enabledMonitor is one of a connection, with the state of its last outcome, ""
// before the first.
type enabledMonitor struct {
	Code string       `db:"code"`
	Was  MonitorState `db:"was"`
}

func evaluate(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, chosen func(m enabledMonitor, stale string) bool, now time.Time) error {
	var monitors []enabledMonitor
	if err := tx.SelectContext(ctx, &monitors, `
		SELECT code, coalesce((
			SELECT state FROM outcomes o WHERE o.connection_id = m.connection_id AND o.code = m.code ORDER BY id DESC LIMIT 1
		), '') AS was
		FROM monitors m WHERE connection_id = $1 ORDER BY code`, connectionID); err != nil {
		return err
	}
	stale, err := staleness(ctx, tx, connectionID, number, now)
	if err != nil {
		return err
	}
	for _, m := range monitors {
		if !chosen(m, stale) {
			continue
		}
		v, ok := verdicts[m.Code]
		if !ok {
			return fmt.Errorf("monitor %s is enabled and this program does not know it", m.Code)
		}
		is, err := v.evaluate(ctx, tx, connectionID, m.Code, number, stale, now)
		if err != nil {
			return fmt.Errorf("evaluate %s: %w", m.Code, err)
		}
		if err := noticeMonitor(ctx, tx, connectionID, m.Code, m.Was, is, now); err != nil {
			return err
		}
	}
	return nil
}

// evaluate writes down what is found, unless it is on record so. Where stale, or
// the monitor itself, says why nothing can be proved, whoever does not pass is
// not evaluable. Accounts pass that were judged and not found.
func (v verdict) evaluate(ctx context.Context, tx *sqlx.Tx, connectionID int64, code string, number int, stale string, now time.Time) (o outcome, err error) {
	vacuous := stale
	if vacuous == "" && v.vacuous != "" {
		if err := tx.GetContext(ctx, &vacuous, v.vacuous, connectionID, now, seconds(rosterMaxAge)); err != nil {
			return o, err
		}
	}
	err = tx.GetContext(ctx, &o, `
		WITH found AS MATERIALIZED (
			SELECT kind, source_id, person, due_at, exits_at,
				CASE WHEN $5 <> '' AND state <> 'passing' THEN 'not_evaluable' ELSE state END AS state,
				CASE WHEN $5 <> '' AND state <> 'passing' THEN $5 ELSE reason END AS reason
			FROM (`+v.query+`) v WHERE state <> 'passing' OR exits_at IS NOT NULL
		), difference AS MATERIALIZED (
			SELECT kind, source_id, is_found, f.person, f.state, f.reason, f.due_at
			FROM (
				SELECT *, true AS is_found FROM found WHERE state <> 'passing'
			) f FULL JOIN (
				SELECT kind, source_id, person, state, reason, due_at FROM findings WHERE connection_id = $1 AND code = $3
			) known USING (kind, source_id)
			WHERE (f.person, f.state, f.reason, f.due_at) IS DISTINCT FROM (known.person, known.state, known.reason, known.due_at)
		), ended AS (
			DELETE FROM findings f USING difference d
			WHERE f.connection_id = $1 AND f.code = $3 AND f.kind = d.kind AND f.source_id = d.source_id AND is_found IS NULL
		), begun AS (
			INSERT INTO findings AS f (connection_id, code, kind, source_id, person, state, reason, since, due_at)
			SELECT $1, $3, kind, source_id, person, state, reason, $2, due_at FROM difference WHERE is_found
			ON CONFLICT (connection_id, code, kind, source_id) DO UPDATE SET
				person = excluded.person, state = excluded.state, reason = excluded.reason, due_at = excluded.due_at,
				since = CASE WHEN f.state = excluded.state THEN f.since ELSE excluded.since END
		), counts AS (
			SELECT count(*) FILTER (WHERE state = 'due') AS due,
				count(*) FILTER (WHERE state = 'failing') AS failing,
				count(*) FILTER (WHERE state = 'not_evaluable') AS not_evaluable,
				min(exits_at) FILTER (WHERE state = 'passing') AS next_exit_at
			FROM found
		), humans AS (
			SELECT count(*) AS present, count(*) FILTER (WHERE `+v.judged+`) AS judged
			FROM accounts WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account'
		), unjudged AS (
			SELECT count(*) AS groups FROM accounts
			WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'directory_group' AND status <> 'inactive'
		)
		INSERT INTO outcomes (connection_id, code, number, state, reason, evaluated_at, passing, due, failing, not_evaluable, excepted, next_exit_at)
		SELECT $1, $3, $4,
			CASE
				WHEN $5 <> '' OR present = 0 THEN 'not_evaluable'
				WHEN failing > 0 THEN 'failing'
				WHEN due > 0 THEN 'due'
				WHEN not_evaluable > 0 THEN 'not_evaluable'
				ELSE 'passing'
			END,
			CASE
				WHEN $5 <> '' THEN $5
				WHEN present = 0 THEN 'the last sync found no human account'
				WHEN failing > 0 THEN failing || ' of ' || judged || ' accounts fail'
				WHEN due > 0 THEN due || ' of ' || judged || ' accounts are in their grace period'
				WHEN not_evaluable > 0 THEN not_evaluable || ' of ' || judged || ' accounts cannot be evaluated'
				WHEN groups > 0 THEN 'members of ' || groups || ' directory groups have no account here, and are not judged'
				ELSE ''
			END,
			$2, judged - due - failing - not_evaluable, due, failing, not_evaluable, 0, next_exit_at
		FROM counts, humans, unjudged
		RETURNING `+outcomeColumns,
		connectionID, now, code, number, vacuous)
	return o, err
}
