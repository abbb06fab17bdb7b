package db

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func (r *record) monitors(c Connection) map[string]Monitor {
	r.t.Helper()
	list, err := r.Monitors(r.ctx, c.ID)
	require.NoError(r.t, err)
	monitors := map[string]Monitor{}
	for _, m := range list {
		monitors[m.Code] = m
	}
	return monitors
}

func (r *record) findings(c Connection, code string) []Finding {
	r.t.Helper()
	all, err := r.Findings(r.ctx, c.ID)
	require.NoError(r.t, err)
	var findings []Finding
	for _, f := range all {
		if f.Code == code {
			findings = append(findings, f)
		}
	}
	return findings
}

// ago is a time that long before the tests' start.
func ago(d time.Duration) *time.Time { return new(start.Add(-d)) }

const grace = 24 * time.Hour

func TestAccessRemovedOnExit(t *testing.T) {
	t.Parallel()
	person := func(exit *time.Time, aliases ...string) Person {
		return Person{Email: "user1@example.com", Aliases: aliases, ExitedAt: exit}
	}
	called := func(username, email string) func(*directory.User) {
		return func(u *directory.User) { u.Username, u.Email = username, email }
	}
	for name, test := range map[string]struct {
		people []Person
		edit   func(*directory.User)
		want   MonitorState
		person string
	}{
		"employed":                           {[]Person{person(nil)}, nil, Passing, ""},
		"exit in the future":                 {[]Person{person(ago(-time.Second))}, nil, Passing, ""},
		"left this moment":                   {[]Person{person(ago(0))}, nil, Due, "user1@example.com"},
		"the grace period has not ended":     {[]Person{person(ago(grace - time.Microsecond))}, nil, Due, "user1@example.com"},
		"the grace period ends this moment":  {[]Person{person(ago(grace))}, nil, Failing, "user1@example.com"},
		"left long ago":                      {[]Person{person(ago(1000 * time.Hour))}, nil, Failing, "user1@example.com"},
		"left, account inactive":             {[]Person{person(ago(1000 * time.Hour))}, inactive, Passing, ""},
		"left, status unknown":               {[]Person{person(ago(1000 * time.Hour))}, unknownStatus, NotEvaluable, "user1@example.com"},
		"left within grace, status unknown":  {[]Person{person(ago(time.Hour))}, unknownStatus, NotEvaluable, "user1@example.com"},
		"employed, status unknown":           {[]Person{person(nil)}, unknownStatus, Passing, ""},
		"nobody on the roster":               {nil, nil, NotEvaluable, ""},
		"nobody on the roster, inactive":     {nil, inactive, Passing, ""},
		"no e-mail":                          {nil, called("x", ""), NotEvaluable, ""},
		"no e-mail and an empty alias":       {[]Person{person(nil, "")}, called("x", ""), NotEvaluable, ""},
		"e-mail in other case":               {[]Person{person(ago(grace))}, called("x", "USER1@Example.com"), Failing, "user1@example.com"},
		"username is the e-mail":             {[]Person{person(ago(grace))}, called("User1@example.com", ""), Failing, "user1@example.com"},
		"e-mail is an alias":                 {[]Person{person(ago(grace), "Other@x.com")}, called("x", "oTHER@x.com"), Failing, "user1@example.com"},
		"username is an alias":               {[]Person{person(ago(grace), "JDoe")}, called("jdoe", ""), Failing, "user1@example.com"},
		"both lead to one person":            {[]Person{person(ago(grace), "jdoe")}, called("jdoe", "user1@example.com"), Failing, "user1@example.com"},
		"one of two people has left":         {[]Person{person(nil), {Email: "b@x", ExitedAt: ago(grace)}}, called("b@x", "user1@example.com"), Failing, "b@x"},
		"of two who left the first to do so": {[]Person{person(ago(time.Hour)), {Email: "b@x", ExitedAt: ago(grace)}}, called("b@x", "user1@example.com"), Failing, "b@x"},
		"two people, one in the future":      {[]Person{person(nil), {Email: "b@x", ExitedAt: ago(-grace)}}, called("b@x", "user1@example.com"), Passing, ""},
		"only somebody else has left":        {[]Person{person(nil), {Email: "b@x", ExitedAt: ago(grace)}}, nil, Passing, ""},
		"username is on the roster, e-mail is nobody's": {
			[]Person{person(nil, "admin")}, called("admin", "gone@example.com"), NotEvaluable, "user1@example.com"},
		"username of one who left, e-mail is nobody's": {
			[]Person{person(ago(grace), "admin")}, called("admin", "gone@example.com"), Failing, "user1@example.com"},
		"e-mail is on the roster, username is nobody's": {[]Person{person(nil)}, called("gone@example.com", "user1@example.com"), Passing, ""},
		"an address that is a part of theirs":           {[]Person{person(ago(grace))}, called("user1", "er1@example.com"), NotEvaluable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectMonitored("acme")
			require.NoError(t, r.ImportRoster(r.ctx, "default", test.people))
			u := account("1")
			if test.edit != nil {
				test.edit(&u)
			}
			r.sync(c, u)

			m := r.monitors(c)[AccessRemovedOnExit]
			require.Equal(t, test.want, m.State, m.Reason)
			counts := map[MonitorState]int{Passing: m.Passing, Due: m.Due, Failing: m.Failing, NotEvaluable: m.NotEvaluable}
			require.Equal(t, 1, counts[test.want])
			require.Equal(t, 1, m.Passing+m.Due+m.Failing+m.NotEvaluable)
			findings := r.findings(c, AccessRemovedOnExit)
			if test.want == Passing {
				require.Empty(t, findings)
				require.Empty(t, m.Reason)
				return
			}
			require.Len(t, findings, 1)
			require.Equal(t, []any{test.want, test.person, start}, []any{findings[0].State, findings[0].Person, findings[0].Since})
			require.NotEmpty(t, findings[0].Reason)
			require.NotEmpty(t, m.Reason)
		})
	}
}

