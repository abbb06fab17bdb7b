// Package activities is what workflows have done for them: each activity loads
// what it needs from the record, calls a source, and records what came of it.
//
// What an activity takes and returns stays in Temporal's history and can be
// read by everyone who sees its UI: ids, counts and words, never a secret or
// anything about a person.
package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/webhook"
	"jamf-access-review/db"
)

// Registered names of the activities. They never change: running workflows
// refer to them.
const (
	ValidateConnection = "ValidateConnection"
	FetchUsers         = "FetchUsers"
	RefreshCredentials = "RefreshCredentials"
	RecordOutcomes     = "RecordOutcomes"
	RecordFailure      = "RecordFailure"
	RecordState        = "RecordState"
	EnableMonitors     = "EnableMonitors"
	Disconnect         = "Disconnect"
	DiscardConnection  = "DiscardConnection"
	DeliverNotice      = "DeliverNotice"
)

// Activities are the activities of all workflows. All of them may run more
// than once for one request, and several times at once for one connection.
type Activities struct {
	Record *db.DB
	// Providers are the sorts of sources there are, by the name that
	// connections have for them.
	Providers map[string]directory.Provider
	// Searchable says that Temporal knows the workflows' search attributes.
	Searchable bool
	// RereadPause is how long a directory that contradicts itself is left alone
	// before it is read again; 0 means a second.
	RereadPause time.Duration
	// Webhooks sends notices, and StartDelivery has them sent.
	Webhooks      *webhook.Sender
	StartDelivery StartDelivery
	// SyncEnded, if set, is told of each sync when its end is recorded.
	SyncEnded func(db.EndedSync)
}

// Register registers every activity under its name.
func (a *Activities) Register(r worker.ActivityRegistry) {
	for name, f := range map[string]any{
		ValidateConnection: a.ValidateConnection,
		FetchUsers:         a.FetchUsers,
		RefreshCredentials: a.RefreshCredentials,
		RecordOutcomes:     a.RecordOutcomes,
		RecordFailure:      a.RecordFailure,
		RecordState:        a.RecordState,
		EnableMonitors:     a.EnableMonitors,
		Disconnect:         a.Disconnect,
		DiscardConnection:  a.DiscardConnection,
		DeliverNotice:      a.DeliverNotice,
	} {
		r.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

// link is a connection with everything that is needed to talk to its source.
type link struct {
	connection db.Connection
	provider   directory.Provider
	settings   directory.Settings
}

func (a *Activities) link(ctx context.Context, connectionID int64) (link, error) {
	c, err := a.Record.ConnectionByID(ctx, connectionID)
	if err == nil && c.State == db.Disconnected {
		err = db.ErrDisconnected
	}
	if err != nil {
		return link{}, err
	}
	return linkTo(c, a.Providers)
}

func linkTo(c db.Connection, providers map[string]directory.Provider) (link, error) {
	provider, ok := providers[c.Source]
	if !ok {
		return link{}, fmt.Errorf("this program knows no source %q: it is older than the program that connected it", c.Source)
	}
	return link{
		connection: c,
		provider:   provider,
		settings:   directory.Settings{BaseURL: c.BaseURL, Scope: c.Scope, Account: c.Account},
	}, nil
}

// requestToken is how the record has the link's access token renewed.
func (l link) requestToken(ctx context.Context, c directory.Credentials) (directory.Token, error) {
	return l.provider.RequestToken(ctx, l.settings, c)
}

// refreshToken is requestToken after the source has rejected a token.
func (l link) refreshToken(ctx context.Context, c directory.Credentials) (directory.Token, error) {
	return l.provider.RefreshToken(ctx, l.settings, c)
}
