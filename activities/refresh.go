package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
)

// RefreshCredentialsInput says which access token to replace.
type RefreshCredentialsInput struct {
	ConnectionID int64 `json:"connection_id"`
	// Generation is the generation of the token that the source rejected.
	Generation int64 `json:"generation"`
}

// RefreshCredentials replaces an access token that the source rejected, unless
// that was done already. While another connection reads the same server the error
// is ServerTaken.
func (a *Activities) RefreshCredentials(ctx context.Context, in RefreshCredentialsInput) error {
	_, err := withHeartbeat(ctx, func(ctx context.Context, _ func(Progress)) (struct{}, error) {
		l, err := a.link(ctx, in.ConnectionID)
		if err == nil {
			err = a.inTurn(ctx, l, func(ctx context.Context) error {
				return a.Record.ReplaceToken(ctx, in.ConnectionID, in.Generation, l.refreshToken)
			})
		}
		if err == nil {
			activity.GetLogger(ctx).Info("The access token that the source rejected was replaced")
		}
		return struct{}{}, err
	})
	return err
}
