package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

func TestItSyncsWhenItIsTimeAndContinuesAsNew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	in.NextSyncAt = time.Now().Add(-time.Second)
	run := b.start(in)
	b.eventually(func() bool { return b.status().LastSync != nil }, "a sync ends")
	require.Equal(t, []db.Trigger{db.TriggerSchedule}, b.stage.fetched())
	require.Len(t, b.runs(), 2, "one run is one sync")
	require.LessOrEqual(t, len(b.history(run.GetID(), run.GetRunID())), 15, "events of a run that had nothing to wait for")
	require.Equal(t, db.Active, b.status().State)
	require.True(t, b.status().NextSyncAt.After(time.Now()))
	b.keep("scheduled-sync", run.GetID(), run.GetRunID())
}

func TestASignalAsksForASync(t *testing.T) {
	for name, input := range map[string]any{"with no input": nil, "with input": ResyncRequest{AcceptRemovals: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var fetched, accepted atomic.Bool
			b.stage.fetch = func(in activities.FetchUsersInput) error { fetched.Store(in.AcceptRemovals); return nil }
			b.stage.record = func(in activities.RecordOutcomesInput) (activities.Recorded, error) {
				accepted.Store(in.AcceptRemovals)
				return b.stage.ended(in.Becomes, activities.SyncResult{Outcome: db.Applied}), nil
			}
			b.start(b.idle())
			b.signal(ResyncMessage, input)
			b.eventually(func() bool { return b.status().LastSync != nil }, "a sync ends")
			require.Equal(t, []db.Trigger{db.TriggerResync}, b.stage.fetched())
			require.Equal(t, []bool{input != nil, input != nil}, []bool{fetched.Load(), accepted.Load()})
		})
	}
}

// While a new build is rolled out, workers of the old one take tasks that they
// cannot do. Those wait for the new one, and nothing is lost or done twice.
func TestWorkersOfTwoBuildsShareTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.work(activities.RefreshCredentials)
	var rejections atomic.Int32
	b.stage.fetch = func(activities.FetchUsersInput) error {
		if n := rejections.Add(1); n%2 == 1 {
			return rejectedToken(int64(n), int(n))
		}
		return nil
	}
	b.start(b.idle())
	for i := range 4 {
		result, err := b.update(ResyncMessage, fmt.Sprint(i), ResyncRequest{})
		require.NoError(t, err)
		require.Equal(t, i+1, result.Number)
		b.signal([]string{PauseMessage, ResumeMessage}[i%2], nil)
	}
	b.eventually(func() bool {
		states := b.stage.recorded()
		return states[len(states)-1].State == db.Active && slices.ContainsFunc(states, func(c db.StateChange) bool { return c.State == db.Paused })
	}, "every state is recorded")
	require.Len(t, b.stage.fetched(), 8, "each sync had one token rejected")
}

// Temporal's UI sends a signal without any payload.
func TestASignalWithoutPayloadIsHeard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(b.idle())
	_, err := b.client.WorkflowService().SignalWorkflowExecution(t.Context(), signalWithoutPayload(b.queue, PauseMessage))
	require.NoError(t, err)
	b.eventually(func() bool { return b.status().State == db.Paused }, "paused")
	_, err = b.client.WorkflowService().SignalWorkflowExecution(t.Context(), signalWithoutPayload(b.queue, ResyncMessage))
	require.NoError(t, err)
	b.eventually(func() bool { return b.status().LastSync != nil }, "synced")
	require.Equal(t, db.Paused, b.status().State, "a resync runs while paused and leaves it paused")
}

func TestCallersAtTheSameTimeShareOneSync(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	run := b.start(in)
	// The first workflow task is over, so that all of them come to a run that
	// waits.
	b.eventually(func() bool { return b.status().Doing != "" }, "the workflow runs")
	gate := make(chan struct{})
	b.stage.fetch = func(activities.FetchUsersInput) error { <-gate; return nil }
	var callers sync.WaitGroup
	numbers := make([]int, 5)
	for i := range numbers {
		callers.Go(func() {
			result, err := b.update(ResyncMessage, fmt.Sprint("caller-", i), ResyncRequest{})
			if err == nil {
				numbers[i] = result.Number
			}
		})
	}
	b.eventually(func() bool { return len(b.stage.fetched()) > 0 }, "a sync begins")
	close(gate)
	callers.Wait()
	for _, n := range numbers {
		require.Contains(t, []int{1, 2}, n, "whoever came after the sync began got the next one")
	}
	require.LessOrEqual(t, len(b.stage.fetched()), 2)
	b.keep("resync-update", run.GetID(), run.GetRunID())
}

func TestAResyncDuringASyncIsAnsweredByTheNextOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := make(chan struct{})
	var fetches atomic.Int32
	b.stage.fetch = func(activities.FetchUsersInput) error {
		if fetches.Add(1) == 1 {
			<-first
		}
		return nil
	}
	run := b.start(b.idle())
	b.signal(ResyncMessage, nil)
	b.eventually(func() bool { return fetches.Load() == 1 }, "the first sync is under way")
	answers := make(chan int, 1)
	go func() {
		result, err := b.update(ResyncMessage, "late", ResyncRequest{})
		if err == nil {
			answers <- result.Number
		}
		close(answers)
	}()
	b.eventually(func() bool {
		for _, event := range b.history(run.GetID(), run.GetRunID()) {
			if event.EventType == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED {
				return true
			}
		}
		return false
	}, "the update is accepted while the first sync is under way")
	close(first)
	require.Equal(t, 2, <-answers)
	b.eventually(func() bool { return b.status().Doing == "waiting for the next sync" }, "it is idle again")
	require.Equal(t, int32(2), fetches.Load(), "coming again under the same id asked for nothing more")
	b.keep("resync-during-sync", run.GetID(), run.GetRunID())
}

