package workflows

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestFirstSyncComesWithinTheIntervalAndNotAtOnce(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{10 * time.Second, time.Hour, 6 * time.Hour, 7 * 24 * time.Hour} {
		for i := range 200 {
			wait := firstSync(fmt.Sprintf("connection-%d", i), every, noon).Sub(noon)
			require.GreaterOrEqual(t, wait, every/2)
			require.Less(t, wait, every)
		}
	}
}

func TestFirstSyncSpreadsConnectionsEvenly(t *testing.T) {
	t.Parallel()
	const connections, slots = 6000, 6
	counts := make([]int, slots)
	for i := range connections {
		wait := firstSync(fmt.Sprintf("connection-%d", i), 12*time.Hour, noon).Sub(noon)
		counts[int((wait-6*time.Hour)/time.Hour)]++
	}
	for slot, n := range counts {
		require.InDelta(t, connections/slots, n, connections/slots/5, "hour %d", slot)
	}
}

func TestNextSyncKeepsItsBeat(t *testing.T) {
	t.Parallel()
	const every = time.Hour
	for name, c := range map[string]struct {
		now  time.Time
		next time.Time
	}{
		"on time":                        {noon, noon.Add(every)},
		"a little late":                  {noon.Add(time.Minute), noon.Add(every)},
		"a sync that was asked for":      {noon.Add(-time.Minute), noon},
		"after an outage of a day":       {noon.Add(24*time.Hour + time.Minute), noon.Add(25 * time.Hour)},
		"just when the next one was due": {noon.Add(every), noon.Add(2 * every)},
	} {
		require.Equal(t, c.next, nextSync(noon, every, c.now), name)
	}
}

func TestRetrySyncComesSoonThenLessAndLessOftenAndNeverLaterThanRegular(t *testing.T) {
	t.Parallel()
	regular := noon.Add(time.Hour)
	last := time.Duration(0)
	for failures := 1; failures <= 20; failures++ {
		next := retrySync("acme", regular, noon, failures)
		require.True(t, next.After(noon))
		require.False(t, next.After(regular))
		wait := next.Sub(noon)
		require.GreaterOrEqual(t, wait, last)
		last = wait
	}
	require.Equal(t, regular.Sub(noon), last)
	require.Less(t, retrySync("acme", regular, noon, 1).Sub(noon), 2*time.Minute)
}

func TestConnectionsComeBackFromAnOutageOverAStretchOfTime(t *testing.T) {
	t.Parallel()
	const every = 6 * time.Hour
	require.Equal(t, noon, spreadSync("acme", noon.Add(-59*time.Second), every, noon), "a busy worker is no outage")
	for late, stretch := range map[time.Duration]time.Duration{10 * time.Minute: 5 * time.Minute, 24 * time.Hour: every / 4} {
		var quarters [4]int
		for i := range 4000 {
			wait := spreadSync(fmt.Sprint("connection-", i), noon.Add(-late), every, noon).Sub(noon)
			require.True(t, wait >= 0 && wait < stretch)
			quarters[wait*4/stretch]++
		}
		for _, n := range quarters {
			require.InDelta(t, 1000, n, 200)
		}
	}
}
