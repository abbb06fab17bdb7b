package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// Types of the errors that activities end with, besides the codes of package
// directory. Workflows decide by them.
const (
	// NotFound: the connection was erased.
	NotFound = "not_found"
	// Disconnected: the connection has no credentials any more.
	Disconnected = "disconnected"
	// StagingLost: the snapshot has to be fetched again.
	StagingLost = "staging_lost"
)

const (
	// unreachableAttempts is how often a source that does not answer is tried
	// before the sync fails; another sync comes soon enough.
	unreachableAttempts = 4
	// patience is how long a busy source is waited for; one that would have to be
	// waited for longer fails the sync.
	patience = 10 * time.Minute

	// A busy source that does not say when to come again is left alone for as
	// long as it was waited for, within these.
	minBusyDelay = time.Second
	maxBusyDelay = 30 * time.Second
)

// RejectedToken is the detail of a directory.TokenRejected error: which token,
// and how far the reading had come, or the asking for those that it left out.
// Two rejections at the same place say that the token between them was of no
// use.
type RejectedToken struct {
	Generation int64 `json:"generation"`
	Attempts   int   `json:"attempts"`
	Pages      int   `json:"pages"`
}

// failure turns an error into what Temporal is to make of it: whether to try
// again and when, and by which type a workflow knows it. Errors of Postgres
// stay as they are and are tried again for ever.
func failure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, db.ErrNotFound):
		return temporal.NewNonRetryableApplicationError("the connection does not exist any more", NotFound, nil)
	case errors.Is(err, db.ErrDisconnected):
		return temporal.NewNonRetryableApplicationError("the connection was disconnected", Disconnected, nil)
	case errors.Is(err, db.ErrStagingLost):
		return temporal.NewNonRetryableApplicationError(err.Error(), StagingLost, nil)
	}
	e := directory.AsError(err)
	if e == nil {
		return err
	}
	said := lastHeartbeat(ctx)
	e, more := tally(e, said.Trouble)
	if more != (db.Trouble{}) {
		said.Trouble = said.Trouble.And(more)
		activity.RecordHeartbeat(ctx, said)
	}
	return sourceFailure(e, said.Trouble)
}

// tally says how much more trouble a source's error is than what it made before,
// with the wait for the next attempt. A busy source that gives no hint is given one.
func tally(e *directory.Error, before db.Trouble) (counted *directory.Error, more db.Trouble) {
	switch e.Code {
	case directory.Unreachable:
		more.Unreachable = 1
	case directory.Busy:
		busy := *e
		if busy.RetryAfter == 0 {
			busy.RetryAfter = min(max(before.Busy, minBusyDelay), maxBusyDelay)
		}
		e = &busy
		more.Busy = busy.Waited + busy.RetryAfter
	}
	return e, more
}

// sourceFailure is failure for the error of a source, after all the trouble
// that it has made.
func sourceFailure(e *directory.Error, trouble db.Trouble, details ...any) error {
	options := temporal.ApplicationErrorOptions{NonRetryable: true, Details: details}
	switch {
	case e.Code == directory.Unreachable && trouble.Unreachable < unreachableAttempts:
		options.NonRetryable = false
	case e.Code == directory.Busy && trouble.Busy < patience:
		options.NonRetryable = false
		options.NextRetryDelay = e.RetryAfter
		options.Category = temporal.ApplicationErrorCategoryBenign
	case e.Code == directory.Busy:
		message := e.Message
		if e.RetryAfter > maxBusyDelay {
			message = fmt.Sprintf("%s, and asks not to come again for %s", message, e.RetryAfter)
		}
		return temporal.NewApplicationErrorWithOptions(message, string(directory.Unreachable), options)
	case e.Privilege != "":
		options.Details = []any{e.Privilege}
	}
	return temporal.NewApplicationErrorWithOptions(e.Message, string(e.Code), options)
}