func TestUserMFAEnabled(t *testing.T) {
	t.Parallel()
	with := func(mfa directory.MFA, edits ...func(*directory.User)) directory.User {
		return account("1", append(edits, func(u *directory.User) { u.MFA = mfa })...)
	}
	for name, test := range map[string]struct {
		user    directory.User
		want    MonitorState
		finding bool
	}{
		"enabled":                  {with(directory.MFAEnabled), Passing, false},
		"disabled":                 {with(directory.MFADisabled), Failing, true},
		"unknown":                  {with(directory.MFAUnknown), NotEvaluable, true},
		"not said":                 {with(""), NotEvaluable, true},
		"disabled, inactive":       {with(directory.MFADisabled, inactive), Passing, false},
		"unknown, inactive":        {with(directory.MFAUnknown, inactive), Passing, false},
		"disabled, status unknown": {with(directory.MFADisabled, unknownStatus), NotEvaluable, true},
		"enabled, status unknown":  {with(directory.MFAEnabled, unknownStatus), Passing, false},
		"not a human account":      {with(directory.MFADisabled, of(directory.DirectoryGroup)), NotEvaluable, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectMonitored("acme")
			r.sync(c, test.user)
			require.Equal(t, test.want, r.monitors(c)[UserMFAEnabled].State)
			findings := r.findings(c, UserMFAEnabled)
			require.Equal(t, test.finding, len(findings) == 1)
			if test.finding {
				require.Equal(t, test.want, findings[0].State)
			}
		})
	}
}

