package jamf

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// endpoint is one kind of thing to ask for.
type endpoint struct {
	path      string // below the base URL; an id may follow
	privilege string // what it takes to read it, "" for nothing
	lost      string // what is not read without it, "" when nothing can be
}

func (e endpoint) isClassic() bool { return strings.HasPrefix(e.path, "JSSResource/") }

const (
	lostGroups     = "account groups: directory groups, and the roles of accounts with Group Access"
	lostSites      = "the names of sites"
	lostClients    = "API clients"
	lostPrivileges = "the privileges of API clients"
	lostSSO        = "how people log in (single sign-on)"
)

var (
	versionEndpoint  = endpoint{path: "api/v1/jamf-pro-version"}
	accountsEndpoint = endpoint{path: "api/v1/accounts", privilege: "Read Accounts"}
	groupsEndpoint   = endpoint{path: "api/v1/account-groups", privilege: "Read Account Groups", lost: lostGroups}
	usersEndpoint    = endpoint{path: "api/v1/users", privilege: "Read User"}
	clientsEndpoint  = endpoint{path: "api/v1/api-integrations", privilege: "Read API Integrations", lost: lostClients}
	rolesEndpoint    = endpoint{path: "api/v1/api-roles", privilege: "Read API Roles", lost: lostPrivileges}
	sitesEndpoint    = endpoint{path: "api/v1/sites", privilege: "Read Sites", lost: lostSites}
	ssoEndpoint      = endpoint{path: "api/v3/sso", privilege: "Read SSO Settings", lost: lostSSO}

	classicAccounts = endpoint{path: "JSSResource/accounts", privilege: "Read Accounts"}
	classicAccount  = endpoint{path: "JSSResource/accounts/userid", privilege: "Read Accounts"}
	classicGroup    = endpoint{path: "JSSResource/accounts/groupid", privilege: "Read Accounts"}
	classicUsers    = endpoint{path: "JSSResource/users", privilege: "Read User"}
	classicUser     = endpoint{path: "JSSResource/users/id", privilege: "Read User"}
	classicSites    = endpoint{path: "JSSResource/sites", privilege: "Read Sites", lost: lostSites}
)

// api asks for one thing at a time, and remembers what the token was good for.
type api struct {
	http   *httpclient.Client
	tokens directory.TokenSource

	mu   sync.Mutex
	good map[string]int64 // by endpoint path: generation of the token that last read it
}

// get reads ep, or what it has under id, into a value. A 404 is a
// *notThereError; other errors are a *directory.Error, a context's, or what the
// TokenSource returned.
func (a *api) get(ctx context.Context, ep endpoint, id string, query url.Values, into any) error {
	token, err := a.tokens.Token(ctx)
	if err != nil {
		return err
	}
	u := a.http.Base().JoinPath(ep.path, id)
	u.RawQuery = query.Encode()
	resp, err := a.http.Get(ctx, u, http.Header{
		"Accept":        {"application/json"},
		"Authorization": {"Bearer " + token.Value},
	})
	if err != nil {
		return err
	}
	switch resp.Status {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return a.unauthorized(ep, token, resp)
	case http.StatusNotFound:
		return &notThereError{resp.URL}
	default:
		return refusal(ep, resp)
	}
	if resp.IsHTML() {
		return inconsistent("%s answered %s where JSON was due", resp.URL, resp.Describe())
	}
	if err := httpclient.Decode(resp.Body, into); err != nil {
		return inconsistent("%s answered JSON that is not whole or of another shape than Jamf Pro's", resp.URL)
	}
	a.remember(token, ep)
	return nil
}

func (a *api) remember(token directory.Token, ep endpoint) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.good[ep.path] = token.Generation
}

// answered reports whether the token has read from the endpoint.
func (a *api) answered(token directory.Token, ep endpoint) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	generation, ok := a.good[ep.path]
	return ok && generation == token.Generation
}

// accepted reports whether the token has read anything of the same API.
func (a *api) accepted(token directory.Token, classic bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for path, generation := range a.good {
		if generation == token.Generation && (endpoint{path: path}).isClassic() == classic {
			return true
		}
	}
	return false
}
