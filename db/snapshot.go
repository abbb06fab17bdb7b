package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"jamf-access-review/activities/directory"
)

// ApplyOptions says how a snapshot is applied.
type ApplyOptions struct {
	// AcceptRemovals applies a snapshot that would otherwise be held, unless
	// HoldSnapshot has decided that it is, or it would take much more than the one
	// that was held last.
	AcceptRemovals bool
	// Becomes is the state of the connection once the sync has ended.
	Becomes StateChange
}

// ApplySnapshot compares the completely staged snapshot of a sync with the
// accounts on record, applies it, writes down the changes and evaluates the
// enabled monitors, all in one transaction: either the record speaks of this
// sync entirely or it is as it was. A snapshot without changes writes nothing
// to accounts.
//
// A snapshot that would remove too much is held: the sync ends so and the
// record stays. A snapshot that is not whole is an *directory.Error
// (Inconsistent); one that is not staged is ErrStagingLost, also where the source
// was not asked for somebody whom it would remove, and where the sync itself is
// unknown: the database was restored to a time before it. A sync that has ended
// before is returned as it ended, so twice is as good as once.
func (d *DB) ApplySnapshot(ctx context.Context, connectionID int64, key string, options ApplyOptions) (EndedSync, error) {
	var s EndedSync
	err := d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, connection Connection, now time.Time) (err error) {
		s.Source = connection.Source
		s.Sync, err = syncByKey(ctx, tx, connectionID, key)
		if errors.Is(err, ErrNotFound) {
			return ErrStagingLost
		}
		if err != nil {
			return err
		}
		if s.Again = s.Outcome != Running; s.Again {
			return nil
		}
		snapshot, err := checkedSnapshot(ctx, tx, connectionID, s.Number)
		if err != nil {
			return err
		}
		why, err := snapshot.hold(ctx, tx, connection, options.AcceptRemovals)
		if err != nil {
			return err
		}
		s.Outcome, s.FinishedAt, s.Requests, s.Accounts = Applied, &now, snapshot.requests, snapshot.counts.staged
		switch {
		case why != "":
			s.Outcome, s.Error, s.Reason = Held, CodeHeld, why
			options.Becomes.Reason = why
			err = recordHeld(ctx, tx, connectionID, s.Number, snapshot, now)
		case snapshot.counts.unconfirmed > 0:
			err = ErrStagingLost // as it was confirmed
		default:
			err = apply(ctx, tx, connection, snapshot, &s.Sync)
		}
		if err != nil {
			return err
		}
		return endSync(ctx, tx, connectionID, s.Sync, options.Becomes)
	})
	return s, err
}

// CheckSnapshot returns an *directory.Error (Inconsistent) when what is staged
// cannot be the whole directory, and ErrStagingLost when it is not staged
// completely. Otherwise it returns the first of its MissingAccounts, up to limit.
//
// Where groups seem to have been emptied it is Inconsistent as well, and that is
// noted: a later sync that finds the same is believed. Twice within a sync is as good
// as once.
func (d *DB) CheckSnapshot(ctx context.Context, connectionID int64, number, limit int) (missing []directory.Identity, err error) {
	var doubt error
	err = d.withConnection(ctx, connectionID, func(tx *sqlx.Tx, _ Connection, _ time.Time) error {
		snapshot, err := checkedSnapshot(ctx, tx, connectionID, number)
		if err != nil || snapshot.inPlace {
			return err
		}
		if !snapshot.summary.GroupsUnread {
			if doubt, err = doubtGroups(ctx, tx, connectionID, number); doubt != nil || err != nil {
				return err
			}
		}
		missing, err = missingAccounts(ctx, tx, connectionID, snapshot.summary, snapshot.confirmed, limit)
		return err
	})
	return missing, cmp.Or(err, doubt)
}

// snapshot is a completely staged directory.
type snapshot struct {
	summary  directory.Summary
	counts   snapshotCounts
	requests int
	// inPlace says that it is staged as accounts, and that none are on record.
	inPlace bool
	// held is why it is to be held, where that is decided already, and accepted why it
	// would have been, had a person not accepted that.
	held, accepted string
	// confirmed is the last of the missing accounts that the source was asked for.
	confirmed directory.Identity
}

