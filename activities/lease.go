package activities

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/db"
)

// ServerTaken is the type of the error of an activity that waits for its turn at
// a server.
const ServerTaken = "server_taken"

const (
	// leaseSpan is how long the lease of a dead worker keeps others waiting.
	leaseSpan     = HeartbeatTimeout
	leaseInterval = leaseSpan / 4

	// A turn is waited for in steps that grow to this.
	firstTurn = time.Second
	lastTurn  = 15 * time.Second
)

var errLeaseLost = errors.New("the turn at the server was lost: this worker was away for too long, or PostgreSQL began anew")

// server is what is read by one connection at a time: the host of the source
// or, where that only passes on what it reads, the account behind it.
func (l link) server() (string, error) {
	base, err := url.Parse(l.settings.BaseURL)
	if err != nil {
		return "", err
	}
	server := base.Host
	if l.settings.Account != "" {
		server += "/" + l.settings.Account
	}
	return server, nil
}

// inTurn asks a source while no other connection asks its server. When one does
// it returns a ServerTaken error, with which Temporal tries again: nothing is
// held meanwhile, neither a place in the worker nor a database connection.
func (a *Activities) inTurn(ctx context.Context, l link, ask func(context.Context) error) error {
	server, err := l.server()
	if err != nil {
		return err
	}
	lease, err := a.Record.LeaseServer(ctx, server, l.connection.ID, leaseSpan)
	if err != nil {
		return err
	}
	if lease == nil {
		return temporal.NewApplicationErrorWithOptions("another connection reads "+server+"; this one is next or after it", ServerTaken,
			temporal.ApplicationErrorOptions{NextRetryDelay: nextTurn(activity.GetInfo(ctx).Attempt), Category: temporal.ApplicationErrorCategoryBenign})
	}
	asking, cancel := context.WithCancelCause(ctx)
	go a.prolong(asking, cancel, *lease)
	err = ask(asking)
	cancel(nil)
	if releaseErr := a.release(ctx, *lease); err == nil {
		err = releaseErr
	}
	if err != nil && errors.Is(context.Cause(asking), errLeaseLost) {
		return errLeaseLost
	}
	return err
}

// inTurnOrBeside is inTurn for what does not wait for the connection's own
// reader, who may read with what is to be replaced.
func (a *Activities) inTurnOrBeside(ctx context.Context, l link, ask func(context.Context) error) error {
	server, err := l.server()
	if err != nil {
		return err
	}
	reads, err := a.Record.ReadsServer(ctx, server, l.connection.ID)
	if err != nil {
		return err
	}
	if reads {
		return ask(ctx)
	}
	return a.inTurn(ctx, l, ask)
}

// prolong keeps the lease until the asking ends, and ends the asking when the
// lease is lost. That PostgreSQL does not answer is for the asking to find out.
func (a *Activities) prolong(ctx context.Context, lost context.CancelCauseFunc, lease db.Lease) {
	ticker := time.NewTicker(leaseInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if held, err := a.Record.ProlongLease(ctx, lease, leaseSpan); err == nil && !held {
				lost(errLeaseLost)
			}
		}
	}
}

// release lets the next one read, also when the worker stops.
func (a *Activities) release(ctx context.Context, lease db.Lease) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	return a.Record.ReleaseLease(ctx, lease)
}

// nextTurn is when to ask again, after an attempt: later and later, and not
// when all others ask.
func nextTurn(attempt int32) time.Duration {
	step := min(time.Duration(attempt)*firstTurn, lastTurn)
	return step/2 + rand.N(step)
}
