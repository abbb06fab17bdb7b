package truto_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/directory/truto"
	"jamf-access-review/activities/directory/truto/trutotest"
)

// bundle is a simulated Truto and what it takes to read an account there.
type bundle struct {
	server      *trutotest.Server
	provider    *truto.Provider
	settings    directory.Settings
	credentials directory.Credentials
	tokens      *tokens
}

func setup(t testing.TB, cfg trutotest.Config) *bundle {
	t.Helper()
	server := trutotest.New(cfg)
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	b := &bundle{
		server: server,
		provider: truto.New(truto.Config{
			HTTP: httpclient.Config{MinWait: time.Millisecond, MaxWait: 10 * time.Millisecond, Timeout: 10 * time.Second},
			// Most tests are about what is read and not about how fast.
			RateSpan: cmp.Or(cfg.Span, time.Millisecond),
		}),
		settings:    directory.Settings{BaseURL: listening.URL, Scope: directory.ScopeAdmins, Account: server.AccountID()},
		credentials: directory.Credentials{APIToken: "token"},
	}
	b.tokens = &tokens{b: b}
	return b
}

// unlimited is a server that most tests do not reach the rates of.
func unlimited() trutotest.Config {
	return trutotest.Config{PerAccount: 1 << 20, PerToken: 1 << 20}
}

func (b *bundle) everyone() *bundle {
	b.settings.Scope = directory.ScopeEveryone
	return b
}

func (b *bundle) source(t testing.TB) directory.Source {
	t.Helper()
	source, err := b.provider.Open(b.settings, b.tokens)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// tokens keeps one token, as the record does for a connection.
type tokens struct {
	b *bundle

	mu      sync.Mutex
	current directory.Token
}

func (t *tokens) Token(ctx context.Context) (directory.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.current.RenewAt) {
		return t.current, nil
	}
	token, err := t.b.provider.RequestToken(ctx, t.b.settings, t.b.credentials)
	return t.keep(token, false), err
}

func (t *tokens) keep(token directory.Token, fresh bool) directory.Token {
	token.Generation, token.Fresh = t.current.Generation+1, fresh
	t.current = token
	return token
}

func (t *tokens) refresh(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, err := t.b.provider.RefreshToken(ctx, t.b.settings, t.b.credentials)
	if err == nil {
		t.keep(token, true)
	}
	return err
}

// snapshot is what a read emitted.
type snapshot struct {
	users    map[directory.Identity]directory.User
	pages    int
	requests int
	cursors  []directory.Cursor
	summary  *directory.Summary
}

func (s *snapshot) add(page directory.Page) error {
	if s.summary != nil {
		return errors.New("a page after the last one")
	}
	for _, user := range page.Users {
		if _, ok := s.users[user.Identity]; ok {
			return directory.Errorf(directory.Inconsistent, "a user twice")
		}
		s.users[user.Identity] = user
	}
	s.pages++
	s.requests += page.Requests
	s.cursors = append(s.cursors, page.Cursor)
	s.summary = page.Summary
	return nil
}

func (s *snapshot) user(t testing.TB, kind directory.Kind, id string) directory.User {
	t.Helper()
	user, ok := s.users[directory.Identity{Kind: kind, ID: id}]
	if !ok {
		t.Fatalf("no %s %s was read", kind, id)
	}
	return user
}

func empty() *snapshot { return &snapshot{users: map[directory.Identity]directory.User{}} }

func read(t testing.TB, source directory.Source, from directory.Cursor) (*snapshot, error) {
	t.Helper()
	s := empty()
	err := source.Read(t.Context(), from, s.add)
	return s, err
}

func mustRead(t testing.TB, source directory.Source) *snapshot {
	t.Helper()
	s, err := read(t, source, "")
	if err != nil {
		t.Fatal(err)
	}
	if s.summary == nil {
		t.Fatal("the last page has no summary")
	}
	total := 0
	for _, n := range s.summary.Totals {
		total += n
	}
	if total != len(s.users) {
		t.Errorf("%d users were read and the summary says %d", len(s.users), total)
	}
	return s
}

// readThrough reads to the end as the product does: it refreshes what is
// rejected and goes on at the last cursor with a new source.
func readThrough(t testing.TB, b *bundle) (*snapshot, error) {
	t.Helper()
	s := empty()
	for range 10 {
		var from directory.Cursor
		if len(s.cursors) > 0 {
			from = s.cursors[len(s.cursors)-1]
		}
		err := b.source(t).Read(t.Context(), from, s.add)
		if directory.CodeOf(err) != directory.TokenRejected {
			return s, err
		}
		if err := b.tokens.refresh(t.Context()); err != nil {
			return s, err
		}
	}
	t.Fatal("refreshed again and again")
	return nil, nil
}

// lookup is how many of those there are.
func lookup(t testing.TB, b *bundle, ids ...directory.Identity) int {
	t.Helper()
	before := asked(b)
	found, err := b.source(t).Lookup(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, found.Requests, asked(b)-before)
	return found.Present
}

// asked is how many requests there were.
func asked(b *bundle) (requests int) {
	for _, n := range b.server.Requests() {
		requests += n
	}
	return requests
}

func account(id string) directory.Identity {
	return directory.Identity{Kind: directory.Account, ID: id}
}

func wantCode(t testing.TB, err error, code directory.Code) *directory.Error {
	t.Helper()
	e := directory.AsError(err)
	if e == nil || e.Code != code {
		t.Fatalf("got error %v, want one with code %s", err, code)
	}
	return e
}

func equal(t testing.TB, got, want any) {
	t.Helper()
	g, _ := json.MarshalIndent(got, "", " ")
	w, _ := json.MarshalIndent(want, "", " ")
	if !slices.Equal(g, w) {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}
