package activities

import (
	"context"
	"sync"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// recordTokens hands out the access token that the record keeps for a
// connection, and remembers it until it is time to renew it.
type recordTokens struct {
	record *db.DB
	link   link

	mu      sync.Mutex
	current directory.Token
}

func (t *recordTokens) Token(ctx context.Context) (directory.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.current.RenewAt) {
		return t.current, nil
	}
	token, err := t.record.Token(ctx, t.link.connection.ID, t.link.requestToken)
	if err != nil {
		return directory.Token{}, err
	}
	t.current = token
	return token, nil
}

// oneToken is a TokenSource of a token that is not the connection's own yet.
type oneToken directory.Token

func (t oneToken) Token(context.Context) (directory.Token, error) { return directory.Token(t), nil }
