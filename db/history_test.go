package db

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// By another roster a failure passes: that it failed, and by which, is not lost.
func TestPastOutcomesTellWhatIsNoLongerSo(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	var rosters []time.Time
	for _, exit := range []*time.Time{nil, ago(48 * time.Hour), nil} {
		r.clock.Advance(time.Hour)
		rosters = append(rosters, r.clock.Now())
		require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: exit}}))
		if r.reload(c).AppliedSync == 0 {
			r.sync(c, account("1"))
		}
	}
	var states []MonitorState
	for o, err := range r.PastOutcomes(r.ctx, c.ID, time.Time{}) {
		require.NoError(t, err)
		if o.Code == AccessRemovedOnExit {
			require.Equal(t, []any{1, rosters[len(states)], rosters[len(states)]}, []any{o.Sync, o.EvaluatedAt, *o.RosterAt})
			states = append(states, o.State)
		}
	}
	require.Equal(t, []MonitorState{Passing, Failing, Passing}, states)

	listed := 0
	for o, err := range r.PastOutcomes(r.ctx, c.ID, rosters[1]) {
		require.NoError(t, err)
		require.Equal(t, AccessRemovedOnExit, o.Code, "the other is judged by no roster")
		listed++
	}
	require.Equal(t, 2, listed)
}
