package db

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

var hook = Webhook{URL: "https://hooks.example/services/" + secret, Secret: "whsec_" + secret}

func newSubscription(name string) NewSubscription {
	return NewSubscription{Name: name, Organization: "default", Server: "https://hooks.example", Webhook: hook}
}

func (r *record) subscribe(name string) {
	r.t.Helper()
	require.NoError(r.t, r.Subscribe(r.ctx, newSubscription(name)))
}

// told is what a subscription's notices tell, oldest first, in a few words
// each.
func (r *record) told(subscription string) []string {
	r.t.Helper()
	var told []string
	require.NoError(r.t, r.DB.sql.SelectContext(r.ctx, &told, `
		SELECT concat_ws(' ', kind, details->>'monitor', coalesce(details->>'was', '-') || '>' || (details->>'state'), details->>'reason')
		FROM notices n JOIN subscriptions s ON s.id = subscription_id WHERE s.name = $1 ORDER BY number`, subscription))
	return told
}

// news is what a subscription is told while f happens.
func (r *record) news(subscription string, f func()) []string {
	r.t.Helper()
	before := len(r.told(subscription))
	f()
	return r.told(subscription)[before:]
}

func TestSubscribeTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	before := r.dump()
	again := newSubscription("hook")
	again.Organization, again.WithFindings = "other", true
	require.ErrorIs(t, r.Subscribe(r.ctx, again), ErrAlreadyExists)
	require.Equal(t, before, r.dump())

	s, err := r.Subscription(r.ctx, "hook")
	require.NoError(t, err)
	require.Equal(t, Subscription{Name: "hook", Organization: "default", Server: "https://hooks.example", CreatedAt: start}, s)
	_, err = r.Subscription(r.ctx, "none")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestWebhooksAreKeptSealed(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	r.subscribe("other")
	_, err := r.NoticeTest(r.ctx, "hook")
	require.NoError(t, err)
	require.Contains(t, r.dump(), "hooks.example")
	require.NotContains(t, r.dump(), secret)

	rotated, err := r.keyset.Rotated()
	require.NoError(t, err)
	newer := r.openWith(WithKeyset(rotated))
	for range 2 {
		n, err := newer.Reseal(r.ctx, kept)
		require.NoError(t, err)
		require.Equal(t, 2, n)
	}
	n, err := newer.NextNotice(r.ctx, Route{Subscription: "hook"})
	require.NoError(t, err)
	require.Equal(t, hook, n.Webhook)
	_, err = r.NextNotice(r.ctx, Route{Subscription: "hook"})
	require.ErrorContains(t, err, "no key")

	r.exec(`UPDATE subscriptions SET sealed = (SELECT sealed FROM subscriptions WHERE name = 'other') WHERE name = 'hook'`)
	_, err = newer.NextNotice(r.ctx, Route{Subscription: "hook"})
	require.ErrorContains(t, err, "tampered")
}

func TestWhoIsNotSubscribedIsToldNothing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	elsewhere := newSubscription("elsewhere")
	elsewhere.Organization = "other"
	require.NoError(t, r.Subscribe(r.ctx, elsewhere))
	c := r.connectMonitored("acme")
	r.sync(c, account("1"))
	require.NoError(t, r.Disconnect(r.ctx, c.ID))
	require.Zero(t, one[int](r, `SELECT count(*) FROM notices`))
}

func TestAStateIsToldWhenItIsAnother(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	r.subscribe("second")
	c := r.connect("acme")
	becomes := func(state State, reason string) func() {
		return func() {
			for range 2 {
				require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: state, Reason: reason}))
			}
		}
	}
	require.Equal(t, []string{"connection.state connecting>active"}, r.news("hook", becomes(Active, "")))
	require.Empty(t, r.news("hook", becomes(Active, "it is told with a sync")))
	require.Equal(t, []string{"connection.state active>paused"}, r.news("hook", becomes(Paused, "")))
	require.Equal(t, []string{"connection.state paused>needs_reconnect refused"}, r.news("hook", becomes(NeedsReconnect, "refused")))
	require.Equal(t, []string{"connection.state needs_reconnect>active"}, r.news("hook", func() {
		offer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{})
		require.NoError(t, err)
		require.NoError(t, r.AcceptCredentials(r.ctx, c.ID, offer, directory.Token{}))
	}))
	require.Equal(t, []string{"connection.state active>disconnected"}, r.news("hook", func() {
		for range 2 {
			require.NoError(t, r.Disconnect(r.ctx, c.ID))
		}
	}))
	require.Equal(t, r.told("hook"), r.told("second"))
	require.Equal(t, 10, one[int](r, `SELECT count(DISTINCT id) FROM notices`), "each has an id of its own")
}