func TestMonitorShowsItsWorst(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{
		{Email: "user1@example.com", ExitedAt: ago(grace)}, {Email: "user2@example.com", ExitedAt: ago(time.Hour)}, {Email: "user4@example.com"},
	}))
	users := []directory.User{account("4"), account("3"), account("2"), account("1")}
	for n, want := range []MonitorState{Passing, NotEvaluable, Due, Failing} {
		r.sync(c, users[:n+1]...)
		require.Equal(t, want, r.monitors(c)[AccessRemovedOnExit].State)
	}
	m := r.monitors(c)[AccessRemovedOnExit]
	require.Equal(t, Monitor{
		Code: AccessRemovedOnExit, State: Failing, Reason: "fails for 1 of 4 accounts", Sync: 4, ReadSince: start, EvaluatedAt: start, RosterAt: new(start),
		Passing: 1, Due: 1, Failing: 1, NotEvaluable: 1,
	}, m)
	findings := r.findings(c, AccessRemovedOnExit)
	require.Equal(t, []string{"1", "2", "3"}, []string{findings[0].ID, findings[1].ID, findings[2].ID})
	require.Equal(t, Finding{
		Code: AccessRemovedOnExit, Kind: "account", ID: "2", Username: "user2", Email: "user2@example.com", Person: "user2@example.com",
		State: Due, Reason: "the person has left and the account is active", Since: start, DueAt: new(start.Add(23 * time.Hour)),
	}, findings[1])
}

func TestSeveralAccountsOfOnePersonFailEach(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", Aliases: []string{"user2"}, ExitedAt: ago(grace)}}))
	r.sync(c, account("1"), account("2"))
	require.Equal(t, 2, r.monitors(c)[AccessRemovedOnExit].Failing)
}

func TestNothingPassesForWantOfData(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.Empty(t, r.monitors(c))
	expect := func(state MonitorState, reason string) {
		t.Helper()
		r.sync(c, account("1"), account("2", inactive))
		m := r.monitors(c)[AccessRemovedOnExit]
		require.Equal(t, []any{state, reason}, []any{m.State, m.Reason})
	}
	expect(NotEvaluable, "there is no staff roster")
	require.NoError(t, r.ImportRoster(r.ctx, "other", []Person{{Email: "user1@example.com"}, {Email: "user2@example.com"}}))
	expect(NotEvaluable, "there is no staff roster")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}, {Email: "user2@example.com"}}))
	expect(Passing, "")
	r.clock.Advance(RosterMaxAge)
	expect(Passing, "")
	r.clock.Advance(time.Microsecond)
	expect(NotEvaluable, "the staff roster is older than 7 days")
	require.Equal(t, Passing, r.monitors(c)[UserMFAEnabled].State)
}

func TestOldRosterProvesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(grace)}, {Email: "user2@example.com"}}))
	r.clock.Advance(RosterMaxAge + time.Hour)
	r.sync(c, account("1"), account("2", inactive))
	m := r.monitors(c)[AccessRemovedOnExit]
	require.Equal(t, []int{1, 0, 0, 1}, []int{m.Passing, m.Due, m.Failing, m.NotEvaluable})
	findings := r.findings(c, AccessRemovedOnExit)
	require.Len(t, findings, 1)
	require.Equal(t, []any{NotEvaluable, "the staff roster is older than 7 days"}, []any{findings[0].State, findings[0].Reason})
}

func TestNoAccountsAtAllIsNotEvaluable(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", nil))
	r.sync(c)
	for _, m := range r.monitors(c) {
		require.Equal(t, []any{NotEvaluable, "the last sync found no human account"}, []any{m.State, m.Reason})
	}
	require.Len(t, r.monitors(c), 2)
}

// Whoever logs in through a directory group has no account to judge, and a pass
// says so.
func TestAPassSaysWhomItDoesNotSpeakOf(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	group := account("g", of(directory.DirectoryGroup))
	r.sync(c, account("1"), group)
	for _, m := range r.monitors(c) {
		require.Equal(t, []any{Passing, "members of directory groups (1) have no account here, and are not judged"}, []any{m.State, m.Reason})
	}
	r.sync(c, account("1"))
	for _, m := range r.monitors(c) {
		require.Equal(t, []any{Passing, ""}, []any{m.State, m.Reason})
	}
}

