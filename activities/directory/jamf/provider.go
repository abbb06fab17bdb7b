package jamf

import (
	"context"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// Provider is a directory.Provider of Jamf Pro servers.
type Provider struct{ http httpclient.Config }

// NewProvider returns a Provider that talks to servers as http says; Base and
// GuardAddresses are set for each. All of its sources share http's Limiter,
// or one of their own.
func NewProvider(http httpclient.Config) *Provider {
	if http.Limiter == nil {
		http.Limiter = httpclient.NewLimiter(0)
	}
	http.GuardAddresses = true
	return &Provider{http: http}
}

// RequestToken implements directory.Provider.
func (p *Provider) RequestToken(ctx context.Context, settings directory.Settings, credentials directory.Credentials) (directory.Token, error) {
	client, err := p.client(settings)
	if err != nil {
		return directory.Token{}, err
	}
	defer client.Close()
	return RequestToken(ctx, client, credentials.ClientID, credentials.ClientSecret)
}

// RefreshToken implements directory.Provider. Jamf Pro has no refresh tokens
// for API clients: another one is requested.
func (p *Provider) RefreshToken(ctx context.Context, settings directory.Settings, credentials directory.Credentials) (directory.Token, error) {
	return p.RequestToken(ctx, settings, credentials)
}

// Open implements directory.Provider.
func (p *Provider) Open(settings directory.Settings, tokens directory.TokenSource) (directory.Source, error) {
	client, err := p.client(settings)
	if err != nil {
		return nil, err
	}
	return New(Config{HTTP: client, Scope: settings.Scope, Tokens: tokens}), nil
}

func (p *Provider) client(settings directory.Settings) (*httpclient.Client, error) {
	base, err := ParseBaseURL(settings.BaseURL)
	if err != nil {
		return nil, directory.Errorf(directory.Unreachable, "%s", err)
	}
	cfg := p.http
	cfg.Base = base
	return httpclient.New(cfg), nil
}
