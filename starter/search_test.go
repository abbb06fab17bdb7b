package main_test

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"jamf-access-review/db"
	"jamf-access-review/workflows"
)

// Queries that the README lists.
const (
	needAPerson  = `WorkflowType = 'AccessSync' AND ExecutionStatus = 'Running' AND (JamfConnectionState = 'needs_reconnect' OR JamfSyncOutcome = 'held' OR JamfMonitorState = 'failing')`
	notUpToDate  = `WorkflowType = 'AccessSync' AND ExecutionStatus = 'Running' AND JamfSyncOutcome IN ('failed', 'held')`
	everythingOf = `JamfConnection = 'NAME'`
)

func TestConnectionsAreFoundByHowTheyAre(t *testing.T) {
	t.Parallel()
	well, rejected, held := setup(t), setup(t), setup(t)
	for _, s := range []*subject{well, rejected, held} {
		s.connect()
	}
	rejected.loseCredentials()
	held.jamf.RemoveAccount(held.ada) // the only full administrator
	held.failResync(8, "held")
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	for _, query := range []string{needAPerson, notUpToDate, everythingOf} {
		require.Contains(t, string(readme), "`"+query+"`")
	}
	// Only once a connection is found as it is can it be said not to be found
	// as it is not.
	well.awaitFound("JamfConnectionState = 'active' AND JamfSyncOutcome = 'applied' AND JamfMonitorState = 'not_evaluable' AND JamfConnection = '"+well.name+"'", 1)
	for query, found := range map[string][]*subject{
		needAPerson: {rejected, held},
		notUpToDate: {rejected, held},
	} {
		for _, s := range []*subject{well, rejected, held} {
			expected := 0
			for _, f := range found {
				if f == s {
					expected = 1
				}
			}
			s.awaitFound(query+" AND JamfConnection = '"+s.name+"'", expected)
		}
	}
	// The run that connected, the first sync's and the one that waits.
	runs := well.awaitFound(strings.ReplaceAll(everythingOf, "NAME", well.name), 2)
	for _, run := range runs {
		if run.Type.Name != workflows.AccessSync {
			continue
		}
		for name, value := range map[string]string{
			"JamfSource": "jamf_pro", "JamfConnectionState": string(db.Active), "JamfSyncOutcome": string(db.Applied),
			"JamfMonitorState": string(db.NotEvaluable),
		} {
			require.Equal(t, `"`+value+`"`, string(run.SearchAttributes.IndexedFields[name].GetData()), name)
		}
	}
}

// A frontend of Temporal's does not know at once what was added.
func TestAWorkerWaitsForSearchAttributesToBeKnown(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	var asked atomic.Int32
	w.settings = []string{"TEMPORAL_ADDRESS=" + w.interposed(t, func(_ context.Context, call string) error {
		if call != "CountWorkflowExecutions" || asked.Add(1) > 4 {
			return nil
		}
		return serviceerror.NewInvalidArgument("not known yet")
	})}
	w.mustStartWorker(t)
	s := w.setup(t)
	s.connect()
	s.awaitFound("WorkflowType = 'AccessSync' AND JamfConnectionState = 'active'", 1)
}

// awaitFound waits until a query finds as many runs: what is written is found
// a moment later.
func (s *subject) awaitFound(query string, n int) []*workflow.WorkflowExecutionInfo {
	s.t.Helper()
	var found []*workflow.WorkflowExecutionInfo
	await(s.t, query, func() bool {
		page, err := s.world.client.ListWorkflow(s.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Namespace: s.world.namespace, Query: query})
		require.NoError(s.t, err)
		found = page.Executions
		return len(found) == n
	})
	return found
}
