package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/workflows"
)

// Names of the checks of a connection.
const (
	checkConnection = "connection"
	checkWorkflow   = "workflow"
	checkLastSync   = "last_sync"
	checkUsers      = "users"
)

func (e *examination) examineConnection(ctx context.Context) {
	all := append([]string{checkConnection, checkWorkflow, checkLastSync, checkUsers}, sourceChecks...)
	switch {
	case e.record == nil:
		e.skip(checkPostgres, all...)
		return
	case !e.current:
		e.skip(checkMigrations, all...)
		return
	}
	o, err := e.record.Overview(ctx, e.name)
	if err != nil {
		e.failWith(checkConnection, err, "")
		e.skip(checkConnection, all[1:]...)
		return
	}
	e.connection = o.Connection
	e.examineState(o.Connection)
	e.examineWorkflow(ctx, o)
	e.examineLastSync(o)
	e.examineUsers(ctx)
	e.examineSource(ctx)
}

func (e *examination) examineState(c db.Connection) {
	switch c.State {
	case db.NeedsReconnect:
		e.fail(checkConnection, string(directory.CredentialsRejected), e.reconnect(""), "its credentials were rejected: %s", c.Reason)
	case db.Paused:
		e.warn(checkConnection, "`starter resume "+c.Name+"`", "paused: it syncs only when asked to")
	case db.Disconnected:
		remedy := "`starter reconnect " + c.Name + "` with new credentials"
		if c.Source != directory.Truto {
			remedy += ", --client-id among them"
		}
		e.warn(checkConnection, remedy, "disconnected: its credentials are destroyed and its record is kept")
	case db.Connecting:
		e.warn(checkConnection, "`starter status "+c.Name+"` shows how far it is", "it is still connecting")
	default:
		e.ok(checkConnection, "%s", c.State)
	}
}

// examineWorkflow makes sure that the connection's workflow runs, and in time.
func (e *examination) examineWorkflow(ctx context.Context, o db.Overview) {
	c := e.connection
	if e.namespace == "" {
		e.skip(checkNamespace, checkWorkflow)
		return
	}
	if c.State == db.Disconnected {
		e.ok(checkWorkflow, "none, since it is disconnected")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	w, err := FindWorkflow(ctx, e.temporal, o)
	late := c.Late(time.Now())
	switch {
	case err != nil:
		e.failWith(checkWorkflow, fmt.Errorf("ask for the workflow %s: %w", w.ID, err), "look for it in Temporal's UI")
	case w.Revive != "":
		e.fail(checkWorkflow, notFound, w.Revive, "the workflow %s does not run: somebody ended it", w.ID)
	case w.Found == nil:
		e.warn(checkWorkflow, "`starter status "+c.Name+"` shows how far it is", "%s has not begun yet", w.ID)
	case late > 0:
		e.warn(checkWorkflow, "see the line "+checkWorkers+"; are there enough of them?", "%s runs, and its next sync is %s late", w.ID, late.Round(time.Second))
	default:
		e.ok(checkWorkflow, "%s runs", w.ID)
	}
}

// Unbegun is how long a connect may take from its record to its workflow.
const Unbegun = time.Minute

// Workflow is the workflow that keeps a connection going.
type Workflow struct {
	ID string
	// Found is how Temporal describes it; nil where it has not begun yet, or
	// is forgotten.
	Found *workflowservice.DescribeWorkflowExecutionResponse
	// Revive is what to do where somebody ended it, and otherwise "".
	Revive string
}

// FindWorkflow asks Temporal for the workflow of a connection that is not
// disconnected.
func FindWorkflow(ctx context.Context, t client.Client, o db.Overview) (Workflow, error) {
	c := o.Connection
	w, revive := Workflow{ID: workflows.AccessSyncID(c.Name)}, "`starter resync "+c.Name+"` starts it again"
	switch {
	case c.State == db.Connecting:
		w.ID, revive = workflows.ConnectJamfID(c.Name), "`starter disconnect "+c.Name+"` frees the name; then connect again"
	case o.Attention == db.AttentionCancelled:
		revive = "`starter resume " + c.Name + "` starts it again"
	}
	found, err := t.DescribeWorkflowExecution(ctx, w.ID, "")
	_, gone := errors.AsType[*serviceerror.NotFound](err)
	switch {
	case gone && c.State == db.Connecting && time.Since(c.CreatedAt) < Unbegun:
		return w, nil
	case gone, err == nil && found.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		w.Revive = revive
		return w, nil
	}
	w.Found = found
	return w, err
}

func (e *examination) examineLastSync(o db.Overview) {
	s := o.LastSync
	if s == nil {
		e.warn(checkLastSync, "`starter status "+o.Name+"` shows what it does", "no sync has ended yet")
		return
	}
	words := fmt.Sprintf("number %d at %s", s.Number, s.FinishedAt.UTC().Format(time.RFC3339))
	switch s.Outcome {
	case db.Held:
		e.fail(checkLastSync, s.Error, db.AttentionHeld.Remedy(o.Name), "%s is held: %s", words, s.Reason)
	case db.Failed:
		e.fail(checkLastSync, s.Error, "see the lines below; once they are ok, `starter resync "+o.Name+"`", "%s failed: %s", words, s.Reason)
	default:
		e.ok(checkLastSync, "%s, %s", words, s.Outcome)
	}
}

// examineUsers says why there are no users, where there are none.
func (e *examination) examineUsers(ctx context.Context) {
	c := e.connection
	if c.AppliedSync == 0 {
		e.warn(checkUsers, "see the lines around this one for what keeps it from its first sync", "none, since no sync has been applied yet")
		return
	}
	s, err := e.record.SyncByNumber(ctx, c.ID, c.AppliedSync)
	switch {
	case err != nil:
		e.failWith(checkUsers, err, "is the database whole?")
	case s.Accounts == 0:
		e.warn(checkUsers, "connect with `--scope everyone` to read end users too; see the privileges below for what is not read", "%s", s.Reason)
	default:
		e.ok(checkUsers, "%d at sync %d, in the scope %s", s.Accounts, s.Number, c.Scope)
	}
}
