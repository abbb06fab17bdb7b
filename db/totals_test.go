package db

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func (r *record) totals() Totals {
	r.t.Helper()
	o, err := r.Totals(r.ctx)
	require.NoError(r.t, err)
	return o
}

func TestTotalsOfAnEmptyRecord(t *testing.T) {
	t.Parallel()
	o := setup(t).totals()
	require.Empty(t, o.Connections)
	require.Empty(t, o.Monitors)
}

func TestTotalsCountsBySourceAndState(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for i, state := range []State{Connecting, Active, Active, NeedsReconnect, Paused, Disconnected} {
		c := r.connectMonitored(fmt.Sprintf("c%d", i))
		r.sync(c, account("1"))
		switch state {
		case Disconnected:
			require.NoError(t, r.Disconnect(r.ctx, c.ID))
		default:
			require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: state}))
		}
	}
	other := newConnection("truto")
	other.Source = directory.Truto
	r.create(other)

	want := Totals{
		Connections: []ConnectionsIn{
			{Source: directory.JamfPro, State: Active, Count: 2},
			{Source: directory.JamfPro, State: Connecting, Count: 1},
			{Source: directory.JamfPro, State: Disconnected, Count: 1},
			{Source: directory.JamfPro, State: NeedsReconnect, Count: 1},
			{Source: directory.JamfPro, State: Paused, Count: 1},
			{Source: directory.Truto, State: Connecting, Count: 1},
		},
		Monitors: []MonitorsIn{
			{Code: AccessRemovedOnExit, State: NotEvaluable, Count: 5}, // there is no roster
			{Code: UserMFAEnabled, State: Passing, Count: 5},
		},
	}
	require.Equal(t, want, r.totals())
	require.Equal(t, want, r.totals(), "twice is as good as once")
}

func TestTotalsTellsHowOldTheRecordIs(t *testing.T) {
	t.Parallel()
	r := setup(t)
	never, gone := r.connect("never"), r.connect("gone")
	require.NoError(t, r.ChangeState(r.ctx, never.ID, StateChange{State: Active}))
	require.NoError(t, r.Disconnect(r.ctx, gone.ID))
	r.clock.Advance(2 * time.Hour)
	synced := r.connectMonitored("synced")
	r.sync(synced, account("1"))
	r.clock.Advance(3*synced.Every - time.Hour)

	require.Equal(t, []ConnectionsIn{
		{Source: directory.JamfPro, State: Active, Count: 2, Stale: 1, OldestAge: 3*synced.Every + time.Hour},
		{Source: directory.JamfPro, State: Disconnected, Count: 1, OldestAge: 3*synced.Every + time.Hour},
	}, r.totals().Connections, "one that never synced is as old as it is")

	r.clock.Advance(time.Hour)
	require.Equal(t, 1, r.totals().Connections[0].Stale, "three intervals are not too old")
	r.clock.Advance(time.Second)
	require.Equal(t, 2, r.totals().Connections[0].Stale)

	r.begin(synced)
	require.Equal(t, 2, r.totals().Connections[0].Stale, "a sync that runs is not applied")
	r.sync(synced, account("1"))
	require.Equal(t, 1, r.totals().Connections[0].Stale)
}

// What is counted has to be what everybody is shown.
func TestTotalsCountsMonitorsAsTheyReadNow(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: new(start)}}))
	r.sync(c, account("1"))
	for _, step := range []struct {
		after time.Duration
		exit  MonitorState
		mfa   MonitorState
	}{
		{0, Due, Passing},
		{c.Every, Due, Passing},
		{2 * c.Every, Due, Passing},
		{time.Second, NotEvaluable, NotEvaluable},
	} {
		r.clock.Advance(step.after)
		require.Equal(t, []MonitorsIn{
			{Code: AccessRemovedOnExit, State: step.exit, Count: 1}, {Code: UserMFAEnabled, State: step.mfa, Count: 1},
		}, r.totals().Monitors)
		require.Equal(t, step.exit, r.monitors(c)[AccessRemovedOnExit].State)
		require.Equal(t, step.mfa, r.monitors(c)[UserMFAEnabled].State)
	}
	r.sync(c, account("1"))
	r.clock.Advance(grace - 3*c.Every)
	require.Equal(t, Failing, r.totals().Monitors[0].State, "the grace period has ended since")
}

func TestTotalsCountsWhatIsHeldUntilItIsNot(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	var users []directory.User
	for i := range 10 {
		users = append(users, account(fmt.Sprint(i)))
	}
	r.sync(c, users...)
	held := func() int { return r.totals().Connections[0].Held }
	require.Zero(t, held())
	require.Equal(t, Held, r.sync(c, users[0]).Outcome)
	require.Equal(t, 1, held())
	key, _ := r.begin(c)
	require.Equal(t, 1, held(), "until the next sync has ended")
	_, err := r.FailSync(r.ctx, c.ID, key, TriggerSchedule, "unreachable", "it is", StateChange{State: Active})
	require.NoError(t, err)
	require.Zero(t, held())
	require.Equal(t, Held, r.sync(c, users[0]).Outcome)
	r.sync(c, users...)
	require.Zero(t, held())
}

func TestPingFailsWithoutPostgres(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.Ping(r.ctx))
	ended, cancel := context.WithCancel(r.ctx)
	cancel()
	require.Error(t, r.Ping(ended))
	d := r.openWith()
	require.NoError(t, d.Close())
	require.Error(t, d.Ping(r.ctx))
}
