package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/sethvargo/go-retry"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/activities"
	"jamf-access-review/db"
	"jamf-access-review/workflows"
)

// How the CLI talks to the workflows.

// acceptedUpdateLost is the type of error with which Temporal ends an update
// whose workflow run ended before it.
const acceptedUpdateLost = "AcceptedUpdateCompletedWorkflow"

// update sends an update to a connection's AccessSync, starting that workflow
// again if somebody ended it, and waits for the result. It is sent again where
// the workflow's next run answers it, and where Temporal takes no more updates
// of one run for now: under one update id it is one request.
func update(ctx context.Context, t client.Client, c db.Connection, name string, input any) (activities.SyncResult, error) {
	id := uuid.NewString()
	// Most often the next run is there at once; one that has ended may also wait
	// for a reconnect.
	pause := retry.WithJitterPercent(20, retry.WithCappedDuration(time.Second, retry.NewExponential(10*time.Millisecond)))
	result, err := retry.DoValue(ctx, pause, func(ctx context.Context) (activities.SyncResult, error) {
		result, err := updateOnce(ctx, t, c, name, id, input)
		switch {
		case superseded(err):
			err = retry.RetryableError(err)
		case untaken(err) && ctx.Err() == nil:
			// A Temporal that does not answer ends the same way.
			if _, err := running(ctx, t, workflows.AccessSyncID(c.Name)); err != nil {
				return result, err
			}
			err = retry.RetryableError(err)
		}
		return result, err
	})
	return result, failureAt(c, err)
}

func superseded(err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && (app.Type() == workflows.ErrorSuperseded || app.Type() == acceptedUpdateLost)
}

// untaken says whether an update may not have been taken: Temporal has so many
// in one run, and the SDK has tried for a minute.
func untaken(err error) bool {
	_, exhausted := errors.AsType[*serviceerror.ResourceExhausted](err)
	_, late := errors.AsType[*client.WorkflowUpdateServiceTimeoutOrCanceledError](err)
	return exhausted || late
}

func updateOnce(ctx context.Context, t client.Client, c db.Connection, name, id string, input any) (activities.SyncResult, error) {
	var result activities.SyncResult
	handle, err := t.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: t.NewWithStartWorkflowOperation(startOptions(c), workflows.AccessSync, workflows.Revived(c, time.Now())),
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateID: id, UpdateName: name, Args: []any{input}, WaitForStage: client.WorkflowUpdateStageAccepted,
		},
	})
	if err != nil {
		return result, err
	}
	err = handle.Get(ctx, &result)
	return result, err
}

// send sends a signal to a connection's AccessSync, starting that workflow
// again if somebody ended it.
func send(ctx context.Context, t client.Client, c db.Connection, name string, input any) error {
	_, err := t.SignalWithStartWorkflow(ctx, workflows.AccessSyncID(c.Name), name, input,
		startOptions(c), workflows.AccessSync, workflows.Revived(c, time.Now()))
	return err
}

func startOptions(c db.Connection) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       workflows.AccessSyncID(c.Name),
		TaskQueue:                workflows.TaskQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            workflows.AccessSyncSummary(c.Name),
		StaticDetails:            workflows.AccessSyncDetails(c.Name),
	}
}

// startConnect starts ConnectJamf. It returns db.ErrAlreadyExists when one of
// that name is running.
func startConnect(ctx context.Context, t client.Client, c db.Connection) (client.WorkflowRun, error) {
	run, err := t.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.ConnectJamfID(c.Name),
		TaskQueue:                                workflows.TaskQueue,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            workflows.ConnectJamfSummary(c.Name),
		StaticDetails:                            workflows.ConnectJamfDetails(c.Name),
	}, workflows.ConnectJamf, workflows.ConnectJamfInput{
		Connection: workflows.ConnectionOf(c), Every: db.Interval(c.Every),
	})
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil, db.ErrAlreadyExists
	}
	return run, err
}

// running says whether a workflow is running.
func running(ctx context.Context, t client.Client, workflowID string) (bool, error) {
	description, err := t.DescribeWorkflowExecution(ctx, workflowID, "")
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return description.WorkflowExecutionInfo.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}
