package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/db"
	"jamf-access-review/workflows"
)

func newDisconnect(a *app) *cobra.Command {
	var erase bool
	cmd := &cobra.Command{
		Use:   "disconnect NAME",
		Short: "End a connection and destroy its credentials",
		Long: `Disconnect destroys the credentials and ends the recurring sync. The record is
kept, and reconnect goes on with it. With --erase the record is removed as well,
and the name is free again; that cannot be undone, and at a terminal the name is
asked for.`,
		Example: `  starter disconnect acme
  starter disconnect acme --erase`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, _, err := a.connection(cmd.Context(), args[0]); err != nil {
				return err
			}
			if erase {
				if err := a.confirmErase(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			return a.disconnect(cmd.Context(), args[0], erase)
		},
	}
	cmd.Flags().BoolVar(&erase, "erase", false, "remove everything recorded of it, too")
	return cmd
}

func (a *app) disconnect(ctx context.Context, name string, erase bool) error {
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	const erased = "disconnected, and its record is erased"
	// Whatever runs for the connection ends first, so that it does not write
	// to a record that is gone.
	if c.State == db.Connecting {
		if c, err = a.cancelConnect(ctx, record, t, c); errors.Is(err, db.ErrNotFound) {
			return a.done(name, db.Disconnected, erased)
		}
		if err != nil {
			return err
		}
	}
	err = t.SignalWorkflow(ctx, workflows.AccessSyncID(name), "", workflows.DisconnectMessage, workflows.DisconnectRequest{Erase: erase})
	if err == nil {
		err = a.awaitEnd(ctx, t, workflows.AccessSyncID(name))
		if ctx.Err() != nil {
			return stoppedWatching(name, "disconnecting")
		}
	}
	_, gone := errors.AsType[*serviceerror.NotFound](err)
	if err != nil && !gone && !temporal.IsCanceledError(err) && !temporal.IsTerminatedError(err) {
		return err
	}
	if erase {
		if err := record.Erase(ctx, c.ID); err != nil {
			return err
		}
		return a.done(name, db.Disconnected, erased)
	}
	if err := record.Disconnect(ctx, c.ID); err != nil {
		return err
	}
	routes, err := record.PendingRoutes(ctx, c.ID)
	if err != nil {
		return err
	}
	a.deliverNotices(ctx, routes)
	return a.done(name, db.Disconnected, "disconnected; its credentials are destroyed and its record is kept")
}

// confirmErase asks a person for the connection's name. A program has no second
// thoughts.
func (a *app) confirmErase(ctx context.Context, name string) error {
	if _, ok := a.terminal(); !ok {
		return nil
	}
	answer, err := a.prompt(ctx, fmt.Sprintf("Everything recorded of %s will be gone, for good. Its name, to erase it: ", name))
	if err == nil && answer != name {
		err = &failure{Code: codeUsage, Message: "not erased: that is not its name", Hint: "nothing was changed"}
	}
	return err
}

// cancelConnect ends the connecting of a connection, of which nothing is left
// then: db.ErrNotFound. If it was connected before that, it is returned as it is
// now.
func (a *app) cancelConnect(ctx context.Context, record *db.DB, t client.Client, c db.Connection) (db.Connection, error) {
	err := t.CancelWorkflow(ctx, workflows.ConnectJamfID(c.Name), "")
	if err == nil {
		// It ends as cancelled, which is an error.
		_ = a.awaitEnd(ctx, t, workflows.ConnectJamfID(c.Name))
		if ctx.Err() != nil {
			return c, stoppedWatching(c.Name, "disconnecting")
		}
	}
	if _, gone := errors.AsType[*serviceerror.NotFound](err); err != nil && !gone {
		return c, err
	}
	if err := record.EraseConnecting(ctx, c.ID); err != nil {
		return c, err
	}
	return record.ConnectionByID(ctx, c.ID)
}

// awaitEnd waits for the end of a workflow, showing what it does until then.
func (a *app) awaitEnd(ctx context.Context, t client.Client, workflowID string) error {
	following := a.follow(ctx, t, workflowID)
	defer following.stop()
	return t.GetWorkflow(ctx, workflowID, "").Get(ctx, nil)
}