func TestAMonitorIsToldWhenItsStateIsAnother(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	c := r.connect("acme")
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Active}))
	r.sync(c, account("1"), account("2"))
	require.Equal(t, []string{
		"monitor.state JAMF_ACCESS_REMOVED_ON_EXIT ->not_evaluable there is no staff roster",
		"monitor.state JAMF_USER_MFA_ENABLED ->passing",
	}, r.news("hook", func() {
		for range 2 {
			require.NoError(t, r.EnableMonitors(r.ctx, c.ID))
		}
	}))
	require.Empty(t, r.news("hook", func() { r.sync(c, account("1"), account("2")) }))
	require.Empty(t, r.news("hook", func() { r.sync(c, account("1")) }), "the state is the same")
	failing := account("1", func(u *directory.User) { u.MFA = directory.MFADisabled })
	require.Equal(t, []string{"monitor.state JAMF_USER_MFA_ENABLED passing>failing fails for 1 of 1 accounts"}, r.news("hook", func() {
		users := []directory.User{failing}
		key, _ := r.stage(c, summary(users), users)
		for range 2 {
			r.apply(c, key)
		}
	}))
	require.JSONEq(t, `{"passing": 0, "due": 0, "failing": 1, "not_evaluable": 0, "excepted": 0}`,
		one[string](r, `SELECT details->>'counts' FROM notices ORDER BY number DESC LIMIT 1`))
	require.Equal(t, "4", one[string](r, `SELECT details->>'sync' FROM notices ORDER BY number DESC LIMIT 1`))
	for _, personal := range []string{"user1", "example.com", "User 1"} {
		require.NotContains(t, fmt.Sprint(r.told("hook")), personal)
	}
}

func TestSyncsThatFailAreToldOnceUntilOneGoesWell(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	c := r.connect("acme")
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Active}))
	r.sync(c, account("1"))
	fails := func(code string, becomes StateChange) func() {
		return func() {
			key := r.key()
			for range 2 {
				_, err := r.FailSync(r.ctx, c.ID, key, TriggerSchedule, code, becomes.Reason, becomes)
				require.NoError(t, err)
			}
		}
	}
	works := func() { r.sync(c, account("1")) }
	require.Equal(t, []string{"connection.state active>active no answer"}, r.news("hook", fails("unreachable", StateChange{State: Active, Reason: "no answer"})))
	require.Empty(t, r.news("hook", fails("unreachable", StateChange{State: Active, Reason: "no route"})))
	require.Equal(t, []string{"connection.state active>needs_reconnect refused"},
		r.news("hook", fails("credentials_rejected", StateChange{State: NeedsReconnect, Reason: "refused"})))
	require.Equal(t, []string{"connection.state needs_reconnect>active"}, r.news("hook", works))
	require.Empty(t, r.news("hook", works))
	r.begin(c) // which the next one interrupts
	require.Empty(t, r.news("hook", works))
}

func TestAHeldSyncIsToldOnceEach(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	c := r.connect("acme")
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Active}))
	r.sync(c, account("1"), auditor("2"))
	held := func() {
		users := []directory.User{auditor("2")}
		key, _ := r.stage(c, summary(users), users)
		for range 2 {
			require.Equal(t, Held, r.apply(c, key).Outcome)
		}
	}
	told := []string{"sync.held it would remove, deactivate or replace every full administrator (1)"}
	require.Equal(t, told, r.news("hook", held))
	require.Equal(t, told, r.news("hook", held))
	require.Equal(t, []string{"connection.state active>active"}, r.news("hook", func() { r.sync(c, account("1"), auditor("2")) }))
}

func TestNoticesAreDeliveredInOrderOnEachRoute(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	r.subscribe("second")
	a, b := r.connect("a"), r.connect("b")
	for _, state := range []State{Active, Paused} {
		for _, c := range []Connection{a, b} {
			require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: state}))
		}
	}
	routes, err := r.PendingRoutes(r.ctx, a.ID)
	require.NoError(t, err)
	require.Equal(t, []Route{{"hook", "a"}, {"second", "a"}}, routes)

	route := Route{"hook", "a"}
	var ids []string
	for _, state := range []State{Active, Paused} {
		first, err := r.NextNotice(r.ctx, route)
		require.NoError(t, err)
		require.Equal(t, []any{NoticeState, "a", a.ID, "default", string(state), hook},
			[]any{first.Kind, first.Connection, first.ConnectionID, first.Organization, first.Details.State, first.Webhook})
		outcome, err := r.RecordAttempt(r.ctx, first.ID, NoticeAttempt{Error: "no answer"})
		require.NoError(t, err)
		require.Equal(t, NoticePending, outcome)
		again, err := r.NextNotice(r.ctx, route)
		require.NoError(t, err)
		require.Equal(t, first, again, "the same, until it has ended")
		outcome, err = r.RecordAttempt(r.ctx, first.ID, NoticeAttempt{})
		require.NoError(t, err)
		require.Equal(t, NoticeDelivered, outcome)
		ids = append(ids, first.ID)
	}
	require.NotEqual(t, ids[0], ids[1])
	_, err = r.NextNotice(r.ctx, route)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = r.NextNotice(r.ctx, Route{"second", "b"})
	require.NoError(t, err)

	before := r.dump()
	_, err = r.RecordAttempt(r.ctx, ids[0], NoticeAttempt{Error: "late"})
	require.ErrorIs(t, err, ErrNotFound)
	require.Equal(t, before, r.dump())

	deliveries, err := r.Deliveries(r.ctx, "hook", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a"}, []string{deliveries[0].Connection, deliveries[1].Connection})
	got, err := r.DeliveryOf(r.ctx, ids[1])
	require.NoError(t, err)
	require.Equal(t, Delivery{
		ID: ids[1], Kind: NoticeState, Connection: "a", Outcome: NoticeDelivered, Attempts: 2, CreatedAt: start, AttemptedAt: &start, EndedAt: &start,
	}, got)
}

