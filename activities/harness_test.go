package activities_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/directory/jamf"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/activities/directory/truto"
	"jamf-access-review/activities/directory/truto/trutotest"
	"jamf-access-review/db"
)

// pageSize is small, so that a handful of accounts are several pages.
const pageSize = 3

// place is where activities run: a record in Postgres whose clock a test
// moves, and an address at which there is a simulated source.
type place struct {
	clock      *clock
	record     *db.DB
	sql        *sql.DB // for looking past the record's methods, and for damage
	source     atomic.Pointer[simulated]
	server     *httptest.Server
	open       atomic.Int64 // connections to it
	activities *activities.Activities
	close      func()
}

func newPlace(ctx context.Context, databaseURL string) (*place, error) {
	keyset, err := db.NewKeyset()
	if err != nil {
		return nil, err
	}
	p := &place{clock: &clock{now: time.Now().UTC().Truncate(time.Second)}}
	if p.record, err = db.Open(ctx, databaseURL, db.WithKeyset(keyset), db.WithClock(p.clock.Now)); err != nil {
		return nil, err
	}
	if p.sql, err = sql.Open("postgres", databaseURL); err != nil {
		p.record.Close()
		return nil, err
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*p.source.Load()).ServeHTTP(w, r) }))
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			p.open.Add(1)
		case http.StateClosed:
			p.open.Add(-1)
		}
	}
	p.server.Start()
	p.activities = &activities.Activities{Record: p.record, Providers: p.providers(), RereadPause: time.Millisecond}
	p.close = func() {
		p.server.Close()
		p.sql.Close()
		p.record.Close()
	}
	return p, nil
}

// providers are the product's, but for small pages and one request at a time:
// what happens between two pages then happens there every time.
func (p *place) providers() map[string]directory.Provider {
	http := httpclient.Config{MinWait: time.Millisecond, MaxWait: 5 * time.Millisecond, Timeout: 5 * time.Second}
	return map[string]directory.Provider{
		directory.JamfPro: onClock{&smallPages{jamf.NewProvider(http), http}, p.clock},
		directory.Truto:   onClock{truto.New(truto.Config{HTTP: http, PageSize: pageSize, Parallel: 1, RateSpan: time.Millisecond}), p.clock},
	}
}

// onClock is a provider whose tokens last by the record's clock, whatever that
// is set to.
type onClock struct {
	directory.Provider
	clock *clock
}

func (p onClock) RequestToken(ctx context.Context, settings directory.Settings, c directory.Credentials) (directory.Token, error) {
	token, err := p.Provider.RequestToken(ctx, settings, c)
	token.RenewAt = token.RenewAt.Add(time.Until(p.clock.Now()))
	return token, err
}

func (p onClock) RefreshToken(ctx context.Context, settings directory.Settings, c directory.Credentials) (directory.Token, error) {
	token, err := p.Provider.RefreshToken(ctx, settings, c)
	token.RenewAt = token.RenewAt.Add(time.Until(p.clock.Now()))
	return token, err
}

// smallPages is jamf.Provider with small pages.
type smallPages struct {
	*jamf.Provider
	http httpclient.Config
}

func (p *smallPages) Open(settings directory.Settings, tokens directory.TokenSource) (directory.Source, error) {
	base, err := jamf.ParseBaseURL(settings.BaseURL)
	if err != nil {
		return nil, err
	}
	cfg := p.http
	cfg.Base = base
	return jamf.New(jamf.Config{HTTP: httpclient.New(cfg), Scope: settings.Scope, Tokens: tokens, PageSize: pageSize, Parallel: 1}), nil
}

// clock stands still until it is moved, unless it is live.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	live bool
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live {
		return time.Now()
	}
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const (
	every = 6 * time.Hour
	grace = 24 * time.Hour
)

var connections atomic.Int64

// connect records a connection to a source that the place serves from now on,
// in an organization of its own.
func (p *place) connect(ctx context.Context, source simulated, scope directory.Scope) (db.Connection, error) {
	p.source.Store(&source)
	n := source.target()
	n.Name = fmt.Sprintf("c%d", connections.Add(1))
	n.Organization, n.BaseURL, n.Scope, n.Every, n.ExitGrace = n.Name, p.server.URL, scope, every, grace
	return p.record.CreateConnection(ctx, n)
}

// crashPostgres leaves what a crash of PostgreSQL leaves: no row in unlogged
// tables.
func (p *place) crashPostgres(ctx context.Context) error {
	_, err := p.sql.ExecContext(ctx, `DELETE FROM staged_reads; DELETE FROM staged_accounts; DELETE FROM staged_blocks; DELETE FROM source_leases`)
	return err
}

// setTrouble is as if the source had failed so since its last page.
func (p *place) setTrouble(ctx context.Context, c db.Connection, trouble db.Trouble) error {
	_, err := p.sql.ExecContext(ctx, `UPDATE staged_reads SET unreachable = $2, busy_seconds = $3 WHERE connection_id = $1`,
		c.ID, trouble.Unreachable, trouble.Busy.Seconds())
	return err
}

