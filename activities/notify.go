package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/activities/webhook"
	"jamf-access-review/db"
)

// NotDelivered is the type of the error of an attempt to deliver a notice that
// failed; another is made.
const NotDelivered = "not_delivered"

// StartDelivery makes sure that the notices that wait on a route are being
// delivered. It is called after they were committed, and may be called again.
type StartDelivery func(context.Context, db.Route) error

// startDeliveries is called by every activity that may have left notices about a
// connection, after its transaction. Since the activity is tried again when
// this fails, or when the worker dies before it, no notice waits for ever.
func (a *Activities) startDeliveries(ctx context.Context, connectionID int64) error {
	routes, err := a.Record.PendingRoutes(ctx, connectionID)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if err := a.StartDelivery(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// DeliverNoticeResult says which notice was delivered or given up.
type DeliverNoticeResult struct {
	Notice  string           `json:"notice,omitempty"` // "" when none was waiting
	Kind    db.NoticeKind    `json:"kind,omitempty"`
	Outcome db.NoticeOutcome `json:"outcome,omitempty"`
}

// DeliverNotice makes one attempt to deliver the oldest notice that waits on a
// route. While it is worth another attempt the error is NotDelivered.
func (a *Activities) DeliverNotice(ctx context.Context, in db.Route) (DeliverNoticeResult, error) {
	return withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) (DeliverNoticeResult, error) {
		n, err := a.Record.NextNotice(ctx, in)
		if errors.Is(err, db.ErrNotFound) {
			return DeliverNoticeResult{}, nil
		}
		if err != nil {
			return DeliverNoticeResult{}, err
		}
		outcome, err := a.attempt(ctx, n)
		if err == nil {
			activity.GetLogger(ctx).Info("The notice has ended", "notice", n.ID, "kind", n.Kind, "subscription", n.Subscription, "outcome", outcome)
		}
		return DeliverNoticeResult{Notice: n.ID, Kind: n.Kind, Outcome: outcome}, err
	})
}

func (a *Activities) attempt(ctx context.Context, n db.Notice) (db.NoticeOutcome, error) {
	body, err := a.message(ctx, n)
	if err != nil {
		return "", err
	}
	err = a.Webhooks.Send(ctx, webhook.Message{URL: n.Webhook.URL, Secret: n.Webhook.Secret, ID: n.ID, Body: body})
	if errors.Is(err, webhook.ErrBusy) {
		return "", temporal.NewApplicationErrorWithOptions(err.Error(), NotDelivered,
			temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
	}
	failed, ok := errors.AsType[*webhook.Error](err)
	if err != nil && !ok {
		return "", err
	}
	attempt := db.NoticeAttempt{}
	if failed != nil {
		// Whoever asked for a test is waiting for what came of it.
		attempt = db.NoticeAttempt{Error: failed.Message, Final: failed.Gone || n.Kind == db.NoticeTest}
	}
	outcome, err := a.Record.RecordAttempt(ctx, n.ID, attempt)
	switch {
	case errors.Is(err, db.ErrNotFound): // it was removed, or another attempt was faster
		return "", nil
	case err != nil:
		return "", err
	case outcome == db.NoticePending:
		return "", temporal.NewApplicationErrorWithOptions(failed.Message, NotDelivered,
			temporal.ApplicationErrorOptions{NextRetryDelay: failed.RetryAfter})
	}
	return outcome, nil
}
