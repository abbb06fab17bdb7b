//go:build figures

package main_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/db"
	"jamf-access-review/db/localpostgres"
	"jamf-access-review/workflows"
	"jamf-access-review/workflows/localtemporal"
)

// How fast it is, on servers of its own and beside floors that are measured in
// the same run: what no way of doing it can do without. It judges nothing, and
// is run where nothing else runs:
//
//	go test -tags figures ./starter -run TestFigures -count=1 -v -timeout 30m
var (
	figuresUsers       = flag.Int("figures.users", 1_000_000, "end users of the large directory; 0 leaves it out")
	figuresConnections = flag.Int("figures.connections", 200, "connections that sync by themselves; 0 leaves them out")
	figuresEvery       = flag.Duration("figures.every", 20*time.Second, "their interval")
	figuresMany        = flag.Int("figures.many", 0, "connections that sync twice each, spread over an interval; 0 leaves them out")
	figuresManyEvery   = flag.Duration("figures.many-every", 30*time.Minute, "their interval")
	figuresJSON        = flag.String("figures.json", "", "file to write the figures to as JSON")
)

// bareConnections is how many connections the bare download uses: as many as
// the product.
const bareConnections = 5

// figure is one line of the table. What has no floor has none.
type figure struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Floor float64 `json:"floor,omitempty"`
}

// stage is what figures are measured on.
type stage struct {
	*world
	worker  *worker
	sql     *sqlx.DB
	figures []figure
}

func TestFigures(t *testing.T) {
	fmt.Printf("%-62s %15s %15s %8s\n", "", "measured", "floor", "ratio")
	st := newStage(t)
	t.Run("accounts", st.measureAccounts)
	if *figuresUsers > 0 {
		t.Run("everyone", st.measureEveryone)
		t.Run("beside", st.measureBesideOthers)
	}
	t.Run("staging", st.measureStaging)
	if *figuresConnections > 0 {
		t.Run("connections", st.measureConnections)
	}
	if *figuresMany > 0 {
		t.Run("many", st.measureMany)
	}
	st.save(t)
}

// newStage starts servers and a worker that do nothing else.
func newStage(t *testing.T) *stage {
	own, err := localpostgres.Start(t.Context(), localpostgres.Config{Durable: true})
	require.NoError(t, err)
	orchestrator, err := localtemporal.Start(t.Context(), localtemporal.Config{UIPort: localtemporal.NoUI})
	require.NoError(t, err)
	w, err := newWorldOn(t.Context(), "default", own, orchestrator)
	require.NoError(t, err)
	st := &stage{world: w}
	st.sql, err = sqlx.Connect("postgres", w.databaseURL)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, st.sql.Close())
		require.NoError(t, w.close())
		require.NoError(t, orchestrator.Stop(context.Background()))
		require.NoError(t, own.Stop(context.Background()))
	})
	began := time.Now()
	st.worker, err = w.startWorker("--log-level", "info")
	require.NoError(t, err)
	st.worker.awaitPolling(t)
	st.add("worker: start to first poll", time.Since(began).Seconds(), "s", 0)
	return st
}

// add prints a figure, and beside it its floor and the ratio of both.
func (st *stage) add(what string, value float64, unit string, floor float64) {
	f := figure{what, value, unit, floor}
	st.figures = append(st.figures, f)
	ratio := ""
	if floor > 0 {
		ratio = fmt.Sprintf("%10.2f %-4s %8.2f", floor, unit, value/floor)
	}
	fmt.Printf("%-62s %10.2f %-4s %s\n", what, value, unit, ratio)
}

func (st *stage) save(t *testing.T) {
	if *figuresJSON == "" {
		return
	}
	content, err := json.MarshalIndent(st.figures, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(*figuresJSON, content, 0o644))
}

// asked notes what is asked of a simulated Jamf Pro.
type asked struct {
	next http.Handler

	mu   sync.Mutex
	uris []string
}

