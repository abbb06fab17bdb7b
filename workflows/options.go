package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
)

// withActivity sets the options of an activity that is tried until it
// succeeds or its error says that another try is of no use.
func withActivity(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		// A dead worker is noticed when this has passed.
		StartToCloseTimeout: activities.HeartbeatTimeout,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second,
		},
	})
}

// withLongActivity is withActivity for one that may take long and heartbeats.
func withLongActivity(ctx workflow.Context, summary string) workflow.Context {
	ctx = workflow.WithStartToCloseTimeout(withActivity(ctx, summary), 6*time.Hour)
	return workflow.WithHeartbeatTimeout(ctx, activities.HeartbeatTimeout)
}
