package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// AccessSyncInput is the input of AccessSync: everything that one run hands to
// the next.
type AccessSyncInput struct {
	Connection Connection  `json:"connection"`
	Every      db.Interval `json:"every"`
	Paused     bool        `json:"paused,omitempty"`
	Outlook
	// Begin is a sync that was asked for and is to begin at once.
	Begin *request `json:"begin,omitempty"`
	// LastSync is the last sync that ended, and Answered the updates that it
	// answered.
	LastSync *activities.SyncResult `json:"last_sync,omitempty"`
	Answered []string               `json:"answered,omitempty"`
	// State is the connection's state, and StateSince when it came into it.
	State      db.State  `json:"state,omitempty"`
	StateSince time.Time `json:"state_since,omitzero"`
	// Searchable says that Temporal knows the search attributes.
	Searchable bool `json:"searchable,omitempty"`
	// Disconnected says that the connection has no credentials: it was
	// disconnected, and ends again unless a reconnect succeeds.
	Disconnected bool `json:"disconnected,omitempty"`
	// Unrecorded says that the record has another state than this.
	Unrecorded bool `json:"unrecorded,omitempty"`
}

// Outlook is what the last sync's end means for the next one.
type Outlook struct {
	// NextSyncAt is when to sync if nobody asks for it before, and Beat when it
	// would be by the interval alone, where that is another time.
	NextSyncAt time.Time `json:"next_sync_at"`
	Beat       time.Time `json:"beat,omitzero"`
	// Rejected says that the credentials were rejected; then only a reconnect
	// or a resync leads to a sync.
	Rejected bool `json:"rejected,omitempty"`
	// Failures counts the syncs that failed since the last that did not, and
	// Reason says why the last one did.
	Failures int    `json:"failures,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// Revived is the input with which AccessSync goes on for a connection whose
// workflow is not running: somebody ended it, or disconnected the connection. One
// whose workflow was cancelled is not paused by that any longer.
func Revived(c db.Connection, now time.Time) AccessSyncInput {
	in := AccessSyncInput{
		Connection:   ConnectionOf(c),
		Every:        db.Interval(c.Every),
		Paused:       c.Paused || c.State == db.Paused && !c.Cancelled,
		Disconnected: c.State == db.Disconnected,
		Unrecorded:   c.Cancelled,
		Outlook:      Outlook{NextSyncAt: firstSync(c.Name, c.Every, now), Rejected: c.State == db.NeedsReconnect, Reason: c.Reason},
	}
	if c.NextSyncAt != nil {
		in.NextSyncAt = *c.NextSyncAt
	}
	if c.Cancelled {
		in.Reason = "" // it is over
	}
	return in
}

// request is a sync that was asked for, by any number of callers.
type request struct {
	Trigger        db.Trigger `json:"trigger"`
	AcceptRemovals bool       `json:"accept_removals,omitempty"`
	// Updates are the ids of the updates that wait for its result.
	Updates []string `json:"updates,omitempty"`
}

// accessSync keeps a connection's record up to date. One run is one sync: it
// waits for its time or for a message, syncs, and continues as new. It does
// not end because a sync failed; it ends when the connection does.
func accessSync(ctx workflow.Context, in AccessSyncInput) error {
	s := &accessSyncRun{in: in, current: in.Begin, unrecorded: in.Unrecorded}
	s.in.Unrecorded = false
	if err := s.setup(ctx); err != nil {
		return err
	}
	return s.run(ctx)
}

type accessSyncRun struct {
	in AccessSyncInput

	// current is the sync to run, or running, in this run; next the one that
	// was asked for while it was running.
	current *request
	next    *request
	running bool
	closing bool // what is asked for from now on is for the next run

	// unrecorded says that the connection's state changed and the record does
	// not know.
	unrecorded   bool
	disconnect   *DisconnectRequest
	reconnecting int  // reconnects under way
	accepted     bool // one has brought credentials that are good, since the sync began
	// pausing is when the last pause or resume was taken, and when it was sent.
	pausing           struct{ takenAt, sentAt time.Time }
	staysDisconnected bool // the connection is disconnected, and no reconnect has changed that
}

func (s *accessSyncRun) run(ctx workflow.Context) error {
	err := s.wait(ctx)
	if err == nil && s.toSync(ctx) && s.disconnect == nil {
		err = s.sync(ctx)
	}
	if err == nil {
		err = s.end(ctx)
	}
	if temporal.IsCanceledError(err) {
		if err := s.recordCancelled(ctx); err != nil {
			return err
		}
	}
	return err
}

// wait returns when there is a sync to run, the connection is to end, or the
// run has received so many messages that the next one should go on.
func (s *accessSyncRun) wait(ctx workflow.Context) error {
	for {
		if err := s.recordState(ctx); err != nil {
			return err
		}
		s.show(ctx)
		if s.awaited(ctx) || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return nil
		}
		if err := s.waitForTimeOrMessage(ctx); err != nil {
			return err
		}
	}
}

func (s *accessSyncRun) waitForTimeOrMessage(ctx workflow.Context) error {
	message := func() bool { return s.awaited(ctx) || s.toRecord(ctx) || s.heardMany(ctx) }
	if !s.scheduled() {
		return workflow.Await(ctx, message)
	}
	// Await leaves its timer behind when a message comes first.
	timing, cancel := workflow.WithCancel(ctx)
	defer cancel()
	messaged, err := workflow.AwaitWithOptions(timing, workflow.AwaitOptions{
		Timeout:      s.in.NextSyncAt.Sub(workflow.Now(ctx)),
		TimerOptions: workflow.TimerOptions{Summary: "until the next sync"},
	}, message)
	if err == nil && !messaged && !s.spread(ctx) {
		s.current = &request{Trigger: db.TriggerSchedule}
	}
	return err
}

// awaited says that there is a sync to run, or that the connection is to end or
// stays disconnected.
func (s *accessSyncRun) awaited(ctx workflow.Context) bool {
	return s.toSync(ctx) || s.disconnect != nil || s.staysDisconnected
}

// toSync says that there is a sync to run, and toRecord a state to record.
func (s *accessSyncRun) toSync(ctx workflow.Context) bool {
	return s.current != nil && !s.trying(ctx)
}

func (s *accessSyncRun) toRecord(ctx workflow.Context) bool {
	return s.unrecorded && !s.trying(ctx)
}

// trying says that there is no connection to do anything with until a reconnect has
// brought credentials: whoever looked for it would take it for gone, and destroy those.
func (s *accessSyncRun) trying(ctx workflow.Context) bool {
	return s.in.Disconnected && hearsToTheEnd(ctx)
}

func hearsToTheEnd(ctx workflow.Context) bool {
	return workflow.GetVersion(ctx, hearToTheEnd, workflow.DefaultVersion, 1) >= 1
}

// heardMany says that the run has received so many messages, if only such as
// change nothing, that the next one should go on.
func (s *accessSyncRun) heardMany(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() &&
		workflow.GetVersion(ctx, goOnAfterManyMessages, workflow.DefaultVersion, 1) >= 1
}

// spread puts a sync off, when its time passed while no worker ran, so that
// not all connections sync when one runs again. It reports whether it did.
func (s *accessSyncRun) spread(ctx workflow.Context) bool {
	at := spreadSync(s.in.Connection.Name, s.in.NextSyncAt, time.Duration(s.in.Every), workflow.Now(ctx))
	if !at.After(workflow.Now(ctx)) || workflow.GetVersion(ctx, spreadAfterAnOutage, workflow.DefaultVersion, 1) < 1 {
		return false
	}
	s.in.Beat = s.due()
	s.in.NextSyncAt, s.unrecorded = at, true
	return true
}

// scheduled says whether the connection syncs by itself.
func (s *accessSyncRun) scheduled() bool {
	return !s.in.Paused && !s.in.Disconnected && (!s.in.Rejected || s.in.Connection.MendedElsewhere)
}

// sync runs the current sync to its recorded end, unless the connection ends
// meanwhile.
func (s *accessSyncRun) sync(ctx workflow.Context) error {
	syncing, cancel := workflow.WithCancel(ctx)
	defer cancel()
	changed := s.recordMeanwhile(syncing, cancel)
	s.running, s.accepted = true, false
	s.show(ctx)
	every, outlook := s.in.Every, s.in.Outlook
	result, err := syncOnce{
		connection:     s.in.Connection,
		trigger:        s.current.Trigger,
		acceptRemovals: s.current.AcceptRemovals,
		recordsLocally: true,
		becomes: func(p problem) db.StateChange {
			outlook, s.unrecorded = s.outlook(ctx, p), false
			return s.stateChange(outlook)
		},
	}.run(syncing)
	if problemOf(err).gone() {
		s.disconnect = &DisconnectRequest{}
	}
	if s.disconnect != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if result.Outcome == db.Held {
		outlook.Reason = result.Reason
	}
	s.in.LastSync, s.in.Answered, s.in.Outlook = &result.SyncResult, s.current.Updates, outlook
	s.in.Searchable = result.Searchable
	// What was recorded meanwhile and what the sync recorded may have come in
	// either order.
	s.unrecorded = s.unrecorded || *changed || result.Again
	if s.in.Every != every {
		s.beginBeat(ctx)
	}
	return nil
}

// recordMeanwhile records the states that the connection comes into while a sync
// runs, if any has changed, and cancels the sync when the connection is to end.
func (s *accessSyncRun) recordMeanwhile(ctx workflow.Context, cancel workflow.CancelFunc) (changed *bool) {
	changed = new(bool)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.Await(ctx, func() bool { return s.disconnect != nil || s.unrecorded }) == nil {
			if ctx.Err() != nil && workflow.GetVersion(ctx, recordLocally, workflow.DefaultVersion, 1) >= 1 {
				return // Await looks at its condition first
			}
			if s.disconnect != nil {
				cancel()
				return
			}
			*changed = true
			if err := s.recordState(ctx); err != nil {
				workflow.GetLogger(ctx).Warn("The state is recorded with the sync's end", "error", err)
			}
		}
	})
	return changed
}

// outlook works out what a sync's end means for the next one. Credentials that were
// rejected while others were accepted are not those that the connection has.
func (s *accessSyncRun) outlook(ctx workflow.Context, p problem) Outlook {
	failures, regular := s.in.Failures+1, nextSync(s.due(), time.Duration(s.in.Every), workflow.Now(ctx))
	switch code := directory.Code(p.code).General(); {
	case code == "":
		return Outlook{NextSyncAt: regular}
	case code == directory.CredentialsRejected && !s.accepted:
		return Outlook{Rejected: true, Failures: failures, Reason: p.reason, NextSyncAt: regular}
	default:
		retry := retrySync(s.in.Connection.Name, regular, workflow.Now(ctx), failures)
		return Outlook{Failures: failures, Reason: p.reason, NextSyncAt: retry, Beat: regular}
	}
}

// due is when the connection is to sync by its interval.
func (s *accessSyncRun) due() time.Time {
	if s.in.Beat.IsZero() {
		return s.in.NextSyncAt
	}
	return s.in.Beat
}

// beginBeat begins a new beat, with a new interval.
func (s *accessSyncRun) beginBeat(ctx workflow.Context) {
	s.in.NextSyncAt, s.in.Beat = firstSync(s.in.Connection.Name, time.Duration(s.in.Every), workflow.Now(ctx)), time.Time{}
}

// state is the connection's state.
func (s *accessSyncRun) state(o Outlook) db.State {
	switch {
	case s.in.Disconnected:
		return db.Disconnected
	case o.Rejected:
		return db.NeedsReconnect
	case s.in.Paused:
		return db.Paused
	default:
		return db.Active
	}
}

// stateChange is what the record is to be told.
func (s *accessSyncRun) stateChange(o Outlook) db.StateChange {
	change := db.StateChange{State: s.state(o), Reason: o.Reason, Every: s.in.Every, Paused: s.in.Paused}
	if change.State == db.Active || change.State == db.NeedsReconnect && s.in.Connection.MendedElsewhere {
		change.NextSyncAt = &o.NextSyncAt
	}
	return change
}

func (s *accessSyncRun) recordState(ctx workflow.Context) error {
	if !s.toRecord(ctx) {
		return nil
	}
	s.unrecorded = false // but for what changes meanwhile
	err := workflow.ExecuteActivity(withActivity(ctx, "record the connection's state"),
		activities.RecordState, activities.RecordStateInput{ConnectionID: s.in.Connection.ID, Becomes: s.stateChange(s.in.Outlook)},
	).Get(ctx, nil)
	if problemOf(err).gone() {
		s.disconnect = &DisconnectRequest{}
		return nil
	}
	return err
}

// end answers everybody who waits, and either ends, for a connection that is to
// be or stays disconnected, or goes on in a new run. Nothing may yield between
// the last look at the signals and the continue-as-new: what came in between
// would be lost.
func (s *accessSyncRun) end(ctx workflow.Context) error {
	s.running, s.closing = false, true
	s.show(ctx)
	for {
		if s.disconnect != nil {
			return s.endConnection(ctx)
		}
		if err := workflow.Await(ctx, func() bool {
			return s.disconnect != nil || s.reconnecting == 0 && workflow.AllHandlersFinished(ctx)
		}); err != nil {
			return err
		}
		s.drainSignals(ctx)
		if s.disconnect != nil || s.reconnecting > 0 {
			continue
		}
		if s.in.Disconnected {
			return nil
		}
		if !s.unrecorded {
			break
		}
		if err := s.recordState(ctx); err != nil {
			return err
		}
	}
	next := s.in
	next.Begin = s.next
	return workflow.NewContinueAsNewError(ctx, AccessSync, next)
}

// recordCancelled says so when somebody cancelled the workflow: a connection
// does not stop in silence. One that was disconnected is so again, and one that is to
// be, as of a signal that nobody else hears any more, is disconnected.
func (s *accessSyncRun) recordCancelled(ctx workflow.Context) error {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	hears := hearsToTheEnd(ctx)
	if hears {
		s.hearDisconnect(ctx)
	}
	if s.in.Disconnected && s.disconnect == nil {
		s.disconnect = &DisconnectRequest{}
	}
	if s.in.Disconnected || hears && s.disconnect != nil {
		return s.endConnection(ctx)
	}
	becomes := db.StateChange{State: db.Paused, Reason: "its workflow was cancelled; resume starts it again", Cancelled: true, Paused: s.in.Paused, Every: s.in.Every}
	if s.in.Rejected {
		becomes.State, becomes.Reason = db.NeedsReconnect, "its workflow was cancelled; reconnect starts it again"
	}
	err := workflow.ExecuteActivity(withActivity(ctx, "record that the workflow was cancelled"),
		activities.RecordState, activities.RecordStateInput{ConnectionID: s.in.Connection.ID, Becomes: becomes}).Get(ctx, nil)
	if s.hearDisconnect(ctx); hears && s.disconnect != nil {
		return s.endConnection(ctx)
	}
	return err
}

// endConnection destroys the credentials, and the record if that was asked; also
// those that a reconnect has brought meanwhile, whose caller is told so.
func (s *accessSyncRun) endConnection(ctx workflow.Context) error {
	s.show(ctx)
	for {
		s.accepted = false
		erase := s.disconnect.Erase
		if err := workflow.ExecuteActivity(withLongActivity(ctx, "destroy the credentials"),
			activities.Disconnect, activities.DisconnectInput{ConnectionID: s.in.Connection.ID, Erase: erase},
		).Get(ctx, nil); err != nil {
			return err
		}
		err := workflow.Await(ctx, func() bool { return s.reconnecting == 0 && workflow.AllHandlersFinished(ctx) })
		if s.disconnectSignal().channel(ctx).Len() > 0 && hearsToTheEnd(ctx) {
			s.hearDisconnect(ctx)
		}
		if err != nil || !s.accepted && s.disconnect.Erase == erase {
			return err
		}
	}
}

// ask merges a request into the sync that can still answer it: the current
// one, if it has not begun, or the next.
func (s *accessSyncRun) ask(trigger db.Trigger, acceptRemovals bool, updateID string) {
	target := &s.current
	if s.running || s.closing {
		target = &s.next
	}
	if *target == nil {
		*target = &request{Trigger: trigger}
	}
	(*target).AcceptRemovals = (*target).AcceptRemovals || acceptRemovals
	if updateID != "" {
		(*target).Updates = append((*target).Updates, updateID)
	}
}

// result waits for the sync that answers an update. When that is a sync of the
// next run, the caller is told to come again. One that was answered by the run
// before, and whose answer was lost on the way, gets it again.
func (s *accessSyncRun) result(ctx workflow.Context, updateID string) (activities.SyncResult, error) {
	answered := slices.Contains(s.in.Answered, updateID) && workflow.GetVersion(ctx, answerAgain, workflow.DefaultVersion, 1) >= 1
	if err := workflow.Await(ctx, func() bool { return answered || s.closing || s.disconnect != nil }); err != nil {
		return activities.SyncResult{}, err
	}
	switch {
	case s.disconnect != nil || s.in.Disconnected:
		return activities.SyncResult{}, errDisconnected()
	case slices.Contains(s.in.Answered, updateID):
		return *s.in.LastSync, nil
	default:
		return activities.SyncResult{}, temporal.NewNonRetryableApplicationError(
			"the next sync answers this; it has begun: send the update again with the same id", ErrorSuperseded, nil)
	}
}

func errDisconnected() error {
	return temporal.NewNonRetryableApplicationError("the connection is disconnected", activities.Disconnected, nil)
}

// status is the answer to StatusQuery.
func (s *accessSyncRun) status() (Status, error) {
	status := Status{State: s.state(s.in.Outlook), Reason: s.in.Reason, Doing: s.doing(), LastSync: s.in.LastSync}
	if s.scheduled() {
		status.NextSyncAt = &s.in.NextSyncAt
	}
	return status, nil
}

func (s *accessSyncRun) doing() string {
	switch {
	case s.disconnect != nil:
		return "disconnecting"
	case s.running:
		return fmt.Sprintf("syncing (%s)", s.current.Trigger)
	case s.in.Disconnected:
		return "trying new credentials"
	case s.in.Rejected:
		return "waiting to be reconnected"
	case s.in.Paused:
		return "paused"
	default:
		return "waiting for the next sync"
	}
}
