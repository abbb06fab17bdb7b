package activities

import (
	"context"
	"errors"

	"go.temporal.io/sdk/activity"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// ValidateConnectionInput says what to validate.
type ValidateConnectionInput struct {
	ConnectionID int64 `json:"connection_id"`
	// Offer is the id of credentials that are to replace the connection's
	// own; 0 validates those it has.
	Offer int64 `json:"offer,omitempty"`
}

// ValidateConnectionResult is what a source says of itself.
type ValidateConnectionResult struct {
	Report directory.Report `json:"report"`
}

// ValidateConnection makes sure that a connection's credentials are accepted
// and may read what a sync cannot do without. While another connection reads the
// same server the error is ServerTaken. Offered credentials that pass
// become the connection's own, and those that the source refuses are destroyed; an
// offer that was accepted before, also by another worker a moment ago, or dropped
// for a newer one is not an error.
func (a *Activities) ValidateConnection(ctx context.Context, in ValidateConnectionInput) (ValidateConnectionResult, error) {
	return withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) (ValidateConnectionResult, error) {
		report, err := a.validateInTurn(ctx, in)
		if err == nil {
			activity.GetLogger(ctx).Info("The source accepts the credentials", "offered", in.Offer != 0,
				"version", report.Version, "limitations", len(report.Limitations))
			err = a.startDeliveries(ctx, in.ConnectionID)
		}
		return ValidateConnectionResult{Report: report}, err
	})
}

func (a *Activities) validateInTurn(ctx context.Context, in ValidateConnectionInput) (directory.Report, error) {
	c, err := a.Record.ConnectionByID(ctx, in.ConnectionID)
	if err != nil {
		return directory.Report{}, err
	}
	l, err := linkTo(c, a.Providers)
	if err != nil {
		return directory.Report{}, err
	}
	var report directory.Report
	err = a.inTurnOrBeside(ctx, l, func(ctx context.Context) (err error) {
		report, err = a.validate(ctx, l, in.Offer)
		return err
	})
	return report, err
}

func (a *Activities) validate(ctx context.Context, l link, offer int64) (directory.Report, error) {
	if offer != 0 {
		// Without the offer the connection's own credentials count: they are the
		// offered ones or newer.
		if report, err := a.accept(ctx, l, offer); !errors.Is(err, db.ErrNotFound) {
			return report, err
		}
	}
	report, err := probe(ctx, l, &recordTokens{record: a.Record, link: l})
	if e := directory.AsError(err); e != nil && e.Code == directory.TokenRejected {
		if err := a.Record.ReplaceToken(ctx, l.connection.ID, e.Generation, l.refreshToken); err != nil {
			return directory.Report{}, err
		}
		report, err = probe(ctx, l, &recordTokens{record: a.Record, link: l})
		return report, ofNewToken(err)
	}
	return report, err
}

// ofNewToken is an error of a probe by a token that was only just issued: another one
// would fare no better where that is rejected.
func ofNewToken(err error) error {
	if e := directory.AsError(err); e != nil && e.Code == directory.TokenRejected {
		return directory.Errorf(directory.Inconsistent, "%s, which was only just issued and was accepted elsewhere there", e.Message)
	}
	return err
}

// accept makes offered credentials that pass the connection's own. It returns
// db.ErrNotFound when there is no such offer, or none any more.
func (a *Activities) accept(ctx context.Context, l link, offer int64) (directory.Report, error) {
	offered, err := a.Record.OfferedCredentials(ctx, l.connection.ID, offer)
	if err != nil {
		return directory.Report{}, err
	}
	report, token, err := try(ctx, l, offered)
	if e := directory.AsError(err); e != nil && refuses(e.Code) {
		if err := a.Record.RejectCredentials(ctx, l.connection.ID, offer, e); err != nil {
			return directory.Report{}, err
		}
	}
	if err != nil {
		return directory.Report{}, err
	}
	return report, a.Record.AcceptCredentials(ctx, l.connection.ID, offer, token)
}

// refuses says that the source refuses credentials; otherwise they may be good.
func refuses(code directory.Code) bool {
	switch code.General() {
	case directory.CredentialsRejected, directory.MissingPrivilege:
		return true
	}
	return code == directory.APITokenRejected
}

// TryCredentials asks a connection's source for a token, and then what a
// validation asks, to see whether its credentials are still good: a token on
// record may outlive them. It changes nothing in the record. Beside an error
// the report has what was found before it. Providers are as for Activities.
func TryCredentials(ctx context.Context, record *db.DB, providers map[string]directory.Provider, c db.Connection) (directory.Report, error) {
	l, err := linkTo(c, providers)
	if err != nil {
		return directory.Report{}, err
	}
	credentials, err := record.Credentials(ctx, c.ID)
	if err != nil {
		return directory.Report{}, err
	}
	report, _, err := try(ctx, l, credentials)
	return report, err
}

// try probes with a token that is not the connection's own.
func try(ctx context.Context, l link, credentials directory.Credentials) (directory.Report, directory.Token, error) {
	token, err := l.requestToken(ctx, credentials)
	if err != nil {
		return directory.Report{}, directory.Token{}, err
	}
	token.Fresh = true
	report, err := probe(ctx, l, oneToken(token))
	return report, token, ofNewToken(err)
}

func probe(ctx context.Context, l link, tokens directory.TokenSource) (directory.Report, error) {
	source, err := l.provider.Open(l.settings, tokens)
	if err != nil {
		return directory.Report{}, err
	}
	defer source.Close()
	return source.Probe(ctx)
}
