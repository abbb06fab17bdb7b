package workflows

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// reconnectPatience is how long credentials are tried, which may wait for its turn
// at the server, and for a server that is busy. A run does not end meanwhile, and
// the next sync waits for it.
const reconnectPatience = 15 * time.Minute

// setup makes the run hear its messages. State that was handed over is in
// place before, so that no handler sees a run that is half there.
func (s *accessSyncRun) setup(ctx workflow.Context) error {
	if err := workflow.SetQueryHandlerWithOptions(ctx, StatusQuery, s.status,
		workflow.QueryHandlerOptions{Description: "The connection's state, its last sync and its next."}); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, ResyncMessage, s.onResync, workflow.UpdateHandlerOptions{
		Description: "Sync now and return the result. Callers at the same time share one sync.",
	}); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, ReconnectMessage, s.onReconnect, workflow.UpdateHandlerOptions{
		Description: "Try offered credentials, keep them if they are accepted, sync, and return the result.",
	}); err != nil {
		return err
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.Await(ctx, func() bool { return s.signalled(ctx) }) == nil {
			s.drainSignals(ctx)
		}
	})
	return nil
}

func (s *accessSyncRun) onResync(ctx workflow.Context, r ResyncRequest) (activities.SyncResult, error) {
	id := workflow.GetCurrentUpdateInfo(ctx).ID
	if !s.knows(id) {
		s.ask(db.TriggerResync, r.AcceptRemovals, id)
	}
	return s.result(ctx, id)
}

func (s *accessSyncRun) onReconnect(ctx workflow.Context, r ReconnectRequest) (activities.SyncResult, error) {
	id := workflow.GetCurrentUpdateInfo(ctx).ID
	if !s.knows(id) {
		if err := s.reconnect(ctx, r, id); err != nil {
			return activities.SyncResult{}, err
		}
	}
	return s.result(ctx, id)
}

// knows says whether an update was sent to the run before this one already
// and is answered, or about to be.
func (s *accessSyncRun) knows(updateID string) bool {
	return slices.Contains(s.in.Answered, updateID) || s.current != nil && slices.Contains(s.current.Updates, updateID)
}

// reconnect tries credentials and, when they are accepted, asks for a sync.
func (s *accessSyncRun) reconnect(ctx workflow.Context, r ReconnectRequest, updateID string) error {
	s.reconnecting++
	defer s.reconnected()
	trying := prioritised(withLongActivity(ctx, "try the credentials"), s.in.Connection, db.TriggerReconnect)
	trying = workflow.WithScheduleToCloseTimeout(trying, reconnectPatience)
	if err := workflow.ExecuteActivity(trying,
		activities.ValidateConnection, activities.ValidateConnectionInput{ConnectionID: s.in.Connection.ID, Offer: r.Offer},
	).Get(ctx, nil); err != nil {
		return untried(err)
	}
	s.in.Rejected, s.in.Disconnected, s.accepted = false, false, true
	s.ask(db.TriggerReconnect, false, updateID)
	return nil
}

// untried gives an error its meaning that only says that there was no answer so
// far: one that would have been tried again, had there been time.
func untried(err error) error {
	p, code := problemOf(err), string(directory.Unreachable)
	app, typed := errors.AsType[*temporal.ApplicationError](err)
	switch {
	case p.code == activities.ServerTaken, p.code == string(directory.Busy), temporal.IsTimeoutError(err):
	case !typed || app.NonRetryable():
		return err
	case directory.Code(p.code).General() != directory.Unreachable:
		code = codeUnexpected // it was not the source that did not answer
	}
	return temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("the credentials could not be tried within %s: %s", reconnectPatience, p.reason), code, nil)
}

// reconnected is the end of a reconnect, good or bad. A connection that was
// disconnected, and that none of those under way has connected, stays so.
func (s *accessSyncRun) reconnected() {
	s.reconnecting--
	s.staysDisconnected = s.reconnecting == 0 && s.in.Disconnected
}

// signal is a signal and what it does. Doing it never yields.
type signal interface {
	channel(workflow.Context) workflow.ReceiveChannel
	// receive takes one signal that has come, if one has.
	receive(workflow.Context) bool
}

type signalOf[T any] struct {
	name        string
	description string // for Temporal's UI
	do          func(workflow.Context, T)
}

