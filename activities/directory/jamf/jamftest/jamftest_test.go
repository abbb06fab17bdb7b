package jamftest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"jamf-access-review/activities/directory/jamf/jamftest"
)

type bundle struct {
	server *jamftest.Server
	base   *url.URL
	token  string
}

func setup(t *testing.T, cfg jamftest.Config) *bundle {
	t.Helper()
	server := jamftest.New(cfg)
	base, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	b := &bundle{server: server, base: base}
	b.token = b.newToken(t)
	return b
}

func (b *bundle) newToken(t *testing.T) string {
	t.Helper()
	resp, err := http.PostForm(b.base.JoinPath("api/v1/oauth/token").String(), url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"client"}, "client_secret": {"secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct {
		Value string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil || token.Value == "" {
		t.Fatal(resp.Status, err)
	}
	return token.Value
}

func (b *bundle) get(t *testing.T, path string) (status int, contentType, body string) {
	t.Helper()
	u, err := b.base.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{"Authorization": {"Bearer " + b.token}}}
	resp, err := http.DefaultClient.Do(req.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(text)
}

func TestEachAPIRefusesInItsOwnWay(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.server.Demo(3)
	expect := func(path string, status int, contentType, holds string) {
		t.Helper()
		gotStatus, gotType, body := b.get(t, path)
		if gotStatus != status || !strings.HasPrefix(gotType, contentType) || !strings.Contains(body, holds) {
			t.Errorf("%s: %d %s %s", path, gotStatus, gotType, body)
		}
	}
	expect("/api/v1/accounts", 200, "application/json", `"totalCount":3`)
	expect("/JSSResource/accounts", 200, "text/plain", `"users":[`)
	expect("/api/v1/accounts/99", 404, "application/json", `"errors":[]`)
	expect("/JSSResource/accounts/userid/99", 404, "text/html", "Status page")
	expect("/api/v1/sso/failover", 404, "application/json", "")

	b.server.Revoke("Read Accounts")
	expect("/api/v1/accounts", 403, "application/json", "INVALID_PRIVILEGE")
	expect("/JSSResource/accounts", 401, "text/html", "Status page")
	if _, _, body := b.get(t, "/JSSResource/accounts"); strings.Contains(body, "INVALID_TOKEN") {
		t.Error("a missing privilege reads as a bad token")
	}

	b.server.RevokeTokens()
	expect("/api/v1/accounts", 401, "application/json", "INVALID_TOKEN")
	expect("/JSSResource/accounts", 401, "text/html", "INVALID_TOKEN")
}

func TestListsAreSortedAndPaged(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	for _, name := range []string{"c", "b", "a"} {
		b.server.AddAccount(jamftest.Account{Username: name})
	}
	for query, want := range map[string]string{
		"?page=0&page-size=2&sort=id:asc":  "[c b] of 3",
		"?page=1&page-size=2&sort=id:asc":  "[a] of 3",
		"?page=9&page-size=2&sort=id:asc":  "[] of 3",
		"?page=0&page-size=2&sort=id:desc": "[a b] of 3",
		"?page=0&page-size=2":              "[a b] of 3",
	} {
		_, _, body := b.get(t, "/api/v1/accounts"+query)
		var list struct {
			Total   int `json:"totalCount"`
			Results []struct{ Username string }
		}
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, row := range list.Results {
			names = append(names, row.Username)
		}
		if got := fmt.Sprintf("%v of %d", names, list.Total); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if status, _, _ := b.get(t, "/api/v1/users?page-size=1001"); status != 400 {
		t.Errorf("a page of 1001 end users answers %d", status)
	}
}

func TestAccountsComeAndGo(t *testing.T) {
	t.Parallel()
	s := jamftest.New(jamftest.Config{})
	first, second := s.AddAccount(jamftest.Account{Username: "a"}), s.AddAccount(jamftest.Account{Username: "b"})
	s.DisableAccount(first)
	s.RemoveAccount(first)
	s.RemoveAccount(second)
	s.RestoreAccount(first)
	if third := s.AddAccount(jamftest.Account{Username: "c"}); third != second+1 {
		t.Errorf("the id of a removed account is used again: %d", third)
	}
	accounts := s.Accounts()
	if len(accounts) != 2 || accounts[0].ID != first || !accounts[0].Disabled || accounts[1].Username != "c" {
		t.Errorf("accounts %+v", accounts)
	}
}

func TestGeneratedEndUsersComeAfterTheAddedOnes(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.server.AddEndUser(jamftest.EndUser{Username: "ann"})
	b.server.GenerateEndUsers(1_000_000)
	for path, holds := range map[string]string{
		"/api/v1/users?page=0&page-size=1":       `"username":"ann"`,
		"/api/v1/users?page=1&page-size=1":       `"id":"2"`,
		"/api/v1/users?page=1000000&page-size=1": `"id":"1000001"`,
		"/api/v1/users/1000001":                  `user1000001@example.com`,
		"/api/v1/users?page=1000001&page-size=1": `"results":[]`,
	} {
		if _, _, body := b.get(t, path); !strings.Contains(body, holds) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestDemoIsTheSameEachTimeAndFictional(t *testing.T) {
	t.Parallel()
	one, two := jamftest.New(jamftest.Config{}), jamftest.New(jamftest.Config{})
	one.Demo(2000)
	two.Demo(2000)
	if !reflect.DeepEqual(one.Accounts(), two.Accounts()) {
		t.Error("two demonstrations differ")
	}
	seen := map[string]bool{}
	withoutEmail, disabled := 0, 0
	for _, a := range one.Accounts() {
		if seen[a.Username] {
			t.Errorf("two accounts are called %s", a.Username)
		}
		seen[a.Username] = true
		switch {
		case a.Email == "":
			withoutEmail++
		case !strings.HasSuffix(a.Email, "@example.com"):
			t.Errorf("%s could be somebody's address", a.Email)
		}
		if a.Disabled {
			disabled++
		}
	}
	if withoutEmail == 0 || disabled == 0 {
		t.Errorf("%d accounts without e-mail, %d disabled", withoutEmail, disabled)
	}
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.server.UpdateClient("client", func(c *jamftest.Client) { c.TokenLifetime = time.Nanosecond })
	b.token = b.newToken(t)
	if status, _, _ := b.get(t, "/api/v1/accounts"); status != 401 {
		t.Errorf("a token that has ended answers %d", status)
	}
	b.server.UpdateClient("client", func(c *jamftest.Client) { c.TokenLifetime = 0 })
	b.token = b.newToken(t)
	if status, _, _ := b.get(t, "/api/v1/accounts"); status != 200 {
		t.Errorf("a new token answers %d", status)
	}
	b.server.UpdateClient("client", func(c *jamftest.Client) { c.Disabled = true })
	if status, _, _ := b.get(t, "/api/v1/accounts"); status != 401 {
		t.Errorf("the token of a disabled client answers %d", status)
	}
	if n := b.server.TokenRequests(); n != 3 {
		t.Errorf("%d token requests", n)
	}
}
