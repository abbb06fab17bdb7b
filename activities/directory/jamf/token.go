package jamf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

const (
	tokenPath    = "api/v1/oauth/token"
	oldTokenPath = "api/oauth/token"

	// unknownLifetime is assumed of a token that does not say how long it
	// lasts: the shortest there is.
	unknownLifetime = time.Minute
	maxMargin       = 30 * time.Second
)

// RenewalMargin is how long before its end a token of the given lifetime is
// to be replaced. It is short for short-lived tokens, which would otherwise
// be replaced at every use.
func RenewalMargin(lifetime time.Duration) time.Duration {
	return max(min(maxMargin, lifetime/2), 0)
}

// RequestToken asks the client's Jamf Pro for a new access token by OAuth 2.0
// client credentials. Generation and Fresh are left to whoever keeps the
// token. Errors are CredentialsRejected when Jamf Pro refuses the client,
// Unreachable when what answers is no Jamf Pro, Inconsistent when the answer breaks
// off, Busy, or a context's.
func RequestToken(ctx context.Context, client *httpclient.Client, clientID, clientSecret string) (directory.Token, error) {
	token, err := requestTokenAt(ctx, client, client.Base().JoinPath(tokenPath), clientID, clientSecret)
	if isNotThere(err) {
		token, err = requestTokenAt(ctx, client, client.Base().JoinPath(oldTokenPath), clientID, clientSecret)
	}
	return token, outward(err)
}

func requestTokenAt(ctx context.Context, client *httpclient.Client, endpoint *url.URL, clientID, clientSecret string) (directory.Token, error) {
	cfg := clientcredentials.Config{
		ClientID: clientID, ClientSecret: clientSecret,
		TokenURL: endpoint.String(), AuthStyle: oauth2.AuthStyleInParams,
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: tokenTransport{client.RoundTripper()}})
	granted, err := cfg.Token(ctx)
	if err != nil {
		return directory.Token{}, tokenError(ctx, endpoint, err)
	}
	lifetime := unknownLifetime
	if !granted.Expiry.IsZero() {
		lifetime = time.Until(granted.Expiry)
	}
	return directory.Token{
		Value:   granted.AccessToken,
		RenewAt: time.Now().Add(lifetime - RenewalMargin(lifetime)),
	}, nil
}

// tokenTransport lets only JSON through to the OAuth library, which would
// read other types as a query string and quote what it cannot read.
type tokenTransport struct{ next http.RoundTripper }

func (t tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	// An unset Accept leaves the choice to whatever stands in front of Jamf.
	req = req.Clone(req.Context())
	req.Header.Set("Accept", "application/json")
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	answer := &httpclient.Response{Status: resp.StatusCode, Header: resp.Header, Body: body, URL: httpclient.Redact(req.URL)}
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return nil, notJSON(answer)
	}
	resp.Header.Set("Content-Type", "application/json")
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func notJSON(answer *httpclient.Response) error {
	switch {
	case answer.Status == http.StatusNotFound:
		return &notThereError{answer.URL}
	case answer.Status >= 500:
		return directory.Errorf(directory.Busy, "%s answered %s", answer.URL, answer.Describe())
	}
	return notJamf(answer)
}

// tokenError reads RFC 6749's error word. The status says little: 400 and 401
// are both in use. The library's own error holds the body, so it goes no
// further.
func tokenError(ctx context.Context, endpoint *url.URL, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e := directory.AsError(err); e != nil {
		return e
	}
	if missing, ok := errors.AsType[*notThereError](err); ok {
		return missing
	}
	address := httpclient.Redact(endpoint)
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return directory.Errorf(directory.Unreachable, "%s does not look like a Jamf Pro: its answer holds no access token", address)
	}
	switch refused.ErrorCode {
	case "invalid_client":
		return directory.Errorf(directory.CredentialsRejected,
			"%s does not accept the client ID and secret (invalid_client): check the client ID, whether the secret was rotated, and that the API client is enabled", address)
	case "unauthorized_client", "invalid_grant", "access_denied":
		return directory.Errorf(directory.CredentialsRejected,
			"%s knows the client ID but gives it no token (%s): check that the API client is enabled, has an API role, and that the secret is its newest", address, refused.ErrorCode)
	case "invalid_request", "invalid_scope":
		return directory.Errorf(directory.CredentialsRejected,
			"%s cannot read the client ID or secret (%s): copy both again", address, refused.ErrorCode)
	case "unsupported_grant_type":
		return directory.Errorf(directory.Unreachable,
			"%s does not know API clients (unsupported_grant_type): Jamf Pro 10.49 or newer is needed", address)
	case "temporarily_unavailable", "server_error":
		return directory.Errorf(directory.Busy, "%s answered %s", address, refused.ErrorCode)
	}
	switch status := refused.Response.StatusCode; {
	case status == http.StatusNotFound:
		return &notThereError{address}
	case status >= 500:
		return directory.Errorf(directory.Busy, "%s answered HTTP %d", address, status)
	case status == http.StatusUnauthorized, (status == http.StatusBadRequest || status == http.StatusForbidden) && isJamfError(refused.Body):
		return directory.Errorf(directory.CredentialsRejected,
			"%s refuses the client ID and secret (HTTP %d): check both, and that the API client is enabled", address, status)
	default:
		return directory.Errorf(directory.Unreachable, "%s does not look like a Jamf Pro: it answered HTTP %d", address, status)
	}
}

// isJamfError says whether a body is an error in the form of Jamf Pro's API:
// {"httpStatus":403,…}. Whatever else refuses with JSON is a gateway, or no Jamf
// Pro, and has not looked at the credentials.
func isJamfError(body []byte) bool {
	var answer struct {
		Status *int `json:"httpStatus"`
	}
	return httpclient.Decode(body, &answer) == nil && answer.Status != nil
}
