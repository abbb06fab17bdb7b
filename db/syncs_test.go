package db

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func TestBeginSyncTwiceGivesTheSameNumber(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	numbers := make([]int, 8)
	for _, err := range together(len(numbers), func(i int) error {
		s, err := r.BeginSync(r.ctx, c.ID, "run", TriggerConnect)
		numbers[i] = s.Number
		return err
	}) {
		require.NoError(t, err)
	}
	for _, n := range numbers {
		require.Equal(t, 1, n)
	}
	s, err := r.BeginSync(r.ctx, c.ID, "next", TriggerConnect)
	require.NoError(t, err)
	require.Equal(t, Sync{Number: 2, Trigger: TriggerConnect, Outcome: Running, StartedAt: start}, s)
}

func TestNumbersAreNeverUsedTwice(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	errs := together(10, func(i int) error {
		_, err := r.BeginSync(r.ctx, c.ID, r.key(), TriggerResync)
		return err
	})
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 10, one[int](r, `SELECT count(DISTINCT number) FROM syncs WHERE number BETWEEN 1 AND 10`))
}

func TestInterruptedSyncIsClosedByTheNext(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	key, _ := r.begin(c)
	syncs, err := r.Syncs(r.ctx, c.ID, 10)
	require.NoError(t, err)
	require.Empty(t, syncs)

	r.clock.Advance(time.Minute)
	r.begin(c)
	ended := start.Add(time.Minute)
	interrupted := Sync{
		Number: 1, Trigger: TriggerSchedule, Outcome: Failed, Error: "interrupted",
		Reason: "it was interrupted before it ended", StartedAt: start, FinishedAt: &ended,
	}
	syncs, err = r.Syncs(r.ctx, c.ID, 10)
	require.NoError(t, err)
	require.Equal(t, []Sync{interrupted}, syncs)

	// Whoever ran it finds it ended, and the sync after it undisturbed.
	s, err := r.BeginSync(r.ctx, c.ID, key, TriggerSchedule)
	require.NoError(t, err)
	require.Equal(t, interrupted, s)
	require.Equal(t, interrupted, r.apply(c, key))
	require.Equal(t, 1, one[int](r, `SELECT count(*) FROM syncs WHERE outcome = 'running'`))
}

func TestFailSync(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	key, _ := r.stage(c, nil, []directory.User{account("1")})
	r.clock.Advance(time.Minute)
	next := start.Add(time.Hour)
	becomes := StateChange{State: NeedsReconnect, Reason: "rejected", NextSyncAt: &next}
	ended := start.Add(time.Minute)
	want := Sync{
		Number: 1, Trigger: TriggerSchedule, Outcome: Failed, Error: "code", Reason: "words",
		StartedAt: start, FinishedAt: &ended, Requests: 3,
	}
	for _, again := range []bool{false, true} {
		s, err := r.FailSync(r.ctx, c.ID, key, TriggerSchedule, "code", "words", becomes)
		require.NoError(t, err)
		require.Equal(t, EndedSync{Sync: want, Source: c.Source, Again: again}, s)
		stored, err := r.SyncByNumber(r.ctx, c.ID, 1)
		require.NoError(t, err)
		require.Equal(t, want, stored)
		require.Zero(t, r.staged())
		got := r.reload(c)
		require.Equal(t, []any{NeedsReconnect, "rejected", &next}, []any{got.State, got.Reason, got.NextSyncAt})
		r.clock.Advance(time.Minute)
	}
}

func TestFailSyncThatNeverBegan(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	for range 2 {
		s, err := r.FailSync(r.ctx, c.ID, "key", TriggerConnect, "code", "words", StateChange{State: Connecting})
		require.NoError(t, err)
		require.Equal(t, []any{1, Failed}, []any{s.Number, s.Outcome})
	}
}

func TestFailSyncLeavesWhatEndedOtherwise(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	key, _ := r.stage(c, summary([]directory.User{account("1")}), []directory.User{account("1")})
	applied := r.apply(c, key)
	s, err := r.FailSync(r.ctx, c.ID, key, TriggerSchedule, "code", "words", StateChange{State: NeedsReconnect})
	require.NoError(t, err)
	require.Equal(t, EndedSync{Sync: applied, Source: c.Source, Again: true}, s)
	require.Equal(t, Active, r.reload(c).State)
}

func TestSyncsListsTheNewestFirst(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	for range 3 {
		r.sync(c, account("1"))
	}
	syncs, err := r.Syncs(r.ctx, c.ID, 2)
	require.NoError(t, err)
	require.Equal(t, []int{3, 2}, []int{syncs[0].Number, syncs[1].Number})
	_, err = r.SyncByNumber(r.ctx, c.ID, 4)
	require.ErrorIs(t, err, ErrNotFound)
}
