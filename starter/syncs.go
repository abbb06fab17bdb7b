package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func newSyncs(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "syncs NAME",
		Short:   "List the syncs of a connection, newest first",
		Example: `  starter syncs acme --limit 100`,
		Args:    named,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.syncs(cmd.Context(), args[0], limit) },
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many to show")
	return cmd
}

func (a *app) syncs(ctx context.Context, name string, limit int) error {
	if limit < 1 {
		return usagef("--limit is at least 1")
	}
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	syncs, err := record.Syncs(ctx, c.ID, limit)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, views(syncs, viewSync))
	}
	if len(syncs) == 0 {
		a.tell("No sync has begun yet: `starter status %s`.", name)
		return nil
	}
	return output.WriteTable(a.out, []output.Column{output.Col("Nr", 6), output.Col("Trigger", 9), output.Col("Outcome", 8), output.Col("Finished", 20), output.Col("Accts", 7), output.Col("+", 5), output.Col("~", 5), output.Col("-", 5), output.Col("Reason", 24)},
		rows(syncs, func(s db.Sync) []string {
			n := func(n int) string { return fmt.Sprint(n) }
			return []string{n(s.Number), string(s.Trigger), string(s.Outcome), when(s.FinishedAt), n(s.Accounts), n(s.Added), n(s.Changed), n(s.Removed), s.Reason}
		}))
}
