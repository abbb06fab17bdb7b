package main_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdktemporal "go.temporal.io/sdk/temporal"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/workflows"
)

func (s *subject) workflow() string { return "access-sync/" + s.name }

func TestResyncReturnsTheSyncThatItAskedFor(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	raw := ask[map[string]any](s.cli, "resync", s.name)
	require.Subset(t, keysOf(raw), syncedKeys)
	require.Subset(t, keysOf(raw["sync"].(map[string]any)), syncKeys)
	doc := s.resync()
	require.Equal(t, 3, doc.Sync.Number)
	require.Equal(t, "resync", doc.Sync.Trigger)
	require.Zero(t, doc.Sync.Added+doc.Sync.Changed+doc.Sync.Removed)
	require.Len(t, doc.Monitors, 2)
	require.Equal(t, doc.Sync, s.syncs()[0])
	require.Empty(t, s.changesOf(3))
}

func TestResyncWithoutWaiting(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	raw := ask[map[string]any](s.cli, "resync", s.name, "--no-wait")
	require.Equal(t, s.name, raw["connection"])
	await(t, "sync 2", func() bool { return s.syncs()[0].Number == 2 })
	require.Equal(t, "resync", s.syncs()[0].Trigger)
}

func TestResyncBySignal(t *testing.T) {
	t.Parallel()
	for name, input := range map[string]*common.Payloads{
		"without input, as from Temporal's UI": nil,
		"with an empty object":                 {Payloads: []*common.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte("{}")}}},
		"with null":                            {Payloads: []*common.Payload{{Metadata: map[string][]byte{"encoding": []byte("binary/null")}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect()
			_, err := s.world.client.WorkflowService().SignalWorkflowExecution(t.Context(), &workflowservice.SignalWorkflowExecutionRequest{
				Namespace: s.world.namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: s.workflow()},
				SignalName: "resync", Input: input,
			})
			require.NoError(t, err)
			await(t, "sync 2", func() bool { return s.syncs()[0].Number == 2 })
			require.Equal(t, "resync", s.syncs()[0].Trigger)
			require.Equal(t, "applied", s.syncs()[0].Outcome)
		})
	}
}

// A signal whose input makes no sense must not stop a connection.
func TestASignalWithNonsenseDoesNoHarm(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	for _, signal := range []string{"resync", "reschedule", "pause", "reconnect", "disconnect"} {
		require.NoError(t, s.world.client.SignalWorkflow(t.Context(), s.workflow(), "", signal, "nonsense"))
	}
	require.NoError(t, s.world.client.SignalWorkflow(t.Context(), s.workflow(), "", "reschedule", map[string]string{"every": "1ms"}))
	require.Equal(t, "applied", s.resync().Sync.Outcome)
	require.Equal(t, "6h", s.status().Every)
}

func TestResyncByUpdate(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	for name, args := range map[string][]any{"with input": {map[string]bool{"accept_removals": true}}, "without": nil} {
		handle, err := s.world.client.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: s.workflow(), UpdateName: "resync", Args: args, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		require.NoError(t, err, name)
		var sync syncDoc
		require.NoError(t, handle.Get(t.Context(), &sync), name)
		require.Equal(t, "applied", sync.Outcome)
		require.Equal(t, s.syncs()[0].Number, sync.Number)
	}
}

func TestStatusQueryTellsTheStateAndTheLastSync(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	last := s.resync().Sync.Number
	answer, err := s.world.client.QueryWorkflow(t.Context(), s.workflow(), "", "status")
	require.NoError(t, err)
	var status struct {
		State    string  `json:"state"`
		Doing    string  `json:"doing"`
		LastSync syncDoc `json:"last_sync"`
	}
	require.NoError(t, answer.Get(&status))
	require.Equal(t, "active", status.State)
	require.NotEmpty(t, status.Doing)
	require.Equal(t, last, status.LastSync.Number)
}

// Each run of the workflow is one sync, so that its list of runs is the
// history of syncs.
func TestEachRunIsOneSync(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	seen := map[string]bool{s.newestRun(): true}
	for range 3 {
		s.resync()
		await(t, "the next run", func() bool { return !seen[s.newestRun()] })
		seen[s.newestRun()] = true
	}
	require.Len(t, seen, 4)
	require.Equal(t, 4, s.syncs()[0].Number)
}

// newestRun is the id of the workflow's newest run.
func (s *subject) newestRun() string {
	s.t.Helper()
	description, err := s.world.client.DescribeWorkflowExecution(s.t.Context(), s.workflow(), "")
	require.NoError(s.t, err)
	return description.WorkflowExecutionInfo.Execution.RunId
}

