package main_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
)

// credentialsOnRecord is how many secrets the database keeps for a connection.
func (s *subject) credentialsOnRecord() (n int) {
	s.t.Helper()
	database, err := sql.Open("postgres", s.world.databaseURL)
	require.NoError(s.t, err)
	defer database.Close()
	require.NoError(s.t, database.QueryRow(`
		SELECT count(*) FROM (
			SELECT connection_id FROM credentials UNION ALL SELECT connection_id FROM credential_candidates
		) s JOIN connections c ON c.id = connection_id WHERE c.name = $1`, s.name).Scan(&n))
	return n
}

func (s *subject) workflowStatus() enums.WorkflowExecutionStatus {
	s.t.Helper()
	description, err := s.world.client.DescribeWorkflowExecution(context.Background(), s.workflow(), "")
	require.NoError(s.t, err)
	return description.WorkflowExecutionInfo.Status
}

func TestDisconnectKeepsTheRecordAndDestroysTheCredentials(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	users, changes := s.users(), s.changes()
	require.Equal(t, 1, s.credentialsOnRecord())
	s.ok("disconnect", s.name)
	require.Zero(t, s.credentialsOnRecord())
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, s.workflowStatus())
	status := s.status()
	require.Equal(t, "disconnected", status.State)
	require.Nil(t, status.NextSyncAt)
	require.Empty(t, status.Doing)
	require.Empty(t, status.Reason)
	require.Equal(t, users, s.users())
	require.Equal(t, changes, s.changes())
	require.Len(t, s.syncs(), 1)

	for _, args := range [][]string{
		{"resync"}, {"resync", "--no-wait"}, {"pause"}, {"resume"}, {"reschedule", "--every", "1h"},
	} {
		failed := s.refuse(6, "not_found", append([]string{args[0], s.name}, args[1:]...)...)
		require.Contains(t, failed.Message, "disconnected")
		require.Contains(t, failed.Hint, "reconnect")
	}
	s.ok("disconnect", s.name)
	require.Equal(t, 1, s.status().LastSync.Number)
}

func TestADisconnectedConnectionCanBeReconnected(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	s.ok("disconnect", s.name)
	failed := s.withSecret().refuse(2, "usage", "reconnect", s.name)
	require.Contains(t, failed.Message, "--client-id")

	require.Equal(t, 3, s.reconnectWith(newSecret(), "--client-id", s.clientID).code)
	require.Equal(t, "disconnected", s.status().State)

	r := s.reconnectWith(s.secret, "--client-id", s.clientID)
	require.Zero(t, r.code, "%s", r)
	doc := document[syncedDoc](t, r)
	require.Equal(t, "active", doc.State)
	require.Equal(t, 2, doc.Sync.Number, "the record goes on")
	require.Zero(t, doc.Sync.Added)
	require.Equal(t, "applied", s.resync().Sync.Outcome)
}

func TestEraseFreesTheName(t *testing.T) {
	t.Parallel()
	for name, first := range map[string][]string{"at once": nil, "after a disconnect": {"disconnect"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect()
			for _, command := range first {
				s.ok(command, s.name)
			}
			s.ok("disconnect", s.name, "--erase")
			s.refuse(6, "not_found", "users", s.name)
			require.Zero(t, s.credentialsOnRecord())
			require.Equal(t, 1, s.connect().Sync.Number)
		})
	}
}

func TestDisconnectEndsASyncInFlight(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"keeping the record": nil, "erasing it": {"--erase"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect()
			s.jamf.SetLatency(20 * time.Second)
			asked := s.jamf.Requests()["/api/v1/jamf-pro-version"]
			waiting := make(chan result, 1)
			go func() { waiting <- s.run("resync", s.name, "-o", "json") }()
			await(t, "the sync to be in flight", func() bool { return s.jamf.Requests()["/api/v1/jamf-pro-version"] > asked })
			s.ok(append([]string{"disconnect", s.name}, args...)...)
			r := <-waiting
			require.Equal(t, 6, r.code, "%s", r)
			require.Contains(t, document[refused](t, r).Message, "disconnected")
			require.Zero(t, s.credentialsOnRecord())
			if args == nil {
				require.Equal(t, "disconnected", s.status().State)
				require.Equal(t, "interrupted", s.syncs()[0].Error)
				require.Len(t, s.users(), 4)
			} else {
				s.refuse(6, "not_found", "status", s.name)
			}
		})
	}
}