func TestRemovedAccountHasNoFinding(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(grace)}, {Email: "user2@example.com"}}))
	r.sync(c, account("1"), account("2"))
	require.Len(t, r.findings(c, AccessRemovedOnExit), 1)
	r.sync(c, account("2"))
	require.Empty(t, r.findings(c, AccessRemovedOnExit))
	require.Equal(t, Passing, r.monitors(c)[AccessRemovedOnExit].State)
}

func TestFindingIsSinceItsStateBegan(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(0)}}))
	for _, want := range []struct {
		state MonitorState
		since time.Duration
	}{{Due, 0}, {Due, 0}, {Failing, 24 * time.Hour}, {Failing, 24 * time.Hour}} {
		r.sync(c, account("1"))
		f := r.findings(c, AccessRemovedOnExit)[0]
		require.Equal(t, []any{want.state, start.Add(want.since)}, []any{f.State, f.Since})
		r.clock.Advance(12 * time.Hour)
	}
}

func TestGraceThatEndsBetweenSyncsReadsFailing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	n := newConnection("acme")
	n.Every = 100 * time.Hour
	c := r.create(n)
	require.NoError(t, r.EnableMonitors(r.ctx, c.ID))
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(0)}, {Email: "user2@example.com", ExitedAt: ago(-time.Hour)}}))
	r.clock.Advance(2 * time.Hour)
	r.sync(c, account("1"), account("2"))
	require.Equal(t, Due, r.monitors(c)[AccessRemovedOnExit].State)
	r.clock.Advance(22*time.Hour - time.Microsecond)
	require.Equal(t, Due, r.monitors(c)[AccessRemovedOnExit].State)

	r.clock.Advance(time.Microsecond)
	m := r.monitors(c)[AccessRemovedOnExit]
	require.Equal(t, []any{Failing, 1, 1}, []any{m.State, m.Due, m.Failing})
	require.Equal(t, "the grace period of 1 has ended since; was due", m.Reason)
	findings := r.findings(c, AccessRemovedOnExit)
	require.Equal(t, []any{"1", Failing, start.Add(24 * time.Hour)}, []any{findings[0].ID, findings[0].State, findings[0].Since})
	require.Equal(t, []any{"2", Due}, []any{findings[1].ID, findings[1].State})
}

func TestOutcomeGrowsOld(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	r.sync(c, account("1"))
	r.clock.Advance(3 * 6 * time.Hour)
	for _, m := range r.monitors(c) {
		require.Equal(t, Passing, m.State)
	}
	r.clock.Advance(time.Microsecond)
	for range 2 {
		monitors := r.monitors(c)
		require.Len(t, monitors, 2)
		for _, m := range monitors {
			require.Equal(t, []any{NotEvaluable, 1}, []any{m.State, m.Sync})
			require.Equal(t, "what the last applied sync read is older than 3 of its intervals, of 6h0m0s: 18h0m0s; was passing", m.Reason)
		}
		// A sync that fails makes nothing younger, nor does evaluating again.
		_, err := r.FailSync(r.ctx, c.ID, r.key(), TriggerSchedule, "code", "words", StateChange{State: Active})
		require.NoError(t, err)
		require.NoError(t, r.EnableMonitors(r.ctx, c.ID))
	}
	r.sync(c, account("1"))
	require.Equal(t, Passing, r.monitors(c)[UserMFAEnabled].State)
}