// A caller whose answer was lost on the way asks again under the same id,
// however much later.
func TestAnAnswerThatWasLostIsGivenAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(b.idle())
	for range 2 {
		result, err := b.update(ResyncMessage, "one", ResyncRequest{})
		require.NoError(t, err)
		require.Equal(t, 1, result.Number)
		b.eventually(func() bool { return b.status().Doing == "waiting for the next sync" }, "it is idle again")
	}
	require.Len(t, b.stage.fetched(), 1)
	runs := b.runs()
	b.keep("answered-again", AccessSyncID(b.queue), runs[len(runs)-1])
}

// Messages that change nothing fill a run's history as others do.
func TestARunThatHeardManyMessagesGoesOnInANewOne(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterWorkflowWithOptions(accessSync, workflow.RegisterOptions{Name: AccessSync})
	in := AccessSyncInput{Connection: Connection{ID: 7, Name: "acme"}, Every: db.Interval(time.Hour), Outlook: Outlook{NextSyncAt: env.Now().Add(time.Hour)}}
	env.RegisterDelayedCallback(func() {
		env.SetContinueAsNewSuggested(true)
		env.SignalWorkflow(ResumeMessage, nil)
	}, time.Minute)
	env.ExecuteWorkflow(AccessSync, in)
	require.True(t, workflow.IsContinueAsNewError(env.GetWorkflowError()))
	require.True(t, env.Now().Before(in.NextSyncAt), "and not only when it is time to sync")
}

func TestAFailedReconnectLeavesADisconnectedConnectionSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	in.Disconnected = true
	attempt := make(chan struct{})
	b.stage.validate = func(activities.ValidateConnectionInput) error {
		<-attempt
		return rejected(directory.CredentialsRejected)
	}
	run := b.start(in)
	failed := make(chan error, 1)
	go func() {
		_, err := b.update(ReconnectMessage, "r", ReconnectRequest{Offer: 1})
		failed <- err
	}()
	b.eventually(func() bool { return b.status().Doing == "trying new credentials" }, "it tries")
	require.Equal(t, db.Disconnected, b.status().State)
	require.Nil(t, b.status().NextSyncAt)
	close(attempt)
	require.Error(t, <-failed)
	require.NoError(t, run.Get(t.Context(), nil), "it ends")
	require.Empty(t, b.stage.disconnects, "which would destroy what somebody offers next")
	require.Empty(t, b.stage.recorded())
}

func TestAFailedReconnectDoesNotEndAnotherThatIsUnderWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	in.Disconnected = true
	good := make(chan struct{})
	trying := make(chan struct{})
	b.stage.validate = func(in activities.ValidateConnectionInput) error {
		if in.Offer == 1 {
			return rejected(directory.CredentialsRejected)
		}
		close(trying)
		<-good
		return nil
	}
	b.start(in)
	result := make(chan error, 1)
	go func() {
		_, err := b.update(ReconnectMessage, "good", ReconnectRequest{Offer: 2})
		result <- err
	}()
	<-trying
	_, err := b.update(ReconnectMessage, "bad", ReconnectRequest{Offer: 1})
	require.Equal(t, string(directory.CredentialsRejected), typeOf(err))
	close(good)
	require.NoError(t, <-result)
	require.Empty(t, b.stage.disconnects)
	require.Equal(t, db.Active, b.status().State)
}

// A sync that failed is tried again soon, and the next that goes well is followed by
// the one that was due.
func TestAFailureDoesNotShiftTheBeat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var fails atomic.Bool
	fails.Store(true)
	b.stage.fetch = func(activities.FetchUsersInput) error {
		if fails.Load() {
			return rejected(directory.Unreachable)
		}
		return nil
	}
	in := b.idle()
	b.start(in)
	next := func(id string) time.Time {
		t.Helper()
		_, err := b.update(ResyncMessage, id, ResyncRequest{})
		require.NoError(t, err)
		states := b.stage.recorded()
		return *states[len(states)-1].NextSyncAt
	}
	for i := range 2 {
		require.WithinRange(t, next(fmt.Sprint(i)), time.Now(), time.Now().Add(time.Hour))
	}
	fails.Store(false)
	require.True(t, in.NextSyncAt.Equal(next("good")))
}

// A worker that was away takes all that was sent meanwhile at once.
func TestOfPauseAndResumeTheLastOneSentCounts(t *testing.T) {
	for name, c := range map[string]struct {
		sent []string
		want db.State
	}{
		"paused":  {[]string{ResumeMessage, PauseMessage}, db.Paused},
		"resumed": {[]string{PauseMessage, ResumeMessage}, db.Active},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupWithoutWorker(t)
			b.start(b.idle())
			for i, message := range c.sent {
				b.signal(message, Sent{At: time.Now().Add(time.Duration(i) * time.Second)})
			}
			b.work()
			require.Equal(t, c.want, b.status().State)
		})
	}
}

