package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jamf-access-review/starter/output"
)

func newMonitors(a *app) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "monitors NAME",
		Short: "Show the monitors' outcomes and findings",
		Long: `A finding is passing, due (within its grace period), failing, or not_evaluable
(the data that would tell is missing). A monitor shows its worst.

With --check the exit status is 7 unless every monitor passes.`,
		Example: `  starter monitors acme
  starter monitors acme --check -o json`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error { return a.monitors(cmd.Context(), args[0], check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "exit with status 7 unless every monitor passes")
	return cmd
}

func (a *app) monitors(ctx context.Context, name string, check bool) error {
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	monitors, err := record.Monitors(ctx, c.ID)
	if err != nil {
		return err
	}
	findings, err := record.Findings(ctx, c.ID)
	if err != nil {
		return err
	}
	views := viewMonitors(monitors, findings)
	if a.format == output.JSON {
		err = output.WriteJSON(a.out, views)
	} else {
		err = a.printMonitors(views)
	}
	if err != nil || !check {
		return err
	}
	var not []string
	for _, v := range views {
		if v.State != "passing" {
			not = append(not, v.Code+" is "+v.State)
		}
	}
	if len(views) == 0 {
		not = append(not, "no monitor has run yet")
	}
	if len(not) > 0 {
		return &failure{Code: "monitors_failing", Message: strings.Join(not, "; "), reported: a.format == output.JSON}
	}
	return nil
}

func (a *app) printMonitors(views []monitorView) error {
	if len(views) == 0 {
		a.tell("No monitor has run yet.")
	}
	for i, v := range views {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "%s: %s\n", v.Code, v.State)
		if v.Reason != "" {
			fmt.Fprintf(a.out, "  %s\n", output.Clean(v.Reason))
		}
		n := v.Counts
		fmt.Fprintf(a.out, "  as of sync %d, %s: %d passing, %d due, %d failing, %d not evaluable, %d excepted\n",
			v.Sync, when(&v.EvaluatedAt), n.Passing, n.Due, n.Failing, n.NotEvaluable, n.Excepted)
		if len(v.Findings) == 0 {
			continue
		}
		fmt.Fprintln(a.out)
		if err := output.WriteTable(a.out, []output.Column{output.Col("Username", 18), output.Col("State", 13), output.Col("Since", 20), output.Col("Reason", 24)},
			rows(v.Findings, func(f findingView) []string {
				reason := f.Reason
				if f.Person != "" {
					reason += " (" + f.Person + ")"
				}
				if f.State == "due" {
					reason += "; due " + when(f.DueAt)
				}
				return []string{f.Username, f.State, when(&f.Since), reason}
			})); err != nil {
			return err
		}
	}
	return nil
}
