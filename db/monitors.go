package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"
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

// staleAfter is how many intervals may pass without an applied sync before
// outcomes prove nothing any more.
const staleAfter = 3

// Monitor is the latest outcome of a monitor, as it reads now.
type Monitor struct {
	Code string
	// State is what was found, or NotEvaluable when that is too old by now.
	State  MonitorState
	Reason string
	// Sync and EvaluatedAt say which snapshot it speaks of.
	Sync         int
	EvaluatedAt  time.Time
	Passing      int
	Due          int
	Failing      int
	NotEvaluable int
	Excepted     int
}

// Monitors returns the latest outcome of each enabled monitor. An outcome
// grows old while nothing is synced: after three intervals, or once the staff
// roster it needs is too old, it is not evaluable, and a grace period that has
// ended since makes it failing.
func (d *DB) Monitors(ctx context.Context, connectionID int64) ([]Monitor, error) {
	now := d.now().UTC()
	var rows []struct {
		Code             string       `db:"code"`
		State            MonitorState `db:"state"`
		Reason           string       `db:"reason"`
		Number           int          `db:"number"`
		EvaluatedAt      time.Time    `db:"evaluated_at"`
		Passing          int          `db:"passing"`
		Due              int          `db:"due"`
		Failing          int          `db:"failing"`
		NotEvaluable     int          `db:"not_evaluable"`
		Excepted         int          `db:"excepted"`
		Overdue          int          `db:"overdue"`
		EverySeconds     int64        `db:"every_seconds"`
		AppliedAt        time.Time    `db:"applied_at"`
		RosterImportedAt sql.NullTime `db:"roster_imported_at"`
	}
	if err := d.sql.SelectContext(ctx, &rows, `
		SELECT o.code, o.state, o.reason, o.number, o.evaluated_at,
			o.passing, o.due, o.failing, o.not_evaluable, o.excepted,
			c.every_seconds, s.finished_at AS applied_at, r.imported_at AS roster_imported_at,
			(SELECT count(*) FROM findings f
				WHERE f.connection_id = o.connection_id AND f.code = o.code AND f.state = 'due' AND f.due_at <= $2) AS overdue
		FROM monitors m
		JOIN connections c ON c.id = m.connection_id
		JOIN LATERAL (
			SELECT * FROM outcomes WHERE connection_id = m.connection_id AND code = m.code ORDER BY id DESC LIMIT 1
		) o ON true
		JOIN syncs s ON s.connection_id = m.connection_id AND s.number = o.number
		LEFT JOIN rosters r ON r.organization_id = c.organization_id
		WHERE m.connection_id = $1 ORDER BY m.code`, connectionID, now); err != nil {
		return nil, err
	}
	monitors := make([]Monitor, 0, len(rows))
	for _, row := range rows {
		m := Monitor{
			Code: row.Code, State: row.State, Reason: row.Reason, Sync: row.Number, EvaluatedAt: row.EvaluatedAt,
			Passing: row.Passing, Due: row.Due, Failing: row.Failing, NotEvaluable: row.NotEvaluable, Excepted: row.Excepted,
		}
		every := time.Duration(row.EverySeconds) * time.Second
		age := now.Sub(row.AppliedAt)
		switch {
		case age > staleAfter*every:
			m.becomes(NotEvaluable, fmt.Sprintf("the last applied sync is %s old, more than %d intervals", age.Round(time.Second), staleAfter))
		case m.Code == AccessRemovedOnExit && row.RosterImportedAt.Valid && now.Sub(row.RosterImportedAt.Time) > rosterMaxAge:
			m.becomes(NotEvaluable, "the staff roster is older than 7 days")
		case row.Overdue > 0:
			m.Due, m.Failing = m.Due-row.Overdue, m.Failing+row.Overdue
			m.becomes(Failing, fmt.Sprintf("the grace period of %d has ended since", row.Overdue))
		}
		monitors = append(monitors, m)
	}
	return monitors, nil
}

func (m *Monitor) becomes(state MonitorState, reason string) {
	if m.State != state {
		m.State, m.Reason = state, fmt.Sprintf("%s; was %s", reason, m.State)
	}
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
	findings := []Finding{}
	err := d.sql.SelectContext(ctx, &findings, `
		SELECT f.code, f.kind, f.source_id, a.username, a.email, f.person, now.state, f.reason, now.since, f.due_at
		FROM findings f JOIN accounts a USING (connection_id, kind, source_id), LATERAL (
			SELECT CASE WHEN ended THEN 'failing' ELSE f.state END AS state, CASE WHEN ended THEN f.due_at ELSE f.since END AS since
			FROM (SELECT f.state = 'due' AND f.due_at <= $2 AS ended) e
		) now
		WHERE f.connection_id = $1
		ORDER BY f.code, array_position('{failing,due,not_evaluable}', now.state), a.username, f.source_id`, connectionID, d.now())
	return findings, err
}