// A reconnect that comes while a connection is being disconnected leaves no
// credentials behind for which no workflow runs.
func TestAReconnectDuringADisconnectLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	destroying, goOn := make(chan struct{}, 2), make(chan struct{})
	b.stage.ending = func() { destroying <- struct{}{}; <-goOn }
	accepted := make(chan struct{}, 1)
	b.stage.validate = func(activities.ValidateConnectionInput) error { accepted <- struct{}{}; return nil }
	run := b.start(b.idle())
	b.signal(DisconnectMessage, nil)
	<-destroying
	answer := make(chan error, 1)
	go func() {
		_, err := b.update(ReconnectMessage, "late", ReconnectRequest{Offer: 1})
		answer <- err
	}()
	<-accepted
	close(goOn)
	require.Equal(t, activities.Disconnected, typeOf(<-answer))
	require.NoError(t, run.Get(t.Context(), nil))
	require.Len(t, b.stage.disconnects, 2, "what was accepted is destroyed, too")
}

// What rejects the old credentials says nothing about the new.
func TestOldCredentialsThatAreRejectedDoNotUndoAReconnect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fetching, refuse, read := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var fetches atomic.Int32
	b.stage.fetch = func(activities.FetchUsersInput) error {
		if fetches.Add(1) == 1 {
			close(fetching)
			<-refuse
			return rejected(directory.CredentialsRejected)
		}
		<-read
		return nil
	}
	var tried atomic.Bool
	b.stage.validate = func(activities.ValidateConnectionInput) error { tried.Store(true); return nil }
	b.start(b.idle())
	b.signal(ResyncMessage, nil)
	<-fetching
	reconnected := make(chan error, 1)
	go func() {
		_, err := b.update(ReconnectMessage, "new", ReconnectRequest{Offer: 1})
		reconnected <- err
	}()
	b.eventually(func() bool {
		answer, err := b.client.DescribeWorkflowExecution(t.Context(), AccessSyncID(b.queue), "")
		return err == nil && tried.Load() && len(answer.PendingActivities) == 1
	}, "the new credentials are accepted")
	b.status() // which is answered by a workflow that has heard of it
	close(refuse)
	b.eventually(func() bool { return fetches.Load() == 2 }, "the sync with the new ones begins")
	require.Equal(t, db.Active, b.status().State)
	for _, change := range b.stage.recorded() {
		require.Equal(t, db.Active, change.State)
	}
	close(read)
	require.NoError(t, <-reconnected)
}

// A source that is not to be asked for long holds up a sync no longer than that.
func TestAReconnectIsNotTriedForEver(t *testing.T) {
	t.Parallel()
	for code, cause := range map[string]error{
		string(directory.Unreachable): temporal.NewApplicationErrorWithOptions("it is not to be asked", activities.ServerTaken, temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute}),
		codeUnexpected:                errors.New("it is not to be asked"), // as of PostgreSQL
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			env := suite.NewTestWorkflowEnvironment()
			env.RegisterWorkflowWithOptions(accessSync, workflow.RegisterOptions{Name: AccessSync})
			var s stage
			s.validate = func(activities.ValidateConnectionInput) error { return cause }
			s.register(env)
			in := AccessSyncInput{Connection: Connection{ID: 7, Name: "acme"}, Every: db.Interval(time.Hour), Outlook: Outlook{NextSyncAt: env.Now().Add(time.Hour)}}
			var refused error
			env.RegisterDelayedCallback(func() {
				env.UpdateWorkflow(ReconnectMessage, "r", &testsuite.TestUpdateCallback{
					OnAccept: func() {}, OnReject: func(error) {}, OnComplete: func(_ any, err error) { refused = err },
				}, ReconnectRequest{Offer: 1})
			}, time.Minute)
			env.RegisterDelayedCallback(func() { env.CancelWorkflow() }, 30*time.Minute)
			env.ExecuteWorkflow(AccessSync, in)
			require.Equal(t, code, typeOf(refused))
			require.ErrorContains(t, refused, "could not be tried within 15m0s: it is not to be asked")
		})
	}
}

func TestAReconnectRevivesADisconnectedConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	in.Disconnected = true
	b.start(in)
	result, err := b.update(ReconnectMessage, "r", ReconnectRequest{Offer: 1})
	require.NoError(t, err)
	require.Equal(t, db.Applied, result.Outcome)
	b.eventually(func() bool { return b.status().State == db.Active && b.status().NextSyncAt != nil }, "it syncs by itself again")
}

func TestNoMessageIsLostAtContinueAsNew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(b.idle())
	const rounds = 15
	// Every resync ends a run; the other messages come while it does.
	for i := range rounds {
		before := len(b.stage.fetched())
		b.signal(ResyncMessage, nil)
		b.eventually(func() bool { return len(b.stage.fetched()) > before }, "a sync begins")
		b.signal(RescheduleMessage, RescheduleRequest{Every: fmt.Sprintf("%dh", i+1)})
		b.signal(PauseMessage, nil)
		b.signal(ResumeMessage, nil)
	}
	b.signal(ResumeMessage, nil)
	b.eventually(func() bool {
		states := b.stage.recorded()
		last := states[len(states)-1]
		return last.State == db.Active && last.Every == db.Interval(rounds*time.Hour)
	}, "the last of each kind took effect, and the record knows")
	require.Greater(t, len(b.runs()), 10, "runs ended meanwhile")
}

