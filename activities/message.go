package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"jamf-access-review/db"
)

// findingsTold is how many findings a message tells at most.
const findingsTold = 50

// message is the body that a receiver gets. Its keys are part of what receivers
// rely on: more may be added, none is renamed.
type message struct {
	ID           string        `json:"id"`
	Kind         db.NoticeKind `json:"kind"`
	At           time.Time     `json:"at"`
	Organization string        `json:"organization"`
	Connection   string        `json:"connection,omitempty"`
	// Text is the same in words, as Slack shows it.
	Text string `json:"text"`
	db.NoticeDetails
	Findings *findings `json:"findings,omitempty"`
}

// findings are those of the monitor at the time of the attempt.
type findings struct {
	AsOf  time.Time `json:"as_of"`
	Total int       `json:"total"`
	Worst []finding `json:"worst"`
}

type finding struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Username string          `json:"username"`
	Email    string          `json:"email"`
	Person   string          `json:"person"`
	State    db.MonitorState `json:"state"`
	Reason   string          `json:"reason"`
	Since    time.Time       `json:"since"`
	DueAt    *time.Time      `json:"due_at"`
}

func (a *Activities) message(ctx context.Context, n db.Notice) ([]byte, error) {
	m := message{
		ID: n.ID, Kind: n.Kind, At: n.At.UTC(), Organization: n.Organization, Connection: n.Connection,
		Text: forSlack.Replace(words(n)), NoticeDetails: n.Details,
	}
	if n.WithFindings && n.Kind == db.NoticeMonitor {
		found, total, err := a.Record.WorstFindings(ctx, n.ConnectionID, n.Details.Monitor, findingsTold)
		if err != nil {
			return nil, err
		}
		m.Findings = &findings{AsOf: time.Now().UTC().Truncate(time.Second), Total: total, Worst: []finding{}}
		for _, f := range found {
			m.Findings.Worst = append(m.Findings.Worst, finding{
				ID: f.ID, Kind: f.Kind, Username: f.Username, Email: f.Email, Person: f.Person,
				State: f.State, Reason: f.Reason, Since: f.Since.UTC(), DueAt: f.DueAt,
			})
		}
	}
	return json.Marshal(m)
}

// forSlack keeps what a source wrote from being taken for a link or a mention.
var forSlack = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// words says what happened, to what, and what to do.
func words(n db.Notice) string {
	d := n.Details
	switch n.Kind {
	case db.NoticeHeld:
		return fmt.Sprintf("Sync %d of %s is held: %s. %s", d.Sync, n.Connection, d.Reason, db.AttentionHeld.Remedy(n.Connection))
	case db.NoticeMonitor:
		return monitorWords(n)
	case db.NoticeState:
		return stateWords(n)
	default:
		return fmt.Sprintf("This is a test of the subscription %s. What happens to the connections of organization %s is told here.",
			n.Subscription, n.Organization)
	}
}

func monitorWords(n db.Notice) string {
	d := n.Details
	was := ""
	if d.Was != "" {
		was = " (was " + d.Was + ")"
	}
	text := fmt.Sprintf("%s of %s is %s%s: %d passing, %d due, %d failing, %d not evaluable.",
		d.Monitor, n.Connection, d.State, was, d.Counts.Passing, d.Counts.Due, d.Counts.Failing, d.Counts.NotEvaluable)
	if d.State == string(db.Passing) {
		return text
	}
	return text + " `starter monitors " + n.Connection + "` says whose."
}

func stateWords(n db.Notice) string {
	name, d := n.Connection, n.Details
	if d.State == d.Was && d.Reason == "" {
		return "Syncs of " + name + " go well again."
	}
	if d.State == d.Was {
		return fmt.Sprintf("Syncs of %s fail: %s. `starter status %s` says when it is tried again.", name, d.Reason, name)
	}
	switch db.State(d.State) {
	case db.NeedsReconnect:
		return fmt.Sprintf("%s does not sync any more: %s. A person has to act: `starter reconnect %s`", name, d.Reason, name)
	case db.Paused:
		return fmt.Sprintf("%s is paused%s. It syncs only when asked to; `starter resume %s` starts its schedule again.", name, because(d.Reason), name)
	case db.Disconnected:
		return name + " is disconnected: its credentials are destroyed, and its record is kept."
	default:
		return fmt.Sprintf("%s is %s%s, and syncs by itself.", name, d.State, because(d.Reason))
	}
}

// because is a reason in a sentence that does not need one.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}
