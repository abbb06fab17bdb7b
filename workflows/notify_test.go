package workflows

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/db"
)

// outbox is a queue of notices in place of the record's.
type outbox struct {
	mu        sync.Mutex
	pending   []string
	delivered []string
}

func (o *outbox) add(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = append(o.pending, id)
}

func (o *outbox) deliver(db.Route) (activities.DeliverNoticeResult, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) == 0 {
		return activities.DeliverNoticeResult{}, nil
	}
	id := o.pending[0]
	o.pending, o.delivered = o.pending[1:], append(o.delivered, id)
	return activities.DeliverNoticeResult{Notice: id, Outcome: db.NoticeDelivered}, nil
}

func (o *outbox) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.delivered...)
}

// A notice is committed just after a run has looked for the last time.
func TestNoNoticeIsLeftBehindWhenNotifyEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	box := &outbox{}
	route := db.Route{Subscription: "hook", Connection: b.queue}
	signal := func() (client.WorkflowRun, error) {
		return b.client.SignalWithStartWorkflow(t.Context(), NotifyID(route), NoticeMessage, nil,
			client.StartWorkflowOptions{TaskQueue: b.queue, StaticSummary: NotifySummary(route)}, Notify, route)
	}
	var want []string
	b.stage.deliver = func(r db.Route) (activities.DeliverNoticeResult, error) {
		result, err := box.deliver(r)
		if result.Notice == "" && len(want) < 5 {
			want = append(want, fmt.Sprint(len(want)))
			box.add(want[len(want)-1])
			_, err = signal()
		}
		return result, err
	}
	run, err := signal()
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, box.all())
	b.keep("notified", run.GetID(), run.GetRunID())
}

func TestANoticeIsTriedAgainBeforeTheNext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	box, failed := &outbox{}, false
	box.add("first")
	box.add("second")
	b.stage.deliver = func(r db.Route) (activities.DeliverNoticeResult, error) {
		if !failed {
			failed = true
			return activities.DeliverNoticeResult{}, temporal.NewApplicationErrorWithOptions("HTTP 500", activities.NotDelivered,
				temporal.ApplicationErrorOptions{NextRetryDelay: time.Millisecond})
		}
		return box.deliver(r)
	}
	route := db.Route{Subscription: "hook", Connection: b.queue}
	run, err := b.client.SignalWithStartWorkflow(t.Context(), NotifyID(route), NoticeMessage, nil,
		client.StartWorkflowOptions{TaskQueue: b.queue}, Notify, route)
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	require.Equal(t, []string{"first", "second"}, box.all())
}

func TestEachRouteHasAWorkflowOfItsOwn(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, r := range []db.Route{{Subscription: "a"}, {Subscription: "a", Connection: "b"}, {Subscription: "b", Connection: "a"}, {Subscription: "b"}} {
		ids[NotifyID(r)] = true
	}
	require.Len(t, ids, 4)
}

// A receiver that is out of order for days meets a connection that syncs every
// few seconds and signals each time.
func TestNotifyContinuesInANewRunWhileItWaits(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivityWithOptions((&outbox{}).deliver, activity.RegisterOptions{Name: activities.DeliverNotice})
	env.OnActivity(activities.DeliverNotice, mock.Anything).After(72*time.Hour).Return(activities.DeliverNoticeResult{}, nil)
	env.RegisterDelayedCallback(func() {
		env.SetContinueAsNewSuggested(true)
		env.SignalWorkflow(NoticeMessage, nil)
	}, time.Hour)
	began := env.Now()
	env.ExecuteWorkflow(notify, db.Route{Subscription: "hook", Connection: "acme"})
	require.Equal(t, time.Hour, env.Now().Sub(began).Truncate(time.Hour), "it does not wait for the receiver")
	require.True(t, workflow.IsContinueAsNewError(env.GetWorkflowError()), "%v", env.GetWorkflowError())
}
