package db

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db/localpostgres"
)

// One server serves all tests; each has a database of its own, copied from one
// that is migrated.
const migrated = "migrated"

var server *localpostgres.Server

func TestMain(m *testing.M) {
	ctx := context.Background()
	var err error
	if server, err = localpostgres.Start(ctx, localpostgres.Config{}); err != nil {
		log.Fatal(err)
	}
	if err := createMigrated(ctx, server); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	if err := server.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

func createMigrated(ctx context.Context, s *localpostgres.Server) error {
	url, err := s.CreateDatabase(ctx, migrated, "")
	if err != nil {
		return err
	}
	d, err := Open(ctx, url)
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Migrate(ctx)
	return err
}

// record is a migrated, empty DB with a clock that stands still until a test
// moves it.
type record struct {
	*DB
	t      testing.TB
	ctx    context.Context
	url    string
	keyset *Keyset
	clock  *clock
	keys   atomic.Int64
}

var databases atomic.Int64

func setup(t testing.TB) *record {
	t.Helper()
	url, err := server.CreateDatabase(t.Context(), fmt.Sprintf("test_%d", databases.Add(1)), migrated)
	require.NoError(t, err)
	return setupAt(t, url)
}

func setupAt(t testing.TB, url string) *record {
	t.Helper()
	keyset, err := NewKeyset()
	require.NoError(t, err)
	r := &record{t: t, ctx: t.Context(), url: url, keyset: keyset, clock: &clock{now: start}}
	r.DB = r.openWith(WithKeyset(keyset))
	return r
}

// openWith opens the same database once more.
func (r *record) openWith(options ...Option) *DB {
	r.t.Helper()
	d, err := Open(r.ctx, r.url, append(options, WithClock(r.clock.Now))...)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { d.Close() })
	return d
}

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const secret = "a-secret-that-must-not-be-found"

func newConnection(name string) NewConnection {
	return NewConnection{
		Name: name, Organization: "default", Source: "jamf_pro", BaseURL: "https://" + name + ".example",
		Scope: directory.ScopeAdmins, Every: 6 * time.Hour, ExitGrace: 24 * time.Hour,
		Credentials: directory.Credentials{ClientID: "client-of-" + name, ClientSecret: secret},
	}
}

func (r *record) connect(name string) Connection {
	r.t.Helper()
	return r.create(newConnection(name))
}

func (r *record) create(n NewConnection) Connection {
	r.t.Helper()
	c, err := r.CreateConnection(r.ctx, n)
	require.NoError(r.t, err)
	return c
}

// connectEveryone connects with end users in scope.
func (r *record) connectEveryone(name string) Connection {
	r.t.Helper()
	n := newConnection(name)
	n.Scope = directory.ScopeEveryone
	return r.create(n)
}

// connectMonitored connects and enables the monitors.
func (r *record) connectMonitored(name string) Connection {
	r.t.Helper()
	c := r.connect(name)
	require.NoError(r.t, r.EnableMonitors(r.ctx, c.ID))
	return c
}

// account is an active administrator with a second factor.
func account(id string, edits ...func(*directory.User)) directory.User {
	u := directory.User{
		Identity: directory.Identity{Kind: directory.Account, ID: id},
		Username: "user" + id, Email: "user" + id + "@example.com", Name: "User " + id,
		Status: directory.StatusActive, MFA: directory.MFAEnabled,
		Roles: []string{"Administrator"}, AccessLevel: "Full Access",
	}
	for _, edit := range edits {
		edit(&u)
	}
	return u
}

// endUser is somebody a device belongs to.
func endUser(id int, edits ...func(*directory.User)) directory.User {
	u := directory.User{
		Identity: directory.Identity{Kind: directory.EndUser, ID: fmt.Sprint(id)},
		Username: fmt.Sprint("first", id), Email: fmt.Sprintf("first%d@example.com", id),
	}
	for _, edit := range edits {
		edit(&u)
	}
	return u
}

// auditor is an account that is no administrator.
func auditor(id string) directory.User {
	return account(id, func(u *directory.User) { u.Roles = []string{"Auditor"} })
}

func inactive(u *directory.User)      { u.Status = directory.StatusInactive }
func unknownStatus(u *directory.User) { u.Status = directory.StatusUnknown }

func of(kind directory.Kind) func(*directory.User) {
	return func(u *directory.User) { u.Kind = kind }
}

// summary says what the users' source would: all of them, of both kinds that
// tests use.
func summary(users []directory.User) *directory.Summary {
	totals := map[directory.Kind]int{directory.Account: 0, directory.DirectoryGroup: 0}
	for _, u := range users {
		totals[u.Kind]++
	}
	return &directory.Summary{Totals: totals}
}

func (r *record) key() string { return fmt.Sprintf("run-%d", r.keys.Add(1)) }

