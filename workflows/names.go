// Package workflows is what happens in which order, for as long as it takes:
// connecting a source, keeping a connection's record up to date, and telling
// whoever wants to be told. Its code is deterministic and does no I/O; that is
// what activities are for.
package workflows

import (
	"strings"
	"time"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// TaskQueue is where workers look for work.
const TaskQueue = "jamf-access"

// Registered names of the workflows. They never change: running workflows
// refer to them.
const (
	ConnectJamf = "ConnectJamf"
	AccessSync  = "AccessSync"
	Notify      = "Notify"
)

// ConnectJamfID is the id of the workflow that connects a connection.
func ConnectJamfID(connection string) string { return "connect-jamf/" + connection }

// AccessSyncID is the id of the workflow that keeps a connection in sync.
func AccessSyncID(connection string) string { return "access-sync/" + connection }

// NotifyID is the id of the workflow that delivers the notices of a route.
func NotifyID(r db.Route) string {
	if r.Connection == "" {
		return notifyPrefix + r.Subscription
	}
	return notifyPrefix + r.Subscription + "/" + r.Connection
}

const notifyPrefix = "notify/"

// NoticeMessage tells Notify that there may be more to deliver: a signal.
const NoticeMessage = "notice"

// ConnectionName is the name of the connection that a workflow is about; "" for
// one that is about none.
func ConnectionName(workflowID string) string {
	for _, prefix := range []string{ConnectJamfID(""), AccessSyncID("")} {
		if name, ok := strings.CutPrefix(workflowID, prefix); ok {
			return name
		}
	}
	route, ok := strings.CutPrefix(workflowID, notifyPrefix)
	if !ok {
		return ""
	}
	_, name, _ := strings.Cut(route, "/")
	return name
}

// Messages to AccessSync. Those that are signals may be sent from Temporal's
// UI, with or without input.
const (
	// ResyncMessage asks for a sync now: a signal, with ResyncRequest, and an
	// update that returns the sync's result.
	ResyncMessage = "resync"
	// ReconnectMessage tries offered credentials and goes on with them: a
	// signal, with ReconnectRequest, and an update that returns the result of
	// the sync that follows.
	ReconnectMessage = "reconnect"
	// PauseMessage stops the schedule: a signal.
	PauseMessage = "pause"
	// ResumeMessage starts the schedule again: a signal.
	ResumeMessage = "resume"
	// RescheduleMessage changes the interval: a signal, with RescheduleRequest.
	RescheduleMessage = "reschedule"
	// DisconnectMessage ends the connection: a signal, with DisconnectRequest.
	DisconnectMessage = "disconnect"
	// StatusQuery returns a Status, from ConnectJamf too.
	StatusQuery = "status"
)

// ResyncRequest is the input of ResyncMessage; empty is fine.
type ResyncRequest struct {
	// AcceptRemovals applies a snapshot that would otherwise be held.
	AcceptRemovals bool `json:"accept_removals,omitempty"`
}

// ReconnectRequest is the input of ReconnectMessage. Empty, the credentials
// that the connection has are tried again.
type ReconnectRequest struct {
	// Offer is the id of offered credentials in the record.
	Offer int64 `json:"offer,omitempty"`
}

// RescheduleRequest is the input of RescheduleMessage.
type RescheduleRequest struct {
	// Every is the new interval, as in "6h" or "90m".
	Every string `json:"every"`
}

// Sent is the input of PauseMessage and of ResumeMessage: when it was sent, by the
// clock of who did. Empty is fine. Of those that come at once the last one sent
// counts.
type Sent struct {
	At time.Time `json:"at,omitzero"`
}

// DisconnectRequest is the input of DisconnectMessage; empty is fine.
type DisconnectRequest struct {
	// Erase removes the record too.
	Erase bool `json:"erase,omitempty"`
}

// ErrorSuperseded is the type of the error with which a resync or reconnect
// update ends when the sync that answers it belongs to the workflow's next
// run. The caller is to send it again under the same update id, and gets that
// sync's result.
const ErrorSuperseded = "superseded"

// MinInterval is the shortest time between scheduled syncs.
const MinInterval = 10 * time.Second

// Connection names a connection in workflow inputs.
type Connection struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	Organization string `json:"organization,omitempty"`
	Source       string `json:"source,omitempty"`
	// MendedElsewhere says that rejected credentials are mended at the source
	// rather than by a reconnect here, so that it is worth looking again.
	MendedElsewhere bool `json:"mended_elsewhere,omitempty"`
}

// ConnectionOf names a connection of the record.
func ConnectionOf(c db.Connection) Connection {
	return Connection{
		ID: c.ID, Name: c.Name, Organization: c.Organization, Source: c.Source, MendedElsewhere: c.Source == directory.Truto,
	}
}

// Status is the answer to StatusQuery.
type Status struct {
	State db.State `json:"state"`
	// Doing says in words what is happening now.
	Doing      string                 `json:"doing"`
	Reason     string                 `json:"reason,omitempty"`
	NextSyncAt *time.Time             `json:"next_sync_at,omitempty"`
	LastSync   *activities.SyncResult `json:"last_sync,omitempty"`
}

// Register registers every workflow under its name.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(connectJamf, workflow.RegisterOptions{Name: ConnectJamf})
	r.RegisterWorkflowWithOptions(accessSync, workflow.RegisterOptions{Name: AccessSync})
	r.RegisterWorkflowWithOptions(notify, workflow.RegisterOptions{Name: Notify})
}
