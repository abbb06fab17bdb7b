package workflows

// Ids of changes to the code, by which runs that began before one go on as they
// did (workflow.GetVersion). An id may go, with what it guards, once no run is
// older than it: most last for an interval, and one of a paused connection for as
// long as that is paused.
const (
	spreadAfterAnOutage   = "spread after an outage"    // 2026-11-23
	goOnAfterManyMessages = "go on after many messages" // 2026-11-26
	answerAgain           = "answer again"              // 2026-11-26
	boundStagingLosses    = "bound staging losses"      // 2026-11-26
	recordLocally         = "record locally"            // 2026-11-27
	hearToTheEnd          = "hear to the end"           // 2026-11-27
)
