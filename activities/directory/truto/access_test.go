package truto_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/truto"
	"jamf-access-review/activities/directory/truto/trutotest"
)

func TestProbeAcceptsAJamfThatCanBeRead(t *testing.T) {
	t.Parallel()
	for _, integration := range []string{"jamf", "Jamf Pro", "jamfpro"} {
		b := setup(t, unlimited())
		b.server.SetIntegration(integration)
		if _, err := b.source(t).Probe(t.Context()); err != nil {
			t.Errorf("%s: %v", integration, err)
		}
		equal(t, b.server.Requests(), map[string]int{"/integrated-account/{id}/capabilities": 1})
	}
}

// What stands in the way is named, each with what to do about it; only what a
// person with a link token mends is about the connection's credentials.
func TestProbeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	capabilities := func(f *faults.Fault) func(*bundle) {
		return func(b *bundle) { b.server.SetFault(faults.On("/integrated-account", f)) }
	}
	for name, c := range map[string]struct {
		change func(*bundle)
		code   directory.Code
		says   string
	}{
		"another integration":  {func(b *bundle) { b.server.SetIntegration("Okta") }, directory.AccountUnusable, `"Okta"`},
		"no integration":       {capabilities(trutotest.Set("integration", nil)), directory.Unreachable, "which integration"},
		"blocked":              {func(b *bundle) { b.server.SetBlocked(true) }, directory.AccountBlocked, "unblocked"},
		"blocked, as refused":  {capabilities(trutotest.Refused(503)), directory.AccountBlocked, "unblocked"},
		"needs_reauth":         {func(b *bundle) { b.server.SetStatus(trutotest.NeedsReauth) }, directory.NeedsReauth, "link token"},
		"validation_error":     {func(b *bundle) { b.server.SetStatus(trutotest.ValidationError) }, directory.ValidationError, "validation_error"},
		"post_install_error":   {func(b *bundle) { b.server.SetStatus(trutotest.PostInstallError) }, directory.AccountUnusable, "post_install_error"},
		"connecting":           {func(b *bundle) { b.server.SetStatus(trutotest.Connecting) }, directory.Busy, "still being connected"},
		"wrong API token":      {func(b *bundle) { b.server.RevokeToken("token") }, directory.APITokenRejected, "does not accept the API token"},
		"forbidden API token":  {capabilities(trutotest.Refused(403)), directory.APITokenRejected, "access to the integrated account"},
		"unknown account":      {func(b *bundle) { b.settings.Account = "0-0" }, directory.AccountUnusable, "environment"},
		"a firewall":           {capabilities(trutotest.HTML(403)), directory.Unreachable, "does not look like Truto"},
		"markup":               {capabilities(trutotest.HTML(200)), directory.Unreachable, "does not look like Truto"},
		"another 401":          {capabilities(trutotest.HTML(401)), directory.Unreachable, "does not look like Truto"},
		"a gateway's 503":      {capabilities(trutotest.HTML(503)), directory.Busy, "503"},
		"an unheard-of status": {capabilities(trutotest.Refused(418)), directory.Inconsistent, "418"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			c.change(b)
			_, err := b.source(t).Probe(t.Context())
			if e := wantCode(t, err, c.code); !strings.Contains(e.Message, c.says) {
				t.Errorf("error %q does not say %q", e, c.says)
			}
			if n := b.server.Requests()["/integrated-account/{id}/capabilities"]; n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestARejectedConnectionIsRefreshedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refresh trutotest.Refresh
		want    directory.Code // "" when the read goes on
	}{
		"it helps":         {trutotest.RefreshMends, ""},
		"it does not help": {trutotest.RefreshUseless, directory.NeedsReauth},
		"it fails":         {trutotest.RefreshFails, directory.NeedsReauth},
		"it is rejected":   {trutotest.RefreshRejected, directory.NeedsReauth},
	} {
		for when, before := range map[string]func(*bundle){
			"from the start": func(b *bundle) { b.server.Reject() },
			"as is known":    func(b *bundle) { b.server.Reject(); b.server.SetStatus(trutotest.NeedsReauth) },
			"in the middle": func(b *bundle) {
				b.server.SetFault(faults.Func(func(r *http.Request) *faults.Fault {
					if r.URL.Query().Get("next_cursor") != "" && b.server.Refreshes() == 0 {
						b.server.Reject()
					}
					return nil
				}))
			},
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				b := setup(t, unlimited()).everyone()
				b.server.Demo(250)
				b.server.SetRefresh(c.refresh)
				before(b)
				s, err := readThrough(t, b)
				if c.want == "" {
					if err != nil || len(s.users) != 250 {
						t.Errorf("%d users, %v", len(s.users), err)
					}
				} else {
					wantCode(t, err, c.want)
				}
				if n := b.server.Refreshes(); n != 1 {
					t.Errorf("refreshed %d times", n)
				}
			})
		}
	}
}

