package workflows

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// testBundle is a worker on a real server, whose activities are played: the
// faults and the moments that matter to the workflows are made at will.
type testBundle struct {
	t      *testing.T
	client client.Client
	queue  string
	stage  *stage
}

// stage plays the activities. Fields are what each does; nil does what goes
// well.
type stage struct {
	mu       sync.Mutex
	fetch    func(activities.FetchUsersInput) error
	validate func(activities.ValidateConnectionInput) error
	refresh  func(activities.RefreshCredentialsInput) error
	record   func(activities.RecordOutcomesInput) (activities.Recorded, error)
	state    func()
	ending   func()
	deliver  func(db.Route) (activities.DeliverNoticeResult, error)

	number      int
	syncs       map[string]activities.Recorded // by run
	triggers    []db.Trigger                   // of the syncs that were fetched
	states      []db.StateChange
	refreshed   []int64
	disconnects []activities.DisconnectInput
	discarded   int
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := setupWithoutWorker(t)
	b.work()
	return b
}

func setupWithoutWorker(t *testing.T) *testBundle {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: server.Address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return &testBundle{t: t, client: c, queue: strings.ReplaceAll(t.Name(), "/", "-"), stage: &stage{syncs: map[string]activities.Recorded{}}}
}

// work starts a worker whose build does not know some of the activities.
func (b *testBundle) work(unknown ...string) {
	b.t.Helper()
	w := worker.New(b.client, b.queue, worker.Options{DisableRegistrationAliasing: true})
	Register(w)
	b.stage.register(w, unknown...)
	require.NoError(b.t, w.Start())
	b.t.Cleanup(w.Stop)
}

func (s *stage) register(w worker.ActivityRegistry, unknown ...string) {
	for name, f := range map[string]any{
		activities.ValidateConnection: func(_ context.Context, in activities.ValidateConnectionInput) (activities.ValidateConnectionResult, error) {
			if s.validate != nil {
				if err := s.validate(in); err != nil {
					return activities.ValidateConnectionResult{}, err
				}
			}
			return activities.ValidateConnectionResult{Report: directory.Report{Version: "11.27.0"}}, nil
		},
		activities.FetchUsers: func(ctx context.Context, in activities.FetchUsersInput) (activities.FetchUsersResult, error) {
			s.mu.Lock()
			s.triggers = append(s.triggers, in.Trigger)
			s.mu.Unlock()
			if s.fetch != nil {
				if err := s.fetch(in); err != nil {
					return activities.FetchUsersResult{}, err
				}
			}
			return activities.FetchUsersResult{Users: 3}, ctx.Err()
		},
		activities.RefreshCredentials: func(_ context.Context, in activities.RefreshCredentialsInput) error {
			s.mu.Lock()
			s.refreshed = append(s.refreshed, in.Generation)
			s.mu.Unlock()
			if s.refresh != nil {
				return s.refresh(in)
			}
			return nil
		},
		activities.RecordOutcomes: func(ctx context.Context, in activities.RecordOutcomesInput) (activities.Recorded, error) {
			return s.recordOnce(activity.GetInfo(ctx).WorkflowExecution.RunID, func() (activities.Recorded, error) {
				if s.record != nil {
					return s.record(in)
				}
				return s.ended(in.Becomes, activities.SyncResult{Outcome: db.Applied, Accounts: 3}), nil
			})
		},
		activities.RecordFailure: func(_ context.Context, in activities.RecordFailureInput) (activities.Recorded, error) {
			return s.ended(in.Becomes, activities.SyncResult{Outcome: db.Failed, Error: in.Code, Reason: in.Reason}), nil
		},
		activities.RecordState: func(_ context.Context, in activities.RecordStateInput) error {
			if s.state != nil {
				s.state()
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.states = append(s.states, in.Becomes)
			return nil
		},
		activities.EnableMonitors: func(context.Context, activities.ConnectionInput) ([]activities.MonitorSum, error) {
			return []activities.MonitorSum{{Code: db.UserMFAEnabled, State: db.NotEvaluable}}, nil
		},
		activities.Disconnect: func(_ context.Context, in activities.DisconnectInput) error {
			if s.ending != nil {
				s.ending()
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.disconnects = append(s.disconnects, in)
			return nil
		},
		activities.DeliverNotice: func(_ context.Context, in db.Route) (activities.DeliverNoticeResult, error) { return s.deliver(in) },
		activities.DiscardConnection: func(context.Context, activities.ConnectionInput) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.discarded++
			return nil
		},
	} {
		if slices.Contains(unknown, name) {
			continue
		}
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

// recordOnce records the sync of a run that has not ended, as the record does.
func (s *stage) recordOnce(run string, record func() (activities.Recorded, error)) (activities.Recorded, error) {
	s.mu.Lock()
	ended, again := s.syncs[run]
	s.mu.Unlock()
	if again {
		ended.Again = true
		return ended, nil
	}
	result, err := record()
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.syncs[run] = result
	}
	return result, err
}

func (s *stage) ended(becomes db.StateChange, r activities.SyncResult) activities.Recorded {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	r.Number = s.number
	s.states = append(s.states, becomes)
	return activities.Recorded{SyncResult: r}
}

func (s *stage) fetched() []db.Trigger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]db.Trigger(nil), s.triggers...)
}