// run is a workflow run: its activities are those of one sync.
type run struct {
	*place
	id        string
	attempt   int32                // of the activity; 1 when 0
	scheduled time.Duration        // ago
	earlier   *activities.Progress // said by the attempt before
	stop      chan struct{}        // closed when the worker stops
	// ctx is what activities see end when it ends; context.Background when
	// nil.
	ctx context.Context

	mu         sync.Mutex
	heartbeats []activities.Progress
}

// said are the heartbeats so far.
func (r *run) said() []activities.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.heartbeats)
}

func (p *place) newRun(id string) *run { return &run{place: p, id: id} }

// execute runs an activity as a worker does, through the encoding of its
// input, result and error.
func execute[T any](r *run, name string, in any) (T, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&asRun{run: r}}, BackgroundActivityContext: r.ctx})
	if r.stop != nil {
		env.SetWorkerStopChannel(r.stop)
	}
	if r.earlier != nil {
		env.SetHeartbeatDetails(*r.earlier)
	}
	r.activities.Register(env)
	var result T
	value, err := env.ExecuteActivity(name, in)
	if err == nil && value.HasValue() {
		err = value.Get(&result)
	}
	return result, err
}

func (r *run) fetch(c db.Connection) (activities.FetchUsersResult, error) {
	return execute[activities.FetchUsersResult](r, activities.FetchUsers, activities.FetchUsersInput{ConnectionID: c.ID, Trigger: db.TriggerSchedule})
}

func (r *run) recordOutcomes(c db.Connection, accept bool) (activities.SyncResult, error) {
	return execute[activities.SyncResult](r, activities.RecordOutcomes, activities.RecordOutcomesInput{
		ConnectionID: c.ID, AcceptRemovals: accept, Becomes: db.StateChange{State: db.Active},
	})
}

func (r *run) recordFailure(c db.Connection, code, reason string) (activities.SyncResult, error) {
	return execute[activities.SyncResult](r, activities.RecordFailure, activities.RecordFailureInput{
		ConnectionID: c.ID, Trigger: db.TriggerSchedule, Code: code, Reason: reason, Becomes: db.StateChange{State: db.Active},
	})
}

func (r *run) refresh(c db.Connection, generation int64) error {
	_, err := execute[any](r, activities.RefreshCredentials, activities.RefreshCredentialsInput{ConnectionID: c.ID, Generation: generation})
	return err
}

func (r *run) validate(c db.Connection, offer int64) (activities.ValidateConnectionResult, error) {
	return execute[activities.ValidateConnectionResult](r, activities.ValidateConnection, activities.ValidateConnectionInput{ConnectionID: c.ID, Offer: offer})
}

func (r *run) enableMonitors(c db.Connection) ([]activities.MonitorSum, error) {
	return execute[[]activities.MonitorSum](r, activities.EnableMonitors, activities.ConnectionInput{ConnectionID: c.ID})
}

// asRun tells an activity that it belongs to a run. The test environment's own
// activities all belong to the same one, at the first attempt, just now.
type asRun struct {
	interceptor.WorkerInterceptorBase
	run *run
}

func (a *asRun) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	in := &inbound{run: a.run}
	in.Next = next
	return in
}

type inbound struct {
	interceptor.ActivityInboundInterceptorBase
	run *run
}

func (i *inbound) Init(out interceptor.ActivityOutboundInterceptor) error {
	o := &outbound{run: i.run}
	o.Next = out
	return i.Next.Init(o)
}

type outbound struct {
	interceptor.ActivityOutboundInterceptorBase
	run *run
}

func (o *outbound) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	info.WorkflowExecution.RunID = o.run.id
	info.Attempt = max(o.run.attempt, 1)
	info.ScheduledTime = time.Now().Add(-o.run.scheduled)
	return info
}

func (o *outbound) RecordHeartbeat(ctx context.Context, details ...any) {
	if len(details) == 1 {
		o.run.mu.Lock()
		o.run.heartbeats = append(o.run.heartbeats, details[0].(activities.Progress))
		o.run.mu.Unlock()
	}
	o.Next.RecordHeartbeat(ctx, details...)
}

// pagesStaged is how many pages are staged of the connection's read.
func (w *world) pagesStaged() (pages int) {
	w.t.Helper()
	require.NoError(w.t, w.sql.QueryRow(`SELECT pages FROM staged_reads WHERE connection_id = $1`, w.connection.ID).Scan(&pages))
	return pages
}

// failureOf is what Temporal and a workflow see of an activity's error; nil
// when there is none.
func failureOf(err error) *temporal.ApplicationError {
	if e, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return e
	}
	return nil
}

func codeOf(err error) string {
	if e := failureOf(err); e != nil {
		return e.Type()
	}
	return ""
}