// Each caller adds an account before it asks, and so can tell whether what it
// got was read afterwards.
func TestManyResyncsAtOnceEachGetWhatWasReadAfterTheyAsked(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	const callers = 20
	ids := make([]int, callers)
	results := make([]result, callers)
	together(callers, func(i int) {
		ids[i] = s.addAccount(fmt.Sprintf("caller-%d", i), jamftest.Account{})
		results[i] = s.run("resync", s.name, "-o", "json")
	})
	addedBy := map[string]int{}
	for _, c := range s.changes() {
		addedBy[c.ID] = c.Sync
	}
	syncs := map[int]bool{}
	for i, r := range results {
		require.Zero(t, r.code, "%s", r)
		doc := document[syncedDoc](t, r)
		require.Equal(t, "applied", doc.Sync.Outcome)
		require.Contains(t, addedBy, fmt.Sprint(ids[i]))
		require.LessOrEqual(t, addedBy[fmt.Sprint(ids[i])], doc.Sync.Number, "the result is of an older reading")
		syncs[doc.Sync.Number] = true
	}
	require.Less(t, len(syncs), callers, "callers at the same time share syncs")
}

func TestAResyncDuringASyncGetsTheNextOne(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	s.jamf.SetLatency(500 * time.Millisecond)
	s.ok("resync", s.name, "--no-wait")
	accounts := s.jamf.Requests()["/api/v1/accounts"]
	await(t, "the accounts to be read", func() bool { return s.jamf.Requests()["/api/v1/accounts"] > accounts })
	s.jamf.SetLatency(0)
	s.addAccount("late", jamftest.Account{})
	doc := s.resync()
	require.Contains(t, usernames(s.users(), "account"), username("late"))
	require.GreaterOrEqual(t, doc.Sync.Number, 3)
}

func TestASyncThatFailsChangesNothingAndTheNextOneHeals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*subject)
		mend  func(*subject)
		exit  int
		code  string
	}{
		"Jamf does not answer": {
			spoil: func(s *subject) { s.jamf.SetFault(faults.On("/", faults.Reset())) },
			mend:  func(s *subject) { s.jamf.SetFault(nil) },
			exit:  5, code: "unreachable",
		},
		"Jamf is something else": {
			spoil: func(s *subject) { s.jamf.SetFault(faults.On("/", jamftest.HTML(200, "canary"))) },
			mend:  func(s *subject) { s.jamf.SetFault(nil) },
			exit:  9, code: "inconsistent_source",
		},
		"the list is empty": {
			spoil: func(s *subject) { s.jamf.SetFault(faults.On("/api/v1/accounts", jamftest.NoEntries())) },
			mend:  func(s *subject) { s.jamf.SetFault(nil) },
			exit:  9, code: "inconsistent_source",
		},
		"the list lacks entries": {
			spoil: func(s *subject) { s.jamf.SetFault(faults.On("/api/v1/accounts", jamftest.WrongTotal(2))) },
			mend:  func(s *subject) { s.jamf.SetFault(nil) },
			exit:  9, code: "inconsistent_source",
		},
		"the answer breaks off": {
			spoil: func(s *subject) { s.jamf.SetFault(faults.On("/api/v1/accounts", faults.Truncated())) },
			mend:  func(s *subject) { s.jamf.SetFault(nil) },
			exit:  9, code: "inconsistent_source",
		},
		"the privilege was taken": {
			spoil: func(s *subject) { s.jamf.Revoke("Read Accounts") },
			mend:  func(s *subject) { s.jamf.SetPrivileges(jamftest.Privileges()...) },
			exit:  4, code: "missing_privilege",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect()
			before := s.users()
			c.spoil(s)
			doc := s.failResync(c.exit, c.code)
			require.Equal(t, "failed", doc.Sync.Outcome)
			require.Equal(t, c.code, doc.Error)
			require.NotEmpty(t, doc.Hint)
			require.Equal(t, "active", doc.State, "it goes on trying by itself")
			status := s.status()
			require.Equal(t, doc.Sync, *status.LastSync)
			require.NotEmpty(t, status.Reason, "it says what is wrong")
			require.Equal(t, before, s.users())
			require.Empty(t, s.changesOf(2))

			c.mend(s)
			doc = s.resync()
			require.Equal(t, 3, doc.Sync.Number)
			require.Equal(t, before, s.users())
			require.Empty(t, s.changesOf(3))
			require.Empty(t, s.status().Reason)
		})
	}
}

