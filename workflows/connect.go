package workflows

import (
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// ConnectJamfInput is the input of ConnectJamf. The connection and its
// credentials are on record already.
type ConnectJamfInput struct {
	Connection Connection  `json:"connection"`
	Every      db.Interval `json:"every"`
}

// ConnectJamfResult is the result of ConnectJamf.
type ConnectJamfResult struct {
	Report directory.Report      `json:"report"`
	Sync   activities.SyncResult `json:"sync"`
}

// Steps of ConnectJamf, as Status.Doing says them.
const (
	StepValidate = "validating the credentials and privileges"
	StepSync     = "reading the directory for the first time"
	StepMonitors = "enabling the monitors"
	StepHandOff  = "starting the recurring sync"
	StepDone     = "connected"
)

// ConnectSteps are the steps in their order.
func ConnectSteps() []string {
	return []string{StepValidate, StepSync, StepMonitors, StepHandOff, StepDone}
}

// connectJamf validates the credentials, syncs for the first time, enables the
// monitors and hands over to accessSync. It fails with an ApplicationError
// whose type is one of the codes of package directory; nothing is left of the
// connection then, and its name is free again.
func connectJamf(ctx workflow.Context, in ConnectJamfInput) (ConnectJamfResult, error) {
	c := connect{in: in}
	if err := workflow.SetQueryHandlerWithOptions(ctx, StatusQuery, c.status,
		workflow.QueryHandlerOptions{Description: "Which step of connecting is under way."}); err != nil {
		return ConnectJamfResult{}, err
	}
	result, err := c.run(ctx)
	if err == nil {
		return result, nil
	}
	if err := c.discard(ctx); err != nil {
		return ConnectJamfResult{}, err
	}
	if temporal.IsCanceledError(err) {
		return ConnectJamfResult{}, err
	}
	p := problemOf(err)
	return ConnectJamfResult{}, temporal.NewNonRetryableApplicationError(p.reason, p.code, nil)
}

type connect struct {
	in   ConnectJamfInput
	step string
	sync *activities.SyncResult
}

func (c *connect) status() (Status, error) {
	return Status{State: db.Connecting, Doing: c.step, LastSync: c.sync}, nil
}

func (c *connect) enter(ctx workflow.Context, step string) {
	c.step = step
	workflow.SetCurrentDetails(ctx, step)
}

func (c *connect) run(ctx workflow.Context) (result ConnectJamfResult, err error) {
	c.enter(ctx, StepValidate)
	var validated activities.ValidateConnectionResult
	validating := prioritised(withLongActivity(ctx, "get a token; read the version and the privileges"), c.in.Connection, db.TriggerConnect)
	if err := workflow.ExecuteActivity(validating,
		activities.ValidateConnection, activities.ValidateConnectionInput{ConnectionID: c.in.Connection.ID},
	).Get(ctx, &validated); err != nil {
		return result, err
	}

	c.enter(ctx, StepSync)
	next := firstSync(c.in.Connection.Name, time.Duration(c.in.Every), workflow.Now(ctx))
	sync, err := syncOnce{
		connection: c.in.Connection,
		trigger:    db.TriggerConnect,
		becomes: func(problem) db.StateChange {
			return db.StateChange{State: db.Connecting}
		},
	}.run(ctx)
	if err != nil {
		return result, err
	}
	if sync.Outcome != db.Applied {
		return result, temporal.NewNonRetryableApplicationError(sync.Reason, sync.Error, nil)
	}
	c.sync = &sync.SyncResult

	c.enter(ctx, StepMonitors)
	if err := workflow.ExecuteActivity(withLongActivity(ctx, "enable the monitors and evaluate them"),
		activities.EnableMonitors, activities.ConnectionInput{ConnectionID: c.in.Connection.ID},
	).Get(ctx, &sync.Monitors); err != nil {
		return result, err
	}

	c.enter(ctx, StepHandOff)
	if err := c.handOff(ctx, next, sync); err != nil {
		return result, err
	}
	c.enter(ctx, StepDone)
	return ConnectJamfResult{Report: validated.Report, Sync: sync.SyncResult}, nil
}

// handOff starts the recurring sync, which outlives this workflow. From then on
// it is connected, and no longer cancelled: the child would be cancelled with
// it, or left without its record.
func (c *connect) handOff(ctx workflow.Context, next time.Time, sync activities.Recorded) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	options := workflow.ChildWorkflowOptions{
		WorkflowID:        AccessSyncID(c.in.Connection.Name),
		ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     AccessSyncSummary(c.in.Connection.Name),
		StaticDetails:     AccessSyncDetails(c.in.Connection.Name),
	}
	if sync.Searchable {
		found := indexed{connection: c.in.Connection, state: db.Active, lastSync: &sync.SyncResult}
		options.TypedSearchAttributes = temporal.NewSearchAttributes(found.updates(temporal.SearchAttributes{})...)
		indexed{connection: c.in.Connection}.upsert(ctx)
	}
	// The child starts only once this workflow has waited for it.
	if err := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), AccessSync, AccessSyncInput{
		Connection: c.in.Connection, Every: c.in.Every, Outlook: Outlook{NextSyncAt: next}, LastSync: &sync.SyncResult, Searchable: sync.Searchable,
	}).GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		return err
	}
	return workflow.ExecuteActivity(withActivity(ctx, "record that the connection is active"),
		activities.RecordState, activities.RecordStateInput{
			ConnectionID: c.in.Connection.ID,
			// The recurring sync, which runs by now, may have recorded another since.
			Becomes: db.StateChange{State: db.Active, NextSyncAt: &next, OnlyFrom: db.Connecting},
		}).Get(ctx, nil)
}

// discard removes what was recorded of the connection, also when connecting
// was cancelled.
func (c *connect) discard(ctx workflow.Context) error {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	return workflow.ExecuteActivity(withLongActivity(ctx, "forget the connection: it could not be made"),
		activities.DiscardConnection, activities.ConnectionInput{ConnectionID: c.in.Connection.ID},
	).Get(ctx, nil)
}
