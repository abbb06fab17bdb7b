package db

import (
	"fmt"
	"slices"
	"time"
)

// Attention is why a connection needs a person.
type Attention string

const (
	// AttentionNone is a connection that needs nobody.
	AttentionNone Attention = ""
	// AttentionReconnect: its credentials were rejected.
	AttentionReconnect Attention = "reconnect"
	// AttentionCancelled: it is paused because its workflow was cancelled.
	AttentionCancelled Attention = "cancelled"
	// AttentionHeld: its last sync waits for a person to accept it.
	AttentionHeld Attention = "held"
	// AttentionLate: its next sync should have begun by now, or its first
	// have ended.
	AttentionLate Attention = "late"
	// AttentionFailed: its last sync failed.
	AttentionFailed Attention = "failed"
	// AttentionMonitors: a monitor fails.
	AttentionMonitors Attention = "monitors"
)

// byUrgency is every Attention, the most urgent first. One that is cancelled
// does nothing by itself: to accept what is held, say, would hide that.
var byUrgency = []Attention{AttentionReconnect, AttentionCancelled, AttentionHeld, AttentionLate, AttentionFailed, AttentionMonitors, AttentionNone}

// Remedy is what a person is to do about a connection of that name, "" where it
// needs nobody.
func (a Attention) Remedy(connection string) string {
	words := map[Attention]string{
		AttentionReconnect: "`starter reconnect %s`",
		AttentionCancelled: "`starter resume %s`",
		AttentionHeld:      "`starter changes %[1]s --held` says whom it would take; if that is right: `starter resync %[1]s --accept-removals`",
		AttentionLate:      "`starter doctor %s` says why no sync comes",
		AttentionFailed:    "`starter doctor %s` says what is wrong; it is tried again by itself",
		AttentionMonitors:  "`starter monitors %s` says who does not pass",
	}[a]
	if words == "" {
		return ""
	}
	return fmt.Sprintf(words, connection)
}

// Remedy is what a person is to do, "" where nothing is to be done.
func (o Overview) Remedy() string {
	if o.Attention == AttentionNone && o.LacksRoster() {
		return fmt.Sprintf("`starter staff import FILE.csv --org %q`", o.Organization)
	}
	return o.Attention.Remedy(o.Name)
}

// LacksRoster says that a monitor cannot be evaluated because no staff roster was
// imported. One of a disconnected connection never will be.
func (o Overview) LacksRoster() bool {
	return o.State != Disconnected && slices.ContainsFunc(o.Monitors, Monitor.LacksRoster)
}

func (o Overview) attention(now time.Time) Attention {
	failing := func(m Monitor) bool { return m.State == Failing }
	switch {
	case o.State == Disconnected:
		return AttentionNone
	case o.State == NeedsReconnect:
		return AttentionReconnect
	case o.State == Paused && o.Cancelled:
		return AttentionCancelled
	case o.LastSync != nil && o.LastSync.Outcome == Held:
		return AttentionHeld
	case o.Late(now) > 0:
		return AttentionLate
	case o.LastSync != nil && o.LastSync.Outcome == Failed:
		return AttentionFailed
	case slices.ContainsFunc(o.Monitors, failing):
		return AttentionMonitors
	}
	return AttentionNone
}

// lateAfter is how late a sync may be before that is worth a word.
const lateAfter = 5 * time.Minute

// connectingTime is how long a connection may be connecting. Most are for some
// seconds; to read a million users through Truto, at its rate, takes an hour.
const connectingTime = time.Hour

// Late is how late a connection's next sync is, or the end of its first while
// it is connecting; 0 unless that is worth a word.
func (c Connection) Late(now time.Time) time.Duration {
	due := c.NextSyncAt
	if c.State == Connecting {
		due = new(c.CreatedAt.Add(connectingTime))
	}
	if due == nil || now.Sub(*due) <= lateAfter {
		return 0
	}
	return now.Sub(*due)
}