func TestARejectedTokenIsReplacedOnceAndTheFetchGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var fetches atomic.Int32
	b.stage.fetch = func(activities.FetchUsersInput) error {
		if fetches.Add(1) == 1 {
			return rejectedToken(4, 11)
		}
		return nil
	}
	run := b.start(b.idle())
	result, err := b.update(ResyncMessage, "r", ResyncRequest{})
	require.NoError(t, err)
	require.Equal(t, db.Applied, result.Outcome)
	require.Equal(t, []int64{4}, b.stage.refreshed)
	b.keep("token-replaced", run.GetID(), run.GetRunID())
}

func TestATokenThatWasOfUseMayBeReplacedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var fetches atomic.Int32
	b.stage.fetch = func(activities.FetchUsersInput) error {
		if n := fetches.Add(1); n <= 3 {
			return rejectedToken(int64(n), int(n))
		}
		return nil
	}
	b.start(b.idle())
	result, err := b.update(ResyncMessage, "r", ResyncRequest{})
	require.NoError(t, err)
	require.Equal(t, db.Applied, result.Outcome)
	require.Equal(t, []int64{1, 2, 3}, b.stage.refreshed)
}

func TestANewTokenRejectedAtTheSamePlaceIsTheLast(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var fetches atomic.Int32
	b.stage.fetch = func(activities.FetchUsersInput) error { return rejectedToken(int64(fetches.Add(1)), 5) }
	b.start(b.idle())
	result, err := b.update(ResyncMessage, "r", ResyncRequest{})
	require.NoError(t, err)
	require.Equal(t, string(directory.CredentialsRejected), result.Error)
	require.Equal(t, int32(2), fetches.Load())
	require.Equal(t, db.NeedsReconnect, b.status().State)
}

func TestARejectedRenewalWaitsForAReconnectThatHeals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mended atomic.Bool
	b.stage.fetch = func(activities.FetchUsersInput) error {
		if mended.Load() {
			return nil
		}
		return rejectedToken(1, 0)
	}
	b.stage.refresh = func(activities.RefreshCredentialsInput) error { return rejected(directory.CredentialsRejected) }
	b.stage.validate = func(in activities.ValidateConnectionInput) error {
		if in.Offer != 42 {
			return rejected(directory.CredentialsRejected)
		}
		mended.Store(true)
		return nil
	}
	in := b.idle()
	in.Every, in.NextSyncAt = db.Interval(time.Hour), time.Now()
	run := b.start(in)
	b.eventually(func() bool { return b.status().State == db.NeedsReconnect }, "it needs a reconnect")
	require.Nil(t, b.status().NextSyncAt, "nothing is scheduled")
	b.keep("credentials-rejected", run.GetID(), run.GetRunID())

	result, err := b.update(ResyncMessage, "hope", ResyncRequest{})
	require.NoError(t, err)
	require.Equal(t, string(directory.CredentialsRejected), result.Error, "a resync tries once more")

	_, err = b.update(ReconnectMessage, "wrong", ReconnectRequest{Offer: 1})
	require.Equal(t, string(directory.CredentialsRejected), typeOf(err))
	require.Equal(t, db.NeedsReconnect, b.status().State)

	waiting := b.runs()
	result, err = b.update(ReconnectMessage, "right", ReconnectRequest{Offer: 42})
	require.NoError(t, err)
	require.Equal(t, db.Applied, result.Outcome)
	require.Equal(t, db.Active, b.status().State)
	require.NotNil(t, b.status().NextSyncAt)
	require.Equal(t, db.TriggerReconnect, b.stage.fetched()[len(b.stage.fetched())-1])
	b.keep("reconnected", run.GetID(), waiting[len(waiting)-1])
}

func TestAReconnectDuringASyncIsNotHeldUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate := make(chan struct{})
	var validated, fetches atomic.Int32
	b.stage.fetch = func(activities.FetchUsersInput) error {
		if fetches.Add(1) == 1 {
			<-gate
		}
		return nil
	}
	b.stage.validate = func(activities.ValidateConnectionInput) error { validated.Add(1); return nil }
	b.start(b.idle())
	b.signal(ResyncMessage, nil)
	b.eventually(func() bool { return fetches.Load() == 1 }, "a sync is under way")
	b.signal(ReconnectMessage, ReconnectRequest{Offer: 42})
	b.eventually(func() bool { return validated.Load() == 1 }, "the credentials are tried meanwhile")
	close(gate)
	b.eventually(func() bool { return fetches.Load() == 2 }, "a sync with them follows")
}

func TestAFailedSyncIsRecordedAndAnotherComesSoon(t *testing.T) {
	t.Parallel()
	for _, code := range []directory.Code{directory.Unreachable, directory.Inconsistent, directory.MissingPrivilege} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.stage.fetch = func(activities.FetchUsersInput) error { return rejected(code) }
			b.start(b.idle())
			result, err := b.update(ResyncMessage, "r", ResyncRequest{})
			require.NoError(t, err)
			require.Equal(t, db.Failed, result.Outcome)
			require.Equal(t, string(code), result.Error)
			status := b.status()
			require.Equal(t, db.Active, status.State)
			require.Equal(t, "it was refused", status.Reason)
			require.Less(t, time.Until(*status.NextSyncAt), 3*time.Minute)
		})
	}
}

func TestALostSnapshotIsFetchedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var records atomic.Int32
	b.stage.record = func(in activities.RecordOutcomesInput) (activities.Recorded, error) {
		if records.Add(1) == 1 {
			return activities.Recorded{}, rejected(activities.StagingLost)
		}
		return b.stage.ended(in.Becomes, activities.SyncResult{Outcome: db.Applied}), nil
	}
	b.start(b.idle())
	result, err := b.update(ResyncMessage, "r", ResyncRequest{})
	require.NoError(t, err)
	require.Equal(t, db.Applied, result.Outcome)
	require.Len(t, b.stage.fetched(), 2)
}

// However often, the run's history ends.
func TestASnapshotThatIsLostAgainAndAgainFailsTheSync(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.stage.record = func(activities.RecordOutcomesInput) (activities.Recorded, error) {
		return activities.Recorded{}, rejected(activities.StagingLost)
	}
	b.start(b.idle())
	result, err := b.update(ResyncMessage, "r", ResyncRequest{})
	require.NoError(t, err)
	require.Equal(t, []any{db.Failed, "unexpected", "it was refused"}, []any{result.Outcome, result.Error, result.Reason})
	require.Len(t, b.stage.fetched(), 10)
}

func TestRecordingThatFailsIsLeftToAnActivity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var tries atomic.Int32
	b.stage.record = func(in activities.RecordOutcomesInput) (activities.Recorded, error) {
		if tries.Add(1) <= 2 {
			return activities.Recorded{}, errors.New("PostgreSQL is away")
		}
		return b.stage.ended(in.Becomes, activities.SyncResult{Outcome: db.Applied}), nil
	}
	run := b.start(b.idle())
	result, err := b.update(ResyncMessage, "r", ResyncRequest{})
	require.NoError(t, err)
	require.Equal(t, db.Applied, result.Outcome)
	require.Len(t, b.stage.fetched(), 1, "and nothing is fetched again")
	require.Equal(t, []string{activities.FetchUsers, activities.RecordOutcomes}, b.activitiesOf(run))
	b.keep("recorded-by-an-activity", run.GetID(), run.GetRunID())
}

func TestRecordingThatTakesLongIsLeftToAnActivity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var tries atomic.Int32
	long := make(chan struct{})
	b.stage.record = func(in activities.RecordOutcomesInput) (activities.Recorded, error) {
		if tries.Add(1) == 1 {
			<-long
			return activities.Recorded{}, errors.New("nobody waits for this any more")
		}
		close(long)
		return b.stage.ended(in.Becomes, activities.SyncResult{Outcome: db.Applied}), nil
	}
	run := b.start(b.idle())
	result, err := b.update(ResyncMessage, "r", ResyncRequest{})
	require.NoError(t, err)
	require.Equal(t, db.Applied, result.Outcome)
	require.Equal(t, []string{activities.FetchUsers, activities.RecordOutcomes}, b.activitiesOf(run))
}

// The run cannot hear them until it has recorded, and then is about to end.
func TestMessagesThatComeWhileASyncIsRecordedAreHeard(t *testing.T) {
	for name, send := range map[string]func(*testBundle){
		"pause":      func(b *testBundle) { b.signal(PauseMessage, nil) },
		"reschedule": func(b *testBundle) { b.signal(RescheduleMessage, RescheduleRequest{Every: "2h"}) },
		"reconnect":  func(b *testBundle) { b.signal(ReconnectMessage, nil) },
		"all of them": func(b *testBundle) {
			b.signal(ReconnectMessage, nil)
			b.signal(PauseMessage, nil)
			b.signal(RescheduleMessage, RescheduleRequest{Every: "2h"})
		},
	} {
		for by, ask := range map[string]func(*testBundle) error{
			"update": func(b *testBundle) error {
				_, err := b.update(ResyncMessage, "r", ResyncRequest{})
				return err
			},
			"signal": func(b *testBundle) error {
				return b.client.SignalWorkflow(b.t.Context(), AccessSyncID(b.queue), "", ResyncMessage, nil)
			},
		} {
			t.Run(name+" during a sync by "+by, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				recording, goOn := b.holdRecording()
				run := b.start(b.idle())
				asked := make(chan error, 1)
				go func() { asked <- ask(b) }()
				<-recording
				send(b)
				goOn()
				require.NoError(t, <-asked)
				b.eventually(func() bool {
					status, states := b.status(), b.stage.recorded()
					if status.LastSync == nil {
						return false
					}
					last := states[len(states)-1]
					return last.State == status.State && (status.NextSyncAt == nil || last.NextSyncAt.Equal(*status.NextSyncAt))
				}, "the record knows of it")
				b.keep("messages-while-recording-"+strings.ReplaceAll(name, " ", "-")+"-"+by, run.GetID(), run.GetRunID())
			})
		}
	}
}

func TestAResyncWhileASyncIsRecordedIsAnsweredByTheNextOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	recording, goOn := b.holdRecording()
	b.start(b.idle())
	b.signal(ResyncMessage, nil)
	<-recording
	answered := make(chan int, 1)
	go func() {
		result, err := b.update(ResyncMessage, "late", ResyncRequest{})
		if err == nil {
			answered <- result.Number
		}
		close(answered)
	}()
	b.signal(ResumeMessage, nil) // so that the run cannot end before it has heard
	goOn()
	require.Equal(t, 2, <-answered)
}

