package jamftest

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
)

const defaultLifetime = 10 * time.Minute

// Client is an API client, which Jamf Pro also calls an API integration. What
// it may do follows from its roles.
type Client struct {
	ID            int
	DisplayName   string
	ClientID      string
	Secret        string
	Roles         []string // display names of API roles
	Disabled      bool
	TokenLifetime time.Duration // 10 min by default
}

// issued is an access token that was handed out.
type issued struct {
	client  int
	expires time.Time
}

// AddClient adds an API client and returns its id.
func (s *Server) AddClient(c Client) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.ID = s.clients.next(c.ID)
	s.clients.put(c.ID, c)
	return c.ID
}

// UpdateClient changes the API client of a client id, if there is one. When
// that disables it or changes its secret, its access tokens end.
func (s *Server) UpdateClient(clientID string, change func(*Client)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.client(clientID)
	if !ok {
		return
	}
	after := before
	change(&after)
	after.ID = before.ID
	s.clients.put(after.ID, after)
	if after.Disabled || after.Secret != before.Secret {
		for token, t := range s.tokens {
			if t.client == after.ID {
				delete(s.tokens, token)
			}
		}
	}
}

// RemoveClient deletes an API client.
func (s *Server) RemoveClient(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.client(clientID); ok {
		s.clients.remove(c.ID)
	}
}

// RotateSecret gives an API client a new secret and returns it.
func (s *Server) RotateSecret(clientID string) string {
	secret := rand.Text()
	s.UpdateClient(clientID, func(c *Client) { c.Secret = secret })
	return secret
}

// RevokeTokens ends all access tokens.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

func (s *Server) client(clientID string) (Client, bool) {
	for _, c := range s.clients.rows {
		if c.ClientID != "" && c.ClientID == clientID {
			return c, true
		}
	}
	return Client{}, false
}

// token answers by RFC 6749, unlike the rest of the API.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		oauthError("invalid_request").write(w, r)
		return
	}
	if r.PostFormValue("grant_type") != "client_credentials" {
		oauthError("unsupported_grant_type").write(w, r)
		return
	}
	s.issue(r.PostFormValue("client_id"), r.PostFormValue("client_secret")).write(w, r)
}

func (s *Server) issue(clientID, secret string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	client, known := s.client(clientID)
	if !known || client.Disabled || client.Secret == "" || secret != client.Secret {
		return oauthError("invalid_client")
	}
	lifetime := client.TokenLifetime
	if lifetime <= 0 {
		lifetime = defaultLifetime
	}
	now := time.Now()
	for token, t := range s.tokens {
		if t.expires.Before(now) {
			delete(s.tokens, token)
		}
	}
	value := rand.Text()
	s.tokens[value] = issued{client: client.ID, expires: now.Add(lifetime)}
	return found(map[string]any{
		"access_token": value,
		"scope":        "api-role:1",
		"token_type":   "Bearer",
		"expires_in":   int(lifetime/time.Second) - 1,
	})
}

func oauthError(code string) answer {
	return answer{http.StatusBadRequest, map[string]string{"error": code, "error_description": "The request was refused."}}
}

// authorized answers requests with a good token and the privilege from next,
// which is called with the state locked.
func (s *Server) authorized(privilege string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.answer(privilege, next, r).write(w, r)
	}
}

func (s *Server) answer(privilege string, next handler, r *http.Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, ok := s.tokens[value]
	client, exists := s.clients.rows[token.client]
	switch {
	case !ok, !exists, client.Disabled, !time.Now().Before(token.expires):
		return rejected()
	case privilege != "" && !s.holds(client, privilege):
		return forbidden()
	default:
		return next(r)
	}
}

func (s *Server) holds(client Client, privilege string) bool {
	for _, role := range s.roles.rows {
		if slices.Contains(client.Roles, role.DisplayName) && slices.Contains(role.Privileges, privilege) {
			return true
		}
	}
	return false
}
