package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/db"
)

// Search attributes by which runs are found. Everyone who sees Temporal's UI
// can read them, and they are not encrypted.
var (
	connectionAttribute   = temporal.NewSearchAttributeKeyKeyword("JamfConnection")
	sourceAttribute       = temporal.NewSearchAttributeKeyKeyword("JamfSource")
	stateAttribute        = temporal.NewSearchAttributeKeyKeyword("JamfConnectionState")
	syncOutcomeAttribute  = temporal.NewSearchAttributeKeyKeyword("JamfSyncOutcome")
	monitorStateAttribute = temporal.NewSearchAttributeKeyKeyword("JamfMonitorState")
)

// SearchAttributes are the names of the search attributes, each a Keyword. A
// namespace has to know them before a workflow may use one.
func SearchAttributes() []string {
	return []string{
		connectionAttribute.GetName(), sourceAttribute.GetName(), stateAttribute.GetName(),
		syncOutcomeAttribute.GetName(), monitorStateAttribute.GetName(),
	}
}

// indexed is what a run is to be found by; what is empty is left out.
type indexed struct {
	connection Connection
	state      db.State
	lastSync   *activities.SyncResult
}

func (i indexed) updates(current temporal.SearchAttributes) []temporal.SearchAttributeUpdate {
	var updates []temporal.SearchAttributeUpdate
	set := func(key temporal.SearchAttributeKeyKeyword, value string) {
		if is, _ := current.GetKeyword(key); value != "" && value != is {
			updates = append(updates, key.ValueSet(value))
		}
	}
	set(connectionAttribute, i.connection.Name)
	set(sourceAttribute, i.connection.Source)
	set(stateAttribute, string(i.state))
	if i.lastSync != nil {
		set(syncOutcomeAttribute, string(i.lastSync.Outcome))
		set(monitorStateAttribute, string(worst(i.lastSync.Monitors)))
	}
	return updates
}

// upsert changes the search attributes that are not as they should be. Those
// of a run are also those of the next.
func (i indexed) upsert(ctx workflow.Context) {
	updates := i.updates(workflow.GetTypedSearchAttributes(ctx))
	if len(updates) == 0 {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, updates...); err != nil {
		workflow.GetLogger(ctx).Warn("The search attributes stay as they were", "connection", i.connection.Name, "error", err)
	}
}

func worst(monitors []activities.MonitorSum) db.MonitorState {
	return db.WorstState(monitors, func(m activities.MonitorSum) db.MonitorState { return m.State })
}
