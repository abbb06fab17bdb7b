package main_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"jamf-access-review/workflows"
)

// Temporal charges for actions and keeps every event: one scheduled sync is
// few of both, whatever it reads.
func TestTheHistoryOfASyncDoesNotGrowWithItsUsers(t *testing.T) {
	t.Parallel()
	small, large := scheduledRun(t, 10), scheduledRun(t, 2000)
	require.Equal(t, small.events, large.events)
	// A beginning, a timer, an activity, the marker of a local one, an end, a task
	// for each of the three moments at which the workflow decides, and two events for
	// the version of its code.
	require.LessOrEqual(t, large.events, int64(19))
	require.LessOrEqual(t, large.actions, 4)
	require.LessOrEqual(t, large.bytes, int64(8<<10))
	// Larger numbers have more digits; and a task names the worker that has the run in
	// memory, in 135 bytes, unless it had to make room. One byte a user would be 2,000.
	require.InDelta(t, small.bytes, large.bytes, 512)
}

// recurrence is what one scheduled sync cost at Temporal.
type recurrence struct {
	events, bytes int64
	actions       int  // beside heartbeats, of which there are none in the first second
	waited        bool // it had to wait for its time
}

// scheduledRun waits for a scheduled sync of a connection with so many more
// accounts. One that was late, on a busy machine, had no time to wait for and
// cost less.
func scheduledRun(t *testing.T, accounts int) recurrence {
	t.Helper()
	s := setup(t)
	s.jamf.Demo(accounts)
	s.connect("--every", "10s")
	id := workflows.AccessSyncID(s.name)
	request := &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: s.world.namespace, Query: fmt.Sprintf("WorkflowId = %q AND ExecutionStatus = 'ContinuedAsNew'", id),
	}
	var r recurrence
	await(t, "a scheduled sync", func() bool {
		page, err := s.world.listWorkflows(t.Context(), request)
		require.NoError(t, err)
		for _, run := range page.Executions {
			if r = s.cost(id, run.Execution.RunId); r.waited {
				return true
			}
		}
		return false
	})
	return r
}

// cost is what a run cost. What Temporal bills (docs.temporal.io/cloud/actions) is
// counted as far as its history shows it.
func (s *subject) cost(id, run string) recurrence {
	s.t.Helper()
	described, err := s.world.client.DescribeWorkflowExecution(s.t.Context(), id, run)
	require.NoError(s.t, err)
	r := recurrence{events: described.WorkflowExecutionInfo.HistoryLength, bytes: described.WorkflowExecutionInfo.HistorySizeBytes}
	markers := int64(0)
	history := s.world.client.GetWorkflowHistory(s.t.Context(), id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(s.t, err)
		switch event.EventType {
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, enums.EVENT_TYPE_TIMER_STARTED, enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
			enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
			enums.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED, enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
			r.actions++
		case enums.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
			if _, exempt := event.GetUpsertWorkflowSearchAttributesEventAttributes().SearchAttributes.IndexedFields["TemporalChangeVersion"]; !exempt {
				r.actions++
			}
		case enums.EVENT_TYPE_MARKER_RECORDED:
			// Those of one task are one action.
			if task := event.GetMarkerRecordedEventAttributes().WorkflowTaskCompletedEventId; task != markers {
				markers = task
				r.actions++
			}
		case enums.EVENT_TYPE_TIMER_FIRED:
			r.waited = true
		}
	}
	return r
}
