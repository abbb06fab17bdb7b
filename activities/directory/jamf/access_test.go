package jamf_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

func TestProbeReportsWhatMayBeRead(t *testing.T) {
	t.Parallel()
	for name, release := range releases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: &release}).everyone()
			b.server.Demo(20)
			report, err := b.source(t).Probe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equal(t, report.Version, release.Version)
			if len(report.Limitations) != 0 {
				t.Errorf("limitations %v with every privilege held", report.Limitations)
			}
			known := report.SingleSignOn != nil
			if has := name != "classic only" && name != "old token path"; known != has {
				t.Errorf("single sign-on known: %v", known)
			}
			if n := b.server.Requests()["/JSSResource/users"]; n != 0 {
				t.Error("Probe lists end users, of whom there may be a million")
			}
		})
	}
}

func TestMissingPrivilegesAreNamed(t *testing.T) {
	t.Parallel()
	for _, privilege := range []string{"Read Accounts", "Read User"} {
		for name, release := range releases() {
			t.Run(privilege+" "+name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, jamftest.Config{Release: &release}).everyone()
				b.server.Demo(20)
				b.server.GenerateEndUsers(3)
				b.server.Revoke(privilege)
				_, err := b.tokens.renewed(t, func() error {
					_, err := b.source(t).Probe(t.Context())
					return err
				})
				if e := wantCode(t, err, directory.MissingPrivilege); e.Privilege != privilege {
					t.Errorf("Probe says that %q is missing", e.Privilege)
				}
				_, err = readThrough(t, b, 1)
				if e := wantCode(t, err, directory.MissingPrivilege); e.Privilege != privilege {
					t.Errorf("Read says that %q is missing", e.Privilege)
				}
				if n := b.server.TokenRequests(); n > 4 {
					t.Errorf("%d token requests", n)
				}
			})
		}
	}
}

// renewed calls f again with a fresh token when its token is rejected.
func (t *tokens) renewed(tb testing.TB, f func() error) (renewed bool, err error) {
	tb.Helper()
	err = f()
	e := directory.AsError(err)
	if e == nil || e.Code != directory.TokenRejected {
		return false, err
	}
	if err := t.rejected(tb.Context(), e.Generation); err != nil {
		return true, err
	}
	return true, f()
}

func TestReadGoesOnAfterItsTokenEnds(t *testing.T) {
	t.Parallel()
	for name, release := range releases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: &release}).everyone()
			b.server.Demo(250)
			b.server.GenerateEndUsers(250)
			b.config.UserPageSize = 50
			var mu sync.Mutex
			seen := map[string]bool{}
			b.server.SetFault(func(r *http.Request) *faults.Fault {
				// Once for each list, in the middle of it.
				list := strings.TrimRight(r.URL.Path, "0123456789")
				middle := r.URL.Query().Get("page") == "1" || strings.HasSuffix(r.URL.Path, "/150")
				mu.Lock()
				defer mu.Unlock()
				if middle && !seen[list] {
					seen[list] = true
					b.server.RevokeTokens()
				}
				return nil
			})
			s, err := readThrough(t, b, 4)
			if err != nil {
				t.Fatal(err)
			}
			if len(seen) != 2 {
				t.Errorf("tokens ended in %v", seen)
			}
			equal(t, s.summary.Totals, map[directory.Kind]int{
				directory.DirectoryGroup: 1, directory.APIClient: 4, directory.Account: 250, directory.EndUser: 250,
			})
			equal(t, len(s.users), 505)
		})
	}
}

func TestRejectedTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fresh bool
		fault faults.Func
		want  directory.Code
	}{
		"not fresh":                      {false, faults.On("/", faults.Answer(401, `{"httpStatus":401,"errors":[]}`)), directory.TokenRejected},
		"not fresh, markup":              {false, faults.On("/", jamftest.HTML(401, "Unauthorized")), directory.TokenRejected},
		"fresh":                          {true, faults.On("/", faults.Answer(401, `{"httpStatus":401,"errors":[]}`)), directory.CredentialsRejected},
		"fresh, markup":                  {true, faults.On("/api", jamftest.HTML(401, "Unauthorized")), directory.CredentialsRejected},
		"fresh, once accepted":           {true, faults.On("/api/v1/accounts", faults.Answer(401, `{}`)), directory.TokenRejected},
		"fresh, Classic":                 {true, faults.On("/JSSResource", jamftest.HTML(401, "Unauthorized")), directory.MissingPrivilege},
		"fresh, Classic list accepted":   {true, faults.On("/JSSResource/accounts/userid", jamftest.HTML(401, "Unauthorized")), directory.MissingPrivilege},
		"fresh, Classic detail accepted": {true, faults.On("/JSSResource/accounts/userid", jamftest.HTML(401, "Unauthorized")).After(10), directory.TokenRejected},
		"fresh, Classic names the token": {true, faults.On("/JSSResource", jamftest.HTML(401, "INVALID_TOKEN")), directory.CredentialsRejected},
		"forbidden":                      {true, faults.On("/api/v1/accounts", faults.Answer(403, `{"httpStatus":403,"errors":[]}`)), directory.MissingPrivilege},
		"kept out by a firewall":         {true, faults.On("/api/v1/accounts", jamftest.HTML(403, "Blocked")), directory.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := jamftest.Modern()
			if strings.Contains(name, "Classic") {
				release.Without = []string{"/api/v1/accounts"}
			}
			b := setup(t, jamftest.Config{Release: &release})
			b.server.Demo(30)
			if _, err := b.tokens.renew(t.Context(), c.fresh); err != nil {
				t.Fatal(err)
			}
			b.server.SetFault(c.fault)
			_, err := read(t, b.source(t), "")
			e := wantCode(t, err, c.want)
			if e.Code == directory.TokenRejected && e.Generation != 1 {
				t.Errorf("generation %d", e.Generation)
			}
		})
	}
}

