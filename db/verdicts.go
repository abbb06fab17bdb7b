package db

import "time"

// Monitor codes are part of the CLI's contract.
const (
	// AccessRemovedOnExit: no person who has left still has an active account.
	AccessRemovedOnExit = "JAMF_ACCESS_REMOVED_ON_EXIT"
	// UserMFAEnabled: every active human account has a second factor.
	UserMFAEnabled = "JAMF_USER_MFA_ENABLED"
)

// A verdict is how a monitor judges the human accounts that are present.
type verdict struct {
	// query is for what it makes of each of them: kind, source_id, whether it is
	// judged at all, person, state, reason, due_at, and exits_at, when a pass may
	// end by itself. Its parameters are the connection ($1) and, from $4 on, what
	// parameters returns.
	query      string
	parameters func(m enabledMonitor, now time.Time) []any
	// byRoster says that it judges by the staff roster of an organization ($5).
	byRoster bool
}

// Whoever cannot be told is not_evaluable: an account that belongs to nobody
// on the roster may belong to somebody who has left it. Of two people that an
// account may belong to, by e-mail address and by username, it is taken for the
// one who left first. An e-mail address that is nobody's outweighs a username: it may
// be that of somebody who was dropped from the roster. Whoever had left when that
// happened has left all the same. Every join is by an equality
// that a hash can serve, see setBased, and of tables themselves: of a materialized
// query the planner does not know how many rows are equal, and took minutes over a
// million. Neither does any look up what can be a parameter: several processes then
// read at once.
var verdicts = map[string]verdict{
	AccessRemovedOnExit: {
		query: `
			WITH owner AS NOT MATERIALIZED (
				SELECT address, exited_at AS leaves_at,
					CASE WHEN NOT delisted OR exited_at <= $4 THEN person END AS person,
					CASE WHEN NOT delisted OR exited_at <= $4 THEN exited_at END AS exited_at
				FROM person_addresses WHERE organization_id = $5
			), human AS (
				SELECT kind, source_id, status, email, least(e.exited_at, u.exited_at) AS exited_at, least(e.leaves_at, u.leaves_at) AS leaves_at,
					CASE WHEN e.person IS NULL OR u.exited_at < coalesce(e.exited_at, 'infinity') THEN u.person ELSE e.person END AS person,
					e.person IS NULL AND email <> '' AS by_username_only
				FROM accounts LEFT JOIN owner e ON e.address = lower(email) LEFT JOIN owner u ON u.address = lower(username)
				WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account'
			), grace AS (
				SELECT *, exited_at + make_interval(secs => $6) AS grace_ends FROM human
			)
			SELECT kind, source_id, true AS judged, coalesce(person, '') AS person,
				CASE
					WHEN status = 'inactive' THEN 'passing'
					WHEN person IS NULL THEN 'not_evaluable'
					WHEN exited_at > $4 OR exited_at IS NULL THEN CASE WHEN by_username_only THEN 'not_evaluable' ELSE 'passing' END
					WHEN status = 'unknown' THEN 'not_evaluable'
					WHEN grace_ends > $4 THEN 'due'
					ELSE 'failing'
				END AS state,
				CASE
					WHEN person IS NULL AND email = '' THEN 'the account has no e-mail address to find its owner by'
					WHEN person IS NULL THEN 'nobody on the staff roster has this e-mail address'
					WHEN exited_at > $4 OR exited_at IS NULL THEN CASE
						WHEN by_username_only THEN 'its username is on the staff roster, and its e-mail address is nobody''s there: an alias would say whose'
						ELSE ''
					END
					WHEN status = 'unknown' THEN 'the person has left, and whether the account is active is unknown'
					ELSE 'the person has left and the account is active'
				END AS reason,
				CASE WHEN exited_at <= $4 THEN grace_ends END AS due_at,
				CASE WHEN leaves_at > $4 AND status <> 'inactive' THEN leaves_at END AS exits_at
			FROM grace`,
		parameters: func(m enabledMonitor, now time.Time) []any { return []any{now, m.OrganizationID, m.ExitGraceSeconds} },
		byRoster:   true,
	},
	UserMFAEnabled: {
		query: `
			SELECT kind, source_id, status <> 'inactive' AS judged, '' AS person,
				CASE
					WHEN status = 'inactive' OR mfa = 'enabled' THEN 'passing'
					WHEN status = 'active' AND mfa = 'disabled' THEN 'failing'
					ELSE 'not_evaluable'
				END AS state,
				CASE
					WHEN mfa = 'unknown' THEN 'the source does not say whether a second factor is asked for'
					WHEN status = 'active' THEN 'no second factor is asked for'
					ELSE 'no second factor is asked for, and whether the account is active is unknown'
				END AS reason,
				NULL::timestamptz AS due_at, NULL::timestamptz AS exits_at
			FROM accounts
			WHERE connection_id = $1 AND removed_at IS NULL AND kind = 'account'`,
		parameters: func(enabledMonitor, time.Time) []any { return nil },
	},
}