func (s *stage) recorded() []db.StateChange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]db.StateChange(nil), s.states...)
}

func (b *testBundle) connection() Connection { return Connection{ID: 7, Name: b.queue} }

// idle is the input of an AccessSync with nothing to do for a day.
func (b *testBundle) idle() AccessSyncInput {
	return AccessSyncInput{Connection: b.connection(), Every: db.Interval(24 * time.Hour), Outlook: Outlook{NextSyncAt: time.Now().Add(24 * time.Hour)}}
}

func (b *testBundle) start(in AccessSyncInput) client.WorkflowRun {
	b.t.Helper()
	run, err := b.client.ExecuteWorkflow(b.t.Context(), client.StartWorkflowOptions{
		ID: AccessSyncID(b.queue), TaskQueue: b.queue,
	}, AccessSync, in)
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		// Fails when the test ended the workflow itself.
		_ = b.client.TerminateWorkflow(context.Background(), AccessSyncID(b.queue), "", "the test is over")
	})
	return run
}

func (b *testBundle) signal(name string, input any) {
	b.t.Helper()
	require.NoError(b.t, b.client.SignalWorkflow(b.t.Context(), AccessSyncID(b.queue), "", name, input))
}

func (b *testBundle) status() Status {
	b.t.Helper()
	answer, err := b.client.QueryWorkflow(b.t.Context(), AccessSyncID(b.queue), "", StatusQuery)
	require.NoError(b.t, err)
	var status Status
	require.NoError(b.t, answer.Get(&status))
	return status
}

// update sends an update as callers do: again when it is superseded.
func (b *testBundle) update(name, id string, input any) (activities.SyncResult, error) {
	for {
		var result activities.SyncResult
		handle, err := b.client.UpdateWorkflow(b.t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: AccessSyncID(b.queue), UpdateID: id, UpdateName: name, Args: []any{input},
			WaitForStage: client.WorkflowUpdateStageAccepted,
		})
		if err == nil {
			err = handle.Get(b.t.Context(), &result)
		}
		if app, ok := errors.AsType[*temporal.ApplicationError](err); ok &&
			(app.Type() == ErrorSuperseded || app.Type() == "AcceptedUpdateCompletedWorkflow") {
			continue
		}
		return result, err
	}
}

func (b *testBundle) eventually(condition func() bool, why string) {
	b.t.Helper()
	require.Eventually(b.t, condition, 30*time.Second, 20*time.Millisecond, why)
}

// runs returns the runs of the AccessSync, oldest first.
func (b *testBundle) runs() []string {
	b.t.Helper()
	var runs []string
	next := ""
	for runID := ""; ; runID = next {
		events := b.history(AccessSyncID(b.queue), runID)
		first := events[0].GetWorkflowExecutionStartedEventAttributes()
		runs = append([]string{first.OriginalExecutionRunId}, runs...)
		if next = first.ContinuedExecutionRunId; next == "" {
			return runs
		}
	}
}

func (b *testBundle) history(workflowID, runID string) []*historypb.HistoryEvent {
	b.t.Helper()
	var events []*historypb.HistoryEvent
	it := b.client.GetWorkflowHistory(b.t.Context(), workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		event, err := it.Next()
		require.NoError(b.t, err)
		events = append(events, event)
	}
	return events
}

// holdRecording has each recording say that it has begun, and wait until all may go
// on.
func (b *testBundle) holdRecording() (recording <-chan struct{}, goOn func()) {
	begun, held := make(chan struct{}, 10), make(chan struct{})
	b.stage.record = func(in activities.RecordOutcomesInput) (activities.Recorded, error) {
		begun <- struct{}{}
		<-held
		return b.stage.ended(in.Becomes, activities.SyncResult{Outcome: db.Applied}), nil
	}
	return begun, func() { close(held) }
}

// activitiesOf are the activities that a run has scheduled, in order, but for
// local ones.
func (b *testBundle) activitiesOf(run client.WorkflowRun) []string {
	b.t.Helper()
	var scheduled []string
	for _, event := range b.history(run.GetID(), run.GetRunID()) {
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil {
			scheduled = append(scheduled, a.ActivityType.Name)
		}
	}
	return scheduled
}

// keep writes the history of a run to the folder that RECORD_HISTORIES names,
// for testdata/replay. See TestRecordedHistoriesReplay.
func (b *testBundle) keep(name, workflowID, runID string) {
	b.t.Helper()
	folder := os.Getenv("RECORD_HISTORIES")
	if folder == "" {
		return
	}
	content, err := protojson.MarshalOptions{Indent: " "}.Marshal(&historypb.History{Events: b.history(workflowID, runID)})
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+".json"), content, 0o644))
}

func rejected(code directory.Code, details ...any) error {
	return temporal.NewNonRetryableApplicationError("it was refused", string(code), nil, details...)
}

func rejectedToken(generation int64, pages int) error {
	return rejected(directory.TokenRejected, activities.RejectedToken{Generation: generation, Attempts: 1, Pages: pages})
}

func signalWithoutPayload(queue, name string) *workflowservice.SignalWorkflowExecutionRequest {
	return &workflowservice.SignalWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: AccessSyncID(queue)}, SignalName: name,
	}
}