func TestRequestToken(t *testing.T) {
	t.Parallel()
	const newer, old = "/api/v1/oauth/token", "/api/oauth/token"
	oauth := func(status int, code string) *faults.Fault {
		return faults.Answer(status, fmt.Sprintf(`{"error":%q,"error_description":"of hidden-id"}`, code), "Content-Type", "application/json")
	}
	for name, c := range map[string]struct {
		fault *faults.Fault
		want  directory.Code
		says  string
	}{
		"wrong secret":              {oauth(400, "invalid_client"), directory.CredentialsRejected, "client ID"},
		"wrong secret by 401":       {oauth(401, "invalid_client"), directory.CredentialsRejected, "client ID"},
		"disabled":                  {oauth(400, "unauthorized_client"), directory.CredentialsRejected, "enabled"},
		"unreadable":                {oauth(400, "invalid_request"), directory.CredentialsRejected, "copy"},
		"no client credentials":     {oauth(400, "unsupported_grant_type"), directory.Unreachable, "10.49"},
		"out of order":              {oauth(500, "server_error"), directory.Busy, "HTTP 500"},
		"refused the API's way":     {faults.Answer(401, `{"httpStatus":401,"errors":[]}`), directory.CredentialsRejected, "HTTP 401"},
		"markup":                    {jamftest.HTML(200, "Welcome"), directory.Unreachable, "HTTP 200 text/html"},
		"forbidden the API's way":   {faults.Answer(403, `{"httpStatus":403,"errors":[]}`), directory.CredentialsRejected, "HTTP 403"},
		"something that is no Jamf": {faults.Answer(400, `{"message":"missing csrf token"}`), directory.Unreachable, "does not look like a Jamf Pro"},
		"forbidden by a gateway":    {faults.Answer(403, `{"message":"Forbidden"}`), directory.Unreachable, "HTTP 403"},
		"forbidden by a firewall":   {jamftest.HTML(403, "Blocked"), directory.Unreachable, "HTTP 403 text/html"},
		"another JSON":              {faults.Answer(200, `{"ok":true}`, "Content-Type", "application/json"), directory.Unreachable, "no access token"},
		"a list":                    {faults.Answer(200, `[]`, "Content-Type", "application/json"), directory.Unreachable, "HTTP 200"},
		"nothing":                   {faults.Answer(200, ``), directory.Unreachable, "HTTP 200"},
		"busy":                      {faults.Busy(429, 600), directory.Busy, "HTTP 429"},
		"maintenance":               {jamftest.Maintenance(), directory.Busy, "HTTP 503"},
		"not there":                 {jamftest.HTML(404, "Not Found"), directory.Unreachable, "10.49"},
		"not there, another's JSON": {faults.Answer(404, `{"status":404,"error":"Not Found"}`), directory.Unreachable, "10.49"},
		"gone elsewhere":            {faults.RedirectTo("https://login.example.com/"), directory.Unreachable, "login.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			b.server.SetFault(faults.Any(faults.On(newer, c.fault), faults.On(old, c.fault)))
			_, err := jamf.RequestToken(t.Context(), b.client(t), "hidden-id", "hidden-secret")
			e := wantCode(t, err, c.want)
			if !strings.Contains(e.Error(), c.says) {
				t.Errorf("error %q does not say %q", e, c.says)
			}
			if strings.Contains(fmt.Sprintf("%+v", e), "hidden") || e.Cause != nil {
				t.Errorf("error %+v holds what was sent", e)
			}
		})
	}
}

func TestRequestTokenAcceptsPlainTextAndOddLifetimes(t *testing.T) {
	t.Parallel()
	for body, renewIn := range map[string]time.Duration{
		`{"access_token":"t","token_type":"Bearer","expires_in":599}`:  569 * time.Second,
		`{"access_token":"t","token_type":"Bearer","expires_in":40}`:   20 * time.Second,
		`{"access_token":"t","token_type":"Bearer"}`:                   30 * time.Second,
		`{"access_token":"t","token_type":"bearer","expires_in":"60"}`: 30 * time.Second,
	} {
		b := setup(t, jamftest.Config{})
		b.server.SetFault(faults.On("/", faults.Answer(200, body, "Content-Type", "text/plain;charset=UTF-8")))
		token, err := jamf.RequestToken(t.Context(), b.client(t), "client", "secret")
		if err != nil {
			t.Fatal(err)
		}
		if in := time.Until(token.RenewAt); token.Value != "t" || in > renewIn || in < renewIn-5*time.Second {
			t.Errorf("%s is renewed in %v", body, in)
		}
	}
}