func checkedSnapshot(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int) (snapshot, error) {
	read, summary, err := completeRead(ctx, tx, connectionID, number)
	if err != nil {
		return snapshot{}, err
	}
	if err := setBased(ctx, tx); err != nil {
		return snapshot{}, err
	}
	counts, err := count(ctx, tx, connectionID, read.InPlace, summary)
	if err != nil {
		return snapshot{}, err
	}
	return snapshot{summary: summary, counts: counts, requests: read.Requests, inPlace: read.InPlace, held: read.Held, confirmed: read.confirmed()}, counts.check(summary)
}

// hold says why the snapshot is to be held, or "". Who accepts removals where a
// snapshot is held accepts what that one would have taken, and some more as is
// usual: the directory may have been emptied since. Where none is held anything is
// accepted.
func (s *snapshot) hold(ctx context.Context, tx *sqlx.Tx, connection Connection, accept bool) (string, error) {
	if s.inPlace {
		return "", nil
	}
	if err := s.counts.compare(ctx, tx, connection.ID, s.summary, s.confirmed); err != nil {
		return "", err
	}
	why := s.counts.brake(connection.Hold)
	switch {
	case s.held != "":
		return s.held, nil
	case !accept:
		return why, nil
	}
	s.accepted = why
	accepted, err := lastTaken(ctx, tx, connection)
	if err != nil || accepted == nil {
		return "", err
	}
	return s.counts.exceeds(*accepted, connection.Hold), nil
}

func apply(ctx context.Context, tx *sqlx.Tx, connection Connection, snapshot snapshot, s *Sync) error {
	applyUsers := applyChanges
	if snapshot.inPlace {
		applyUsers = applyFirst
	}
	if err := applyUsers(ctx, tx, connection.ID, snapshot, s); err != nil {
		return err
	}
	summary := snapshot.summary
	if s.Reason = leftOutReason(summary); s.Accounts == 0 {
		s.Reason = emptyReason(connection.Scope, summary)
	}
	if snapshot.accepted != "" {
		s.Reason = strings.TrimSuffix(acceptedReason+snapshot.accepted+"; "+s.Reason, "; ")
	}
	if err := recordReport(ctx, tx, connection.ID, s.Number, summary); err != nil {
		return err
	}
	return evaluateMonitors(ctx, tx, connection.ID, s.Number, *s.FinishedAt)
}

// acceptedReason begins the reason of a sync that a person has accepted.
const acceptedReason = "removals were accepted: "

