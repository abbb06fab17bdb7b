package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

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
	e.examineWorkflow(ctx)
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
		e.warn(checkConnection, "`starter reconnect "+c.Name+"` with new credentials", "disconnected: its credentials are destroyed and its record is kept")
	case db.Connecting:
		e.warn(checkConnection, "`starter status "+c.Name+"` shows how far it is", "it is still connecting")
	default:
		e.ok(checkConnection, "%s", c.State)
	}
}

// examineWorkflow makes sure that the connection's workflow runs, and in time.
func (e *examination) examineWorkflow(ctx context.Context) {
	c := e.connection
	if e.namespace == "" {
		e.skip(checkNamespace, checkWorkflow)
		return
	}
	if c.State == db.Disconnected {
		e.ok(checkWorkflow, "none, since it is disconnected")
		return
	}
	id, revive := workflows.AccessSyncID(c.Name), "`starter resync "+c.Name+"` starts it again"
	if c.State == db.Connecting {
		id, revive = workflows.ConnectJamfID(c.Name), "`starter disconnect "+c.Name+"` frees the name; then connect again"
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	found, err := e.temporal.DescribeWorkflowExecution(ctx, id, "")
	_, gone := errors.AsType[*serviceerror.NotFound](err)
	late := c.Late(time.Now())
	switch {
	case gone || err == nil && found.WorkflowExecutionInfo.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		e.fail(checkWorkflow, notFound, revive, "the workflow %s does not run: somebody ended it", id)
	case err != nil:
		e.failWith(checkWorkflow, fmt.Errorf("ask for the workflow %s: %w", id, err), "look for it in Temporal's UI")
	case late > 0:
		e.warn(checkWorkflow, "see the line "+checkWorkers+"; are there enough of them?", "%s runs, and its next sync is %s late", id, late.Round(time.Second))
	default:
		e.ok(checkWorkflow, "%s runs", id)
	}
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
		e.fail(checkLastSync, s.Error, "look at what is gone in Jamf; if it is right, `starter resync "+o.Name+" --accept-removals`",
			"%s is held: %s", words, s.Reason)
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
