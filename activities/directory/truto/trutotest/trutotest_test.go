package trutotest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"jamf-access-review/activities/directory/truto/trutotest"
)

// said is an answer as somebody without this project's code would see it.
type said struct {
	status int
	header http.Header
	body   map[string]any
}

func ask(t *testing.T, s http.Handler, method, path, token, body string) said {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	out := said{status: w.Code, header: w.Header()}
	if err := json.Unmarshal(w.Body.Bytes(), &out.body); err != nil {
		t.Fatalf("%s %s answers %q", method, path, w.Body)
	}
	return out
}

func users(s *trutotest.Server, cursor string) string {
	q := url.Values{"integrated_account_id": {s.AccountID()}, "limit": {"3"}, "next_cursor": {cursor}}
	return trutotest.UsersPath + "?" + q.Encode()
}

func TestListLeadsToItsEnd(t *testing.T) {
	t.Parallel()
	s := trutotest.New(trutotest.Config{})
	s.Demo(7)
	s.SetQuirks(trutotest.Quirks{EmptyPages: 1})
	var sizes []int
	cursor := ""
	for {
		page := ask(t, s, "GET", users(s, cursor), "token", "")
		sizes = append(sizes, len(page.body["result"].([]any)))
		next, more := page.body["next_cursor"].(string)
		if !more {
			break
		}
		cursor = next
	}
	if got := fmt.Sprint(sizes); got != "[0 3 0 3 0 1]" {
		t.Errorf("pages of %s", got)
	}
}

func TestWhoSaysNo(t *testing.T) {
	t.Parallel()
	const remote = "truto_is_remote_error"
	for name, c := range map[string]struct {
		change func(*trutotest.Server)
		status int
		remote bool
	}{
		"the token":      {func(s *trutotest.Server) { s.RevokeToken("token") }, 401, false},
		"the provider":   {func(s *trutotest.Server) { s.Reject() }, 401, true},
		"its privileges": {func(s *trutotest.Server) { s.Lack("Read Accounts") }, 403, true},
		"the account":    {func(s *trutotest.Server) { s.SetBlocked(true) }, 503, false},
	} {
		s := trutotest.New(trutotest.Config{})
		c.change(s)
		got := ask(t, s, "GET", users(s, ""), "token", "")
		if got.status != c.status || (got.body[remote] == true) != c.remote {
			t.Errorf("%s: HTTP %d, %v", name, got.status, got.body)
		}
	}
}

func TestRatesOfAccountsAndTokens(t *testing.T) {
	t.Parallel()
	s := trutotest.New(trutotest.Config{PerAccount: 2, PerToken: 5, Span: time.Hour})
	other := s.AddAccount("other")
	path := func(account string) string { return trutotest.UsersPath + "?integrated_account_id=" + account }
	for i, c := range []struct {
		account          string
		status           int
		limit, remaining string
	}{
		{s.AccountID(), 200, "2", "1"}, {s.AccountID(), 200, "2", "0"}, {s.AccountID(), 429, "2", "0"},
		{other.AccountID(), 200, "2", "1"}, {other.AccountID(), 200, "2", "0"}, {"third", 429, "5", "0"},
	} {
		got := ask(t, s, "GET", path(c.account), "token", "")
		if got.status != c.status || got.header.Get("ratelimit-limit") != c.limit || got.header.Get("ratelimit-remaining") != c.remaining {
			t.Errorf("request %d: HTTP %d, %v", i, got.status, got.header)
		}
		if (got.header.Get("Retry-After") == "3600") != (c.status == 429) || got.header.Get("ratelimit-reset") != "3600" {
			t.Errorf("request %d: %v", i, got.header)
		}
	}
	if s.Answered(429) != 2 || s.Requests()[trutotest.UsersPath] != 6 {
		t.Errorf("%d refused of %v", s.Answered(429), s.Requests())
	}
}

func TestLinkTokensAreGoodOnce(t *testing.T) {
	t.Parallel()
	s := trutotest.New(trutotest.Config{})
	s.SetRefresh(trutotest.RefreshUseless)
	s.Reject()
	ask(t, s, "GET", users(s, ""), "token", "")
	state := func() any {
		got := ask(t, s, "GET", "/integrated-account/"+s.AccountID()+"/capabilities", "token", "")
		return got.body["account"].(map[string]any)["status"]
	}
	if state() != trutotest.NeedsReauth {
		t.Errorf("the account is %v", state())
	}
	if got := ask(t, s, "POST", "/integrated-account/refresh-credentials", "token", `{"id":"`+s.AccountID()+`"}`); got.body["success"] != true || s.Refreshes() != 1 {
		t.Errorf("%v, %d refreshes", got.body, s.Refreshes())
	}
	if got := ask(t, s, "POST", "/link-token", "token", `{"integrated_account_id":"`+s.AccountID()+`","tenant_id":"x"}`); got.status != 400 {
		t.Errorf("both ids: HTTP %d", got.status)
	}
	got := ask(t, s, "POST", "/link-token", "token", `{"integrated_account_id":"`+s.AccountID()+`","persist_previous_context":true}`)
	link, _ := got.body["link_token"].(string)
	if !s.Authorise(link) || s.Authorise(link) || state() != trutotest.Active {
		t.Errorf("the account is %v", state())
	}
	if got := ask(t, s, "GET", users(s, ""), "token", ""); got.status != 200 {
		t.Errorf("HTTP %d", got.status)
	}
}

func TestUsersComeAndGo(t *testing.T) {
	t.Parallel()
	s := trutotest.New(trutotest.Config{})
	s.Demo(3)
	one := func() said {
		return ask(t, s, "GET", trutotest.UsersPath+"/2?integrated_account_id="+s.AccountID(), "token", "")
	}
	s.UpdateUser("2", func(u *trutotest.User) { u.Name = "Changed" })
	if got := one(); got.body["name"] != "Changed" {
		t.Errorf("%v", got.body)
	}
	s.RemoveUser("2")
	if got := one(); got.status != 404 || len(s.Users()) != 2 {
		t.Errorf("HTTP %d", got.status)
	}
	s.RestoreUser("2")
	if got := one(); got.status != 200 || len(s.Users()) != 3 {
		t.Errorf("HTTP %d", got.status)
	}
}

func TestListenServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	s := trutotest.New(trutotest.Config{})
	base, stop, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(base.String())
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v, %v", resp, err)
	}
	resp.Body.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}