// A task that was lost after it had recorded is done again, later.
func TestTheNextSyncOnRecordIsTheOneThatComes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	in.NextSyncAt = time.Now().Add(time.Second)
	recording := make(chan struct{}, 10)
	b.stage.record = func(r activities.RecordOutcomesInput) (activities.Recorded, error) {
		recording <- struct{}{}
		due, cancel := context.WithDeadline(context.Background(), in.NextSyncAt)
		defer cancel()
		<-due.Done()
		return b.stage.ended(r.Becomes, activities.SyncResult{Outcome: db.Applied}), nil
	}
	b.start(in)
	b.signal(ResyncMessage, nil)
	<-recording
	b.signal(ResumeMessage, nil) // which changes nothing, but that the run cannot end yet
	b.eventually(func() bool {
		status, states := b.status(), b.stage.recorded()
		return status.LastSync != nil && len(states) > 0 && states[len(states)-1].NextSyncAt.Equal(*status.NextSyncAt)
	}, "the record and the workflow agree")
}

func TestPauseStopsTheScheduleAndResumeStartsIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	run := b.start(in)
	b.signal(PauseMessage, nil)
	b.eventually(func() bool { return b.status().State == db.Paused }, "paused")
	require.Nil(t, b.status().NextSyncAt)
	b.signal(RescheduleMessage, RescheduleRequest{Every: "10s"})
	b.signal(ResumeMessage, nil)
	b.eventually(func() bool { return b.status().LastSync != nil }, "it syncs by itself again")
	require.Equal(t, db.TriggerSchedule, b.stage.fetched()[0])
	b.keep("paused-and-resumed", run.GetID(), run.GetRunID())
}

func TestAPauseDuringASyncIsRecordedAtOnceAndStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate := make(chan struct{})
	b.stage.fetch = func(activities.FetchUsersInput) error { <-gate; return nil }
	b.start(b.idle())
	b.signal(ResyncMessage, nil)
	b.eventually(func() bool { return len(b.stage.fetched()) == 1 }, "a sync is under way")
	b.signal(PauseMessage, nil)
	paused := func() bool {
		states := b.stage.recorded()
		return len(states) > 0 && states[len(states)-1].State == db.Paused
	}
	b.eventually(paused, "the record knows while the sync goes on")
	close(gate)
	b.eventually(func() bool { return b.status().LastSync != nil }, "the sync ends")
	require.True(t, paused())
}

func TestAWrongIntervalChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(b.idle())
	for _, every := range []string{"", "soon", "1s", "-1h"} {
		b.signal(RescheduleMessage, RescheduleRequest{Every: every})
	}
	b.signal(PauseMessage, nil)
	b.eventually(func() bool { return b.status().State == db.Paused }, "later signals are heard")
	for _, change := range b.stage.recorded() {
		require.Equal(t, db.Interval(24*time.Hour), change.Every)
	}
}

func TestDisconnectEndsTheWorkflowAlsoDuringASync(t *testing.T) {
	for name, during := range map[string]bool{"idle": false, "during a sync": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var fetching atomic.Bool
			release := make(chan struct{})
			defer close(release)
			b.stage.fetch = func(activities.FetchUsersInput) error {
				fetching.Store(true)
				<-release
				return nil
			}
			run := b.start(b.idle())
			if during {
				b.signal(ResyncMessage, nil)
				b.eventually(fetching.Load, "a sync is under way")
			}
			b.signal(DisconnectMessage, DisconnectRequest{Erase: true})
			require.NoError(t, b.client.GetWorkflow(t.Context(), run.GetID(), "").Get(t.Context(), nil))
			require.Equal(t, []activities.DisconnectInput{{ConnectionID: 7, Erase: true}}, b.stage.disconnects)
			b.requireTimeToErase(run, activities.Disconnect)
			b.keep("disconnected-"+map[bool]string{false: "idle", true: "syncing"}[during], run.GetID(), run.GetRunID())
		})
	}
}

// A person was told that it goes on.
func TestADisconnectIsNotLostWhenTheWorkflowIsCancelledToo(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]func(*testBundle, func()){
		"before a worker comes": func(b *testBundle, cancel func()) {
			b.signal(DisconnectMessage, DisconnectRequest{})
			cancel()
			b.work()
		},
		"while it disconnects": func(b *testBundle, cancel func()) {
			ending, goOn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			b.stage.ending = func() { once.Do(func() { close(ending); <-goOn }) }
			b.work()
			b.signal(DisconnectMessage, DisconnectRequest{})
			<-ending
			cancel()
			close(goOn)
		},
		"while the cancellation is recorded": func(b *testBundle, cancel func()) {
			recording, goOn := make(chan struct{}), make(chan struct{})
			b.stage.state = func() { close(recording); <-goOn }
			b.work()
			b.eventually(func() bool { return b.status().State == db.Active }, "it waits")
			cancel()
			<-recording
			b.signal(DisconnectMessage, DisconnectRequest{})
			close(goOn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupWithoutWorker(t)
			run := b.start(b.idle())
			cancel(b, func() { require.NoError(t, b.client.CancelWorkflow(t.Context(), run.GetID(), "")) })
			_ = run.Get(t.Context(), nil) // cancelled, or ended before that was heard
			require.NotEmpty(t, b.stage.disconnects)
			b.keep("disconnected-and-cancelled-"+strings.ReplaceAll(name, " ", "-"), run.GetID(), run.GetRunID())
		})
	}
}

