package main_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

const (
	// patience is how long anything may take on a busy machine.
	patience  = 2 * time.Minute
	pollEvery = 200 * time.Millisecond
)

// cli runs the starter program.
type cli struct {
	t     *testing.T
	env   []string
	stdin string
	// patience is how long a command may take, if not as long as anything.
	patience time.Duration
}

func (w *world) cli(t *testing.T) cli { return cli{t: t, env: w.env()} }

// with returns a cli with more environment, which wins over what it had.
func (c cli) with(env ...string) cli {
	c.env = append(slices.Clone(c.env), env...)
	return c
}

// in returns a cli of another test.
func (c cli) in(t *testing.T) cli {
	c.t = t
	return c
}

// reading returns a cli whose commands read text from standard input.
func (c cli) reading(text string) cli {
	c.stdin = text
	return c
}

// result is how a command ended.
type result struct {
	args   []string
	stdout string
	stderr string
	code   int
}

func (r result) String() string {
	return fmt.Sprintf("starter %s\nexit status %d\nstdout:\n%s\nstderr:\n%s", strings.Join(r.args, " "), r.code, r.stdout, r.stderr)
}

// run runs a command to its end. It may be called from any goroutine.
func (c cli) run(args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(c.patience, patience))
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program("starter"), args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env, strings.NewReader(c.stdin), &stdout, &stderr
	err := cmd.Run()
	r := result{args: args, stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode()}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		c.t.Errorf("%v: %v\n%s", err, ctx.Err(), r)
	}
	return r
}

// ok runs a command that is to succeed.
func (c cli) ok(args ...string) result {
	c.t.Helper()
	r := c.run(args...)
	require.Zero(c.t, r.code, "%s", r)
	return r
}

// document reads standard output, which is to be one JSON document and nothing
// else.
func document[T any](t *testing.T, r result) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(r.stdout))
	require.NoError(t, d.Decode(&v), "%s", r)
	_, err := d.Token()
	require.ErrorIs(t, err, io.EOF, "more than one document: %s", r)
	return v
}

// ask runs a command that is to succeed and returns its JSON.
func ask[T any](c cli, args ...string) T {
	c.t.Helper()
	return document[T](c.t, c.ok(append(args, "-o", "json")...))
}

// refused is a failed command's JSON.
type refused struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// refuse runs a command that is to fail with a status and a code, and to say
// so in words.
func (c cli) refuse(code int, errorCode string, args ...string) refused {
	c.t.Helper()
	r := c.run(append(args, "-o", "json")...)
	require.Equal(c.t, code, r.code, "%s", r)
	f := document[refused](c.t, r)
	require.Equal(c.t, errorCode, f.Error, "%s", r)
	require.NotEmpty(c.t, f.Message, "%s", r)
	require.NotEmpty(c.t, f.Hint, "%s", r)
	require.NotContains(c.t, r.stdout+r.stderr, "goroutine ", "a stack trace")
	return f
}

// await polls until a condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for !condition() {
		select {
		case <-deadline:
			require.FailNow(t, "it does not come: "+what)
		case <-poll.C:
		}
	}
}

// together runs f n times at once.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

func keysOf(document map[string]any) []string { return slices.Sorted(maps.Keys(document)) }

// What commands answer in JSON, as far as tests read it.
type (
	syncDoc struct {
		Number     int       `json:"number"`
		Trigger    string    `json:"trigger"`
		Outcome    string    `json:"outcome"`
		Error      string    `json:"error"`
		Reason     string    `json:"reason"`
		StartedAt  time.Time `json:"started_at"`
		FinishedAt time.Time `json:"finished_at"`
		Accounts   int       `json:"accounts"`
		Added      int       `json:"added"`
		Changed    int       `json:"changed"`
		Removed    int       `json:"removed"`
		Requests   int       `json:"requests"`
	}
	syncedDoc struct {
		refused
		Connection    string       `json:"connection"`
		State         string       `json:"state"`
		Source        string       `json:"source"`
		SourceVersion string       `json:"source_version"`
		Sync          syncDoc      `json:"sync"`
		Monitors      []monitorDoc `json:"monitors"`
	}
	statusDoc struct {
		Connection  string     `json:"connection"`
		State       string     `json:"state"`
		Reason      string     `json:"reason"`
		NextSyncAt  *time.Time `json:"next_sync_at"`
		LastSync    *syncDoc   `json:"last_sync"`
		Scope       string     `json:"scope"`
		Every       string     `json:"every"`
		Doing       string     `json:"doing"`
		Limitations []struct {
			Privilege string `json:"privilege"`
			Lost      string `json:"lost"`
		} `json:"limitations"`
	}
	userDoc struct {
		ID          string     `json:"id"`
		Kind        string     `json:"kind"`
		Username    string     `json:"username"`
		Email       string     `json:"email"`
		Name        string     `json:"name"`
		Status      string     `json:"status"`
		MFA         string     `json:"mfa"`
		Roles       []string   `json:"roles"`
		Groups      []string   `json:"groups"`
		AccessLevel string     `json:"access_level"`
		Site        string     `json:"site"`
		Directory   *bool      `json:"directory"`
		RemovedAt   *time.Time `json:"removed_at"`
	}
	changeDoc struct {
		Sync     int            `json:"sync"`
		At       time.Time      `json:"at"`
		Kind     string         `json:"kind"`
		ID       string         `json:"id"`
		Username string         `json:"username"`
		Change   string         `json:"change"`
		Before   map[string]any `json:"before"`
		After    map[string]any `json:"after"`
	}
	monitorDoc struct {
		Code     string         `json:"code"`
		State    string         `json:"state"`
		Sync     int            `json:"sync"`
		Counts   map[string]int `json:"counts"`
		Reason   string         `json:"reason"`
		Findings []findingDoc   `json:"findings"`
	}
	findingDoc struct {
		ID       string     `json:"id"`
		Username string     `json:"username"`
		Person   string     `json:"person"`
		State    string     `json:"state"`
		Reason   string     `json:"reason"`
		Since    time.Time  `json:"since"`
		DueAt    *time.Time `json:"due_at"`
	}
)

