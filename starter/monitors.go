package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func newMonitors(a *app) *cobra.Command {
	var check, history bool
	var since string
	cmd := &cobra.Command{
		Use:   "monitors NAME",
		Short: "Show the monitors' outcomes and findings",
		Long: `A finding is passing, due (within its grace period), failing, or not_evaluable
(the data that would tell is missing). A monitor shows its worst.

With --check the exit status is 7 unless every monitor passes. With --history
each outcome is listed as it was found, oldest first, without its findings: a
sync is judged again when a staff roster is imported.`,
		Example: `  starter monitors acme
  starter monitors acme --check -o json
  starter monitors acme --history --since 90d`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case history && check:
				return usagef("--history and --check do not go together")
			case history:
				return a.monitorHistory(cmd.Context(), args[0], since)
			case since != "":
				return usagef("--since goes with --history")
			}
			return a.monitors(cmd.Context(), args[0], check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "exit with status 7 unless every monitor passes")
	cmd.Flags().BoolVar(&history, "history", false, "list every outcome that there was instead")
	cmd.Flags().StringVar(&since, "since", "", "with --history: time (RFC 3339, or UTC), date, or duration back from now")
	return cmd
}

func (a *app) monitorHistory(ctx context.Context, name, since string) error {
	from, err := parseSince(since)
	if err != nil {
		return err
	}
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	outcomes := record.PastOutcomes(ctx, c.ID, from)
	if a.format == output.JSON {
		return output.StreamJSON(a.out, converted(outcomes, viewPastOutcome))
	}
	return a.printTable("No monitor has run.", []output.Column{output.Col("Judged", 20), output.Col("Sync", 5), output.Col("Monitor", 14), output.Col("State", 13), output.Col("Roster of", 12), output.Col("Reason", 12)},
		converted(outcomes, func(o db.PastOutcome) []string {
			return []string{when(&o.EvaluatedAt), fmt.Sprint(o.Sync), o.Code, string(o.State), when(o.RosterAt), o.Reason}
		}))
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