func recordReport(ctx context.Context, tx *sqlx.Tx, connectionID int64, number int, summary directory.Summary) error {
	limitations, err := jsonb(append([]directory.Limitation{}, summary.Limitations...))
	if err != nil {
		return err
	}
	signOn, err := jsonb(summary.SingleSignOn)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE connections SET applied_number = $2, source_version = $3, limitations = $4, single_sign_on = $5, groups_unread = $6,
			internal_groups = $7, doubted_groups = '{}'
		WHERE id = $1`,
		connectionID, number, summary.Version, limitations, signOn, summary.GroupsUnread, summary.InternalGroups)
	return err
}

// applyFirst applies a snapshot whose users are accounts already.
func applyFirst(ctx context.Context, tx *sqlx.Tx, connectionID int64, snapshot snapshot, s *Sync) error {
	s.Added = snapshot.counts.staged
	return makeBlocks(ctx, tx, connectionID)
}

// applyChanges applies a snapshot to the accounts on record.
func applyChanges(ctx context.Context, tx *sqlx.Tx, connectionID int64, snapshot snapshot, s *Sync) error {
	if err := keepUnread(ctx, tx, connectionID, snapshot); err != nil {
		return err
	}
	if err := applyDifferences(ctx, tx, connectionID, snapshot, s); err != nil {
		return err
	}
	return refreshBlocks(ctx, tx, connectionID, snapshot.counts.changed)
}

// differing is what a query for changes is joined with, for the facts that differ
// between the account at the place "kept" and the one at "staged", where there is
// one.
const differing = `
	LEFT JOIN LATERAL (SELECT to_jsonb(f) AS facts FROM (SELECT ` + facts + ` FROM accounts WHERE ctid = kept) f OFFSET 0) old ON true
	LEFT JOIN LATERAL (SELECT to_jsonb(f) AS facts FROM (SELECT ` + facts + ` FROM staged_accounts WHERE ctid = staged) f OFFSET 0) new ON true,
	LATERAL (
		SELECT
			coalesce(CASE WHEN new.facts IS NULL THEN old.facts ELSE (
				SELECT jsonb_object_agg(key, value) FROM jsonb_each(old.facts) WHERE new.facts -> key IS DISTINCT FROM value
			) END, '{}') AS before,
			coalesce((
				SELECT jsonb_object_agg(key, value) FROM jsonb_each(new.facts) WHERE old.facts -> key IS DISTINCT FROM value
			), '{}') AS after
		OFFSET 0
	) differing`

// applyDifferences is one statement: its parts see the same moment. Only
// kinds that were read are compared, so that what a missing privilege hides
// is not taken for removed, and only blocks that may differ.
//
// An account is different when its facts at the source, none if it is not
// there, are not its facts on record, none if it is not present. The two sides
// are joined once, by little more than digests; what is different is then
// fetched by its place in the table, so that it takes as long as there are
// differences.
func applyDifferences(ctx context.Context, tx *sqlx.Tx, connectionID int64, snapshot snapshot, s *Sync) error {
	return tx.QueryRowxContext(ctx, `
		WITH difference AS MATERIALIZED (
			SELECT kind, source_id, staged, kept,
				CASE
					WHEN s.facts_digest IS NULL THEN 'removed'
					WHEN a.facts_digest IS NULL THEN 'added'
					WHEN a.removed_at IS NOT NULL THEN 'restored'
					ELSE 'changed'
				END AS change
			FROM (
				SELECT kind, source_id, facts_digest, ctid AS staged FROM staged_accounts WHERE connection_id = $1
			) s FULL JOIN (
				SELECT kind, source_id, facts_digest, removed_at, ctid AS kept
				FROM accounts WHERE connection_id = $1 AND kind = ANY($2) AND (block IS NULL OR block = ANY($5))
			) a USING (kind, source_id)
			WHERE s.facts_digest IS DISTINCT FROM CASE WHEN a.removed_at IS NULL THEN a.facts_digest END
		), added AS (
			INSERT INTO accounts (connection_id, arrived_in, kind, source_id, `+factColumns+`)
			SELECT $1, $3, kind, source_id, `+factColumns+`
			FROM difference, LATERAL (SELECT `+factColumns+` FROM staged_accounts WHERE ctid = staged OFFSET 0) s
			WHERE change = 'added'
			RETURNING 'added' AS change
		), updated AS (
			INSERT INTO accounts (connection_id, kind, source_id, removed_at, `+factColumns+`)
			SELECT $1, kind, source_id, CASE WHEN change = 'removed' THEN $4::timestamptz END, `+factColumns+`
			FROM difference, LATERAL (
				SELECT `+factColumns+` FROM staged_accounts WHERE ctid = staged
				UNION ALL
				SELECT `+factColumns+` FROM accounts WHERE ctid = kept AND change = 'removed'
			) f
			WHERE change <> 'added'
			ON CONFLICT (connection_id, kind, source_id) DO UPDATE SET
				(removed_at, `+factColumns+`) = ROW (`+prefixed("excluded.", `removed_at, `+factColumns)+`)
		), recorded AS (
			INSERT INTO changes (connection_id, number, kind, source_id, change, at, before, after)
			SELECT $1, $3, kind, source_id, change, $4, before, after
			FROM difference `+differing+`
			WHERE change <> 'added' AND (change <> 'changed' OR before <> '{}' OR after <> '{}')
			RETURNING change
		)
		SELECT count(*) FILTER (WHERE change IN ('added', 'restored')), count(*) FILTER (WHERE change = 'changed'),
			count(*) FILTER (WHERE change = 'removed')
		FROM (SELECT change FROM added UNION ALL SELECT change FROM recorded) applied`,
		connectionID, kindsRead(snapshot.summary), s.Number, s.FinishedAt, snapshot.counts.changed,
	).Scan(&s.Added, &s.Changed, &s.Removed)
}

// leftOutReason says how much was read that is not on record, and why not; ""
// when nothing was.
func leftOutReason(summary directory.Summary) string {
	var reasons []string
	for _, what := range slices.Sorted(maps.Keys(summary.LeftOut)) {
		reasons = append(reasons, fmt.Sprintf("left out: %s (%d)", what, summary.LeftOut[what]))
	}
	return strings.Join(reasons, "; ")
}

// emptyReason says why a sync that went well found nobody.
func emptyReason(scope directory.Scope, summary directory.Summary) string {
	reason := fmt.Sprintf("no users: the scope is %q, and the source lists none", scope)
	if leftOut := leftOutReason(summary); leftOut != "" {
		reason += "; " + leftOut
	}
	for _, l := range summary.Limitations {
		reason += fmt.Sprintf("; not read: %s", l)
	}
	return reason
}