// A token that has read users since the refresh was good: what is rejected
// later is another matter, and has a refresh of its own.
func TestAFreshTokenThatWasGoodMayBeRefreshedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited()).everyone()
	b.server.Demo(350)
	b.server.SetFault(func(r *http.Request) *faults.Fault {
		if r.URL.Query().Get("next_cursor") != "" && b.server.Refreshes() < 2 {
			b.server.Reject()
		}
		return nil
	})
	token, err := b.provider.RefreshToken(t.Context(), b.settings, b.credentials)
	if err != nil {
		t.Fatal(err)
	}
	b.tokens.keep(token, true)
	s, err := readThrough(t, b)
	if err != nil || len(s.users) != 350 {
		t.Errorf("%d users, %v", len(s.users), err)
	}
	equal(t, b.server.Refreshes(), 2)
}

func TestAReconnectedAccountGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited()).everyone()
	b.server.Demo(20)
	b.server.SetRefresh(trutotest.RefreshUseless)
	b.server.Reject()
	_, err := readThrough(t, b)
	wantCode(t, err, directory.NeedsReauth)

	link, err := b.provider.LinkToken(t.Context(), b.settings, b.credentials)
	if err != nil || !b.server.Authorise(link) {
		t.Fatalf("the link token is not good: %v", err)
	}
	if b.server.Authorise(link) {
		t.Error("the link token is good twice")
	}
	equal(t, len(mustRead(t, b.source(t)).users), 20)
}

// A refresh is for one rejection: a later one has a refresh of its own.
func TestARefreshedTokenDoesNotStayFresh(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	token, err := b.provider.RefreshToken(t.Context(), b.settings, b.credentials)
	if err != nil || token.Value != "token" || time.Until(token.RenewAt) > time.Hour || time.Until(token.RenewAt) <= time.Minute {
		t.Errorf("renewed at %v, %v", token.RenewAt, err)
	}
}

func TestRequestTokenAsksNobody(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	b.credentials.APIToken = " token\n"
	token, err := b.provider.RequestToken(t.Context(), b.settings, b.credentials)
	if err != nil || token.Value != "token" || time.Until(token.RenewAt) < 24*time.Hour {
		t.Errorf("until %v, %v", token.RenewAt, err)
	}
	if n := len(b.server.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*bundle)
		code   directory.Code
	}{
		"no token":              {func(b *bundle) { b.credentials.APIToken = " " }, directory.APITokenRejected},
		"no account":            {func(b *bundle) { b.settings.Account = "" }, directory.AccountUnusable},
		"account with a path":   {func(b *bundle) { b.settings.Account = "../x" }, directory.AccountUnusable},
		"account of dots":       {func(b *bundle) { b.settings.Account = ".." }, directory.AccountUnusable},
		"unencrypted":           {func(b *bundle) { b.settings.BaseURL = "http://api.truto.example" }, directory.Unreachable},
		"metadata address":      {func(b *bundle) { b.settings.BaseURL = "https://169.254.169.254" }, directory.Unreachable},
		"address with password": {func(b *bundle) { b.settings.BaseURL = "https://me:canary@api.truto.example" }, directory.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			c.change(b)
			_, err := b.provider.RequestToken(t.Context(), b.settings, b.credentials)
			if e := wantCode(t, err, c.code); strings.Contains(e.Error(), "canary") {
				t.Errorf("error %q holds a password", e)
			}
		})
	}
}

func TestParseBaseURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		truto.DefaultBaseURL:          truto.DefaultBaseURL,
		"api.truto.one":               truto.DefaultBaseURL,
		"https://EU.truto.one/path?q": "https://eu.truto.one",
		"http://127.0.0.1:8080/":      "http://127.0.0.1:8080",
	} {
		if got, err := truto.ParseBaseURL(raw); err != nil || got.String() != want {
			t.Errorf("%q is read as %v, %v", raw, got, err)
		}
	}
	if _, err := truto.ParseBaseURL("http://api.truto.one"); err == nil || !strings.Contains(err.Error(), "Truto") {
		t.Errorf("unencrypted: %v", err)
	}
}

// An operator's error says nothing about the connection, whoever asks.
func TestAWrongAPITokenNeverMarksTheConnection(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*bundle, directory.Source) error{
		"probe": func(b *bundle, s directory.Source) error {
			_, err := s.Probe(t.Context())
			return err
		},
		"read": func(b *bundle, s directory.Source) error { return s.Read(t.Context(), "", empty().add) },
		"lookup": func(b *bundle, s directory.Source) error {
			_, err := s.Lookup(t.Context(), []directory.Identity{account("1")})
			return err
		},
		"refresh": func(b *bundle, s directory.Source) error { return b.tokens.refresh(t.Context()) },
		"link": func(b *bundle, s directory.Source) error {
			_, err := b.provider.LinkToken(t.Context(), b.settings, b.credentials)
			return err
		},
	} {
		for _, fresh := range []bool{false, true} {
			t.Run(fmt.Sprint(name, fresh), func(t *testing.T) {
				b := setup(t, unlimited())
				token, _ := b.tokens.Token(t.Context())
				b.tokens.keep(token, fresh)
				b.server.RevokeToken("token")
				err := ask(b, b.source(t))
				if e := wantCode(t, err, directory.APITokenRejected); !strings.Contains(e.Message, "does not accept the API token") {
					t.Errorf("error %q", e)
				}
			})
		}
	}
}

func TestMissingPrivilegesAreNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		missing []string
		want    string
	}{
		"one":        {[]string{"Read Accounts"}, "Read Accounts"},
		"several":    {[]string{"Read Accounts", "read:users", "Read Accounts"}, "Read Accounts, read:users"},
		"not told":   {[]string{}, ""},
		"not a name": {[]string{"<b>ann@example.com</b>", strings.Repeat("x", 500)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			b.server.Lack(c.missing...)
			_, err := read(t, b.source(t), "")
			e := wantCode(t, err, directory.MissingPrivilege)
			if e.Privilege != c.want || !strings.Contains(e.Message, c.want) || strings.Contains(e.Message, "ann@") {
				t.Errorf("%q is missing: %s", e.Privilege, e)
			}
		})
	}
}

func TestABlockedAccountIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	b.server.SetFault(trutotest.OnList(trutotest.Refused(503)))
	_, err := read(t, b.source(t), "")
	wantCode(t, err, directory.AccountBlocked)
	equal(t, b.server.Requests()[trutotest.UsersPath], 1)
}

// Refusals quote bodies, addresses and people; errors do not.
func TestErrorsHoldNoSecretAndNobody(t *testing.T) {
	t.Parallel()
	const canary = "canary"
	body, _ := json.Marshal(map[string]any{
		"message": canary, "error": canary, "raw_response": map[string]string{"token": canary}, "truto_is_remote_error": true,
	})
	for _, status := range []int{400, 401, 403, 404, 405, 409, 422, 429, 500, 502, 503, 530} {
		for _, path := range []string{"/", trutotest.UsersPath} {
			t.Run(fmt.Sprint(status, path), func(t *testing.T) {
				t.Parallel()
				b := setup(t, unlimited())
				b.credentials.APIToken = canary
				b.server.AddToken(canary)
				b.server.Demo(1)
				b.server.SetFault(faults.On(path, faults.Answer(status, string(body))))
				_, probed := b.source(t).Probe(t.Context())
				_, read := read(t, b.source(t), `{"next":"canary","pages":1}`)
				_, looked := b.source(t).Lookup(t.Context(), []directory.Identity{account(canary)})
				_, linked := b.provider.LinkToken(t.Context(), b.settings, b.credentials)
				for _, err := range []error{probed, read, looked, linked, b.tokens.refresh(t.Context())} {
					if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), canary) {
						t.Errorf("error %v", err)
					}
				}
			})
		}
	}
}

func TestContextEndsARead(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.source(t).Read(ctx, "", empty().add); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
