package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/db"
)

// NotifySummary is the static summary of a route's Notify.
func NotifySummary(r db.Route) string {
	about := "a test"
	if r.Connection != "" {
		about = "what happens to " + r.Connection
	}
	return "tells " + r.Subscription + " about " + about + ", one notice after another"
}

// notify delivers the notices of a route in their order, and ends when none is
// left. A route has one Notify at a time; what is to be delivered is in the
// record, and the signal only says that there is more.
func notify(ctx workflow.Context, route db.Route) error {
	for {
		// Whoever signals later than this has committed a notice that the next
		// look may miss.
		drainNotices(ctx)
		delivered, err := deliverNotice(ctx, route)
		if err != nil {
			return err
		}
		if delivered.Notice == "" && !drainNotices(ctx) {
			return nil
		}
	}
}

// deliverNotice delivers the oldest notice, for as long as that takes. Every
// sync meanwhile may signal, which makes a history grow too long: the next run
// goes on then. It needs no signal to look for what there is.
func deliverNotice(ctx workflow.Context, route db.Route) (activities.DeliverNoticeResult, error) {
	var result activities.DeliverNoticeResult
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	delivering := workflow.ExecuteActivity(withDelivery(ctx), activities.DeliverNotice, route)
	long := func() bool { return workflow.GetInfo(ctx).GetContinueAsNewSuggested() }
	if err := workflow.Await(ctx, func() bool { return delivering.IsReady() || long() }); err != nil {
		return result, err
	}
	if !delivering.IsReady() {
		return result, workflow.NewContinueAsNewError(ctx, Notify, route)
	}
	err := delivering.Get(ctx, &result)
	if err == nil && long() {
		err = workflow.NewContinueAsNewError(ctx, Notify, route)
	}
	return result, err
}

// drainNotices takes the signals that have come and says whether there were
// any.
func drainNotices(ctx workflow.Context) (came bool) {
	for workflow.GetSignalChannel(ctx, NoticeMessage).ReceiveAsync(nil) {
		came = true
	}
	return came
}

// withDelivery tries again for as long as the activity says that it is worth
// it, less and less often.
func withDelivery(ctx workflow.Context) workflow.Context {
	return workflow.WithRetryPolicy(withLongActivity(ctx, "deliver the oldest notice that waits"), temporal.RetryPolicy{
		InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute,
	})
}