func (a *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		a.mu.Lock()
		a.uris = append(a.uris, r.URL.RequestURI())
		a.mu.Unlock()
	}
	a.next.ServeHTTP(w, r)
}

// take returns what was asked since it was last called.
func (a *asked) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	uris := a.uris
	a.uris = nil
	return uris
}

// bareDownload asks for the same again, over as many connections, and decodes
// every answer: the floor of a sync's download.
func (s *subject) bareDownload(uris []string) time.Duration {
	s.t.Helper()
	token := s.token()
	transport := &http.Transport{MaxIdleConnsPerHost: bareConnections}
	defer transport.CloseIdleConnections()
	began := time.Now()
	var g errgroup.Group
	g.SetLimit(bareConnections)
	for _, uri := range uris {
		g.Go(func() error {
			request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+uri, nil)
			if err != nil {
				return err
			}
			request.Header.Set("Authorization", "Bearer "+token)
			answer, err := transport.RoundTrip(request)
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			return decodeBare(answer)
		})
	}
	require.NoError(s.t, g.Wait())
	return time.Since(began)
}

// decodeBare decodes into no more than the facts of end users, which are most
// of what there is to decode.
func decodeBare(answer *http.Response) error {
	if answer.StatusCode != http.StatusOK || strings.HasSuffix(answer.Request.URL.Path, "/sites") {
		return json.NewDecoder(answer.Body).Decode(new(any))
	}
	return json.NewDecoder(answer.Body).Decode(&struct {
		TotalCount int
		Results    []struct {
			ID                        any
			Username, RealName, Email string
		}
	}{})
}

func (s *subject) token() string {
	answer, err := http.PostForm(s.url+"/api/v1/oauth/token", map[string][]string{
		"client_id": {s.clientID}, "client_secret": {s.secret}, "grant_type": {"client_credentials"},
	})
	require.NoError(s.t, err)
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(s.t, json.NewDecoder(answer.Body).Decode(&token))
	return token.AccessToken
}

// resync asks for a sync as the command does, and returns its result and how
// long that took.
func (st *stage) resync(t *testing.T, s *subject) (activities.SyncResult, time.Duration) {
	t.Helper()
	began := time.Now()
	handle, err := st.client.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: workflows.AccessSyncID(s.name), UpdateName: workflows.ResyncMessage,
		Args: []any{workflows.ResyncRequest{}}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.NoError(t, err)
	var result activities.SyncResult
	require.NoError(t, handle.Get(t.Context(), &result))
	require.EqualValues(t, "applied", result.Outcome, result.Reason)
	return result, time.Since(began)
}

// watched makes a subject whose requests are noted.
func (st *stage) watched(t *testing.T, config jamftest.Config) (*subject, *asked) {
	s := st.setup(t, func(c *jamftest.Config) {
		config.ClientID, config.ClientSecret = c.ClientID, c.ClientSecret
		*c = config
	})
	s.patience = 20 * time.Minute
	a := &asked{next: s.jamf}
	s.url = serve(t, a)
	return s, a
}

// rounds is how often what is short is measured; the fastest counts, for both
// sides.
const rounds = 3

func (st *stage) measureAccounts(t *testing.T) {
	for _, c := range []struct {
		what     string
		accounts int
		config   jamftest.Config
	}{
		{"newer API, 2,000 accounts, 5 ms a request", 2000, jamftest.Config{Latency: 5 * time.Millisecond}},
		{"Classic API only, 2,000 accounts, 5 ms a request", 2000, jamftest.Config{Latency: 5 * time.Millisecond, Release: new(jamftest.ClassicOnly())}},
		{"newer API, 20,000 accounts", 20_000, jamftest.Config{}},
	} {
		s, a := st.watched(t, c.config)
		s.jamf.Demo(c.accounts)
		s.connect("--every", "24h")
		st.rest(t)
		var best, floor time.Duration
		for range rounds {
			a.take()
			_, took := st.resync(t, s)
			uris := a.take()
			best, floor = shorter(best, took), shorter(floor, s.bareDownload(uris))
		}
		st.add(c.what, best.Seconds(), "s", floor.Seconds())
	}
}

