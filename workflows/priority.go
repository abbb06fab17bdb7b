package workflows

import (
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/db"
)

// Priorities of activities, of Temporal's 1 to 5; the smaller goes first.
const (
	awaitedPriority   = 2 // a person waits for it
	scheduledPriority = 3
)

// maxFairnessKey is how many bytes of a fairness key Temporal takes.
const maxFairnessKey = 64

// prioritised puts an activity that a person waits for ahead of scheduled
// ones, and shares workers fairly among organizations where the server does so
// (matching.enableFairness).
func prioritised(ctx workflow.Context, c Connection, trigger db.Trigger) workflow.Context {
	priority := temporal.Priority{PriorityKey: awaitedPriority, FairnessKey: fairnessKey(c.Organization)}
	if trigger == db.TriggerSchedule {
		priority.PriorityKey = scheduledPriority
	}
	return workflow.WithPriority(ctx, priority)
}

// fairnessKey is as much of an organization's name as Temporal takes: whole
// characters, since it takes no task with half of one.
func fairnessKey(organization string) string {
	return strings.ToValidUTF8(organization[:min(len(organization), maxFairnessKey)], "")
}
