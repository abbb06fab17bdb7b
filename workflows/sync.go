package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

const (
	// maxRefreshes bounds how many access tokens a source may reject in one fetch.
	maxRefreshes = 10
	// maxStagingLosses bounds how often what was staged may be lost in one sync.
	maxStagingLosses = 10
	// localPatience is how long recording may hold up a workflow task, and with it
	// whoever asks the workflow how it is.
	localPatience = 2 * time.Second

	recordingSummary = "apply the snapshot and evaluate the monitors"
)

// syncOnce is one sync: fetch the whole directory, then record what came of
// it. Whatever the source does, it ends with a recorded outcome; an error
// means that it was cancelled or that the connection is gone.
type syncOnce struct {
	connection     Connection
	trigger        db.Trigger
	acceptRemovals bool
	// recordsLocally says that there is little to record, as a rule.
	recordsLocally bool
	// becomes is asked, when the sync is about to be recorded, for the state
	// that its connection is in from then on.
	becomes func(problem) db.StateChange
}

func (s syncOnce) run(ctx workflow.Context) (activities.Recorded, error) {
	for losses := 1; ; losses++ {
		result, err := s.attempt(ctx)
		p := problemOf(err)
		switch {
		case err == nil, p.gone(), temporal.IsCanceledError(err):
			return result, err
		case p.code != activities.StagingLost:
			return s.recordFailure(ctx, p)
		case losses >= maxStagingLosses && workflow.GetVersion(ctx, boundStagingLosses, workflow.DefaultVersion, 1) >= 1:
			return s.recordFailure(ctx, problem{code: codeUnexpected, reason: p.reason})
		}
	}
}

func (s syncOnce) attempt(ctx workflow.Context) (activities.Recorded, error) {
	if err := s.fetch(ctx); err != nil {
		return activities.Recorded{}, err
	}
	in := activities.RecordOutcomesInput{ConnectionID: s.connection.ID, AcceptRemovals: s.acceptRemovals, Becomes: s.becomes(problem{})}
	if s.recordsLocally && workflow.GetVersion(ctx, recordLocally, workflow.DefaultVersion, 1) >= 1 {
		if result, err := s.recordLocally(ctx, in); err == nil || final(err) {
			return result, err
		}
	}
	var result activities.Recorded
	err := workflow.ExecuteActivity(s.withLongActivity(ctx, recordingSummary), activities.RecordOutcomes, in).Get(ctx, &result)
	return result, err
}

// recordLocally records within the workflow task, once, which is less work for
// Temporal and for the worker. What it does not get done soon, because there is much
// to record or PostgreSQL is away, is left to an activity that can be seen to wait.
//
// Its input is not in the history. When the task is lost after it has recorded, as by
// a message that comes before the run could continue as new, the next one may give
// another: see activities.Recorded.
func (s syncOnce) recordLocally(ctx workflow.Context, in activities.RecordOutcomesInput) (result activities.Recorded, err error) {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: localPatience,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                recordingSummary,
	})
	err = workflow.ExecuteLocalActivity(ctx, activities.RecordOutcomes, in).Get(ctx, &result)
	return result, err
}

// final says that an activity is not to be tried again after an error.
func final(err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && app.NonRetryable() || temporal.IsCanceledError(err)
}

// fetch fetches the users, replacing the access token when the source rejects
// it. A new token that is rejected where the old one was is the last.
func (s syncOnce) fetch(ctx workflow.Context) error {
	var last *activities.RejectedToken
	for refreshes := 0; ; refreshes++ {
		err := workflow.ExecuteActivity(s.withLongActivity(ctx, "read the directory page by page"), activities.FetchUsers, activities.FetchUsersInput{
			ConnectionID: s.connection.ID, Trigger: s.trigger, AcceptRemovals: s.acceptRemovals,
		}).Get(ctx, nil)
		p := problemOf(err)
		if p.code != string(directory.TokenRejected) {
			return err
		}
		if last != nil && last.Attempts == p.rejected.Attempts && last.Pages == p.rejected.Pages || refreshes == maxRefreshes {
			return temporal.NewNonRetryableApplicationError(
				"every access token is rejected soon after it was issued", string(directory.CredentialsRejected), nil)
		}
		if err := workflow.ExecuteActivity(s.withLongActivity(ctx, "replace what the source rejected"),
			activities.RefreshCredentials, activities.RefreshCredentialsInput{
				ConnectionID: s.connection.ID, Generation: p.rejected.Generation,
			}).Get(ctx, nil); err != nil {
			return err
		}
		last = &p.rejected
	}
}

// recordFailure may take long: what was read of a million is dropped.
func (s syncOnce) recordFailure(ctx workflow.Context, p problem) (result activities.Recorded, err error) {
	err = workflow.ExecuteActivity(s.withLongActivity(ctx, "record why the sync failed"),
		activities.RecordFailure, activities.RecordFailureInput{
			ConnectionID: s.connection.ID, Trigger: s.trigger, Code: p.code, Reason: p.reason, Becomes: s.becomes(p),
		}).Get(ctx, &result)
	return result, err
}

func (s syncOnce) withLongActivity(ctx workflow.Context, summary string) workflow.Context {
	return prioritised(withLongActivity(ctx, summary), s.connection, s.trigger)
}
