package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"jamf-access-review/db"
)

// show puts the connection's state on the run's page in Temporal's UI, in
// Markdown.
func (s *accessSyncRun) show(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, s.details())
}

func (s *accessSyncRun) details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %s\n\n", s.state(s.in.Outlook), s.doing())
	if s.in.Reason != "" {
		fmt.Fprintf(&b, "The last sync failed: %s\n\n", s.in.Reason)
	}
	if s.in.Rejected {
		fmt.Fprintf(&b, "What to do: `starter reconnect %s`\n\n", s.in.Connection.Name)
	}
	if s.scheduled() {
		fmt.Fprintf(&b, "Next sync: %s\n\n", s.in.NextSyncAt.UTC().Format(time.RFC3339))
	}
	if last := s.in.LastSync; last != nil {
		fmt.Fprintf(&b, "Last sync: number %d, %s: %d accounts, %d added, %d changed, %d removed",
			last.Number, last.Outcome, last.Accounts, last.Added, last.Changed, last.Removed)
		if last.Reason != "" {
			fmt.Fprintf(&b, " (%s)", last.Reason)
		}
		b.WriteString("\n\n")
		if last.Outcome == db.Held {
			fmt.Fprintf(&b, "What to do: look at what is gone; if it is right, `starter resync %s --accept-removals`\n\n", s.in.Connection.Name)
		}
		for _, m := range last.Monitors {
			fmt.Fprintf(&b, "- `%s`: **%s** (%d passing, %d due, %d failing, %d not evaluable)\n",
				m.Code, m.State, m.Passing, m.Due, m.Failing, m.NotEvaluable)
		}
	}
	return b.String()
}
