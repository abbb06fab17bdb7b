package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// EnableMonitors enables the monitors of a connection and evaluates those that
// were not enabled on the last applied sync. Twice is as good as once.
func (d *DB) EnableMonitors(ctx context.Context, connectionID int64) error {
	return d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, connection Connection, now time.Time) (err error) {
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
		_, err = evaluateAgain(ctx, tx, connection, codes, now)
		return err
	})
}

// evaluateMonitors adds, in a transaction that is setBased, an outcome of each
// enabled monitor for a sync, with its findings, and gives notice of those whose
// state is another. A finding keeps its "since" for as long as its state stays.
func evaluateMonitors(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, now time.Time) error {
	_, err := evaluate(ctx, tx, connectionID, number, func(enabledMonitor) bool { return true }, now)
	return err
}

// evaluateAgain judges the accounts of the last applied sync, if there was
// one, by what is known now, and returns how many monitors did. One that is too
// old to prove anything is not judged again.
func evaluateAgain(ctx context.Context, tx *sqlx.Tx, connection Connection, codes []string, now time.Time) (evaluated int, err error) {
	if connection.AppliedSync == 0 || len(codes) == 0 {
		return 0, nil
	}
	return evaluate(ctx, tx, connection.ID, connection.AppliedSync, func(m enabledMonitor) bool {
		return slices.Contains(codes, m.Code) && (!m.Stale || m.Was == "")
	}, now)
}

// enabledMonitor is one of a connection, with what its evaluation needs to know.
type enabledMonitor struct {
	ConnectionID     int64  `db:"connection_id"`
	OrganizationID   int64  `db:"organization_id"`
	ExitGraceSeconds int64  `db:"exit_grace_seconds"`
	Code             string `db:"code"`
	// Was is the state of its last outcome, "" before the first.
	Was MonitorState `db:"was"`
	// Findings is how many are on record.
	Findings int `db:"findings"`
	// Groups are the active directory groups, whose members nobody judges.
	Groups int `db:"groups"`
	// GroupsUnread says that directory groups could not be read.
	GroupsUnread bool `db:"groups_unread"`
	// InternalGroups are those that the source keeps itself, and SignOn says whether
	// single sign-on is on; nil where that is unknown.
	InternalGroups int   `db:"internal_groups"`
	SignOn         *bool `db:"sign_on"`
	// ReadSince is how old what the sync to judge has read is, and Stale says that
	// it proves nothing any more. Without that sync there is neither, an error.
	ReadSince    time.Time `db:"read_since"`
	EverySeconds int64     `db:"every_seconds"`
	Stale        bool      `db:"stale"`
	// RosterAt is when the organization's staff roster was imported, if one was.
	RosterAt *time.Time `db:"roster_at"`
}

func evaluate(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, chosen func(enabledMonitor) bool, now time.Time) (evaluated int, err error) {
	monitors, err := enabledMonitors(ctx, tx, connectionID, number, now)
	if err != nil {
		return 0, err
	}
	for _, m := range monitors {
		if !chosen(m) {
			continue
		}
		if err := m.evaluate(ctx, tx, number, now); err != nil {
			return 0, fmt.Errorf("evaluate %s: %w", m.Code, err)
		}
		evaluated++
	}
	return evaluated, nil
}

// enabledMonitors are those of a connection, at a time, for a sync.
func enabledMonitors(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, now time.Time) (monitors []enabledMonitor, err error) {
	err = tx.SelectContext(ctx, &monitors, `
		SELECT m.connection_id, c.organization_id, exit_grace_seconds, code, groups_unread, internal_groups,
			(c.single_sign_on ->> 'enabled')::boolean AS sign_on,
			(SELECT imported_at FROM rosters r WHERE r.organization_id = c.organization_id) AS roster_at,
			`+readSince+` AS read_since, `+interval+` AS every_seconds, `+isStale+` AS stale,
			coalesce((
				SELECT state FROM outcomes o WHERE o.connection_id = m.connection_id AND o.code = m.code ORDER BY id DESC LIMIT 1
			), '') AS was,
			(SELECT count(*) FROM findings f WHERE f.connection_id = m.connection_id AND f.code = m.code) AS findings,
			(
				SELECT count(*) FROM accounts a
				WHERE a.connection_id = m.connection_id AND kind = 'directory_group' AND status <> 'inactive' AND removed_at IS NULL
			) AS groups
		FROM monitors m JOIN connections c ON c.id = m.connection_id
		LEFT JOIN syncs s ON s.connection_id = m.connection_id AND s.number = $3
		WHERE m.connection_id = $2 ORDER BY code`,
		now, connectionID, number)
	return monitors, err
}

