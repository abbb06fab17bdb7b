package truto

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

const (
	// lasting is how long an API token is kept before it is taken from the
	// credentials again, which costs no request. It does not expire.
	lasting = 365 * 24 * time.Hour
	// refreshed is how long a token counts as fresh after the integrated
	// account's credentials were refreshed. Since the token itself stays the
	// same, a longer time would deny the next refresh to a rejection that has
	// nothing to do with this one.
	refreshed = 5 * time.Minute
)

// Config says how a Provider reads.
type Config struct {
	// HTTP is how it talks to Truto; Base, GuardAddresses, RetryStatuses and
	// Pace are the Provider's own. All of its sources share the Limiter, or one
	// of their own.
	HTTP httpclient.Config
	// PageSize is how many users a page is asked for: 100 by default.
	PageSize int
	// Parallel is how many users one read asks for at once: 5 by default.
	Parallel int
	// RateSpan is the time that Truto's rates are for: 10 s by default.
	RateSpan time.Duration
}

// Provider is a directory.Provider of integrated accounts at Truto. Its sources
// keep to Truto's rates together.
type Provider struct {
	cfg   Config
	pacer *pacer
}

// NewProvider returns a Provider with the defaults, which talks to Truto as
// http says.
func NewProvider(http httpclient.Config) *Provider { return New(Config{HTTP: http}) }

// New returns a Provider that reads as cfg says.
func New(cfg Config) *Provider {
	cfg.PageSize = cmp.Or(cfg.PageSize, pageSize)
	cfg.Parallel = cmp.Or(cfg.Parallel, parallel)
	cfg.RateSpan = cmp.Or(cfg.RateSpan, rateSpan)
	if cfg.HTTP.Limiter == nil {
		cfg.HTTP.Limiter = httpclient.NewLimiter(atOnce)
	}
	cfg.HTTP.GuardAddresses = true
	// 503 is not among them: it says that the integrated account is blocked.
	cfg.HTTP.RetryStatuses = []int{408, 425, 429, 500, 502, 504, 530}
	return &Provider{cfg: cfg, pacer: newPacer(cfg.RateSpan)}
}

// ParseBaseURL reads the address of Truto's API. The result has a scheme and a
// host and parses to itself. Errors say what to change and never repeat what
// was given, which may hold a password.
func ParseBaseURL(raw string) (*url.URL, error) {
	u, err := httpclient.Address{Name: "the Truto URL", Example: DefaultBaseURL}.Parse(raw)
	if err != nil {
		return nil, err
	}
	u.Path = ""
	return u, nil
}

// RequestToken implements directory.Provider. It makes no request: the API
// token is what Truto is asked with.
func (p *Provider) RequestToken(_ context.Context, settings directory.Settings, credentials directory.Credentials) (directory.Token, error) {
	if _, err := address(settings); err != nil {
		return directory.Token{}, err
	}
	value := strings.TrimSpace(credentials.APIToken)
	if value == "" {
		return directory.Token{}, ours("there is no Truto API token")
	}
	return directory.Token{Value: value, RenewAt: time.Now().Add(lasting)}, nil
}

// RefreshToken implements directory.Provider. What Jamf Pro rejected is not
// the API token but what Truto logs in with, so it is Truto that is asked to
// refresh that. CredentialsRejected when that cannot be done without a person.
func (p *Provider) RefreshToken(ctx context.Context, settings directory.Settings, credentials directory.Credentials) (directory.Token, error) {
	token, err := p.RequestToken(ctx, settings, credentials)
	if err != nil {
		return directory.Token{}, err
	}
	var answer struct {
		Success httpclient.Text `json:"success"`
	}
	err = p.post(ctx, settings, token, request{
		method: http.MethodPost, path: []string{"integrated-account", "refresh-credentials"},
		body: map[string]any{"id": settings.Account}, repeatable: true,
	}, &answer)
	switch said := asRefusal(err); {
	case said != nil && said.remote && said.status < http.StatusInternalServerError:
		return directory.Token{}, reconnect("Jamf Pro did not let Truto refresh the integrated account's credentials")
	case err != nil:
		return directory.Token{}, outward(err)
	case answer.Success == "false":
		return directory.Token{}, reconnect("Truto could not refresh the integrated account's credentials")
	case answer.Success != "true":
		return directory.Token{}, inconsistent("Truto did not say whether the integrated account's credentials were refreshed")
	}
	token.RenewAt = time.Now().Add(refreshed)
	return token, nil
}

// LinkToken asks for a token with which a person authorises the integrated
// account again in Truto's own dialogue. It is good once and for 7 days, and
// is a secret until then. Errors are as a Source's.
func (p *Provider) LinkToken(ctx context.Context, settings directory.Settings, credentials directory.Credentials) (string, error) {
	token, err := p.RequestToken(ctx, settings, credentials)
	if err != nil {
		return "", err
	}
	var answer struct {
		LinkToken string `json:"link_token"`
	}
	err = p.post(ctx, settings, token, request{
		method: http.MethodPost, path: []string{"link-token"},
		body: map[string]any{"integrated_account_id": settings.Account, "persist_previous_context": true},
	}, &answer)
	if err == nil && answer.LinkToken == "" {
		err = inconsistent("Truto answered without a link token")
	}
	return answer.LinkToken, outward(err)
}

// Open implements directory.Provider.
func (p *Provider) Open(settings directory.Settings, tokens directory.TokenSource) (directory.Source, error) {
	client, err := p.client(settings)
	if err != nil {
		return nil, err
	}
	return newSource(p.cfg, client, settings, tokens), nil
}

func (p *Provider) post(ctx context.Context, settings directory.Settings, token directory.Token, r request, into any) error {
	client, err := p.client(settings)
	if err != nil {
		return err
	}
	defer client.Close()
	return api{http: client, account: settings.Account}.ask(ctx, token, r, into)
}

func (p *Provider) client(settings directory.Settings) (*httpclient.Client, error) {
	base, err := address(settings)
	if err != nil {
		return nil, err
	}
	cfg := p.cfg.HTTP
	cfg.Base = base
	cfg.Pace = func(r *http.Request) (func(*http.Response), error) {
		return p.pacer.pace(r, base.Host+" "+settings.Account)
	}
	return httpclient.New(cfg), nil
}

// address checks settings before anything is asked or shown to anybody.
func address(settings directory.Settings) (*url.URL, error) {
	if !validID(httpclient.Text(settings.Account)) {
		return nil, unusable("the integrated account's id is not one of Truto's: copy it from the account's page in Truto")
	}
	base, err := ParseBaseURL(settings.BaseURL)
	if err != nil {
		return nil, directory.Errorf(directory.Unreachable, "%s", err)
	}
	return base, nil
}