func TestRequestTokenUsesTheOldPathOnlyWhereTheNewOneIsNotThere(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{Release: new(jamftest.OldTokenPath())})
	if _, err := jamf.RequestToken(t.Context(), b.client(t), "client", "secret"); err != nil {
		t.Fatal(err)
	}
	b = setup(t, jamftest.Config{})
	_, err := jamf.RequestToken(t.Context(), b.client(t), "client", "wrong")
	wantCode(t, err, directory.CredentialsRejected)
	equal(t, b.server.Requests(), map[string]int{"/api/v1/oauth/token": 1})
}

func TestDisabledClientAndRotatedSecret(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	secret := b.server.RotateSecret("client")
	_, err := jamf.RequestToken(t.Context(), b.client(t), "client", "secret")
	wantCode(t, err, directory.CredentialsRejected)
	if _, err := jamf.RequestToken(t.Context(), b.client(t), "client", secret); err != nil {
		t.Fatal(err)
	}
	b.server.UpdateClient("client", func(c *jamftest.Client) { c.Disabled = true })
	_, err = jamf.RequestToken(t.Context(), b.client(t), "client", secret)
	wantCode(t, err, directory.CredentialsRejected)
}

func TestRenewalMargin(t *testing.T) {
	t.Parallel()
	for lifetime, want := range map[time.Duration]time.Duration{
		4 * time.Hour: 30 * time.Second, time.Minute: 30 * time.Second, 20 * time.Second: 10 * time.Second, 0: 0, -time.Second: 0,
	} {
		if got := jamf.RenewalMargin(lifetime); got != want {
			t.Errorf("%v before the end of %v, want %v", got, lifetime, want)
		}
	}
}

func TestProbeOfSomethingElse(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]*faults.Fault{
		"a web page":   jamftest.HTML(200, "Welcome"),
		"another API":  faults.Answer(200, `{"hello":"world"}`),
		"nothing":      jamftest.HTML(404, "Not Found"),
		"other server": faults.RedirectTo("https://login.example.com/"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			if _, err := b.tokens.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.server.SetFault(faults.On("/", fault))
			_, err := b.source(t).Probe(t.Context())
			wantCode(t, err, directory.Unreachable)
		})
	}
}

func TestErrorsOfTokensAndContextsPassThrough(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.tokens.request = func(context.Context) (directory.Token, error) {
		return directory.Token{}, directory.Errorf(directory.CredentialsRejected, "no")
	}
	_, err := read(t, b.source(t), "")
	wantCode(t, err, directory.CredentialsRejected)

	b = setup(t, jamftest.Config{})
	b.server.Demo(5)
	ctx, cancel := context.WithCancel(t.Context())
	b.server.SetFault(func(r *http.Request) *faults.Fault {
		if r.URL.Path == "/api/v1/accounts" {
			cancel()
		}
		return nil
	})
	err = b.source(t).Read(ctx, "", func(directory.Page) error { return nil })
	if err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// Nothing of what the server sends or is sent may be in an error.
func TestErrorsHoldNoData(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 300, 302, 400, 401, 403, 404, 409, 418, 429, 500, 501, 503, 530} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			token, err := b.tokens.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, body := range []string{`{"username":"jane.doe"`, `<p>jane.doe</p>`, `{"totalCount":"jane.doe"}`, `{"error":"jane.doe"}`} {
				b.server.SetFault(faults.On("/", faults.Answer(status, body, "X-Data", "jane.doe", "Content-Type", "application/jane.doe")))
				_, err := read(t, b.source(t), "")
				text := fmt.Sprintf("%v %+v", err, err)
				if directory.AsError(err) == nil || strings.Contains(text, "jane.doe") || strings.Contains(text, token.Value) {
					t.Errorf("%s", text)
				}
			}
		})
	}
}

func TestPrivilegesAreThoseThatAProbeMisses(t *testing.T) {
	t.Parallel()
	for _, p := range jamf.Privileges(directory.ScopeEveryone) {
		b := setup(t, jamftest.Config{}).everyone()
		b.server.Revoke(p.Privilege)
		report, err := b.source(t).Probe(t.Context())
		if p.Lost == "" {
			equal(t, wantCode(t, err, directory.MissingPrivilege).Privilege, p.Privilege)
			continue
		}
		if err != nil || len(report.Limitations) != 1 || report.Limitations[0] != p {
			t.Errorf("without %v: %v, %v", p, report.Limitations, err)
		}
	}
	equal(t, len(jamf.Privileges(directory.ScopeEveryone)), len(jamftest.Privileges()))
	equal(t, len(jamf.Privileges(directory.ScopeAdmins)), len(jamftest.Privileges())-1)
}
