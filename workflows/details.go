package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/db"
)

// What people read of a workflow in Temporal's UI. It is Markdown, and holds
// nothing about a person.

// ConnectJamfSummary is the static summary of a connection's ConnectJamf.
func ConnectJamfSummary(connection string) string {
	return "connects " + connection + " and hands over to " + AccessSyncID(connection)
}

// ConnectJamfDetails are the static details of a connection's ConnectJamf.
func ConnectJamfDetails(connection string) string {
	return fmt.Sprintf(`Validates the credentials and privileges of %[1]s, reads its directory for the
first time, enables the monitors, and starts %[2]s. When it fails, nothing is
left and the name is free again: %[3]s tells why, and so does its failure.
`, connection, "`"+AccessSyncID(connection)+"`", "`starter connect`")
}

// AccessSyncSummary is the static summary of a connection's AccessSync.
func AccessSyncSummary(connection string) string {
	return "keeps the record of " + connection + " up to date; each run is one sync"
}

// AccessSyncDetails are the static details of a connection's AccessSync.
func AccessSyncDetails(connection string) string {
	return fmt.Sprintf(`Each run waits for its time or for a message, syncs once, and continues as a new
run: the list of runs is the history of syncs of %[1]s.

`, connection) + howToSteer
}

const howToSteer = "Send the signal `" + ResyncMessage + "`, without input, to sync now; `" +
	PauseMessage + "`, `" + ResumeMessage + "` and `" + RescheduleMessage + "` steer the schedule.\n"

// show puts how the connection is on the run's page, and where it is found.
func (s *accessSyncRun) show(ctx workflow.Context) {
	if state := s.shownState(); state != s.in.State {
		s.in.State, s.in.StateSince = state, workflow.Now(ctx)
	}
	workflow.SetCurrentDetails(ctx, s.details())
	if s.in.Searchable {
		indexed{connection: s.in.Connection, state: s.in.State, lastSync: s.in.LastSync}.upsert(ctx)
	}
}

// shownState is the connection's state, as soon as it is known to end.
func (s *accessSyncRun) shownState() db.State {
	if s.disconnect != nil {
		return db.Disconnected
	}
	return s.state(s.in.Outlook)
}

func (s *accessSyncRun) details() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** since %s: %s\n\n", s.in.State, moment(s.in.StateSince), s.doing())
	if s.scheduled() && s.disconnect == nil {
		fmt.Fprintf(&b, "**Next sync:** %s\n\n", moment(s.in.NextSyncAt))
	}
	if s.in.Failures > 0 {
		fmt.Fprintf(&b, "**Failed** (%d in a row): %s\n\n", s.in.Failures, s.in.Reason)
	}
	if todo := s.attention().Remedy(s.in.Connection.Name); todo != "" {
		fmt.Fprintf(&b, "**What to do:** %s\n\n", todo)
	}
	if s.in.LastSync != nil {
		b.WriteString(syncDetails(s.in.LastSync))
	}
	// A run that continues another has no static details.
	b.WriteString("\n" + howToSteer)
	return b.String()
}

// attention is why the connection needs a person, as far as its workflow knows.
func (s *accessSyncRun) attention() db.Attention {
	switch last := s.in.LastSync; {
	case s.disconnect != nil:
		return db.AttentionNone
	case s.in.Rejected:
		return db.AttentionReconnect
	case last != nil && last.Outcome == db.Held:
		return db.AttentionHeld
	case last != nil && last.Outcome == db.Failed:
		return db.AttentionFailed
	case last != nil && worst(last.Monitors) == db.Failing:
		return db.AttentionMonitors
	default:
		return db.AttentionNone
	}
}

func syncDetails(last *activities.SyncResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**Last sync:** number %d (%s), **%s** on %s after %s: %d accounts, %d added, %d changed, %d removed",
		last.Number, last.Trigger, last.Outcome, moment(last.FinishedAt), last.FinishedAt.Sub(last.StartedAt).Round(10*time.Millisecond),
		last.Accounts, last.Added, last.Changed, last.Removed)
	if last.Reason != "" {
		fmt.Fprintf(&b, " (%s)", last.Reason)
	}
	b.WriteString("\n\n")
	for _, m := range last.Monitors {
		fmt.Fprintf(&b, "- `%s`: **%s** (%d passing, %d due, %d failing, %d not evaluable)\n",
			m.Code, m.State, m.Passing, m.Due, m.Failing, m.NotEvaluable)
	}
	return b.String()
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
