package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func newList(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the connections, those that need a person first",
		Long: `List shows first what needs a person: rejected credentials, then workflows that
were cancelled, snapshots that are held, syncs that are late, syncs that failed,
and monitors that fail. A workflow that was terminated shows as a late sync;
status and doctor notice it at once.`,
		Example: `  starter list
  starter list --limit 20`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.list(cmd.Context(), limit) },
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "how many to show, 0 for all")
	return cmd
}

func (a *app) list(ctx context.Context, limit int) error {
	if limit < 0 {
		return usagef("--limit is not negative")
	}
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	overviews, err := record.Overviews(ctx)
	if err != nil {
		return err
	}
	all := len(overviews)
	if limit > 0 && limit < all {
		overviews = overviews[:limit]
	}
	if a.format == output.JSON {
		return output.StreamJSON(a.out, rows(overviews, viewStatus))
	}
	if all == 0 {
		a.tell("No connections yet. `starter connect NAME` makes one.")
		return nil
	}
	if err := output.WriteTable(a.out,
		[]output.Column{output.Col("Connection", 14), output.Col("State", 15), output.Col("Synced", 8), output.Col("Monitors", 13), output.Col("What to do", 22)},
		rows(overviews, listed)); err != nil {
		return err
	}
	if more := all - len(overviews); more > 0 {
		a.say("and %d more", more)
	}
	return nil
}

func listed(o db.Overview) []string {
	last := "none"
	if s := o.LastSync; s != nil {
		last = ago(*s.FinishedAt) + ", " + string(s.Outcome)
	}
	worst := string(db.WorstState(o.Monitors, func(m db.Monitor) db.MonitorState { return m.State }))
	return []string{o.Name, string(o.State), last, cmp.Or(worst, "-"), whatToDo(o)}
}

// whatToDo is what a connection needs a person for.
func whatToDo(o db.Overview) string {
	switch o.Attention {
	case db.AttentionReconnect:
		return "starter reconnect " + o.Name
	case db.AttentionCancelled:
		return "cancelled: starter resume " + o.Name
	case db.AttentionHeld:
		return "held: starter status " + o.Name
	case db.AttentionLate:
		return round(o.Late(time.Now())) + " late: starter doctor " + o.Name
	case db.AttentionFailed:
		return o.LastSync.Error + ": starter doctor " + o.Name
	case db.AttentionMonitors:
		return "starter monitors " + o.Name
	}
	if o.LacksRoster() {
		return fmt.Sprintf("starter staff import FILE.csv --org %q", o.Organization)
	}
	return ""
}