func (r *record) begin(c Connection) (key string, s Sync) {
	r.t.Helper()
	key = r.key()
	s, err := r.BeginSync(r.ctx, c.ID, key, TriggerSchedule)
	require.NoError(r.t, err)
	return key, s
}

// storePage stages a page that is stored at once.
func (r *record) storePage(connectionID int64, number int, before StagedRead, page directory.Page) (StagedRead, error) {
	read, err := r.StagePage(r.ctx, connectionID, number, before, page)
	if err != nil {
		return read, err
	}
	return r.StoreRead(r.ctx, connectionID, number, read)
}

// stage begins a sync and stages a complete snapshot of it, of which the source
// has confirmed that nobody else is there.
func (r *record) stage(c Connection, summary *directory.Summary, users []directory.User) (key string, s Sync) {
	r.t.Helper()
	key, s = r.begin(c)
	read, err := r.OpenStaging(r.ctx, c.ID, s.Number)
	require.NoError(r.t, err)
	_, err = r.storePage(c.ID, s.Number, read, directory.Page{Users: users, Cursor: "end", Requests: 3, Summary: summary})
	require.NoError(r.t, err)
	if summary != nil {
		r.confirm(c, s)
	}
	return key, s
}

// checkSnapshot is CheckSnapshot without who is missing.
func (r *record) checkSnapshot(c Connection, s Sync) error {
	_, err := r.CheckSnapshot(r.ctx, c.ID, s.Number, 10)
	return err
}

// confirm says that the source was asked for everybody whom a snapshot misses.
func (r *record) confirm(c Connection, s Sync) {
	r.t.Helper()
	missing, err := r.MissingAccounts(r.ctx, c.ID, s.Number, math.MaxInt32)
	require.NoError(r.t, err)
	if len(missing) > 0 {
		_, err = r.ConfirmMissing(r.ctx, c.ID, s.Number, r.openStaging(c, s), missing[len(missing)-1], 0)
		require.NoError(r.t, err)
	}
}

// confirmed is the last of the missing accounts that the source was asked for.
func (r *record) confirmed(c Connection, s Sync) (confirmed directory.Identity) {
	r.t.Helper()
	require.NoError(r.t, r.inTx(r.ctx, func(tx *sqlx.Tx, _ time.Time) error {
		row, err := stagedRead(r.ctx, tx, c.ID, s.Number)
		confirmed = row.confirmed()
		return err
	}))
	return confirmed
}

var becomesActive = ApplyOptions{Becomes: StateChange{State: Active}}

func (r *record) apply(c Connection, key string) Sync {
	r.t.Helper()
	s, err := r.ApplySnapshot(r.ctx, c.ID, key, becomesActive)
	require.NoError(r.t, err)
	return s.Sync
}

// sync reads users from the source and applies them.
func (r *record) sync(c Connection, users ...directory.User) Sync {
	r.t.Helper()
	key, _ := r.stage(c, summary(users), users)
	return r.apply(c, key)
}

// one is the only value that a query returns.
func one[T any](r *record, query string, args ...any) T {
	r.t.Helper()
	var value T
	require.NoError(r.t, r.DB.sql.GetContext(r.ctx, &value, query, args...), query)
	return value
}

func (r *record) exec(statement string, args ...any) {
	r.t.Helper()
	_, err := r.DB.sql.ExecContext(r.ctx, statement, args...)
	require.NoError(r.t, err, statement)
}

func (r *record) tables(having string) []string {
	r.t.Helper()
	var tables []string
	require.NoError(r.t, r.DB.sql.SelectContext(r.ctx, &tables, `
		SELECT DISTINCT table_name FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' AND ($1 = '' OR column_name = $1) ORDER BY 1`, having))
	return tables
}

// dump is everything that the database holds, as text.
func (r *record) dump() string {
	r.t.Helper()
	var all strings.Builder
	for _, table := range r.tables("") {
		fmt.Fprintf(&all, "%s: %s\n", table, one[string](r, `SELECT coalesce(string_agg(encode(convert_to(t::text, 'UTF8'), 'escape'), E'\n' ORDER BY t::text), '') FROM `+table+` t`))
	}
	return all.String()
}

// ImportRoster imports a roster, whatever it changes, and judges by it.
func (r *record) ImportRoster(ctx context.Context, organization string, people []Person) error {
	if _, err := r.DB.ImportRoster(ctx, organization, people, true); err != nil {
		return err
	}
	_, err := r.JudgeByRoster(ctx, organization, nil)
	return err
}

func (r *record) reload(c Connection) Connection {
	r.t.Helper()
	c, err := r.ConnectionByID(r.ctx, c.ID)
	require.NoError(r.t, err)
	return c
}

// together runs f n times at once and returns the errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			errs[i] = f(i)
		})
	}
	done.Wait()
	return errs
}
