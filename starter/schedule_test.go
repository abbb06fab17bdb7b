package main_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"jamf-access-review/workflows"
)

// scheduled are the syncs that nobody asked for.
func (s *subject) scheduled() []syncDoc {
	s.t.Helper()
	var found []syncDoc
	for _, sync := range s.syncs() {
		if sync.Trigger == "schedule" {
			found = append(found, sync)
		}
	}
	return found
}

func TestAConnectionSyncsByItself(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Equal(t, 1, s.connect("--every", "10s").Sync.Number)
	s.jamf.DisableAccount(s.bob)
	// On a busy machine one may have begun before the account was disabled.
	await(t, "a sync that sees what changed without being asked", func() bool {
		return slices.ContainsFunc(s.scheduled(), func(sync syncDoc) bool { return sync.Changed == 1 })
	})
	seen := s.scheduled()
	require.Equal(t, 2, seen[len(seen)-1].Number)
	for _, sync := range seen {
		require.Equal(t, "applied", sync.Outcome)
	}

	// The moments are one interval apart, whatever is asked for between them.
	next := s.status().NextSyncAt
	require.NotNil(t, next)
	s.resync()
	later := s.status().NextSyncAt
	require.NotNil(t, later)
	require.Zero(t, later.Sub(*next)%(10*time.Second), "%s and %s", next, later)
	await(t, "another", func() bool { return len(s.scheduled()) > len(seen) })
}

func TestRescheduleTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect("--every", "240h")
	require.Contains(t, s.ok("reschedule", s.name, "--every", "10s").stdout, "every 10s")
	require.Equal(t, "10s", s.status().Every)
	await(t, "a sync by schedule", func() bool { return len(s.scheduled()) > 0 })

	s.ok("reschedule", s.name, "--every", "90m")
	status := s.status()
	require.Equal(t, "1h30m", status.Every)
	require.Equal(t, "active", status.State)
	require.NotNil(t, status.NextSyncAt)
}

func TestAPausedConnectionSyncsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect("--every", "10s")
	s.ok("pause", s.name)
	status := s.status()
	require.Equal(t, "paused", status.State)
	require.Nil(t, status.NextSyncAt)

	doc := s.resync()
	require.Equal(t, "applied", doc.Sync.Outcome)
	require.Equal(t, "paused", doc.State)
	last := doc.Sync.Number
	await(t, "the next run to wait for messages only", func() bool { return s.timers() == 0 })
	require.Equal(t, []any{"paused", last}, []any{s.status().State, s.syncs()[0].Number})

	s.ok("pause", s.name)
	s.ok("resume", s.name)
	require.Equal(t, "active", s.status().State)
	await(t, "the schedule to go on", func() bool { return s.syncs()[0].Number > last })
	require.Equal(t, "schedule", s.syncs()[0].Trigger)
}

func TestPauseAndRescheduleBetweenSyncsAreNotLost(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect("--every", "10s")
	s.jamf.SetLatency(300 * time.Millisecond)
	s.ok("resync", s.name, "--no-wait")
	s.ok("pause", s.name)
	s.ok("reschedule", s.name, "--every", "2h")
	await(t, "both to be done", func() bool {
		status := s.status()
		return status.State == "paused" && status.Every == "2h"
	})
}

// timers is how many timers run in the connection's workflow; -1 while a run has
// not decided what to wait for.
func (s *subject) timers() int {
	s.t.Helper()
	running, waits := 0, false
	history := s.world.client.GetWorkflowHistory(s.t.Context(), workflows.AccessSyncID(s.name), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(s.t, err)
		waits = false
		switch event.EventType {
		case enums.EVENT_TYPE_TIMER_STARTED:
			running++
			waits = true
		case enums.EVENT_TYPE_TIMER_FIRED, enums.EVENT_TYPE_TIMER_CANCELED:
			running--
		case enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			waits = true
		}
	}
	if !waits {
		return -1
	}
	return running
}
