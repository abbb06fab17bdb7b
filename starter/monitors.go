package main

import (
	"context"
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
	views, err := a.monitorViews(ctx, name)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		err = output.WriteJSON(a.out, views)
	} else {
		err = a.printMonitors(views, 0)
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
		return &failure{Code: codeMonitorsFailing, Message: strings.Join(not, "; "), reported: a.format == output.JSON}
	}
	return nil
}

func (a *app) monitorViews(ctx context.Context, name string) ([]monitorView, error) {
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return nil, err
	}
	monitors, err := record.Monitors(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	findings, err := record.Findings(ctx, c.ID)
	return viewMonitors(monitors, findings), err
}

// printMonitors prints monitors with their findings, at most a number of each,
// 0 for all.
func (a *app) printMonitors(views []monitorView, atMost int) error {
	if len(views) == 0 {
		a.tell("No monitor has run yet.")
	}
	for i, v := range views {
		if i > 0 {
			a.tell("")
		}
		a.tell("%s: %s", v.Code, v.State)
		if v.Reason != "" {
			a.tell("  %s", output.Clean(v.Reason))
		}
		n := v.Counts
		a.tell("  %d passing, %d due, %d failing, %d not evaluable", n.Passing, n.Due, n.Failing, n.NotEvaluable)
		a.tell("  of sync %d, read since %s", v.Sync, when(&v.ReadSince))
		judged := "  judged " + when(&v.EvaluatedAt)
		if v.RosterAt != nil {
			judged += ", by the staff roster of " + when(v.RosterAt)
		}
		a.tell("%s", judged)
		findings := v.Findings
		if atMost > 0 && len(findings) > atMost {
			findings = findings[:atMost]
		}
		if err := a.printFindings(findings); err != nil {
			return err
		}
		if more := len(v.Findings) - len(findings); more > 0 {
			a.tell("and %d more", more)
		}
	}
	return nil
}

func (a *app) printFindings(findings []findingView) error {
	if len(findings) == 0 {
		return nil
	}
	a.tell("")
	return output.WriteTable(a.out,
		[]output.Column{output.Col("Username", 18), output.Col("State", 13), output.Col("Since", 20), output.Col("Reason", 23)},
		rows(findings, func(f findingView) []string {
			reason := f.Reason
			if f.Person != "" {
				reason += " (" + f.Person + ")"
			}
			if f.State == "due" {
				reason += "; due " + when(f.DueAt)
			}
			return []string{f.Username, f.State, when(&f.Since), reason}
		}))
}