// What a sync read is as old as the beginning of that: a reader may have died in
// the middle of it, and another gone on days later.
func TestAnOutcomeIsAsOldAsWhatItsSyncReadFirst(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	users := []directory.User{account("1")}
	state := func() MonitorState { return r.monitors(c)[UserMFAEnabled].State }
	const limit = 3 * 6 * time.Hour

	key, s := r.begin(c)
	r.clock.Advance(4 * limit) // in which it waits for its turn
	read := r.openStaging(c, s)
	read, err := r.storePage(c.ID, s.Number, read, directory.Page{Users: users, Cursor: "2", Requests: 1})
	require.NoError(t, err)
	r.clock.Advance(limit - time.Minute)
	r.openStaging(c, s)
	_, err = r.storePage(c.ID, s.Number, read, directory.Page{Summary: summary(users), Requests: 1})
	require.NoError(t, err)
	r.apply(c, key)
	require.Equal(t, Passing, state())
	r.clock.Advance(time.Minute)
	require.Equal(t, Passing, state())
	r.clock.Advance(time.Microsecond)
	require.Equal(t, NotEvaluable, state())

	key, s = r.stage(c, summary(users), users)
	r.clock.Advance(limit + time.Hour)
	r.apply(c, key)
	m := r.monitors(c)[UserMFAEnabled]
	require.Equal(t, []any{NotEvaluable, "what the last applied sync read is older than 3 of its intervals, of 6h0m0s"}, []any{m.State, m.Reason})
	require.Equal(t, 2, one[int](r, `SELECT count(*) FROM outcomes WHERE state = 'not_evaluable' AND number = $1`, s.Number), "it is recorded so, too")

	key, s = r.stage(c, summary(users), users)
	r.clock.Advance(limit + time.Hour)
	_, err = r.RestartStaging(r.ctx, c.ID, s.Number, r.openStaging(c, s))
	require.NoError(t, err)
	_, err = r.storePage(c.ID, s.Number, r.openStaging(c, s), directory.Page{Users: users, Summary: summary(users), Requests: 1})
	require.NoError(t, err)
	r.apply(c, key)
	require.Equal(t, Passing, state(), "what was read again is as old as that")
}

func TestALongerIntervalMakesNoSyncYounger(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	r.sync(c, account("1"))
	r.clock.Advance(3*6*time.Hour + time.Microsecond)
	reschedule := func(every time.Duration) {
		require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Active, Every: Interval(every)}))
	}
	reschedule(1000 * time.Hour)
	require.Equal(t, NotEvaluable, r.monitors(c)[UserMFAEnabled].State)
	require.Equal(t, 1, r.totals().Connections[0].Stale)
	r.sync(c, account("1"))
	r.clock.Advance(100 * time.Hour)
	require.Equal(t, Passing, r.monitors(c)[UserMFAEnabled].State)
	reschedule(time.Hour)
	require.Equal(t, NotEvaluable, r.monitors(c)[UserMFAEnabled].State)
}

// A new roster says who has left, and not whether accounts are still as they
// were weeks ago: nobody is told that they pass, and findings stay as they are.
func TestWhatIsTooOldIsNotJudgedAgain(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.subscribe("siem")
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(grace)}}))
	r.sync(c, account("1"))
	findings := r.findings(c, AccessRemovedOnExit)
	r.clock.Advance(30 * 24 * time.Hour)
	require.Empty(t, r.news("siem", func() {
		require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	}))
	require.Equal(t, NotEvaluable, r.monitors(c)[AccessRemovedOnExit].State)
	require.Equal(t, findings, r.findings(c, AccessRemovedOnExit))
	r.sync(c, account("1"))
	require.Equal(t, Passing, r.monitors(c)[AccessRemovedOnExit].State)

	late := r.connect("late")
	r.sync(late, account("1"))
	r.clock.Advance(30 * 24 * time.Hour)
	require.NoError(t, r.EnableMonitors(r.ctx, late.ID))
	m := r.monitors(late)[UserMFAEnabled]
	require.Equal(t, []any{NotEvaluable, "what the last applied sync read is older than 3 of its intervals, of 6h0m0s"}, []any{m.State, m.Reason})
}

