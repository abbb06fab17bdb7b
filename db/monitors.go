package db

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// MonitorState is the state of a monitor or of a finding.
type MonitorState string

const (
	Passing MonitorState = "passing"
	// Due: not in order, and within its grace period.
	Due     MonitorState = "due"
	Failing MonitorState = "failing"
	// NotEvaluable: the data that would tell is missing or too old.
	NotEvaluable MonitorState = "not_evaluable"
)

// WorstState is the worst state of monitors, "" where there is none. One that
// cannot be evaluated is worse than one that passes, and hides no failure.
func WorstState[M any](monitors []M, stateOf func(M) MonitorState) MonitorState {
	for _, state := range []MonitorState{Failing, Due, NotEvaluable, Passing} {
		if slices.ContainsFunc(monitors, func(m M) bool { return stateOf(m) == state }) {
			return state
		}
	}
	return ""
}

// Monitor is the latest outcome of a monitor, as it reads now.
type Monitor struct {
	Code string
	// State is what was found, Failing once a grace period has ended since, or
	// NotEvaluable when what was found is too old by now.
	State MonitorState
	// Reason says why, and whether a later sync was not applied.
	Reason string
	// Sync says which snapshot it speaks of, ReadSince how old that is, EvaluatedAt when
	// it was judged, and RosterAt by which staff roster, that of when it was imported;
	// nil where it was by none.
	Sync         int
	ReadSince    time.Time
	EvaluatedAt  time.Time
	RosterAt     *time.Time
	Passing      int
	Due          int
	Failing      int
	NotEvaluable int
	Excepted     int
}

// LacksRoster says that it cannot be evaluated because no staff roster was imported.
func (m Monitor) LacksRoster() bool { return strings.HasPrefix(m.Reason, noRoster) }

// latestOutcomes is a query for the latest outcome of each enabled monitor of
// every connection, as it reads at the time $1 (see Monitors). "aged" says why it
// reads otherwise than it was found.
var latestOutcomes = `
	SELECT *, CASE aged WHEN '' THEN found WHEN 'overdue' THEN 'failing' ELSE 'not_evaluable' END AS state
	FROM (
		SELECT m.connection_id, c.name AS connection_name, c.state AS connection_state,
			o.code, o.state AS found, o.reason, o.number, o.evaluated_at,
			o.passing, o.due, o.failing, o.not_evaluable, o.excepted, ` + readSince + ` AS read_since, ` + interval + ` AS every_seconds, r.imported_at, o.roster_at, overdue,
			later.number AS later_number, later.outcome AS later_outcome,
			CASE
				WHEN ` + isStale + ` THEN 'stale'
				WHEN o.code = '` + AccessRemovedOnExit + `' AND ` + isOldRoster + ` THEN 'roster'
				WHEN o.code = '` + AccessRemovedOnExit + `' AND o.roster_at IS DISTINCT FROM r.imported_at THEN 'another roster'
				WHEN overdue > 0 THEN 'overdue'
				WHEN o.state = 'passing' AND o.next_exit_at <= $1 THEN 'exit'
				ELSE ''
			END AS aged
		FROM monitors m
		JOIN connections c ON c.id = m.connection_id
		JOIN LATERAL (
			SELECT * FROM outcomes WHERE connection_id = m.connection_id AND code = m.code ORDER BY id DESC LIMIT 1
		) o ON true
		JOIN syncs s ON s.connection_id = m.connection_id AND s.number = o.number
		LEFT JOIN rosters r ON r.organization_id = c.organization_id
		LEFT JOIN LATERAL (
			SELECT number, outcome FROM syncs l
			WHERE l.connection_id = c.id AND l.number > o.number AND c.last_number > o.number AND l.outcome <> 'running'
			ORDER BY l.number DESC LIMIT 1
		) later ON true,
		LATERAL (
			SELECT CASE WHEN o.due = 0 THEN 0 ELSE (
				SELECT count(*) FROM findings f
				WHERE f.connection_id = o.connection_id AND f.code = o.code AND f.state = 'due' AND f.due_at <= $1
			) END AS overdue
		) ended
	) outcome`

// Monitors returns the latest outcome of each enabled monitor, as it reads now.
// An outcome grows old while nothing is synced: three intervals after its sync
// began to read, or 30 days, once the staff roster that it needs is older than 7
// days or another one, or once somebody who passed has left, it is not evaluable,
// and a grace period that has ended since makes it failing.
func (d *DB) Monitors(ctx context.Context, connectionID int64) ([]Monitor, error) {
	monitors, err := monitorsNow(ctx, d.sql, d.clock.now().UTC(), `connection_id = $2`, connectionID)
	return append([]Monitor{}, monitors[connectionID]...), err
}

// monitorsNow returns the monitors of the connections that a condition selects
// by its argument $2, as they read at a time, by connection.
func monitorsNow(ctx context.Context, q sqlx.QueryerContext, now time.Time, condition string, argument any) (map[int64][]Monitor, error) {
	var rows []monitorRow
	if err := sqlx.SelectContext(ctx, q, &rows, `
		SELECT connection_id, code, state, found, reason, number, evaluated_at,
			passing, due, failing, not_evaluable, excepted, aged, overdue, read_since, every_seconds, imported_at, roster_at, later_number, later_outcome, connection_state
		FROM (`+latestOutcomes+`) o WHERE `+condition+` ORDER BY connection_id, code`,
		now, argument); err != nil {
		return nil, err
	}
	monitors := map[int64][]Monitor{}
	for _, row := range rows {
		monitors[row.ConnectionID] = append(monitors[row.ConnectionID], row.monitor(now))
	}
	return monitors, nil
}

