package db

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

const (
	day    = 24 * time.Hour
	period = 400 * day
)

func (r *record) prune(c Connection) Pruned {
	r.t.Helper()
	foreseen, err := r.Prune(r.ctx, c.ID, period, true)
	require.NoError(r.t, err)
	before := r.dump()
	again, err := r.Prune(r.ctx, c.ID, period, true)
	require.NoError(r.t, err)
	require.Equal(r.t, foreseen, again)
	require.Equal(r.t, before, r.dump(), "a dry run changes nothing")
	pruned, err := r.Prune(r.ctx, c.ID, period, false)
	require.NoError(r.t, err)
	require.Equal(r.t, foreseen, pruned)
	return pruned
}

func (r *record) numbers(c Connection) []int {
	r.t.Helper()
	syncs, err := r.Syncs(r.ctx, c.ID, 1000)
	require.NoError(r.t, err)
	numbers := []int{}
	for _, s := range syncs {
		numbers = append(numbers, s.Number)
	}
	return numbers
}

func (r *record) fail(c Connection) {
	r.t.Helper()
	_, err := r.FailSync(r.ctx, c.ID, r.key(), TriggerSchedule, "unreachable", "it did not answer", StateChange{State: Active})
	require.NoError(r.t, err)
}

func TestPruneKeepsWhatThePeriodNeeds(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	other := r.connectMonitored("other")
	renamed := account("1", func(u *directory.User) { u.Name = "Another name" })

	r.sync(c, account("1"), account("2"), account("3"), account("4")) // 1: added account 1, which stays
	r.sync(other, account("1"))
	r.clock.Advance(day)
	r.sync(c, account("1"), account("3"), account("4")) // 2: removed 2, before the period
	r.fail(c)                                           // 3
	r.clock.Advance(day)
	r.sync(c, account("1"), account("3"), account("4")) // 4: nothing new
	r.sync(c, renamed, account("3"), account("4"))      // 5: changed account 1, which stays
	r.sync(c, renamed, account("3"), account("4"))      // 6: nothing new
	r.sync(c, renamed, account("3"), account("4"))      // 7: what the record spoke of when the period began
	r.fail(c)                                           // 8
	r.clock.Advance(period)
	r.sync(c, renamed, account("4")) // 9: removed 3, within the period
	r.sync(c, renamed)               // 10
	r.clock.Advance(time.Hour)
	untouched := r.dumpOf(other)

	require.Equal(t, Pruned{Accounts: 1, Changes: 2, Syncs: 5, Outcomes: 3 * 2}, r.prune(c))
	require.Equal(t, []int{10, 9, 7, 5, 1}, r.numbers(c))
	require.Contains(t, r.accounts(c, false), "account/1")
	require.Len(t, r.accounts(c, true), 2)
	require.Len(t, r.changes(c, 1), 3, "since when account 1 has access, and what 3 and 4 had in the period")
	require.Contains(t, r.changes(c, 5), "account/1")
	require.Equal(t, 2, one[int](r, `SELECT count(*) FROM outcomes WHERE connection_id = $1 AND number = 7`, c.ID))
	require.Len(t, r.monitors(c), 2)
	require.Equal(t, untouched, r.dumpOf(other))

	require.Zero(t, r.prune(c), "twice is as good as once")
	require.Equal(t, 11, r.sync(c, renamed).Number)
}

// dumpOf is what is recorded of one connection.
func (r *record) dumpOf(c Connection) string {
	r.t.Helper()
	var all string
	for _, table := range []string{"accounts", "changes", "syncs", "outcomes"} {
		all += one[string](r, `SELECT coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '') FROM `+table+` t WHERE connection_id = $1`, c.ID)
	}
	return all
}

func TestPruneKeepsTheLastWordOfAConnectionThatStopped(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	r.sync(c, account("1"))
	r.sync(c, account("1"))
	r.fail(c)
	r.fail(c)
	require.NoError(t, r.Disconnect(r.ctx, c.ID))
	r.clock.Advance(2 * period)

	require.Equal(t, Pruned{Syncs: 1}, r.prune(c))
	require.Equal(t, []int{4, 2, 1}, r.numbers(c), "the sync it ended with, the one the record speaks of, the one that added whom it knows")
	require.Contains(t, r.accounts(c, false), "account/1")
}

func TestPruneSparesARunningSyncAndARestoredAccount(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), account("2"))
	r.sync(c, account("1"))
	r.sync(c, account("1"), account("2"))
	r.begin(c)
	r.clock.Advance(2 * period)

	require.Zero(t, r.prune(c))
	require.Len(t, r.changes(c, 1), 2)
	require.Len(t, r.changes(c, 2), 1)
}

func TestPruneRefusesWhatAnAuditLooksBackAt(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	_, err := r.Prune(r.ctx, c.ID, MinKept-time.Second, false)
	require.ErrorContains(t, err, "too short")
	_, err = r.Prune(r.ctx, c.ID+1, MinKept, false)
	require.ErrorIs(t, err, ErrNotFound)
}
