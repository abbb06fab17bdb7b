package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/starter/doctor"
	"jamf-access-review/starter/output"
	"jamf-access-review/worker/service"
	"jamf-access-review/workflows"
)

func newStatus(a *app) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status NAME",
		Short: "Show how a connection is and what it does",
		Long: `With --watch it is shown again and again until Ctrl-C: drawn over itself on a
terminal, and elsewhere printed whenever something is different.`,
		Example: `  starter status acme
  starter status acme --watch`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error {
			if watch {
				return a.watchStatus(cmd.Context(), args[0])
			}
			return a.status(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on showing it, until Ctrl-C")
	return cmd
}

func (a *app) status(ctx context.Context, name string) error {
	v, err := a.statusNow(ctx, name)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, v)
	}
	printStatus(a.out, v)
	return nil
}

func (a *app) statusNow(ctx context.Context, name string) (statusView, error) {
	record, err := a.record(ctx)
	if err != nil {
		return statusView{}, err
	}
	o, err := record.Overview(ctx, name)
	if err != nil {
		return statusView{}, err
	}
	v := viewStatus(o)
	if o.State == db.Disconnected {
		return v, nil
	}
	doing, ended := a.doing(ctx, o)
	if ended == "" {
		v.Doing = doing
		return v, nil
	}
	// What ended by itself between the two looks has left word in the record.
	if now, err := record.Connection(ctx, name); err == nil && now.State == o.State {
		v.Reason = joined(o.Reason, ended)
	}
	return v, nil
}

// workerSilent is said instead of what the workflow is doing.
const workerSilent = "not known: no worker answers; starter doctor looks for the cause"

// silenceOf is workerSilent for an error of Temporal's.
func silenceOf(err error) string {
	if service.Refused(err) {
		return "not known: Temporal refuses; starter doctor looks for the cause"
	}
	return "not known: Temporal does not answer"
}

// doing asks the workflow what it is doing; ended says what to do where it does
// not run. Where Temporal or the worker does not answer the record still tells the
// rest.
func (a *app) doing(ctx context.Context, o db.Overview) (doing, ended string) {
	t, err := a.temporal(ctx)
	if err != nil {
		return silenceOf(err), ""
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	w, err := doctor.FindWorkflow(ctx, t, o)
	switch {
	case err != nil:
		return silenceOf(err), ""
	case w.Revive != "":
		return "", "its workflow does not run: somebody ended it; " + w.Revive
	case w.Found == nil:
		return "", "" // it is about to begin
	}
	for _, pending := range w.Found.GetPendingActivities() {
		if trouble := retrying(pending); trouble != "" {
			return trouble, ""
		}
	}
	answer, err := t.QueryWorkflow(ctx, w.ID, "", workflows.StatusQuery)
	if err != nil {
		return workerSilent, ""
	}
	var status workflows.Status
	if err := answer.Get(&status); err != nil {
		return workerSilent, ""
	}
	return status.Doing, ""
}

func printStatus(w io.Writer, v statusView) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-13s %s\n", label, output.Clean(fmt.Sprintf(format, args...)))
	}
	line("Connection", "%s (organization %s)", v.Connection, v.Organization)
	line("State", "%s", v.State)
	if v.remedy != "" {
		line("What to do", "%s", v.remedy)
	}
	if v.Reason != "" {
		line("Reason", "%s", v.Reason)
	}
	if v.Doing != "" {
		line("Now", "%s", v.Doing)
	}
	line("Source", "%s %s at %s", v.Source, v.SourceVersion, v.URL)
	line("Schedule", "every %s, next %s", v.Every, when(v.NextSyncAt))
	line("Scope", "%s", v.Scope)
	if s := v.LastSync; s != nil {
		line("Last sync", "number %d, %s, %s", s.Number, s.Outcome, ago(*s.FinishedAt))
		if s.Outcome == string(db.Applied) {
			line("", "%s, %d added, %d changed, %d removed", counted(s.Accounts, "account"), s.Added, s.Changed, s.Removed)
		}
		for _, reason := range reasons(s.Reason) {
			line("", "%s", reason)
		}
		if v.AppliedSync > 0 && v.AppliedSync != s.Number {
			line("On record", "sync %d", v.AppliedSync)
		}
	}
	for _, m := range v.Monitors {
		line("Monitor", "%s is %s", m.Code, m.State)
		for _, reason := range reasons(m.Reason) {
			line("", "%s", reason)
		}
	}
	if s := v.SingleSignOn; s != nil {
		line("Signing in", "%s", signingIn(*s))
	}
	for _, l := range v.Limitations {
		line("Not read", "%s", l)
	}
}

// signingIn is how people log in, in words.
func signingIn(s directory.SingleSignOn) string {
	switch {
	case !s.Enabled:
		return "without single sign-on"
	case s.BypassAllowed:
		return strings.TrimSpace("single sign-on "+s.Type) + ", or without it"
	default:
		return strings.TrimSpace("single sign-on "+s.Type) + " only"
	}
}