// Whoever will have left by the next sync does not pass until then.
func TestAnExitBetweenSyncsDoesNotPass(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{
		{Email: "user1@example.com", ExitedAt: ago(-time.Hour)},
		{Email: "user2@example.com", ExitedAt: ago(-time.Minute)}, // and has no access any more
		{Email: "user3@example.com", ExitedAt: ago(-time.Second)}, // and has none
	}))
	r.sync(c, account("1"), account("2", inactive))
	r.clock.Advance(time.Hour - time.Microsecond)
	require.Equal(t, Passing, r.monitors(c)[AccessRemovedOnExit].State)

	r.clock.Advance(time.Microsecond)
	m := r.monitors(c)[AccessRemovedOnExit]
	require.Equal(t, []any{NotEvaluable, "somebody with an active account has left since; the next sync judges; was passing"}, []any{m.State, m.Reason})
	require.Equal(t, Passing, r.monitors(c)[UserMFAEnabled].State)

	r.sync(c, account("1"), account("2", inactive))
	require.Equal(t, Due, r.monitors(c)[AccessRemovedOnExit].State)
}

// However long the interval is.
func TestASnapshotIsTooOldAfter30Days(t *testing.T) {
	t.Parallel()
	r := setup(t)
	n := newConnection("acme")
	n.Every = 365 * 24 * time.Hour
	c := r.create(n)
	require.NoError(t, r.EnableMonitors(r.ctx, c.ID))
	r.sync(c, account("1"))
	r.clock.Advance(30 * 24 * time.Hour)
	require.Equal(t, Passing, r.monitors(c)[UserMFAEnabled].State)
	r.clock.Advance(time.Microsecond)
	m := r.monitors(c)[UserMFAEnabled]
	require.Equal(t, []any{NotEvaluable, "what the last applied sync read is older than 30 days: 720h0m0s; was passing"}, []any{m.State, m.Reason})
}

// Where PostgreSQL's clock was ahead, and was set right, what was recorded by it
// would not grow old for as long.
func TestWhatIsDatedInTheFutureProvesNothing(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	r.clock.Advance(24 * time.Hour)
	r.sync(c, account("1"))
	r.clock.Advance(-24 * time.Hour)
	for _, m := range r.monitors(c) {
		require.Equal(t, []any{NotEvaluable, "what the last applied sync read is dated in the future: -24h0m0s; was passing"}, []any{m.State, m.Reason})
	}

	r.clock.Advance(24 * time.Hour)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	r.clock.Advance(-23 * time.Hour)
	r.sync(c, account("1"))
	m := r.monitors(c)[AccessRemovedOnExit]
	require.Equal(t, []any{NotEvaluable, "the staff roster is dated in the future"}, []any{m.State, m.Reason})
	require.Equal(t, Passing, r.monitors(c)[UserMFAEnabled].State)
}

// Whatever kept an import from judging a connection's accounts again: the outcome
// was found by another roster, which did not name whoever has left.
func TestAnOutcomeByAnotherRosterProvesNothing(t *testing.T) {
	t.Parallel()
	employed := []Person{{Email: "user1@example.com"}}
	left := []Person{{Email: "user1@example.com", ExitedAt: ago(1000 * time.Hour)}}
	for name, miss := range map[string]func(r *record, c Connection){
		"it was disconnected": func(r *record, c Connection) {
			require.NoError(t, r.Disconnect(r.ctx, c.ID))
			require.NoError(t, r.ImportRoster(r.ctx, "default", left))
		},
		"it was disconnected, and its first sync fails": func(r *record, c Connection) {
			require.NoError(t, r.Disconnect(r.ctx, c.ID))
			require.NoError(t, r.ImportRoster(r.ctx, "default", left))
			offer, err := r.OfferCredentials(r.ctx, c.ID, directory.Credentials{ClientID: "a", ClientSecret: "b"})
			require.NoError(t, err)
			require.NoError(t, r.AcceptCredentials(r.ctx, c.ID, offer, directory.Token{Value: "x", RenewAt: start.Add(time.Hour)}))
			key, _ := r.begin(c)
			_, err = r.FailSync(r.ctx, c.ID, key, TriggerReconnect, "unreachable", "x", StateChange{State: Active})
			require.NoError(t, err)
		},
		"it was stale for a while": func(r *record, c Connection) {
			require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Paused, Every: Interval(10 * time.Minute)}))
			r.clock.Advance(time.Hour)
			require.NoError(t, r.ImportRoster(r.ctx, "default", left))
			require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Paused, Every: Interval(6 * time.Hour)}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectMonitored("acme")
			require.NoError(t, r.ImportRoster(r.ctx, "default", employed))
			r.sync(c, account("1"))
			require.Equal(t, Passing, r.monitors(c)[AccessRemovedOnExit].State)
			r.clock.Advance(time.Minute)
			miss(r, c)
			m := r.monitors(c)[AccessRemovedOnExit]
			require.Equal(t, []any{NotEvaluable, "the staff roster was imported again since; the next sync judges by it; was passing"}, []any{m.State, m.Reason})
			require.Equal(t, Passing, r.monitors(c)[UserMFAEnabled].State)
		})
	}
}