// subject is a connection of the test's own, with its organization and its
// simulated Jamf Pro. Everything in it that nobody else may see has the word
// "canary" in it.
type subject struct {
	cli
	world *world
	name  string
	org   string
	jamf  *jamftest.Server
	url   string

	clientID, secret string
	// ada is a full administrator, bob an auditor, cleo an auditor who is
	// confined to enrolling.
	ada, bob, cleo int
}

// setup makes a subject in the shared world, which is not connected yet.
func setup(t *testing.T, configs ...func(*jamftest.Config)) *subject {
	t.Helper()
	return shared.setup(t, configs...)
}

var subjects atomic.Int64

func (w *world) setup(t *testing.T, configs ...func(*jamftest.Config)) *subject {
	t.Helper()
	name := fmt.Sprintf("%s-%d", identifier(t.Name()), subjects.Add(1))
	s := &subject{
		cli: w.cli(t), world: w, name: name, org: "org-" + name,
		clientID: "canary-client-" + name, secret: newSecret(),
	}
	config := jamftest.Config{ClientID: s.clientID, ClientSecret: s.secret}
	for _, change := range configs {
		change(&config)
	}
	s.jamf = jamftest.New(config)
	s.url = serve(t, s.jamf) + config.ContextPath
	s.ada = s.addAccount("ada", jamftest.Account{PrivilegeSet: jamftest.Administrator})
	s.bob = s.addAccount("bob", jamftest.Account{})
	s.cleo = s.addAccount("cleo", jamftest.Account{PrivilegeSet: jamftest.EnrollmentOnly})
	return s
}

func newSecret() string { return "canary-secret-" + rand.Text() }

// addAccount adds the account of a person and returns its id.
func (s *subject) addAccount(who string, a jamftest.Account) int {
	a.Username, a.Email, a.RealName = username(who), email(who), "Canary "+who
	return s.jamf.AddAccount(a)
}

func username(who string) string { return "canary." + who }
func email(who string) string    { return username(who) + "@example.com" }

// serve serves a Jamf Pro for as long as the test runs and returns its address.
// Access tokens that it is shown are remembered.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(notingTokens(handler))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// notingTokens notes the tokens of requests, to be searched for.
func notingTokens(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			tokens.Store(token, true)
		}
		handler.ServeHTTP(w, r)
	})
}

// doing does something once, when a request comes that is to be answered after
// it.
func doing(about func(*http.Request) bool, what func()) faults.Func {
	var once sync.Once
	return func(r *http.Request) *faults.Fault {
		if about(r) {
			once.Do(what)
		}
		return nil
	}
}

// file writes a file of the test's own.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func (s *subject) connectArgs(more ...string) []string {
	args := []string{"connect", s.name, "--jamf-url", s.url, "--client-id", s.clientID, "--org", s.org, "--confirm-admin"}
	return append(args, more...)
}

func (s *subject) withSecret() cli { return s.with("JAMF_CLIENT_SECRET=" + s.secret) }

func (s *subject) connect(more ...string) syncedDoc {
	s.t.Helper()
	doc := ask[syncedDoc](s.withSecret(), s.connectArgs(more...)...)
	// A connection that syncs every few seconds would go on doing so after its
	// Jamf is gone.
	if s.world == shared {
		s.t.Cleanup(func() { s.run("disconnect", s.name) })
	}
	return doc
}

func (s *subject) resync(more ...string) syncedDoc {
	s.t.Helper()
	return ask[syncedDoc](s.cli, append([]string{"resync", s.name}, more...)...)
}

// failResync syncs where that is to fail.
func (s *subject) failResync(code int, errorCode string, more ...string) syncedDoc {
	s.t.Helper()
	r := s.run(append([]string{"resync", s.name, "-o", "json"}, more...)...)
	require.Equal(s.t, code, r.code, "%s", r)
	doc := document[syncedDoc](s.t, r)
	require.Equal(s.t, errorCode, doc.Sync.Error, "%s", r)
	require.NotEmpty(s.t, doc.Sync.Reason, "%s", r)
	return doc
}

func (s *subject) status() statusDoc {
	s.t.Helper()
	return ask[statusDoc](s.cli, "status", s.name)
}

func (s *subject) syncs() []syncDoc {
	s.t.Helper()
	return ask[[]syncDoc](s.cli, "syncs", s.name)
}

func (s *subject) changes() []changeDoc {
	s.t.Helper()
	return ask[[]changeDoc](s.cli, "changes", s.name)
}

// changesOf are the changes that one sync found.
func (s *subject) changesOf(sync int) []changeDoc {
	s.t.Helper()
	return slices.DeleteFunc(s.changes(), func(c changeDoc) bool { return c.Sync != sync })
}

func (s *subject) users(more ...string) []userDoc {
	s.t.Helper()
	return ask[[]userDoc](s.cli, append([]string{"users", s.name}, more...)...)
}

// usernames are the names of users of a kind, in the order they are listed.
func usernames(users []userDoc, kind string) []string {
	names := []string{}
	for _, u := range users {
		if u.Kind == kind {
			names = append(names, u.Username)
		}
	}
	return names
}

func (s *subject) monitor(code string) monitorDoc {
	s.t.Helper()
	for _, m := range ask[[]monitorDoc](s.cli, "monitors", s.name) {
		if m.Code == code {
			return m
		}
	}
	require.FailNow(s.t, "no monitor "+code)
	return monitorDoc{}
}