func shorter(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// changing is how many end users change in between.
const changing = 1000

func (st *stage) measureEveryone(t *testing.T) {
	n := *figuresUsers
	s, a := st.watched(t, jamftest.Config{})
	change := func(round int) {
		for id := 1; id <= changing; id++ {
			s.jamf.AddEndUser(jamftest.EndUser{ID: id, Username: fmt.Sprintf("first%d", id), RealName: fmt.Sprintf("Round %d", round), Email: fmt.Sprintf("first%d@example.com", id)})
		}
	}
	change(0)
	s.jamf.GenerateEndUsers(n - changing)
	who := fmt.Sprintf("everyone, %d end users: ", n)
	idle := memory(t, st.worker.cmd.Process, "VmRSS")

	began := time.Now() // a sync is finished, on record, before it is applied
	s.connect("--every", "24h", "--scope", "everyone")
	first := time.Since(began)
	uris := a.take()
	download := s.bareDownload(uris)
	store := st.bareCopy(t, n)
	st.add(who+"connecting, with the first sync", first.Seconds(), "s", (download + store).Seconds())

	st.rest(t)
	since := st.now(t)
	var unchanged, changed time.Duration
	for range rounds {
		result, took := st.resync(t, s)
		require.Zero(t, result.Added+result.Changed+result.Removed)
		unchanged, download = shorter(unchanged, took), shorter(download, s.bareDownload(uris))
	}
	st.add(who+"unchanged", unchanged.Seconds(), "s", download.Seconds())
	st.add(who+"unchanged, rows of accounts written", st.writtenSince(t, since), "", 0)

	st.rest(t)
	for round := range rounds {
		change(1 + round)
		result, took := st.resync(t, s)
		require.Equal(t, changing, result.Changed)
		changed = shorter(changed, took)
	}
	st.add(who+"1,000 changed", changed.Seconds(), "s", unchanged.Seconds())

	wal := int64(math.MaxInt64) // the least: PostgreSQL writes at times for itself
	for range rounds {
		st.rest(t)
		before := st.wal(t)
		st.resync(t, s)
		wal = min(wal, st.wal(t)-before)
	}
	st.add(who+"unchanged, WAL", float64(wal)/(1<<20), "MiB", 0)
	st.add("worker: highest memory above idle", memory(t, st.worker.cmd.Process, "VmHWM")-idle, "MiB", 0)

	reader := s.streamUsers()
	st.add(who+"users -o json, first byte", reader.first.Seconds(), "s", 0)
	st.add(who+"users -o json, all", reader.all.Seconds(), "s", 0)
	st.add("users -o json, highest memory", reader.memory, "MiB", 0)
}

// bareCopy copies as many rows into an empty table like accounts: the floor of
// storing them.
func (st *stage) bareCopy(t *testing.T, n int) time.Duration {
	const columns = `connection_id, kind, source_id, username, email, name, status, mfa, roles, groups, access_level, site, privileges, facts_digest`
	_, err := st.sql.Exec(`CREATE TABLE bare (LIKE accounts INCLUDING ALL)`)
	require.NoError(t, err)
	began := time.Now()
	tx, err := st.sql.Begin()
	require.NoError(t, err)
	stmt, err := tx.Prepare(`COPY bare (` + columns + `) FROM STDIN`)
	require.NoError(t, err)
	none, hash := pq.StringArray{}, make([]byte, 32)
	for i := range n {
		name := fmt.Sprintf("user%07d", i)
		_, err := stmt.Exec(1, "end_user", fmt.Sprint(i), name, name+"@example.com", "User "+name, "unknown", "unknown", none, none, "", "", none, hash)
		require.NoError(t, err)
	}
	_, err = stmt.Exec()
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	took := time.Since(began)
	_, err = st.sql.Exec(`DROP TABLE bare`)
	require.NoError(t, err)
	return took
}

// rest does what PostgreSQL does by itself in the hours before the next sync.
func (st *stage) rest(t *testing.T) {
	t.Helper()
	for _, statement := range []string{`VACUUM ANALYZE`, `CHECKPOINT`} {
		_, err := st.sql.Exec(statement)
		require.NoError(t, err)
	}
}

// now is a moment in the life of the database.
func (st *stage) now(t *testing.T) (transaction int64) {
	t.Helper()
	require.NoError(t, st.sql.Get(&transaction, `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint`))
	return transaction
}

// writtenSince is how many accounts were written since a moment.
func (st *stage) writtenSince(t *testing.T, transaction int64) (rows float64) {
	t.Helper()
	require.NoError(t, st.sql.Get(&rows, `SELECT count(*) FROM accounts WHERE xmin::text::bigint >= $1`, transaction))
	return rows
}

// wal is how many bytes of WAL were written so far.
func (st *stage) wal(t *testing.T) (written int64) {
	t.Helper()
	require.NoError(t, st.sql.Get(&written, `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`))
	return written
}

// measureBesideOthers is a small connection's sync in a record that holds the
// large one: an index leads every statement to its rows.
func (st *stage) measureBesideOthers(t *testing.T) {
	s, _ := st.watched(t, jamftest.Config{})
	s.jamf.Demo(25)
	s.connect("--every", "24h")
	st.rest(t)
	before := st.rowsScanned(t)
	var best time.Duration
	for range rounds {
		_, took := st.resync(t, s)
		best = shorter(best, took)
	}
	require.NoError(t, st.worker.end(syscall.SIGTERM), "a session has reported what it did when it is gone")
	after := st.rowsScanned(t)
	wk, err := st.startWorker("--log-level", "info")
	require.NoError(t, err)
	st.worker = wk
	st.worker.awaitPolling(t)
	st.add("25 accounts, in the same record: a sync", best.Seconds(), "s", 0)
	st.add("rows read without an index, of the large tables", after-before, "", 0)
}

// rowsScanned is how many rows were read without an index so far, of the tables
// that grow with users.
func (st *stage) rowsScanned(t *testing.T) (rows float64) {
	t.Helper()
	require.NoError(t, st.sql.Get(&rows, `
		SELECT sum(seq_tup_read) FROM pg_stat_user_tables
		WHERE relname IN ('accounts', 'changes', 'findings', 'account_blocks', 'people', 'person_addresses')`))
	return rows
}

// stagings is how often the staging table is filled and emptied: as often as in
// three months.
const stagings = 400

// measureStaging leaves the table of what is being read to autovacuum.
func (st *stage) measureStaging(t *testing.T) {
	s, _ := st.watched(t, jamftest.Config{})
	s.jamf.Demo(2000)
	s.connect("--every", "24h")
	var highest float64
	began := time.Now()
	for range stagings {
		st.resync(t, s)
		var size float64
		require.NoError(t, st.sql.Get(&size, `SELECT pg_total_relation_size('staged_accounts') / 1048576.0`))
		highest = max(highest, size)
	}
	what := fmt.Sprintf("staging, after %d syncs of 2,000 accounts: ", stagings)
	st.add(what+"a sync", time.Since(began).Seconds()/stagings, "s", 0)
	st.add(what+"largest size", highest, "MiB", 0)
}

// measureMany is a worker with many connections, whose times to sync are spread
// evenly over one interval, as those are that were connected one by one.
func (st *stage) measureMany(t *testing.T) {
	n, every := *figuresMany, *figuresManyEvery
	s, _ := st.watched(t, jamftest.Config{})
	s.jamf.Demo(25)
	idle := memory(t, st.worker.cmd.Process, "VmRSS")
	st.startMany(t, s, serveMany(t, s.jamf, n), every)
	for _, round := range []string{"first syncs", "the syncs after"} {
		seen := st.observe(t, every, "many-")
		what := fmt.Sprintf("%d connections of 25 accounts every %s, %s: ", n, every, round)
		st.add(what+"syncs", float64(seen.syncs), "", float64(n))
		st.add(what+"worker CPU a sync", seen.cpu.Seconds()*1000/float64(seen.syncs), "ms", 0)
		st.add(what+"worker's highest memory above idle", memory(t, st.worker.cmd.Process, "VmHWM")-idle, "MiB", 0)
		st.add(what+"Postgres connections", float64(seen.connections), "", 0)
		st.add(what+"latest of all", 100*seen.late/every.Seconds(), "%", 0)
		st.add(what+"a sync, half of them", 1000*seen.half, "ms", 0)
		st.add(what+"a sync, 95 in 100", 1000*seen.most, "ms", 0)
	}
}

// startMany puts a connection to each URL on record, and starts its AccessSync
// with a time to sync of its own.
func (st *stage) startMany(t *testing.T, s *subject, urls []string, every time.Duration) {
	t.Helper()
	record := st.openRecord(t)
	defer record.Close()
	const headStart = 3 * time.Minute // until all are started
	first := time.Now().Add(headStart)
	var g errgroup.Group
	g.SetLimit(20)
	for i, url := range urls {
		g.Go(func() error {
			c, err := record.CreateConnection(t.Context(), s.newConnection(fmt.Sprintf("many-%d", i), url, every))
			if err != nil {
				return err
			}
			if err := record.EnableMonitors(t.Context(), c.ID); err != nil {
				return err
			}
			in := workflows.Revived(c, time.Now())
			in.NextSyncAt = first.Add(every * time.Duration(i) / time.Duration(len(urls)))
			if err := record.ChangeState(t.Context(), c.ID, db.StateChange{State: db.Active, NextSyncAt: &in.NextSyncAt}); err != nil {
				return err
			}
			_, err = st.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
				ID: workflows.AccessSyncID(c.Name), TaskQueue: workflows.TaskQueue,
			}, workflows.AccessSync, in)
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.True(t, time.Now().Before(first), "all are started before the first syncs")
	<-time.After(time.Until(first))
}

func (st *stage) measureConnections(t *testing.T) {
	n, every := *figuresConnections, *figuresEvery
	s, _ := st.watched(t, jamftest.Config{})
	s.jamf.Demo(25)
	connected := st.connectMany(t, s, "fast", serveMany(t, s.jamf, n), every)
	what := fmt.Sprintf("%d connections of 25 accounts every %s: ", n, every)
	st.add(what+"connecting", connected.Seconds(), "s", 0)

	alone := st.observe(t, 3*every, "fast-")
	st.add(what+"syncs", float64(alone.syncs), "", float64(3*n))
	st.add(what+"worker CPU a sync", alone.cpu.Seconds()*1000/float64(alone.syncs), "ms", 0)
	st.add(what+"Postgres connections", float64(alone.connections), "", 0)
	st.add(what+"latest of all", 100*alone.late/every.Seconds(), "%", 0)
	st.add(what+"a sync, half of them", 1000*alone.half, "ms", 0)
	st.add(what+"a sync, 95 in 100", 1000*alone.most, "ms", 0)

	var delay atomic.Int64
	slow := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(delay.Load()))
		s.jamf.ServeHTTP(w, r)
	}))
	st.connectMany(t, s, "slow", slices.Repeat([]string{slow}, slowConnections), every)
	delay.Store(int64(time.Second))
	beside := st.observe(t, 3*every, "fast-")
	what = fmt.Sprintf("the same beside %d to one server that takes 1 s a request: ", slowConnections)
	st.add(what+"half", 1000*beside.half, "ms", 1000*alone.half)
	st.add(what+"95 in 100", 1000*beside.most, "ms", 1000*alone.most)
	st.add(what+"latest of all", 100*beside.late/every.Seconds(), "%", 0)
}