// connectInFlight begins to connect to a server that keeps it waiting.
func (s *subject) connectInFlight() <-chan result {
	s.t.Helper()
	s.jamf.SetLatency(20 * time.Second)
	waiting := make(chan result, 1)
	go func() { waiting <- s.withSecret().run(s.connectArgs("-o", "json")...) }()
	await(s.t, "the connect to be in flight", func() bool { return s.jamf.TokenRequests() > 0 })
	return waiting
}

func TestDisconnectEndsAConnectInFlight(t *testing.T) {
	t.Parallel()
	s := setup(t)
	waiting := s.connectInFlight()
	require.Equal(t, "connecting", s.status().State)
	s.refuse(2, "usage", "resync", s.name)
	s.ok("disconnect", s.name)
	r := <-waiting
	require.Equal(t, 1, r.code, "%s", r)
	require.Equal(t, "connect again", document[refused](t, r).Hint)
	s.refuse(6, "not_found", "status", s.name)
	s.jamf.SetLatency(0)
	require.Equal(t, 1, s.connect().Sync.Number)
}

func TestAConnectThatSomebodyEndedSaysSo(t *testing.T) {
	t.Parallel()
	s := setup(t)
	waiting := s.connectInFlight()
	require.Empty(t, s.status().Reason)
	require.NoError(t, s.world.client.TerminateWorkflow(t.Context(), "connect-jamf/"+s.name, "", "a test"))
	r := <-waiting
	require.Equal(t, 1, r.code, "%s", r)
	require.Contains(t, document[refused](t, r).Hint, "`starter disconnect "+s.name+"`")
	status := s.status()
	require.Equal(t, "connecting", status.State)
	require.Empty(t, status.Doing)
	require.Contains(t, status.Reason, "its workflow does not run")
	require.Contains(t, status.Reason, "`starter disconnect "+s.name+"`")
	s.ok("disconnect", s.name)
	s.jamf.SetLatency(0)
	require.Equal(t, 1, s.connect().Sync.Number)
}

// Between a look at the record and a word to Temporal, a connect may end well.
func TestADisconnectAtTheEndOfAConnectKeepsTheRecord(t *testing.T) {
	t.Parallel()
	s := setup(t)
	hold := make(chan struct{})
	s.jamf.SetFault(doing(func(r *http.Request) bool { return r.URL.Path == "/api/v1/accounts" }, func() { <-hold }))
	connected := make(chan result, 1)
	go func() { connected <- s.withSecret().run(s.connectArgs()...) }()
	await(t, "the connect to be in flight", func() bool { return s.jamf.Requests()["/api/v1/jamf-pro-version"] > 0 })
	release := sync.OnceFunc(func() { close(hold) })
	temporal := s.world.interposed(t, func(_ context.Context, call string) error {
		if call == "RequestCancelWorkflowExecution" {
			release()
			connected <- <-connected
		}
		return nil
	})
	s.with("TEMPORAL_ADDRESS="+temporal).ok("disconnect", s.name)
	require.Zero(t, (<-connected).code)
	require.Equal(t, "disconnected", s.status().State)
	require.Len(t, s.users(), 4)
	require.Zero(t, s.credentialsOnRecord())
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, s.workflowStatus())
}

// A message may come at any moment of a run, also at its very end, when the
// next run is about to begin.
func TestAMessageIsHeardAtAnyMomentOfASync(t *testing.T) {
	t.Parallel()
	for events := 4; events <= 24; events++ {
		t.Run(fmt.Sprintf("after %d events", events), func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			first := s.newestRun()
			require.NoError(t, s.world.client.SignalWorkflow(ctx, s.workflow(), "", "resync", nil))
			for {
				d, err := s.world.client.DescribeWorkflowExecution(ctx, s.workflow(), "")
				require.NoError(t, err)
				if d.WorkflowExecutionInfo.HistoryLength >= int64(events) || d.WorkflowExecutionInfo.Execution.RunId != first {
					break
				}
			}
			require.NoError(t, s.world.client.SignalWorkflow(ctx, s.workflow(), "", "disconnect", nil))
			require.NoError(t, s.world.client.GetWorkflow(ctx, s.workflow(), "").Get(ctx, nil))
			require.Equal(t, "disconnected", s.status().State)
		})
	}
}