func (m enabledMonitor) evaluate(ctx context.Context, tx *sqlx.Tx, number int, now time.Time) error {
	v, ok := verdicts[m.Code]
	if !ok {
		return errors.New("it is enabled, and this program does not know it")
	}
	vacuous := m.vacuous(v, now)
	found, err := m.judge(ctx, tx, v, vacuous, now)
	if err != nil {
		return err
	}
	is := m.conclude(found, vacuous, number)
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO outcomes (connection_id, code, number, state, reason, evaluated_at, passing, due, failing, not_evaluable, excepted, next_exit_at, roster_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		m.ConnectionID, m.Code, number, is.State, is.Reason, now,
		is.Passing, is.Due, is.Failing, is.NotEvaluable, is.Excepted, found[Passing].NextExitAt, m.judgedBy(v, found, vacuous)); err != nil {
		return err
	}
	return noticeMonitor(ctx, tx, m.ConnectionID, m.Code, m.Was, is, now)
}

// judgedBy is when the roster was imported that an outcome was found by, if it was by
// one.
func (m enabledMonitor) judgedBy(v verdict, found map[MonitorState]judgement, vacuous string) *time.Time {
	if !v.byRoster {
		return nil
	}
	if vacuous == "" {
		for _, j := range found {
			return j.RosterAt
		}
	}
	return m.RosterAt
}

// vacuous is why the monitor cannot say anything at all at this moment, or "".
func (m enabledMonitor) vacuous(v verdict, now time.Time) string {
	switch {
	case m.Stale:
		return staleReason(now.Sub(m.ReadSince), m.EverySeconds)
	case v.byRoster:
		return rosterReason(m.RosterAt, now)
	}
	return ""
}

// conclude makes an outcome of what was found at a sync: where vacuous says why
// nothing can be proved, that it cannot be evaluated.
func (m enabledMonitor) conclude(found map[MonitorState]judgement, vacuous string, number int) outcome {
	is := outcome{Number: number, NoticeCounts: NoticeCounts{
		Passing: found[Passing].Judged, Due: found[Due].Accounts, Failing: found[Failing].Accounts, NotEvaluable: found[NotEvaluable].Accounts,
	}}
	present := found[Passing].Accounts + is.Due + is.Failing + is.NotEvaluable
	judged := is.Passing + is.Due + is.Failing + is.NotEvaluable
	switch {
	case vacuous != "":
		is.State, is.Reason = NotEvaluable, vacuous
	case present == 0:
		is.State, is.Reason = NotEvaluable, "the last sync found no human account"
	case is.Failing > 0:
		is.State, is.Reason = Failing, fmt.Sprintf("fails for %d of %d accounts", is.Failing, judged)
	case is.Due > 0:
		is.State, is.Reason = Due, fmt.Sprintf("a grace period has not ended for %d of %d accounts", is.Due, judged)
	case is.NotEvaluable > 0:
		is.State, is.Reason = NotEvaluable, fmt.Sprintf("cannot be evaluated for %d of %d accounts", is.NotEvaluable, judged)
	default:
		is.State, is.Reason = Passing, m.unjudged()
	}
	return is
}

// unjudged says who may have access besides the accounts that were judged, or "".
// Members of a directory group need no account, and with single sign-on nor do those
// of any group.
func (m enabledMonitor) unjudged() string {
	if m.GroupsUnread {
		return "directory groups could not be read: their members, who may have no account here, are not judged"
	}
	var unjudged []string
	if m.Groups > 0 {
		unjudged = append(unjudged, fmt.Sprintf("members of directory groups (%d) have no account here, and are not judged", m.Groups))
	}
	if m.InternalGroups > 0 && (m.SignOn == nil || *m.SignOn) {
		signOn := "with single sign-on"
		if m.SignOn == nil {
			signOn = "if single sign-on is on, which is unknown,"
		}
		unjudged = append(unjudged, fmt.Sprintf("%s members of account groups (%d) may have no account here, and are not judged", signOn, m.InternalGroups))
	}
	return strings.Join(unjudged, "; ")
}