func TestOfSeveralDisconnectsOneThatErasesCounts(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("the first: %t", first), func(t *testing.T) {
			t.Parallel()
			b := setupWithoutWorker(t)
			run := b.start(b.idle())
			b.signal(DisconnectMessage, DisconnectRequest{Erase: first})
			b.signal(DisconnectMessage, DisconnectRequest{Erase: !first})
			b.work()
			require.NoError(t, run.Get(t.Context(), nil))
			require.Equal(t, []activities.DisconnectInput{{ConnectionID: 7, Erase: true}}, b.stage.disconnects)
		})
	}
	t.Run("while it disconnects", func(t *testing.T) {
		t.Parallel()
		b := setupWithoutWorker(t)
		ending, goOn := make(chan struct{}), make(chan struct{})
		var once sync.Once
		b.stage.ending = func() { once.Do(func() { close(ending); <-goOn }) }
		b.work()
		run := b.start(b.idle())
		b.signal(DisconnectMessage, DisconnectRequest{})
		<-ending
		b.signal(DisconnectMessage, DisconnectRequest{Erase: true})
		close(goOn)
		require.NoError(t, run.Get(t.Context(), nil))
		require.Equal(t, []activities.DisconnectInput{{ConnectionID: 7}, {ConnectionID: 7, Erase: true}}, b.stage.disconnects)
	})
}

// Credentials that are being tried are destroyed by nobody else's message.
func TestMessagesWaitWhileADisconnectedConnectionIsReconnected(t *testing.T) {
	t.Parallel()
	for name, accepted := range map[string]bool{"accepted": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupWithoutWorker(t)
			trying, goOn := make(chan struct{}), make(chan struct{})
			b.stage.validate = func(activities.ValidateConnectionInput) error {
				close(trying)
				<-goOn
				if !accepted {
					return rejected(directory.CredentialsRejected)
				}
				return nil
			}
			b.work()
			in := b.idle()
			in.Disconnected = true
			run := b.start(in)
			reconnected := make(chan error, 1)
			go func() {
				_, err := b.update(ReconnectMessage, "r", ReconnectRequest{Offer: 1})
				reconnected <- err
			}()
			<-trying
			b.signal(ResyncMessage, nil)
			b.signal(PauseMessage, nil)
			b.eventually(func() bool { return b.status().Doing == "trying new credentials" }, "it tries them")
			close(goOn)
			err := <-reconnected
			if !accepted {
				require.Equal(t, string(directory.CredentialsRejected), typeOf(err))
				require.NoError(t, run.Get(t.Context(), nil))
				require.Empty(t, b.stage.fetched())
				b.keep("refused-after-a-disconnect", run.GetID(), run.GetRunID())
				return
			}
			require.NoError(t, err)
			require.Len(t, b.stage.fetched(), 1)
			b.eventually(func() bool { return b.status().State == db.Paused }, "the pause counts")
			require.Empty(t, b.stage.disconnects)
			b.keep("reconnected-after-a-disconnect", run.GetID(), run.GetRunID())
		})
	}
}

func TestItEndsWhenItsConnectionIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.stage.fetch = func(activities.FetchUsersInput) error { return rejected(activities.NotFound) }
	run := b.start(b.idle())
	_, err := b.update(ResyncMessage, "r", ResyncRequest{})
	require.Equal(t, activities.Disconnected, typeOf(err))
	require.NoError(t, b.client.GetWorkflow(t.Context(), run.GetID(), "").Get(t.Context(), nil))
}

func TestACancelledWorkflowDoesNotStopInSilence(t *testing.T) {
	t.Parallel()
	for state, edit := range map[db.State]func(*AccessSyncInput){
		db.Paused:         func(*AccessSyncInput) {},
		db.NeedsReconnect: func(in *AccessSyncInput) { in.Rejected = true },
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			in := b.idle()
			edit(&in)
			run := b.start(in)
			require.NoError(t, b.client.CancelWorkflow(t.Context(), run.GetID(), ""))
			err := run.Get(t.Context(), nil)
			require.True(t, temporal.IsCanceledError(err), "%v", err)
			states := b.stage.recorded()
			require.Equal(t, state, states[len(states)-1].State)
			require.Contains(t, states[len(states)-1].Reason, "cancelled")
			require.True(t, states[len(states)-1].Cancelled)
			require.Empty(t, Revived(db.Connection{State: state, Every: time.Hour, Reason: "cancelled", Cancelled: true}, time.Now()).Reason, "it does not outlast that")
			require.Equal(t, "held", Revived(db.Connection{State: state, Every: time.Hour, Reason: "held"}, time.Now()).Reason)
			require.True(t, Revived(db.Connection{State: state, Every: time.Hour, Paused: true, Cancelled: true}, time.Now()).Paused, "nor does it resume what was paused")
			require.False(t, Revived(db.Connection{State: state, Every: time.Hour, Cancelled: true}, time.Now()).Paused, "nor is that paused which nobody paused")
			b.keep("cancelled-"+string(state), run.GetID(), run.GetRunID())
		})
	}
}

// The record said that it was cancelled.
func TestARevivedConnectionIsActiveOnRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := Revived(db.Connection{ID: 7, Name: b.queue, Every: 24 * time.Hour, State: db.Paused, Cancelled: true}, time.Now())
	b.start(in)
	b.eventually(func() bool { return len(b.stage.recorded()) == 1 }, "it is recorded")
	require.Equal(t, db.Active, b.stage.recorded()[0].State)
}

