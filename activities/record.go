package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"jamf-access-review/db"
)

// SyncResult is what became of a sync, in numbers and words.
type SyncResult struct {
	Number     int          `json:"number"`
	Trigger    db.Trigger   `json:"trigger"`
	Outcome    db.Outcome   `json:"outcome"`
	Error      string       `json:"error,omitempty"`
	Reason     string       `json:"reason,omitempty"`
	StartedAt  time.Time    `json:"started_at"`
	FinishedAt time.Time    `json:"finished_at"`
	Accounts   int          `json:"accounts"`
	Added      int          `json:"added"`
	Changed    int          `json:"changed"`
	Removed    int          `json:"removed"`
	Monitors   []MonitorSum `json:"monitors,omitempty"`
}

// Recorded is what became of a sync, with what its workflow needs to know of
// the worker that recorded it.
type Recorded struct {
	SyncResult
	// Searchable says that the workflow may use its search attributes: one that
	// Temporal does not know stops the run.
	Searchable bool `json:"searchable,omitempty"`
	// Again says that the sync had ended before: its connection is in the state that
	// was asked for then.
	Again bool `json:"again,omitempty"`
}

// MonitorSum is the outcome of a monitor without its findings.
type MonitorSum struct {
	Code         string          `json:"code"`
	State        db.MonitorState `json:"state"`
	Passing      int             `json:"passing"`
	Due          int             `json:"due"`
	Failing      int             `json:"failing"`
	NotEvaluable int             `json:"not_evaluable"`
}

// RecordOutcomesInput says how to record a snapshot that was fetched.
type RecordOutcomesInput struct {
	ConnectionID   int64 `json:"connection_id"`
	AcceptRemovals bool  `json:"accept_removals,omitempty"`
	// Becomes is the connection's state from then on.
	Becomes db.StateChange `json:"becomes"`
}

// RecordOutcomes applies the snapshot that FetchUsers staged for the calling
// workflow run and evaluates the monitors, in one transaction.
func (a *Activities) RecordOutcomes(ctx context.Context, in RecordOutcomesInput) (Recorded, error) {
	return withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) (Recorded, error) {
		sync, err := a.Record.ApplySnapshot(ctx, in.ConnectionID, runKey(ctx), db.ApplyOptions{
			AcceptRemovals: in.AcceptRemovals, Becomes: in.Becomes,
		})
		if err != nil {
			return Recorded{}, err
		}
		a.ended(ctx, sync)
		if err := a.startDeliveries(ctx, in.ConnectionID); err != nil {
			return Recorded{}, err
		}
		return a.recorded(ctx, in.ConnectionID, sync)
	})
}

// RecordFailureInput says why a sync was not completed.
type RecordFailureInput struct {
	ConnectionID int64          `json:"connection_id"`
	Trigger      db.Trigger     `json:"trigger"`
	Code         string         `json:"code,omitempty"`
	Reason       string         `json:"reason,omitempty"`
	Becomes      db.StateChange `json:"becomes"`
}

// RecordFailure records that the sync of the calling workflow run was not
// completed.
func (a *Activities) RecordFailure(ctx context.Context, in RecordFailureInput) (Recorded, error) {
	return withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) (Recorded, error) {
		sync, err := a.Record.FailSync(ctx, in.ConnectionID, runKey(ctx), in.Trigger, in.Code, in.Reason, in.Becomes)
		if err != nil {
			return Recorded{}, err
		}
		a.ended(ctx, sync)
		if err := a.startDeliveries(ctx, in.ConnectionID); err != nil {
			return Recorded{}, err
		}
		return a.recorded(ctx, in.ConnectionID, sync)
	})
}

// RecordStateInput is a connection's new state.
type RecordStateInput struct {
	ConnectionID int64          `json:"connection_id"`
	Becomes      db.StateChange `json:"becomes"`
}

// RecordState records a state that a connection is put in outside a sync.
func (a *Activities) RecordState(ctx context.Context, in RecordStateInput) error {
	_, err := withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) (struct{}, error) {
		if err := a.Record.ChangeState(ctx, in.ConnectionID, in.Becomes); err != nil {
			return struct{}{}, err
		}
		activity.GetLogger(ctx).Info("The connection's state is recorded", "state", in.Becomes.State, "reason", in.Becomes.Reason)
		return struct{}{}, a.startDeliveries(ctx, in.ConnectionID)
	})
	return err
}