// slowConnections are those to one slow server.
const slowConnections = 20

// observed is what scheduled syncs of the fast connections were like.
type observed struct {
	syncs       int
	cpu         time.Duration // of the worker
	connections int           // to PostgreSQL, at most
	late        float64       // seconds, the latest of all
	half, most  float64       // seconds that one took: the median, and 95 in 100
}

// observe looks on for a while, at the connections whose names have a prefix.
func (st *stage) observe(t *testing.T, span time.Duration, prefix string) (o observed) {
	t.Helper()
	var since time.Time
	require.NoError(t, st.sql.Get(&since, `SELECT now()`))
	cpu := st.worker.cpu(t)
	end := time.After(span)
	sample := time.NewTicker(time.Second)
	defer sample.Stop()
	for observing := true; observing; {
		select {
		case <-end:
			observing = false
		case <-sample.C:
			var now int
			require.NoError(t, st.sql.Get(&now, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`))
			o.connections = max(o.connections, now)
		}
	}
	o.cpu = st.worker.cpu(t) - cpu
	require.NoError(t, st.sql.QueryRow(`
		SELECT count(*), coalesce(max(late), 0), percentile_cont(0.5) WITHIN GROUP (ORDER BY took), percentile_cont(0.95) WITHIN GROUP (ORDER BY took)
		FROM (
			SELECT finished_at, extract(epoch FROM finished_at - started_at) AS took,
				extract(epoch FROM started_at - coalesce(
					lag(started_at) OVER (PARTITION BY connection_id ORDER BY number), next_sync_at - every * 2
				) - every) AS late
			FROM syncs JOIN connections c ON c.id = connection_id, LATERAL (SELECT c.every_seconds * interval '1 second' AS every) e
			WHERE starts_with(c.name, $2) AND trigger = 'schedule' AND outcome = 'applied'
		) sync WHERE finished_at >= $1`, since, prefix).Scan(&o.syncs, &o.late, &o.half, &o.most))
	return o
}

// serveMany serves one Jamf Pro as if it were n: at addresses of their own.
func serveMany(t *testing.T, jamf http.Handler, n int) []string {
	t.Helper()
	server := &http.Server{Handler: notingTokens(jamf)}
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	urls := make([]string, n)
	for i := range urls {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.1.%d.%d:0", i/256, i%256))
		require.NoError(t, err)
		urls[i] = "http://" + listener.Addr().String()
		go server.Serve(listener)
	}
	return urls
}

// connectMany connects a connection to each URL of a Jamf Pro, as the command
// does, and returns how long that took.
func (st *stage) connectMany(t *testing.T, s *subject, name string, urls []string, every time.Duration) time.Duration {
	t.Helper()
	record := st.openRecord(t)
	defer record.Close()
	began := time.Now()
	var g errgroup.Group
	g.SetLimit(20)
	for i, url := range urls {
		g.Go(func() error {
			c, err := record.CreateConnection(t.Context(), s.newConnection(fmt.Sprintf("%s-%d", name, i), url, every))
			if err != nil {
				return err
			}
			run, err := st.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
				ID: workflows.ConnectJamfID(c.Name), TaskQueue: workflows.TaskQueue,
			}, workflows.ConnectJamf, workflows.ConnectJamfInput{Connection: workflows.ConnectionOf(c), Every: db.Interval(every)})
			if err != nil {
				return err
			}
			return run.Get(t.Context(), nil)
		})
	}
	require.NoError(t, g.Wait())
	return time.Since(began)
}

func (st *stage) openRecord(t *testing.T) *db.DB {
	t.Helper()
	keyset, err := db.LoadKeyset(st.keyset())
	require.NoError(t, err)
	record, err := db.Open(t.Context(), st.databaseURL, db.WithKeyset(keyset))
	require.NoError(t, err)
	return record
}

func (s *subject) newConnection(name, url string, every time.Duration) db.NewConnection {
	return db.NewConnection{
		Name: name, Organization: "many", Source: directory.JamfPro, BaseURL: url, Scope: directory.ScopeAdmins,
		Every: every, ExitGrace: 24 * time.Hour, Credentials: directory.Credentials{ClientID: s.clientID, ClientSecret: s.secret},
	}
}