func TestConnectingHandsOverToTheRecurringSync(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.connect()
	var result ConnectJamfResult
	require.NoError(t, run.Get(t.Context(), &result))
	require.Equal(t, db.Applied, result.Sync.Outcome)
	require.Equal(t, "11.27.0", result.Report.Version)
	require.Equal(t, db.Active, b.status().State)
	require.Equal(t, []db.Trigger{db.TriggerConnect}, b.stage.fetched())
	states := b.stage.recorded()
	require.Equal(t, db.Active, states[len(states)-1].State)
	b.keep("connected", run.GetID(), run.GetRunID())
}

// Once the recurring sync has been started it may not be left without a record.
func TestConnectingThatIsCancelledAtItsEndIsDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reached, recorded := make(chan struct{}), make(chan struct{})
	b.stage.state = sync.OnceFunc(func() { close(reached); <-recorded })
	run := b.connect()
	<-reached
	require.NoError(t, b.client.CancelWorkflow(t.Context(), run.GetID(), ""))
	b.eventually(func() bool { return b.cancelRequested(run.GetID(), run.GetRunID()) }, "Temporal knows of the cancellation")
	close(recorded)
	require.NoError(t, run.Get(t.Context(), nil))
	require.Zero(t, b.stage.discarded)
	described, err := b.client.DescribeWorkflowExecution(t.Context(), AccessSyncID(b.queue), "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, described.WorkflowExecutionInfo.Status)
	require.False(t, b.cancelRequested(AccessSyncID(b.queue), ""), "nor is the recurring sync cancelled")
	b.keep("connect-cancelled-at-its-end", run.GetID(), run.GetRunID())
}

func (b *testBundle) cancelRequested(workflowID, runID string) bool {
	b.t.Helper()
	return slices.ContainsFunc(b.history(workflowID, runID), func(event *historypb.HistoryEvent) bool {
		return event.EventType == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
	})
}

func TestAConnectionThatCannotBeMadeLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]directory.Code{
		"rejected": directory.CredentialsRejected, "unreachable": directory.Unreachable, "privilege": directory.MissingPrivilege,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.stage.validate = func(activities.ValidateConnectionInput) error { return rejected(code) }
			run := b.connect()
			err := run.Get(t.Context(), nil)
			require.Equal(t, string(code), typeOf(err))
			require.Equal(t, 1, b.stage.discarded)
			b.requireTimeToErase(run, activities.DiscardConnection)
			_, err = b.client.DescribeWorkflowExecution(t.Context(), AccessSyncID(b.queue), "")
			_, notFound := errors.AsType[*serviceerror.NotFound](err)
			require.True(t, notFound, "no AccessSync was started: %v", err)
			b.keep("connect-"+name, run.GetID(), run.GetRunID())
		})
	}
}

// requireTimeToErase makes sure that an activity may take as long as a million
// accounts do, and that a dead worker is noticed sooner.
func (b *testBundle) requireTimeToErase(run client.WorkflowRun, activityName string) {
	b.t.Helper()
	for _, event := range b.history(run.GetID(), run.GetRunID()) {
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled.GetActivityType().GetName() == activityName {
			require.Greater(b.t, scheduled.StartToCloseTimeout.AsDuration(), time.Hour)
			require.Equal(b.t, activities.HeartbeatTimeout, scheduled.HeartbeatTimeout.AsDuration())
			return
		}
	}
	require.Fail(b.t, activityName+" was not scheduled")
}

func (b *testBundle) connect() client.WorkflowRun {
	b.t.Helper()
	run, err := b.client.ExecuteWorkflow(b.t.Context(), client.StartWorkflowOptions{
		ID: ConnectJamfID(b.queue), TaskQueue: b.queue,
	}, ConnectJamf, ConnectJamfInput{Connection: b.connection(), Every: db.Interval(time.Hour)})
	require.NoError(b.t, err)
	return run
}

func typeOf(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Type()
	}
	return ""
}

// What a person waits for goes first.
func TestAskedForSyncsGoAheadOfScheduledOnes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	in.Connection.Organization = strings.Repeat("株", 22) // 66 bytes
	in.NextSyncAt = time.Now().Add(-time.Second)
	scheduled := b.start(in)
	b.eventually(func() bool { return b.status().LastSync != nil }, "the scheduled sync ends")
	_, err := b.update(ResyncMessage, "asked", ResyncRequest{})
	require.NoError(t, err)
	asked := b.runs()[1]
	for run, priority := range map[string]int32{scheduled.GetRunID(): scheduledPriority, asked: awaitedPriority} {
		for _, event := range b.history(AccessSyncID(b.queue), run) {
			if activity := event.GetActivityTaskScheduledEventAttributes(); activity != nil {
				require.Equal(t, priority, activity.Priority.PriorityKey, activity.ActivityType.Name)
				require.Equal(t, strings.Repeat("株", 21), activity.Priority.FairnessKey)
			}
		}
	}
}

func TestASyncThatIsLongOverdueWaitsForItsPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.idle()
	in.NextSyncAt = time.Now().Add(-time.Hour)
	b.start(in)
	b.eventually(func() bool { return len(b.stage.recorded()) == 1 }, "its new time is recorded")
	next := *b.stage.recorded()[0].NextSyncAt
	require.True(t, next.After(in.NextSyncAt) && next.Before(time.Now().Add(time.Hour)), next)
	require.Empty(t, b.stage.fetched())
	_, err := b.update(ResyncMessage, "asked", ResyncRequest{})
	require.NoError(t, err, "who asks does not wait")
	b.keep("overdue", AccessSyncID(b.queue), b.runs()[0])
}