// ConnectionInput names a connection.
type ConnectionInput struct {
	ConnectionID int64 `json:"connection_id"`
}

// EnableMonitors enables the monitors and evaluates them on the last applied
// sync.
func (a *Activities) EnableMonitors(ctx context.Context, in ConnectionInput) ([]MonitorSum, error) {
	return withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) ([]MonitorSum, error) {
		if err := a.Record.EnableMonitors(ctx, in.ConnectionID); err != nil {
			return nil, err
		}
		activity.GetLogger(ctx).Info("The monitors are enabled")
		if err := a.startDeliveries(ctx, in.ConnectionID); err != nil {
			return nil, err
		}
		return a.monitors(ctx, in.ConnectionID)
	})
}

// DisconnectInput says how to disconnect a connection.
type DisconnectInput struct {
	ConnectionID int64 `json:"connection_id"`
	// Erase removes the record too.
	Erase bool `json:"erase,omitempty"`
}

// Disconnect destroys a connection's credentials, and its record if asked to.
func (a *Activities) Disconnect(ctx context.Context, in DisconnectInput) error {
	disconnect := a.Record.Disconnect
	if in.Erase {
		disconnect = a.Record.Erase
	}
	_, err := withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) (struct{}, error) {
		if err := disconnect(ctx, in.ConnectionID); err != nil {
			return struct{}{}, err
		}
		activity.GetLogger(ctx).Info("The connection is disconnected", "erased", in.Erase)
		return struct{}{}, a.startDeliveries(ctx, in.ConnectionID)
	})
	return err
}

// DiscardConnection removes a connection that could not be connected, so that
// its name is free again.
func (a *Activities) DiscardConnection(ctx context.Context, in ConnectionInput) error {
	_, err := withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) (struct{}, error) {
		if err := a.Record.EraseConnecting(ctx, in.ConnectionID); err != nil {
			return struct{}{}, err
		}
		activity.GetLogger(ctx).Info("The connection was not connected, and its name is free again")
		return struct{}{}, nil
	})
	return err
}

// ended says that a sync has ended to whoever operates the worker.
func (a *Activities) ended(ctx context.Context, s db.EndedSync) {
	if s.Again {
		return
	}
	activity.GetLogger(ctx).Info("The sync has ended", "sync", s.Number, "source", s.Source, "trigger", s.Trigger,
		"outcome", s.Outcome, "error", s.Error, "reason", s.Reason, "took", s.FinishedAt.Sub(s.StartedAt).String(),
		"accounts", s.Accounts, "added", s.Added, "changed", s.Changed, "removed", s.Removed, "requests", s.Requests)
	if a.SyncEnded != nil {
		a.SyncEnded(s)
	}
}

func (a *Activities) recorded(ctx context.Context, connectionID int64, s db.EndedSync) (Recorded, error) {
	r := Recorded{Searchable: a.Searchable, Again: s.Again, SyncResult: SyncResult{
		Number: s.Number, Trigger: s.Trigger, Outcome: s.Outcome, Error: s.Error, Reason: s.Reason,
		StartedAt: s.StartedAt.UTC(), FinishedAt: s.FinishedAt.UTC(),
		Accounts: s.Accounts, Added: s.Added, Changed: s.Changed, Removed: s.Removed,
	}}
	var err error
	r.Monitors, err = a.monitors(ctx, connectionID)
	return r, err
}

func (a *Activities) monitors(ctx context.Context, connectionID int64) ([]MonitorSum, error) {
	monitors, err := a.Record.Monitors(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	var sums []MonitorSum
	for _, m := range monitors {
		sums = append(sums, MonitorSum{
			Code: m.Code, State: m.State,
			Passing: m.Passing, Due: m.Due, Failing: m.Failing, NotEvaluable: m.NotEvaluable,
		})
	}
	return sums, nil
}

// runKey identifies the sync of a workflow run: one run is one sync.
func runKey(ctx context.Context) string { return activity.GetInfo(ctx).WorkflowExecution.RunID }
