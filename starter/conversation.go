package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
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
// again if somebody ended it, and waits for the result. When the sync that
// answers it belongs to the workflow's next run, it is sent there too: under
// one update id it is one request.
func update(ctx context.Context, t client.Client, c db.Connection, name string, input any) (activities.SyncResult, error) {
	id := uuid.NewString()
	for {
		result, err := updateOnce(ctx, t, c, name, id, input)
		if app, ok := errors.AsType[*temporal.ApplicationError](err); ok &&
			(app.Type() == workflows.ErrorSuperseded || app.Type() == acceptedUpdateLost) {
			continue
		}
		return result, failureAt(c.Source, err)
	}
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