// world is a place with one connection, for a test.
type world struct {
	*place
	t          *testing.T
	source     simulated
	jamf       *jamftest.Server // nil where the source is another
	truto      *trutotest.Server
	connection db.Connection
	runs       int
}

// setup connects to a Jamf Pro with n accounts besides its administrator, of
// which all but that one are auditors.
func setup(t *testing.T, n int) *world {
	t.Helper()
	return setupWith(t, newSimulatedJamf(), n)
}

// forEverySource runs a test of a law once with each sort of source, which has
// accounts as setup makes them.
func forEverySource(t *testing.T, n int, test func(*testing.T, *world)) {
	t.Helper()
	for _, source := range []simulated{newSimulatedJamf(), newSimulatedTruto()} {
		t.Run(source.target().Source, func(t *testing.T) { test(t, setupWith(t, source, n)) })
	}
}

func setupWith(t *testing.T, source simulated, n int) *world {
	t.Helper()
	p, err := newPlace(t.Context(), postgres.URL(shared))
	require.NoError(t, err)
	t.Cleanup(p.close)
	w := &world{place: p, t: t, source: source}
	switch s := source.(type) {
	case simulatedJamf:
		w.jamf = s.Server
	case simulatedTruto:
		w.truto = s.Server
	}
	source.add("admin", directory.Administrator)
	for i := range n {
		source.add(fmt.Sprintf("user%d", i+2), "Auditor")
	}
	w.connection, err = p.connect(t.Context(), source, directory.ScopeAdmins)
	require.NoError(t, err)
	return w
}

func (w *world) newRun() *run {
	w.runs++
	return w.place.newRun(fmt.Sprintf("%s-run-%d", w.connection.Name, w.runs))
}

// sync reads and records, and expects both to go well.
func (w *world) sync() activities.SyncResult {
	w.t.Helper()
	r := w.newRun()
	_, err := r.fetch(w.connection)
	require.NoError(w.t, err)
	result, err := r.recordOutcomes(w.connection, false)
	require.NoError(w.t, err)
	return result
}

// usernames are those of the console accounts on record that are present.
func (w *world) usernames() []string {
	w.t.Helper()
	names := []string{}
	for a, err := range w.record.Accounts(w.t.Context(), w.connection.ID, false) {
		require.NoError(w.t, err)
		if a.Kind == directory.Account {
			names = append(names, a.Username)
		}
	}
	return names
}

// usernamesThere are those that the source has now, in order.
func (w *world) usernamesThere() []string {
	names := w.source.usernames()
	slices.Sort(names)
	return names
}

// requests is how many requests there were since before, but for tokens.
func (w *world) requests(before map[string]int) map[string]int {
	since := w.source.Requests()
	for path, n := range before {
		if since[path] -= n; since[path] == 0 {
			delete(since, path)
		}
	}
	delete(since, "/api/v1/oauth/token")
	return since
}

// held is everything about the connection that a sync may change.
func (w *world) held() string {
	w.t.Helper()
	held, err := w.dump(w.t.Context(), w.connection.ID)
	require.NoError(w.t, err)
	return held
}

// dumped are the tables that a sync may change.
var dumped = []string{"syncs", "accounts", "changes", "outcomes", "findings", "staged_reads", "staged_accounts"}

// dump is what a sync may change, as text.
func (p *place) dump(ctx context.Context, connectionID int64) (string, error) {
	var all string
	for _, table := range dumped {
		var rows string
		err := p.sql.QueryRowContext(ctx, `
			SELECT coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '') FROM `+table+` t WHERE connection_id = $1`, connectionID).Scan(&rows)
		if err != nil {
			return "", err
		}
		all += table + "\n" + rows + "\n"
	}
	return all, nil
}

// once makes f happen at the first request for path.
func once(path string, f func()) faults.Func {
	var done atomic.Bool
	return func(r *http.Request) *faults.Fault {
		if r.URL.Path == path && done.CompareAndSwap(false, true) {
			f()
		}
		return nil
	}
}

// oncePage makes f happen at the first request for a page of accounts, before
// it is answered.
func oncePage(source simulated, page int, f func()) faults.Func {
	onPage := source.onPage(page, &faults.Fault{})
	var done atomic.Bool
	return func(r *http.Request) *faults.Fault {
		if onPage(r) != nil && done.CompareAndSwap(false, true) {
			f()
		}
		return nil
	}
}

// oncePageWaiting is oncePage for what ends the fetch: the request waits for
// that.
func oncePageWaiting(source simulated, page int, f func()) faults.Func {
	onPage := source.onPage(page, &faults.Fault{})
	var done atomic.Bool
	return func(r *http.Request) *faults.Fault {
		if onPage(r) != nil && done.CompareAndSwap(false, true) {
			f()
			<-r.Context().Done()
		}
		return nil
	}
}

// Of a token's lifetime the issuer admits to all but a second, and half of
// that has to pass before a token is renewed.
const (
	lifetime     = 2 * time.Second
	renewedAfter = (lifetime - time.Second) / 2
)