type monitorRow struct {
	ConnectionID int64        `db:"connection_id"`
	Code         string       `db:"code"`
	State        MonitorState `db:"state"`
	Found        MonitorState `db:"found"`
	Reason       string       `db:"reason"`
	Number       int          `db:"number"`
	EvaluatedAt  time.Time    `db:"evaluated_at"`
	Passing      int          `db:"passing"`
	Due          int          `db:"due"`
	Failing      int          `db:"failing"`
	NotEvaluable int          `db:"not_evaluable"`
	Excepted     int          `db:"excepted"`
	Aged         string       `db:"aged"`
	Overdue      int          `db:"overdue"`
	ReadSince    time.Time    `db:"read_since"`
	EverySeconds int64        `db:"every_seconds"`
	ImportedAt   *time.Time   `db:"imported_at"`
	RosterAt     *time.Time   `db:"roster_at"`
	// The last sync that has ended since.
	LaterNumber  *int     `db:"later_number"`
	LaterOutcome *Outcome `db:"later_outcome"`

	ConnectionState State `db:"connection_state"`
}

func (row monitorRow) monitor(now time.Time) Monitor {
	m := Monitor{
		Code: row.Code, State: row.State, Reason: row.Reason,
		Sync: row.Number, ReadSince: row.ReadSince, EvaluatedAt: row.EvaluatedAt, RosterAt: row.RosterAt,
		Passing: row.Passing, Due: row.Due, Failing: row.Failing, NotEvaluable: row.NotEvaluable, Excepted: row.Excepted,
	}
	switch row.Aged {
	case "stale":
		age := now.Sub(row.ReadSince)
		m.aged(row.Found, fmt.Sprintf("%s: %s", staleReason(age, row.EverySeconds), age.Round(time.Second)))
	case "roster":
		m.aged(row.Found, rosterReason(row.ImportedAt, now))
	case "another roster":
		reason := "the staff roster was imported again since; the next sync judges by it"
		if row.RosterAt == nil {
			reason = "an older worker judged, and does not say by which staff roster; the next sync of one of this version does"
		}
		m.aged(row.Found, reason)
	case "overdue":
		m.Due, m.Failing = m.Due-row.Overdue, m.Failing+row.Overdue
		m.aged(row.Found, fmt.Sprintf("the grace period of %d has ended since", row.Overdue))
	case "exit":
		m.aged(row.Found, "somebody with an active account has left since; the next sync judges")
	}
	if m.State != row.Found {
		return m
	}
	if row.LaterNumber != nil {
		m.add(laterReason(*row.LaterNumber, *row.LaterOutcome))
	}
	if row.ConnectionState == Paused || row.ConnectionState == Disconnected {
		m.add(fmt.Sprintf("the connection is %s, and not synced by itself", row.ConnectionState))
	}
	return m
}

// laterReason is what a later sync that was not applied means for an outcome.
func laterReason(number int, outcome Outcome) string {
	if outcome == Held {
		return fmt.Sprintf("sync %d is held, and not judged", number)
	}
	return fmt.Sprintf("sync %d has failed since", number)
}

// aged says why a monitor no longer is what was found.
func (m *Monitor) aged(found MonitorState, reason string) {
	if m.State != found {
		m.Reason = fmt.Sprintf("%s; was %s", reason, found)
	}
}

func (m *Monitor) add(reason string) {
	if m.Reason != "" {
		reason = m.Reason + "; " + reason
	}
	m.Reason = reason
}

// Finding is an account that does not pass a monitor.
type Finding struct {
	Code     string       `db:"code"`
	Kind     string       `db:"kind"`
	ID       string       `db:"source_id"`
	Username string       `db:"username"`
	Email    string       `db:"email"`
	Person   string       `db:"person"` // e-mail address of the person on the roster
	State    MonitorState `db:"state"`
	Reason   string       `db:"reason"`
	Since    time.Time    `db:"since"`
	DueAt    *time.Time   `db:"due_at"`
}

// Findings returns the findings of a connection's latest outcomes, the worst
// first. One whose grace period has ended reads failing, since its end.
func (d *DB) Findings(ctx context.Context, connectionID int64) ([]Finding, error) {
	findings, _, err := d.findings(ctx, connectionID, "", 0)
	return findings, err
}

// WorstFindings is Findings of one monitor, at most a number of them, and how
// many there are in all.
func (d *DB) WorstFindings(ctx context.Context, connectionID int64, code string, atMost int) (findings []Finding, total int, err error) {
	return d.findings(ctx, connectionID, code, atMost)
}

// findings are those of one monitor, or of all when code is "", and at most a
// number of them, or all when that is 0.
func (d *DB) findings(ctx context.Context, connectionID int64, code string, atMost int) ([]Finding, int, error) {
	var rows []struct {
		Finding
		Total int `db:"total"`
	}
	err := d.sql.SelectContext(ctx, &rows, `
		SELECT count(*) OVER () AS total, f.code, f.kind, f.source_id, a.username, a.email, f.person, now.state, f.reason, now.since, f.due_at
		FROM accounts a JOIN findings f USING (connection_id, kind, source_id), LATERAL (
			SELECT CASE WHEN ended THEN 'failing' ELSE f.state END AS state, CASE WHEN ended THEN f.due_at ELSE f.since END AS since
			FROM (SELECT f.state = 'due' AND f.due_at <= $2 AS ended) e
		) now
		WHERE f.connection_id = $1 AND ($3 = '' OR f.code = $3)
		ORDER BY f.code, array_position('{failing,due,not_evaluable}', now.state), a.username, f.source_id
		LIMIT nullif($4::bigint, 0)`, connectionID, d.clock.now(), code, atMost)
	findings, total := make([]Finding, len(rows)), 0
	for i, row := range rows {
		findings[i], total = row.Finding, row.Total
	}
	return findings, total, err
}
