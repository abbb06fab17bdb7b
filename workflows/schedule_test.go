package workflows

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestNextSyncIsAboutOneIntervalAwayAndKeepsItsBeat(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{10 * time.Second, time.Hour, 6 * time.Hour, 7 * 24 * time.Hour} {
		for i := range 200 {
			name := fmt.Sprintf("connection-%d", i)
			next := nextSync(name, every, noon)
			require.GreaterOrEqual(t, next.Sub(noon), every/2, "%s %s", name, every)
			require.Less(t, next.Sub(noon), every+every/2, "%s %s", name, every)
			require.Equal(t, next.Add(every), nextSync(name, every, next), "the beat goes on")
			require.Equal(t, next, nextSync(name, every, next.Add(-every*3/4)), "a sync in between does not shift it")
			require.Equal(t, next.Add(every), nextSync(name, every, next.Add(-every/4)), "or takes its place")
		}
	}
}

func TestNextSyncSpreadsConnectionsEvenly(t *testing.T) {
	t.Parallel()
	const connections, slots = 6000, 6
	counts := make([]int, slots)
	for i := range connections {
		next := nextSync(fmt.Sprintf("connection-%d", i), 6*time.Hour, noon)
		counts[int(next.Sub(noon)/time.Hour)%slots]++
	}
	for slot, n := range counts {
		require.InDelta(t, connections/slots, n, connections/slots/5, "hour %d", slot)
	}
}

func TestRetrySyncComesSoonThenLessAndLessOftenAndNeverLaterThanRegular(t *testing.T) {
	t.Parallel()
	const every = 24 * time.Hour
	regular := nextSync("acme", every, noon)
	last := time.Duration(0)
	for failures := 1; failures <= 20; failures++ {
		next := retrySync("acme", every, noon, failures)
		require.True(t, next.After(noon))
		require.False(t, next.After(regular))
		wait := next.Sub(noon)
		require.GreaterOrEqual(t, wait, last)
		last = wait
	}
	require.Less(t, retrySync("acme", every, noon, 1).Sub(noon), 2*time.Minute+time.Second)
}

func TestRetrySyncNeverWaitsLongerThanAShortInterval(t *testing.T) {
	t.Parallel()
	require.Less(t, retrySync("acme", 10*time.Second, noon, 5).Sub(noon), 15*time.Second)
}