func TestANoticeIsGivenUpAfterThreeDays(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	c := r.connect("acme")
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Active}))
	first, err := r.NextNotice(r.ctx, Route{"hook", "acme"})
	require.NoError(t, err)
	fail := func(id string, final bool) NoticeOutcome {
		outcome, err := r.RecordAttempt(r.ctx, id, NoticeAttempt{Error: "no answer", Final: final})
		require.NoError(t, err)
		return outcome
	}
	r.clock.Advance(NoticePatience - time.Second)
	require.Equal(t, NoticePending, fail(first.ID, false))
	r.clock.Advance(time.Second)
	require.Equal(t, NoticeGivenUp, fail(first.ID, false))
	s, err := r.Subscription(r.ctx, "hook")
	require.NoError(t, err)
	require.Equal(t, []any{0, 0, 1, "no answer", r.clock.Now()}, []any{s.Pending, s.Delivered, s.GivenUp, s.LastError, *s.LastErrorAt})

	id, err := r.NoticeTest(r.ctx, "hook")
	require.NoError(t, err)
	require.Equal(t, NoticeGivenUp, fail(id, true))

	// What ended long ago is forgotten when another ends.
	r.clock.Advance(noticesKept)
	id, err = r.NoticeTest(r.ctx, "hook")
	require.NoError(t, err)
	require.Equal(t, 3, one[int](r, `SELECT count(*) FROM notices`))
	_, err = r.RecordAttempt(r.ctx, id, NoticeAttempt{})
	require.NoError(t, err)
	deliveries, err := r.Deliveries(r.ctx, "hook", 10)
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	require.Equal(t, id, deliveries[0].ID)
}

// Who removes a subscription holds its notices one by one.
func TestAnAttemptWaitsForNoOtherNotice(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	attempt := func() error {
		id, err := r.NoticeTest(r.ctx, "hook")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
		defer cancel()
		_, err = r.RecordAttempt(ctx, id, NoticeAttempt{})
		return err
	}
	require.NoError(t, attempt())
	r.clock.Advance(noticesKept)
	removing, err := r.DB.sql.BeginTxx(r.ctx, nil)
	require.NoError(t, err)
	_, err = removing.ExecContext(r.ctx, `SELECT FROM notices FOR UPDATE`)
	require.NoError(t, err)
	require.NoError(t, attempt())
	require.NoError(t, removing.Rollback())
	require.Equal(t, 2, one[int](r, `SELECT count(*) FROM notices`))
	require.NoError(t, attempt())
	require.Equal(t, 2, one[int](r, `SELECT count(*) FROM notices`), "the next one forgets")
}

func TestTwoTestsAreTwoNotices(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	first, err := r.NoticeTest(r.ctx, "hook")
	require.NoError(t, err)
	second, err := r.NoticeTest(r.ctx, "hook")
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	n, err := r.NextNotice(r.ctx, Route{Subscription: "hook"})
	require.NoError(t, err)
	require.Equal(t, []any{first, NoticeTest, ""}, []any{n.ID, n.Kind, n.Connection})
	_, err = r.NoticeTest(r.ctx, "none")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestUnsubscribeRemovesWhatWasPending(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("hook")
	c := r.connect("acme")
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Active}))
	_, err := r.NoticeTest(r.ctx, "hook")
	require.NoError(t, err)
	routes, err := r.Unsubscribe(r.ctx, "hook")
	require.NoError(t, err)
	require.ElementsMatch(t, []Route{{"hook", "acme"}, {"hook", ""}}, routes)
	require.Zero(t, one[int](r, `SELECT count(*) FROM notices`))
	_, err = r.Unsubscribe(r.ctx, "hook")
	require.ErrorIs(t, err, ErrNotFound)
	r.subscribe("hook")
	require.Empty(t, r.told("hook"))
}

func TestWorstFindingsAreTheFirstOfOneMonitor(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	r.sync(c, account("1", func(u *directory.User) { u.MFA = directory.MFAUnknown }),
		account("2", func(u *directory.User) { u.MFA = directory.MFADisabled }), account("3"))
	worst, total, err := r.WorstFindings(r.ctx, c.ID, UserMFAEnabled, 1)
	require.NoError(t, err)
	require.Equal(t, 2, total)
	require.Equal(t, r.findings(c, UserMFAEnabled)[:1], worst)
	require.Equal(t, Failing, worst[0].State)
	none, total, err := r.WorstFindings(r.ctx, c.ID+1, UserMFAEnabled, 1)
	require.NoError(t, err)
	require.Zero(t, total)
	require.Empty(t, none)
}
