package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// judgement is how many accounts a monitor found in one state.
type judgement struct {
	State    MonitorState `db:"state"`
	Accounts int          `db:"accounts"`
	Judged   int          `db:"judged"`
	// OnRecord is how many of them are on record as they were found.
	OnRecord int `db:"on_record"`
	// NextExitAt is the earliest exit that is to come.
	NextExitAt *time.Time `db:"next_exit_at"`
	// RosterAt is when the roster was imported that the statement judged by, if it
	// did by one: another may be imported while a monitor is evaluated.
	RosterAt *time.Time `db:"roster_at"`
}

// judged is a query for what a monitor makes of each account. Where vacuous ($3)
// says why nothing can be proved, whoever does not pass is not evaluable.
func (v verdict) judged() string {
	return `
		SELECT kind, source_id, judged, person, due_at, exits_at,
			CASE WHEN $3 <> '' AND state <> 'passing' THEN 'not_evaluable' ELSE state END AS state,
			CASE WHEN $3 <> '' AND state <> 'passing' THEN $3 ELSE reason END AS reason
		FROM (` + v.query + `) verdict`
}

// rosterAt is the SQL for when the roster was imported that it judges by.
func (v verdict) rosterAt() string {
	if v.byRoster {
		return `(SELECT imported_at FROM rosters WHERE organization_id = $5)`
	}
	return `NULL::timestamptz`
}

// judge judges the accounts of a connection, and makes the findings on record
// what it finds. Mostly they are, and then it is a query, which several
// processes may share.
func (m enabledMonitor) judge(ctx context.Context, tx *sqlx.Tx, v verdict, vacuous string, now time.Time) (map[MonitorState]judgement, error) {
	parameters := append([]any{m.ConnectionID, m.Code, vacuous}, v.parameters(m, now)...)
	found, err := judgements(ctx, tx, `
		SELECT j.state, count(*) AS accounts, count(*) FILTER (WHERE judged) AS judged, min(exits_at) AS next_exit_at, `+v.rosterAt()+` AS roster_at,
			count(*) FILTER (WHERE f.state = j.state AND f.person = j.person AND f.reason = j.reason AND f.due_at IS NOT DISTINCT FROM j.due_at) AS on_record
		FROM (`+v.judged()+`) j LEFT JOIN findings f ON f.connection_id = $1 AND f.code = $2 AND f.kind = j.kind AND f.source_id = j.source_id
		GROUP BY j.state`, parameters)
	if err != nil || m.onRecord(found) {
		return found, err
	}
	parameters = append(parameters, now)
	return judgements(ctx, tx, fmt.Sprintf(`
		WITH judged AS MATERIALIZED (%s), difference AS MATERIALIZED (
			SELECT kind, source_id, is_found, j.person, j.state, j.reason, j.due_at
			FROM (
				SELECT *, true AS is_found FROM judged WHERE state <> 'passing'
			) j FULL JOIN (
				SELECT kind, source_id, person, state, reason, due_at FROM findings WHERE connection_id = $1 AND code = $2
			) known USING (kind, source_id)
			WHERE (j.person, j.state, j.reason, j.due_at) IS DISTINCT FROM (known.person, known.state, known.reason, known.due_at)
		), ended AS (
			DELETE FROM findings f USING difference d
			WHERE f.connection_id = $1 AND f.code = $2 AND f.kind = d.kind AND f.source_id = d.source_id AND is_found IS NULL
		), begun AS (
			INSERT INTO findings AS f (connection_id, code, kind, source_id, person, state, reason, since, due_at)
			SELECT $1, $2, kind, source_id, person, state, reason, $%d, due_at FROM difference WHERE is_found
			ON CONFLICT (connection_id, code, kind, source_id) DO UPDATE SET
				person = excluded.person, state = excluded.state, reason = excluded.reason, due_at = excluded.due_at,
				since = CASE WHEN f.state = excluded.state THEN f.since ELSE excluded.since END
		)
		SELECT state, count(*) AS accounts, count(*) FILTER (WHERE judged) AS judged, min(exits_at) AS next_exit_at, %s AS roster_at
		FROM judged GROUP BY state`, v.judged(), len(parameters), v.rosterAt()), parameters)
}

func judgements(ctx context.Context, tx *sqlx.Tx, query string, parameters []any) (map[MonitorState]judgement, error) {
	var rows []judgement
	if err := tx.SelectContext(ctx, &rows, query, parameters...); err != nil {
		return nil, err
	}
	found := map[MonitorState]judgement{}
	for _, j := range rows {
		found[j.State] = j
	}
	return found, nil
}

// onRecord says whether the findings on record are what was found.
func (m enabledMonitor) onRecord(found map[MonitorState]judgement) bool {
	findings := 0
	for state, j := range found {
		if state == Passing {
			continue
		}
		if j.OnRecord < j.Accounts {
			return false
		}
		findings += j.Accounts
	}
	return findings == m.Findings
}
