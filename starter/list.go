package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func newList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the connections, those that need a person first",
		Example: `  starter list`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.list(cmd.Context()) },
	}
}

func (a *app) list(ctx context.Context) error {
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	connections, err := record.Connections(ctx)
	if err != nil {
		return err
	}
	views := []statusView{}
	for _, c := range connections {
		v, err := viewStatus(ctx, record, c)
		if err != nil {
			return err
		}
		views = append(views, v)
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, views)
	}
	if len(views) == 0 {
		a.tell("No connections yet. `starter connect NAME` makes one.")
		return nil
	}
	return output.WriteTable(a.out, []output.Column{output.Col("Connection", 20), output.Col("State", 15), output.Col("Last sync", 22), output.Col("Next sync", 20)},
		rows(views, func(v statusView) []string {
			last := "none"
			if v.LastSync != nil {
				last = ago(*v.LastSync.FinishedAt) + ", " + v.LastSync.Outcome
			}
			return []string{v.Connection, v.State, last, when(v.NextSyncAt)}
		}))
}

// viewStatus gathers what is to be known of a connection.
func viewStatus(ctx context.Context, record *db.DB, c db.Connection) (statusView, error) {
	v := statusView{
		Connection: c.Name, Organization: c.Organization, State: string(c.State), Reason: c.Reason,
		Scope: string(c.Scope), Every: short(c.Every), Source: c.Source, SourceVersion: c.Report.Version, URL: c.BaseURL,
		Limitations: list(c.Report.Limitations), SingleSignOn: c.Report.SingleSignOn,
	}
	if c.NextSyncAt != nil {
		next := seconds(*c.NextSyncAt)
		v.NextSyncAt = &next
		if late := time.Since(next); late > overdue && v.Reason == "" {
			v.Reason = "its next sync is " + round(late) + " late: no worker runs, or somebody ended its workflow; `starter resync " + c.Name + "` starts it again"
		}
	}
	syncs, err := record.Syncs(ctx, c.ID, 1)
	if err != nil {
		return v, err
	}
	if len(syncs) > 0 {
		last := viewSync(syncs[0])
		v.LastSync = &last
	}
	monitors, err := record.Monitors(ctx, c.ID)
	v.Monitors = statesOf(monitors)
	return v, err
}

// overdue is how late a sync may be before that is worth a word.
const overdue = 5 * time.Minute