// A connection that is made while a roster is imported was judged by the one before.
func TestConnectingWhileARosterIsImported(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	slow, err := r.DB.sql.BeginTxx(r.ctx, nil)
	require.NoError(t, err)
	_, err = slow.ExecContext(r.ctx, `SELECT FROM rosters FOR UPDATE`) // which the import waits for
	require.NoError(t, err)
	r.clock.Advance(time.Second)
	imported := make(chan error, 1)
	go func() {
		imported <- r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(1000 * time.Hour)}})
	}()
	require.Eventually(t, func() bool {
		return one[bool](r, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`)
	}, 10*time.Second, 10*time.Millisecond)

	c := r.connect("acme")
	r.sync(c, account("1"))
	require.NoError(t, r.EnableMonitors(r.ctx, c.ID))
	require.Equal(t, Passing, r.monitors(c)[AccessRemovedOnExit].State)
	require.NoError(t, slow.Commit())
	require.NoError(t, <-imported)
	require.Equal(t, Failing, r.monitors(c)[AccessRemovedOnExit].State)
}

// With single sign-on nobody in a group needs an account, whoever keeps the group.
func TestAPassSaysWhoComesBySingleSignOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signOn *directory.SingleSignOn
		says   string
	}{
		"on":      {&directory.SingleSignOn{Enabled: true}, "with single sign-on members of account groups (2) may have no account here, and are not judged"},
		"off":     {&directory.SingleSignOn{}, ""},
		"unknown": {nil, "if single sign-on is on, which is unknown, members of account groups (2) may have no account here, and are not judged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectMonitored("acme")
			require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
			users := []directory.User{account("1")}
			s := summary(users)
			s.InternalGroups, s.SingleSignOn = 2, test.signOn
			key, _ := r.stage(c, s, users)
			r.apply(c, key)
			for _, m := range r.monitors(c) {
				require.Equal(t, []any{Passing, test.says}, []any{m.State, m.Reason})
			}
		})
	}
}

// What is not synced any more still proves something for a while, and not without
// a word.
func TestAPassOfAConnectionThatIsNotSynced(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	r.sync(c, account("1"))
	for _, state := range []State{Paused, Active, Disconnected} {
		require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: state}))
		m := r.monitors(c)[UserMFAEnabled]
		says := fmt.Sprintf("the connection is %s, and not synced by itself", state)
		require.Equal(t, []any{Passing, state != Active}, []any{m.State, m.Reason == says}, m.Reason)
	}
}

// Who may not read groups knows less than who finds some, and passes no cleaner.
func TestGroupsThatCouldNotBeReadAreSaid(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	users := []directory.User{account("1")}
	unread := summary(users)
	unread.GroupsUnread = true
	key, _ := r.stage(c, unread, users)
	r.apply(c, key)
	says := []any{Passing, "directory groups could not be read: their members, who may have no account here, are not judged"}
	for _, m := range r.monitors(c) {
		require.Equal(t, says, []any{m.State, m.Reason})
	}
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	m := r.monitors(c)[AccessRemovedOnExit]
	require.Equal(t, says, []any{m.State, m.Reason})

	r.sync(c, users...)
	require.Empty(t, r.monitors(c)[AccessRemovedOnExit].Reason)
}

func TestRosterThatGrowsOldBetweenSyncs(t *testing.T) {
	t.Parallel()
	r := setup(t)
	n := newConnection("acme")
	n.Every = 1000 * time.Hour
	c := r.create(n)
	require.NoError(t, r.EnableMonitors(r.ctx, c.ID))
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	r.sync(c, account("1"))
	r.clock.Advance(RosterMaxAge + time.Microsecond)
	require.Equal(t, NotEvaluable, r.monitors(c)[AccessRemovedOnExit].State)
	require.Equal(t, Passing, r.monitors(c)[UserMFAEnabled].State)
}

func TestOrganizationsAreMatchedApart(t *testing.T) {
	t.Parallel()
	r := setup(t)
	n := newConnection("theirs")
	n.Organization = "other"
	ours, theirs := r.connectMonitored("ours"), r.create(n)
	require.NoError(t, r.EnableMonitors(r.ctx, theirs.ID))
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	require.NoError(t, r.ImportRoster(r.ctx, "other", []Person{{Email: "user1@example.com", ExitedAt: ago(grace)}}))
	r.sync(ours, account("1"))
	r.sync(theirs, account("1"))
	require.Equal(t, Passing, r.monitors(ours)[AccessRemovedOnExit].State)
	require.Equal(t, Failing, r.monitors(theirs)[AccessRemovedOnExit].State)
	require.Empty(t, r.findings(ours, AccessRemovedOnExit))
}

func TestEnableMonitorsTwiceIsAsGoodAsOnce(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"))
	require.Empty(t, r.monitors(c))
	var before string
	for i := range 3 {
		require.NoError(t, r.EnableMonitors(r.ctx, c.ID))
		require.Len(t, r.monitors(c), 2)
		if i > 0 {
			require.Equal(t, before, r.dump())
		}
		before = r.dump()
	}
}

func TestUnknownMonitorStopsTheSync(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	r.exec(`INSERT INTO monitors VALUES ($1, 'LATER', now())`, c.ID)
	key, _ := r.stage(c, summary(nil), nil)
	_, err := r.ApplySnapshot(r.ctx, c.ID, key, becomesActive)
	require.ErrorContains(t, err, "LATER")
	require.Zero(t, r.reload(c).AppliedSync)
}

// Statistics that were gathered before a connection's first sync know nothing
// of its accounts; a plan made for one row of them would take hours for these.
func TestStaleStatisticsDoNotStopALargeSync(t *testing.T) {
	t.Parallel()
	r := setup(t)
	first := r.connectMonitored("first")
	r.sync(first, auditors(2000)...)
	r.exec(`ANALYZE`)
	r.exec(`ALTER TABLE accounts SET (autovacuum_enabled = false)`)
	r.exec(`ALTER TABLE staged_accounts SET (autovacuum_enabled = false)`)
	r.exec(`ALTER TABLE findings SET (autovacuum_enabled = false)`)
	large := r.connectMonitored("large")
	people := make([]Person, 20_000)
	for i := range people {
		people[i] = Person{Email: fmt.Sprintf("user%d@example.com", i), ExitedAt: ago(grace)}
	}
	require.NoError(t, r.ImportRoster(r.ctx, "default", people))
	users := auditors(len(people))
	for range 2 {
		began := time.Now()
		r.sync(large, users...)
		require.Less(t, time.Since(began), time.Minute)
		require.Equal(t, len(people), r.monitors(large)[AccessRemovedOnExit].Failing)
	}
}
