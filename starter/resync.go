package main

import (
	"context"

	"github.com/spf13/cobra"

	"jamf-access-review/workflows"
)

func newResync(a *app) *cobra.Command {
	var noWait, acceptRemovals bool
	cmd := &cobra.Command{
		Use:   "resync NAME",
		Short: "Sync now",
		Long: `Resync asks for a sync now, waits for it and prints its result. Callers at the
same time share one sync; whoever asks while one is under way gets the next one,
so that what is printed was read after it was asked for. A paused connection
syncs too. The schedule stays as it is.

The exit status is that of the sync: 0 applied, 8 held, and otherwise by what
went wrong.`,
		Example: `  starter resync acme
  starter resync acme --no-wait
  starter resync acme --accept-removals   # after "held"`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.resync(cmd.Context(), args[0], noWait, workflows.ResyncRequest{AcceptRemovals: acceptRemovals})
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "ask, and do not wait for the result")
	cmd.Flags().BoolVar(&acceptRemovals, "accept-removals", false, "apply a snapshot that would be held for what it removes, deactivates or replaces; where one is held, as much as that one")
	return cmd
}

func (a *app) resync(ctx context.Context, name string, noWait bool, request workflows.ResyncRequest) error {
	_, c, err := a.liveConnection(ctx, name)
	if err != nil {
		return err
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	if noWait {
		if err := send(ctx, t, c, workflows.ResyncMessage, request); err != nil {
			return err
		}
		return a.done(name, c.State, "asked for a sync; `starter status "+name+"` shows its result")
	}
	following := a.follow(ctx, t, workflows.AccessSyncID(name))
	result, err := update(ctx, t, c, workflows.ResyncMessage, request)
	following.stop()
	if ctx.Err() != nil {
		return stoppedWatching(name, "a sync that has begun")
	}
	if err != nil {
		return err
	}
	return a.showSynced(ctx, name, result.Number)
}
