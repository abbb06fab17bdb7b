package jamf_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/directory/jamf"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

// bundle is a simulated server and what it takes to read it.
type bundle struct {
	server *jamftest.Server
	base   *url.URL
	http   httpclient.Config
	tokens *tokens
	config jamf.Config // HTTP is set by each source
}

func setup(t testing.TB, cfg jamftest.Config) *bundle {
	t.Helper()
	server := jamftest.New(cfg)
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	base, err := url.Parse(listening.URL + cfg.ContextPath)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{
		server: server,
		base:   base,
		http:   httpclient.Config{Base: base, MinWait: time.Millisecond, MaxWait: 10 * time.Millisecond, Timeout: 10 * time.Second},
	}
	b.tokens = &tokens{request: func(ctx context.Context) (directory.Token, error) {
		return jamf.RequestToken(ctx, b.client(t), "client", "secret")
	}}
	b.config = jamf.Config{Tokens: b.tokens, Scope: directory.ScopeAdmins}
	return b
}

func (b *bundle) client(t testing.TB) *httpclient.Client {
	client := httpclient.New(b.http)
	t.Cleanup(client.Close)
	return client
}

func (b *bundle) source(t testing.TB) directory.Source {
	b.config.HTTP = b.client(t)
	return jamf.New(b.config)
}

// everyone widens the scope to end users.
func (b *bundle) everyone() *bundle {
	b.config.Scope = directory.ScopeEveryone
	return b
}

// tokens keeps one token, as the record does for a connection.
type tokens struct {
	request func(context.Context) (directory.Token, error)

	mu      sync.Mutex
	current directory.Token
}

func (t *tokens) Token(ctx context.Context) (directory.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.current.RenewAt) {
		return t.current, nil
	}
	return t.renew(ctx, false)
}

func (t *tokens) renew(ctx context.Context, fresh bool) (directory.Token, error) {
	token, err := t.request(ctx)
	if err != nil {
		return directory.Token{}, err
	}
	token.Generation, token.Fresh = t.current.Generation+1, fresh
	t.current = token
	return token, nil
}

// rejected renews the token that a source rejected.
func (t *tokens) rejected(ctx context.Context, generation int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.Generation != generation {
		return nil
	}
	_, err := t.renew(ctx, true)
	return err
}

// snapshot is what a read emitted.
type snapshot struct {
	users    map[directory.Identity]directory.User
	order    []directory.Kind
	pages    int
	requests int
	cursors  []directory.Cursor
	summary  *directory.Summary
}

func read(t testing.TB, source directory.Source, from directory.Cursor) (*snapshot, error) {
	t.Helper()
	s := &snapshot{users: map[directory.Identity]directory.User{}}
	err := source.Read(t.Context(), from, s.add)
	return s, err
}

func (s *snapshot) add(page directory.Page) error {
	if s.summary != nil {
		return errors.New("a page after the last one")
	}
	for _, user := range page.Users {
		if _, ok := s.users[user.Identity]; ok {
			return errors.New("a user twice")
		}
		s.users[user.Identity] = user
		if len(s.order) == 0 || s.order[len(s.order)-1] != user.Kind {
			s.order = append(s.order, user.Kind)
		}
	}
	s.pages++
	s.requests += page.Requests
	s.cursors = append(s.cursors, page.Cursor)
	s.summary = page.Summary
	return nil
}

func (s *snapshot) user(t testing.TB, kind directory.Kind, id int) directory.User {
	t.Helper()
	user, ok := s.users[directory.Identity{Kind: kind, ID: strconv.Itoa(id)}]
	if !ok {
		t.Fatalf("no %s %d was read", kind, id)
	}
	return user
}

func (s *snapshot) count(kind directory.Kind) int {
	n := 0
	for id := range s.users {
		if id.Kind == kind {
			n++
		}
	}
	return n
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
	for kind, total := range s.summary.Totals {
		if got := s.count(kind); got != total {
			t.Errorf("%d of kind %s were read and the summary says %d", got, kind, total)
		}
	}
	return s
}

// readThrough reads to the end as the product does: it renews rejected tokens
// and goes on at the last cursor with a new source.
func readThrough(t testing.TB, b *bundle, renewals int) (*snapshot, error) {
	t.Helper()
	s := &snapshot{users: map[directory.Identity]directory.User{}}
	for {
		var from directory.Cursor
		if len(s.cursors) > 0 {
			from = s.cursors[len(s.cursors)-1]
		}
		err := b.source(t).Read(t.Context(), from, s.add)
		e := directory.AsError(err)
		if e == nil || e.Code != directory.TokenRejected || renewals == 0 {
			return s, err
		}
		renewals--
		if err := b.tokens.rejected(t.Context(), e.Generation); err != nil {
			return s, err
		}
	}
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