// cancelWorkflow cancels the subject's workflow, as Temporal's UI can.
func (s *subject) cancelWorkflow() {
	s.t.Helper()
	require.NoError(s.t, s.world.client.CancelWorkflow(s.t.Context(), s.workflow(), ""))
	require.Error(s.t, s.world.client.GetWorkflow(s.t.Context(), s.workflow(), "").Get(s.t.Context(), nil))
}

// Somebody may end the workflow in Temporal's UI. The connection does not stop
// for good by that.
func TestResyncStartsAWorkflowThatSomebodyEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end    func(*subject)
		remedy string
	}{
		"terminated": {func(s *subject) {
			require.NoError(s.t, s.world.client.TerminateWorkflow(s.t.Context(), s.workflow(), "", "a test"))
		}, "`starter resync "},
		"cancelled": {(*subject).cancelWorkflow, "`starter resume "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect()
			c.end(s)
			status := s.status()
			require.Empty(t, status.Doing)
			require.Contains(t, status.Reason, "its workflow does not run")
			require.Contains(t, status.Reason, c.remedy+s.name+"`")
			require.Equal(t, "applied", s.resync().Sync.Outcome)
			status = s.status()
			require.NotEmpty(t, status.Doing)
			require.Empty(t, status.Reason)
			s.ok("resume", s.name)
			require.Equal(t, "active", s.status().State)
		})
	}
}

// A server takes a few updates of one run at a time. The SDK asks it for a
// minute, and then gives up with this.
func TestAResyncThatTemporalDoesNotTakeYetIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	var asked atomic.Int64
	temporal := s.world.interposed(t, func(_ context.Context, call string) error {
		if call == "ExecuteMultiOperation" && asked.Add(1) == 1 {
			return serviceerror.NewDeadlineExceeded("full")
		}
		return nil
	})
	doc := ask[syncedDoc](s.with("TEMPORAL_ADDRESS="+temporal), "resync", s.name)
	require.Equal(t, 2, doc.Sync.Number)

	dead := s.world.interposed(t, func(_ context.Context, call string) error {
		if call == "ExecuteMultiOperation" || call == "DescribeWorkflowExecution" {
			return serviceerror.NewDeadlineExceeded("canary")
		}
		return nil
	})
	failed := s.with("TEMPORAL_ADDRESS="+dead).refuse(5, "unreachable", "resync", s.name)
	require.Contains(t, failed.Message, "Temporal does not answer")
}

// A run that has ended, and waits for something, answers at once that the next
// one will.
func TestWhoIsToldToAskTheNextRunPauses(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	first := w.mustStartWorker(t)
	s := w.setup(t)
	s.connect()
	require.NoError(t, first.end(syscall.SIGTERM))
	require.NoError(t, w.client.TerminateWorkflow(t.Context(), s.workflow(), "", "a test"))
	second := sdkworker.New(w.client, workflows.TaskQueue, sdkworker.Options{})
	second.RegisterWorkflowWithOptions(func(ctx workflow.Context, in workflows.AccessSyncInput) error {
		if err := workflow.SetUpdateHandler(ctx, workflows.ResyncMessage, func(workflow.Context, workflows.ResyncRequest) (activities.SyncResult, error) {
			if in.Paused {
				return activities.SyncResult{Number: 1}, nil
			}
			return activities.SyncResult{}, sdktemporal.NewNonRetryableApplicationError("a test", workflows.ErrorSuperseded, nil)
		}); err != nil {
			return err
		}
		workflow.GetSignalChannel(ctx, workflows.PauseMessage).Receive(ctx, nil)
		in.Paused = true
		return workflow.NewContinueAsNewError(ctx, workflows.AccessSync, in)
	}, workflow.RegisterOptions{Name: workflows.AccessSync})
	require.NoError(t, second.Start())
	t.Cleanup(second.Stop)

	const times = 8
	var mu sync.Mutex
	var asked []time.Time
	temporal := w.interposed(t, func(ctx context.Context, call string) error {
		if call != "ExecuteMultiOperation" {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if asked = append(asked, time.Now()); len(asked) != times {
			return nil
		}
		return w.client.SignalWorkflow(ctx, s.workflow(), "", workflows.PauseMessage, nil)
	})
	s.with("TEMPORAL_ADDRESS="+temporal).ok("resync", s.name)
	mu.Lock()
	defer mu.Unlock()
	require.GreaterOrEqual(t, len(asked), times)
	require.Greater(t, asked[times-1].Sub(asked[0]), time.Second/2)
}
