package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func (r *record) overviews() []Overview {
	r.t.Helper()
	overviews, err := r.Overviews(r.ctx)
	require.NoError(r.t, err)
	return overviews
}

func namesOf(overviews []Overview) string {
	var names []string
	for _, o := range overviews {
		names = append(names, o.Name)
	}
	return strings.Join(names, " ")
}

func (r *record) become(c Connection, change StateChange) {
	r.t.Helper()
	require.NoError(r.t, r.ChangeState(r.ctx, c.ID, change))
}

// fail records a failed sync, after which a connection is active.
func TestOverviewsBeginWithWhatNeedsAPerson(t *testing.T) {
	t.Parallel()
	r := setup(t)
	soon, longAgo := r.clock.Now().Add(time.Hour), r.clock.Now().Add(-time.Hour)

	fine := r.connect("a-fine")
	r.sync(fine, account("1"))
	r.become(fine, StateChange{State: Active, NextSyncAt: &soon})
	r.become(r.connect("b-paused"), StateChange{State: Paused})
	r.connect("c-connecting")
	require.NoError(t, r.Disconnect(r.ctx, r.connect("d-disconnected").ID))

	monitored := r.connectMonitored("e-monitors")
	r.sync(monitored, account("1", func(u *directory.User) { u.MFA = directory.MFADisabled }))
	failed := r.connect("f-failed")
	r.sync(failed, account("1"))
	r.fail(failed)
	r.become(r.connect("g-late"), StateChange{State: Active, NextSyncAt: &longAgo})
	held := r.connect("h-held")
	r.sync(held, account("1"), auditor("2"))
	require.Equal(t, Held, r.sync(held, auditor("2")).Outcome)
	r.become(r.connect("i-rejected"), StateChange{State: NeedsReconnect})

	overviews := r.overviews()
	require.Equal(t, "i-rejected h-held g-late f-failed e-monitors c-connecting b-paused a-fine d-disconnected", namesOf(overviews))
	var why []Attention
	for _, o := range overviews {
		why = append(why, o.Attention)
	}
	require.Equal(t, []Attention{AttentionReconnect, AttentionHeld, AttentionLate, AttentionFailed, AttentionMonitors,
		AttentionNone, AttentionNone, AttentionNone, AttentionNone}, why)
	require.Equal(t, time.Hour, overviews[2].Late(r.clock.Now()))
	require.Zero(t, overviews[7].Late(r.clock.Now()))

	r.sync(failed, account("1"))
	require.NotEqual(t, "f-failed", r.overviews()[3].Name, "a failure that is mended needs nobody")
}

// A person who pauses a connection gives no reason, and a connect is short.
func TestOverviewsNoticeWhatStoppedAndWasNotToStop(t *testing.T) {
	t.Parallel()
	r := setup(t)
	cancelled := StateChange{State: Paused, Reason: "its workflow was cancelled", Cancelled: true}
	r.connect("connecting")
	r.become(r.connect("paused"), StateChange{State: Paused})
	r.become(r.connect("cancelled"), cancelled)
	held := r.connect("held-cancelled")
	r.sync(held, account("1"), auditor("2"))
	require.Equal(t, Held, r.sync(held, auditor("2")).Outcome)
	r.become(held, cancelled)
	paused := r.connect("held-paused")
	r.sync(paused, account("1"), auditor("2"))
	r.become(paused, StateChange{State: Paused, Reason: r.sync(paused, auditor("2")).Reason})
	for name, change := range map[string]StateChange{
		"failed-paused": {State: Paused, Reason: "it did not answer"}, "failed-cancelled": cancelled,
	} {
		c := r.connect(name)
		r.fail(c)
		r.become(c, change)
	}
	attention := func() map[string]Attention {
		all := map[string]Attention{}
		for _, o := range r.overviews() {
			all[o.Name] = o.Attention
		}
		return all
	}
	r.clock.Advance(connectingTime + lateAfter)
	want := map[string]Attention{
		"connecting": AttentionNone, "paused": AttentionNone, "cancelled": AttentionCancelled, "held-cancelled": AttentionCancelled, "held-paused": AttentionHeld,
		"failed-paused": AttentionFailed, "failed-cancelled": AttentionCancelled,
	}
	require.Equal(t, want, attention())
	r.clock.Advance(time.Second)
	want["connecting"] = AttentionLate
	require.Equal(t, want, attention())
}

func TestOverviewIsWhatIsKnownOfOneConnection(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c, other := r.connectMonitored("acme"), r.connectMonitored("other")
	o, err := r.Overview(r.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, Overview{Connection: c}, o, "nothing has been synced yet")

	r.sync(c, account("1"))
	r.sync(c, account("1"), account("2"))
	r.sync(other, account("1"))
	r.begin(c)
	before := r.dump()
	o, err = r.Overview(r.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, r.reload(c), o.Connection)
	require.Equal(t, 2, o.LastSync.Number, "the one under way has not ended")
	require.Equal(t, 1, o.LastSync.Added)
	monitors, err := r.Monitors(r.ctx, c.ID)
	require.NoError(t, err)
	require.NotEmpty(t, monitors)
	require.Equal(t, monitors, o.Monitors)
	require.Equal(t, before, r.dump())

	_, err = r.Overview(r.ctx, "nobody")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestOverviewsTakeAsManyStatementsHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	r := setup(t)
	connector, _, err := newConnector(r.url)
	require.NoError(t, err)
	var statements atomic.Int64
	counted := &DB{sql: sqlx.NewDb(sql.OpenDB(counting{connector, &statements}), "postgres"), clock: &serverClock{machine: r.clock.Now}}
	t.Cleanup(func() { counted.sql.Close() })

	var took [2]int64
	for i := range took {
		for n := range 1 + 9*i {
			r.sync(r.connectMonitored(fmt.Sprintf("acme-%d-%d", i, n)), account("1"))
		}
		statements.Store(0)
		overviews, err := counted.Overviews(r.ctx)
		require.NoError(t, err)
		require.Len(t, overviews, 1+10*i)
		took[i] = statements.Load()
	}
	require.Positive(t, took[0])
	require.Equal(t, took[0], took[1])
}

// counting counts the statements of its connections.
type counting struct {
	driver.Connector
	statements *atomic.Int64
}

func (c counting) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return countingConn{conn, c.statements}, err
}

type countingConn struct {
	driver.Conn
	statements *atomic.Int64
}

func (c countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.statements.Add(1)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c countingConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, options)
}

func TestConnectionNames(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for _, name := range []string{"beta", "alpine", "alpha", "al_x"} {
		r.connect(name)
	}
	for _, c := range []struct {
		prefix string
		atMost int
		want   []string
	}{
		{"", 10, []string{"al_x", "alpha", "alpine", "beta"}},
		{"al", 2, []string{"al_x", "alpha"}},
		{"al_", 10, []string{"al_x"}},
		{"%", 10, []string{}},
	} {
		names, err := r.ConnectionNames(r.ctx, c.prefix, c.atMost)
		require.NoError(t, err)
		require.ElementsMatch(t, c.want, names)
	}
}