func (sig signalOf[T]) channel(ctx workflow.Context) workflow.ReceiveChannel {
	return workflow.GetSignalChannelWithOptions(ctx, sig.name, workflow.SignalChannelOptions{Description: sig.description})
}

func (sig signalOf[T]) receive(ctx workflow.Context) bool {
	var input T
	if !sig.channel(ctx).ReceiveAsync(&input) {
		return false
	}
	sig.do(ctx, input)
	return true
}

func (s *accessSyncRun) signals() []signal {
	return []signal{
		signalOf[ResyncRequest]{ResyncMessage, "Sync now. Needs no input; {\"accept_removals\":true} applies a snapshot that is held.", func(_ workflow.Context, r ResyncRequest) {
			s.ask(db.TriggerResync, r.AcceptRemovals, "")
		}},
		signalOf[ReconnectRequest]{ReconnectMessage, "Try the credentials on record again, and sync. New ones are given with: starter reconnect.", func(ctx workflow.Context, r ReconnectRequest) {
			s.reconnecting++ // so that the run does not end before the coroutine has begun
			workflow.Go(ctx, func(ctx workflow.Context) {
				defer s.reconnected()
				if err := s.reconnect(ctx, r, ""); err != nil {
					workflow.GetLogger(ctx).Warn("The credentials were not accepted", "error", problemOf(err).code)
				}
			})
		}},
		signalOf[Sent]{PauseMessage, "Stop the schedule; a resync still runs.", func(ctx workflow.Context, m Sent) { s.pause(ctx, true, m.At) }},
		signalOf[Sent]{ResumeMessage, "Start the schedule again.", func(ctx workflow.Context, m Sent) { s.pause(ctx, false, m.At) }},
		signalOf[RescheduleRequest]{RescheduleMessage, "Change the interval, as in {\"every\":\"6h\"}; at least 10s.", func(ctx workflow.Context, r RescheduleRequest) { s.reschedule(ctx, r) }},
		s.disconnectSignal(),
	}
}

// disconnectSignal ends the connection. Of several that come, one that erases counts.
func (s *accessSyncRun) disconnectSignal() signal {
	return signalOf[DisconnectRequest]{DisconnectMessage, "Destroy the credentials, keep the record, and end. {\"erase\":true} removes the record too.", func(_ workflow.Context, r DisconnectRequest) {
		s.disconnect = &DisconnectRequest{Erase: r.Erase || s.disconnect != nil && s.disconnect.Erase}
	}}
}

// hearDisconnect takes signals to disconnect, and no others.
func (s *accessSyncRun) hearDisconnect(ctx workflow.Context) {
	for s.disconnectSignal().receive(ctx) {
	}
}

// pause stops the schedule or starts it. Signals that come at once are taken by
// kind, and not in the order in which they were sent.
func (s *accessSyncRun) pause(ctx workflow.Context, paused bool, sentAt time.Time) {
	if now := workflow.Now(ctx); !now.Equal(s.pausing.takenAt) || !sentAt.Before(s.pausing.sentAt) {
		s.pausing.takenAt, s.pausing.sentAt = now, sentAt
		if s.in.Paused != paused {
			s.in.Paused, s.unrecorded = paused, true
		}
	}
}

func (s *accessSyncRun) reschedule(ctx workflow.Context, r RescheduleRequest) {
	every, err := time.ParseDuration(r.Every)
	if err != nil || every < MinInterval {
		workflow.GetLogger(ctx).Warn("The interval is not a duration of at least 10s", "every", r.Every)
		return
	}
	s.in.Every, s.unrecorded = db.Interval(every), true
	s.beginBeat(ctx)
}

// drainSignals takes the signals that have come and were not taken yet.
func (s *accessSyncRun) drainSignals(ctx workflow.Context) {
	for _, signal := range s.signals() {
		for signal.receive(ctx) {
		}
	}
}

// signalled says whether a signal has come that was not taken yet. A selector
// would not do: it takes a signal out of its channel when it comes and acts on
// it later, and a run that ends in between would lose it.
func (s *accessSyncRun) signalled(ctx workflow.Context) bool {
	for _, signal := range s.signals() {
		if signal.channel(ctx).Len() > 0 {
			return true
		}
	}
	return false
}
