package db

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func TestRosterIsReadBack(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, err := r.Roster(r.ctx, "default")
	require.ErrorIs(t, err, ErrNotFound)

	exit := start.Add(-time.Hour)
	people := []Person{
		{Email: "Ann@example.com", Name: `A "nn", {x}`, Aliases: []string{"ann", "a;b"}, ExitedAt: &exit},
		{Email: "bob@example.com", Aliases: []string{}},
	}
	for range 2 {
		require.NoError(t, r.ImportRoster(r.ctx, "default", people))
		roster, err := r.Roster(r.ctx, "default")
		require.NoError(t, err)
		require.Equal(t, Roster{ImportedAt: r.clock.Now(), People: people}, roster)
		require.Equal(t, 4, one[int](r, `SELECT count(*) FROM person_addresses`))
		r.clock.Advance(time.Hour)
	}
}

func TestImportReplacesTheWholeRosterOfOneOrganization(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "a@x"}, {Email: "b@x"}}))
	require.NoError(t, r.ImportRoster(r.ctx, "other", []Person{{Email: "a@x"}}))
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "c@x"}}))
	for organization, email := range map[string]string{"default": "c@x", "other": "a@x"} {
		roster, err := r.Roster(r.ctx, organization)
		require.NoError(t, err)
		require.Len(t, roster.People, 1)
		require.Equal(t, email, roster.People[0].Email)
	}
	require.NoError(t, r.ImportRoster(r.ctx, "default", nil))
	roster, err := r.Roster(r.ctx, "default")
	require.NoError(t, err)
	require.Empty(t, roster.People)
}

// A file whose exits are missing has everybody employed who has left.
func TestARosterByWhichManyAreEmployedAgainIsRefused(t *testing.T) {
	t.Parallel()
	gone := ago(time.Hour)
	staff := func(n, left int) []Person {
		people := make([]Person, n)
		for i := range people {
			people[i].Email = fmt.Sprintf("User%d@example.com", i)
			if i < left {
				people[i].ExitedAt = gone
			}
		}
		return people
	}
	returns := func(of exitGroup, had, returned int) RosterChange {
		return RosterChange{Returns: []Returns{{of, had, returned}}}
	}
	leaving := make([]Person, 40)
	for i := range leaving {
		leaving[i] = Person{Email: fmt.Sprintf("contractor%d@example.com", i), ExitedAt: ago(-time.Hour)}
	}
	in := func(d time.Duration) func(*Person) { return func(p *Person) { p.ExitedAt = ago(-d) } }
	for name, test := range map[string]struct {
		before, after []Person
		refused       bool
		change        RosterChange
	}{
		"all of 6":               {staff(9, 6), staff(9, 0), true, returns(past, 6, 6)},
		"5":                      {staff(9, 5), staff(9, 0), false, returns(past, 5, 5)},
		"7 of 20":                {staff(20, 20), staff(20, 13), true, returns(past, 20, 7)},
		"6 of 20":                {staff(20, 20), staff(20, 14), false, returns(past, 20, 6)},
		"exits that are to come": {staff(9, 9), each(staff(9, 0), in(time.Hour)), true, returns(past, 9, 9)},
		"all who had left, of many who are to leave": {slices.Concat(staff(9, 9), leaving), slices.Concat(staff(9, 0), leaving), true,
			RosterChange{Returns: []Returns{{past, 9, 9}, {upcoming, 40, 0}}}},
		"other exits, as past":      {staff(9, 9), each(staff(9, 0), func(p *Person) { p.ExitedAt = ago(2 * time.Hour) }), false, returns(past, 9, 0)},
		"exits to come are gone":    {each(staff(9, 9), in(time.Hour)), staff(9, 0), true, returns(upcoming, 9, 9)},
		"exits to come are later":   {each(staff(9, 9), in(time.Hour)), each(staff(9, 9), in(2*time.Hour)), true, returns(upcoming, 9, 9)},
		"exits to come are earlier": {each(staff(9, 9), in(2*time.Hour)), each(staff(9, 9), in(time.Hour)), false, returns(upcoming, 9, 0)},
		"no longer listed":          {staff(9, 9), staff(1, 1), false, RosterChange{Removed: 8, RemovedWithExit: 8, Returns: []Returns{{past, 9, 0}}}},
		"written otherwise":         {staff(9, 9), each(staff(9, 9), func(p *Person) { p.Email = strings.ToUpper(p.Email) }), false, returns(past, 9, 0)},
		"the first":                 {nil, staff(9, 9), false, RosterChange{Added: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectMonitored("acme")
			require.NoError(t, r.ImportRoster(r.ctx, "default", test.before))
			r.sync(c, account("1"))
			before := r.dump()
			change, err := r.DB.ImportRoster(r.ctx, "default", test.after, false)
			if !test.refused {
				require.NoError(t, err)
				require.Equal(t, test.change, change)
				return
			}
			require.Equal(t, &ReturnedError{test.change.Returns[0]}, err)
			require.Equal(t, before, r.dump())
			change, err = r.DB.ImportRoster(r.ctx, "default", test.after, true)
			require.NoError(t, err)
			require.Equal(t, test.change, change)
			change, err = r.DB.ImportRoster(r.ctx, "default", test.after, false)
			require.NoError(t, err)
			require.Zero(t, change.Returned(), "nobody returns twice")
		})
	}
}

// Whoever is dropped from the file for a while has left all the same.
func TestWhoHadLeftIsRememberedWhenNoLongerListed(t *testing.T) {
	t.Parallel()
	r := setup(t)
	staff := func(exit *time.Time) (people []Person) {
		for i := range 9 {
			people = append(people, Person{Email: fmt.Sprintf("user%d@example.com", i), Aliases: []string{fmt.Sprint("u", i)}, ExitedAt: exit})
		}
		return people
	}
	require.NoError(t, r.ImportRoster(r.ctx, "default", staff(ago(time.Hour))))
	for range 2 {
		require.NoError(t, r.ImportRoster(r.ctx, "default", nil))
	}
	before := r.dump()
	_, err := r.DB.ImportRoster(r.ctx, "default", staff(nil), false)
	require.Equal(t, &ReturnedError{Returns{delisted, 9, 9}}, err)
	require.Equal(t, before, r.dump())
	_, err = r.DB.ImportRoster(r.ctx, "default", []Person{{Email: "new@example.com", Aliases: []string{"U1"}}}, false)
	require.NoError(t, err, "one may come back under another address")

	_, err = r.DB.ImportRoster(r.ctx, "default", staff(nil), true)
	require.NoError(t, err)
	require.Zero(t, one[int](r, `SELECT count(*) FROM person_addresses WHERE delisted`), "they are employed again")
	require.NoError(t, r.ImportRoster(r.ctx, "default", staff(ago(time.Hour))))
	require.NoError(t, r.ImportRoster(r.ctx, "default", nil))
	require.Equal(t, 18, one[int](r, `SELECT count(*) FROM person_addresses WHERE delisted`))
	r.clock.Advance(departuresKept)
	require.NoError(t, r.ImportRoster(r.ctx, "default", nil))
	require.Zero(t, one[int](r, `SELECT count(*) FROM person_addresses WHERE delisted`))
}

func TestAnImportJudgesWhatWasLastSynced(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c, unsynced, gone := r.connectMonitored("acme"), r.connectMonitored("unsynced"), r.connectMonitored("gone")
	r.sync(c, account("1"))
	r.sync(gone, account("1"))
	require.NoError(t, r.Disconnect(r.ctx, gone.ID))
	for i, exit := range []struct {
		at    *time.Time
		state MonitorState
	}{{nil, Passing}, {ago(grace), Failing}, {ago(grace), Failing}, {nil, Passing}} {
		r.clock.Advance(time.Minute)
		require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: exit.at}}))
		m := r.monitors(c)[AccessRemovedOnExit]
		require.Equal(t, []any{exit.state, 1, r.clock.Now()}, []any{m.State, m.Sync, m.EvaluatedAt})
		// Each judgement stays on record.
		require.Equal(t, i+2, one[int](r, `SELECT count(*) FROM outcomes WHERE connection_id = $1 AND code = $2`, c.ID, AccessRemovedOnExit))
	}
	require.Empty(t, r.monitors(unsynced))
	require.Equal(t, 1, one[int](r, `SELECT count(*) FROM outcomes WHERE connection_id = $1 AND code = $2`, gone.ID, AccessRemovedOnExit))
}

// Whoever waits for one connection, or judges it, holds up no other.
func TestOneConnectionHoldsUpNoImport(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	c, busy := r.connectMonitored("acme"), r.connectMonitored("busy")
	r.sync(c, account("1"))
	r.sync(busy, account("1"))
	r.clock.Advance(time.Minute)

	syncing, err := r.DB.sql.BeginTxx(r.ctx, nil)
	require.NoError(t, err)
	_, err = lockConnection(r.ctx, syncing, busy.ID)
	require.NoError(t, err)
	judging := make(chan error, 1)
	go func() {
		judging <- r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(grace)}})
	}()
	require.Eventually(t, func() bool { return r.monitors(c)[AccessRemovedOnExit].State == Failing }, 10*time.Second, 10*time.Millisecond)
	m := r.monitors(busy)[AccessRemovedOnExit]
	require.Equal(t, NotEvaluable, m.State, "by another roster: %s", m.Reason)
	require.NoError(t, r.ChangeState(r.ctx, c.ID, StateChange{State: Active}), "it is not locked")

	require.NoError(t, syncing.Rollback())
	require.NoError(t, <-judging)
	require.Equal(t, Failing, r.monitors(busy)[AccessRemovedOnExit].State)
}

func TestJudgingCountsWhatCouldBeJudged(t *testing.T) {
	t.Parallel()
	r := setup(t)
	synced, _, old := r.connectMonitored("synced"), r.connectMonitored("unsynced"), r.connectMonitored("old")
	r.connect("without monitors")
	r.sync(old, account("1"))
	r.clock.Advance(1000 * time.Hour)
	r.sync(synced, account("1"))
	require.NoError(t, r.ImportRoster(r.ctx, "default", nil))
	for range 2 {
		judged, err := r.JudgeByRoster(r.ctx, "default", nil)
		require.NoError(t, err)
		require.Equal(t, Judged{Evaluated: 1, Waiting: 2}, judged)
	}
}

// Imports and syncs of one organization leave the same, whichever comes first.
func TestImportsDuringSyncsLeaveTheLastRostersJudgement(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var connections []Connection
	var keys []string
	for i := range 4 {
		c := r.connectMonitored(fmt.Sprint("acme", i))
		key, _ := r.stage(c, summary([]directory.User{account("1")}), []directory.User{account("1")})
		connections, keys = append(connections, c), append(keys, key)
	}
	rosters := [][]Person{{{Email: "user1@example.com"}}, {{Email: "user1@example.com", ExitedAt: ago(grace)}}}
	for _, err := range together(8, func(i int) error {
		if i < len(connections) {
			_, err := r.ApplySnapshot(r.ctx, connections[i].ID, keys[i], becomesActive)
			return err
		}
		return r.ImportRoster(r.ctx, "default", rosters[i%2])
	}) {
		require.NoError(t, err)
	}
	roster, err := r.Roster(r.ctx, "default")
	require.NoError(t, err)
	state := Passing
	if roster.People[0].ExitedAt != nil {
		state = Failing
	}
	for _, c := range connections {
		require.Equal(t, state, r.monitors(c)[AccessRemovedOnExit].State)
	}
}

func TestMonitorsEnabledDuringAnImportJudgeByTheNewRoster(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	for round := range 10 {
		c := r.connect(fmt.Sprint("acme", round))
		r.sync(c, account("1"))
		for _, err := range together(2, func(i int) error {
			if i == 0 {
				return r.EnableMonitors(r.ctx, c.ID)
			}
			return r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(grace + time.Duration(round)*time.Hour)}})
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, Failing, r.monitors(c)[AccessRemovedOnExit].State)
		require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	}
}

func TestAddressOfTwoPeopleLeavesTheRosterAsItWas(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "old@x"}}))
	before := r.dump()
	for _, people := range [][]Person{
		{{Email: "a@x"}, {Email: "A@x"}},
		{{Email: "a@x"}, {Email: "b@x", Aliases: []string{"A@X"}}},
		{{Email: "a@x", Aliases: []string{"same"}}, {Email: "b@x", Aliases: []string{"SAME"}}},
	} {
		err := r.ImportRoster(r.ctx, "default", people)
		require.ErrorIs(t, err, ErrDuplicateAddress)
		require.NotContains(t, err.Error(), "@")
		require.Equal(t, before, r.dump())
	}
}

func TestPersonMayRepeatAnAddress(t *testing.T) {
	t.Parallel()
	r := setup(t)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "a@x", Aliases: []string{"A@X", "a@x", "", "alias"}}}))
	require.Equal(t, 2, one[int](r, `SELECT count(*) FROM person_addresses`))
}

func TestConcurrentImportsLeaveOneWholeRoster(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for _, err := range together(6, func(i int) error {
		return r.ImportRoster(r.ctx, "default", []Person{{Email: fmt.Sprintf("a%d@x", i)}, {Email: fmt.Sprintf("b%d@x", i)}})
	}) {
		require.NoError(t, err)
	}
	roster, err := r.Roster(r.ctx, "default")
	require.NoError(t, err)
	require.Len(t, roster.People, 2)
	require.Equal(t, roster.People[0].Email[1:], roster.People[1].Email[1:])
}

func TestLargeRoster(t *testing.T) {
	t.Parallel()
	r := setup(t)
	people := make([]Person, 160_000)
	for i := range people {
		people[i] = Person{Email: fmt.Sprintf("person%d@example.com", i), Aliases: []string{fmt.Sprintf("p%d", i)}}
		if i%4 == 0 {
			people[i].ExitedAt = ago(grace)
		}
	}
	for range 2 {
		require.NoError(t, r.ImportRoster(r.ctx, "default", people))
		require.Equal(t, 2*len(people), one[int](r, `SELECT count(*) FROM person_addresses`))
		r.exec(`ANALYZE`) // as PostgreSQL does by itself within a minute
	}
}

// An account that is Bob's by its username, and Ann's by its e-mail address. Whatever
// the next roster makes of Bob, it says nothing of that username.
func TestWhoHadLeftIsKnownByWhatIsNoLongerListedOfThem(t *testing.T) {
	t.Parallel()
	ann := Person{Email: "ann@example.com", Aliases: []string{"team@example.com"}}
	bob := func(exit *time.Time, aliases ...string) Person {
		return Person{Email: "bob@example.com", Aliases: aliases, ExitedAt: exit}
	}
	left := bob(ago(2*grace), "bob", "b.smith@example.com")
	withBobs := Person{Email: ann.Email, Aliases: append([]string{"b.smith@example.com"}, ann.Aliases...)}
	for name, test := range map[string]struct {
		next []Person
		want MonitorState
	}{
		"another exit, as past":          {[]Person{ann, bob(ago(grace + time.Hour))}, Failing},
		"another exit, under an alias":   {[]Person{ann, {Email: "b.smith@example.com", ExitedAt: ago(grace + time.Hour)}}, Failing},
		"an alias is handed over":        {[]Person{withBobs, bob(left.ExitedAt)}, Failing},
		"an alias is a new colleague's":  {[]Person{ann, {Email: "carl@example.com", Aliases: []string{"b.smith@example.com"}}}, Failing},
		"exited, by a new address":       {[]Person{ann, {Email: "robert@example.com", Aliases: []string{"b.smith@example.com"}, ExitedAt: ago(grace + time.Hour)}}, Failing},
		"the same, and no longer listed": {[]Person{withBobs}, Failing},
		"employed":                       {[]Person{ann, bob(nil)}, Passing},
		"employed under an alias":        {[]Person{ann, {Email: "b.smith@example.com"}}, Passing},
		"employed for some time":         {[]Person{ann, bob(ago(-time.Hour))}, Passing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectMonitored("acme")
			require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{ann, left}))
			r.sync(c, account("1", func(u *directory.User) { u.Username, u.Email = "bob", "team@example.com" }))
			require.Equal(t, Failing, r.monitors(c)[AccessRemovedOnExit].State)
			for range 2 {
				r.clock.Advance(time.Minute)
				require.NoError(t, r.ImportRoster(r.ctx, "default", test.next))
				require.Equal(t, test.want, r.monitors(c)[AccessRemovedOnExit].State)
			}
			r.clock.Advance(time.Hour)
			if name == "employed for some time" {
				require.Equal(t, NotEvaluable, r.monitors(c)[AccessRemovedOnExit].State, "until it is judged again")
				r.sync(c, account("1", func(u *directory.User) { u.Username, u.Email = "bob", "team@example.com" }))
				require.Equal(t, Due, r.monitors(c)[AccessRemovedOnExit].State)
			}
		})
	}
}

func TestSomebodyIsTheSameHoweverTheirAddressIsWritten(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	exit := ago(grace)
	for _, next := range []Person{
		{Email: "Bob@example.com", Aliases: []string{"bob"}, ExitedAt: exit},
		{Email: "bob@example.com", ExitedAt: exit},
		{Email: "robert@example.com", Aliases: []string{"bob@example.com"}, ExitedAt: exit},
		{Email: "Robert@example.com", ExitedAt: exit},
	} {
		require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "ann@example.com"}, next}))
		r.sync(c, account("1", func(u *directory.User) { u.Username, u.Email = "bob", "ann@example.com" }))
		require.Equal(t, Failing, r.monitors(c)[AccessRemovedOnExit].State)
	}
	r.clock.Advance(time.Minute)
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "ann@example.com"}, {Email: "robert@example.com"}}))
	require.Equal(t, Passing, r.monitors(c)[AccessRemovedOnExit].State)
}

func TestWhoHadLeftIsNotForgottenWhileTheirAccountIsOpen(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	ann := Person{Email: "ann@example.com"}
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{ann, {Email: "bob@example.com", Aliases: []string{"bob"}, ExitedAt: ago(grace)}}))
	users := []directory.User{account("1", func(u *directory.User) { u.Username, u.Email = "bob", ann.Email }), account("2")}
	for range 3 {
		r.sync(c, users...)
		require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{ann}))
		require.Equal(t, Failing, r.monitors(c)[AccessRemovedOnExit].State)
		r.clock.Advance(departuresKept)
	}
	users[0].Status = directory.StatusInactive
	for range 2 {
		r.sync(c, users...)
		require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{ann}))
	}
	require.Zero(t, one[int](r, `SELECT count(*) FROM person_addresses WHERE delisted`))
}

// Who is dropped before they leave will have left all the same.
func TestAPassEndsWhenSomebodyLeavesWhoIsNoLongerListed(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	ann, bob := Person{Email: "ann@example.com"}, Person{Email: "bob@example.com", Aliases: []string{"bob"}, ExitedAt: ago(-time.Hour)}
	user := account("1", func(u *directory.User) { u.Username, u.Email = "bob", ann.Email })
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{ann, bob}))
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{ann}))
	r.sync(c, user)
	require.Equal(t, Passing, r.monitors(c)[AccessRemovedOnExit].State)
	r.clock.Advance(time.Hour)
	require.Equal(t, NotEvaluable, r.monitors(c)[AccessRemovedOnExit].State)
	r.sync(c, user)
	require.Equal(t, Due, r.monitors(c)[AccessRemovedOnExit].State)
}

func TestAnOutcomeNamesTheRosterByWhichItWasFound(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com"}}))
	r.sync(c, account("1"))
	r.clock.Advance(time.Minute)
	require.NoError(t, r.inTx(r.ctx, func(tx *sqlx.Tx, now time.Time) error {
		monitors, err := enabledMonitors(r.ctx, tx, c.ID, 1, now)
		require.NoError(t, err)
		_, err = r.DB.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: ago(grace)}}, false)
		require.NoError(t, err)
		require.NoError(t, setBased(r.ctx, tx))
		for _, m := range monitors {
			require.NoError(t, m.evaluate(r.ctx, tx, 1, now))
		}
		return nil
	}))
	require.Equal(t, Failing, r.monitors(c)[AccessRemovedOnExit].State)
	require.True(t, one[bool](r, `SELECT roster_at = imported_at FROM outcomes, rosters WHERE code = $1 ORDER BY id DESC LIMIT 1`, AccessRemovedOnExit))
}

func TestWhoHadLeftOfLateIsNotFewAmongAllWhoEverLeft(t *testing.T) {
	t.Parallel()
	r := setup(t)
	people := func(name string, n int, exit *time.Time) (people []Person) {
		for i := range n {
			people = append(people, Person{Email: fmt.Sprintf("%s%d@example.com", name, i), ExitedAt: exit})
		}
		return people
	}
	require.NoError(t, r.ImportRoster(r.ctx, "default", people("old", 50, ago(2400*time.Hour))))
	_, err := r.DB.ImportRoster(r.ctx, "default", people("user", 20, ago(grace)), false)
	require.NoError(t, err)
	_, err = r.DB.ImportRoster(r.ctx, "default", people("user", 20, nil), false)
	require.Equal(t, &ReturnedError{Returns{past, 20, 20}}, err)
}

func TestAnAliasOfSomebodyWhoHadLeftIsRemembered(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var with, without, back []Person
	for i := range 9 {
		email, alias := fmt.Sprintf("user%d@example.com", i), fmt.Sprintf("user%d@jamf.example", i)
		with = append(with, Person{Email: email, Aliases: []string{alias}, ExitedAt: ago(grace)})
		without = append(without, Person{Email: email, ExitedAt: ago(grace)})
		back = append(back, Person{Email: alias})
	}
	require.NoError(t, r.ImportRoster(r.ctx, "default", with))
	for range 2 {
		require.NoError(t, r.ImportRoster(r.ctx, "default", without))
		require.Equal(t, 9, one[int](r, `SELECT count(*) FROM person_addresses WHERE delisted`))
	}
	_, err := r.DB.ImportRoster(r.ctx, "default", back, false)
	require.Equal(t, &ReturnedError{Returns{delisted, 9, 9}}, err)
}

// HR may stop listing people some time after they have left.
func TestWhoHadLeftFailsAlsoWhenNoLongerListed(t *testing.T) {
	t.Parallel()
	ann := Person{Email: "ann@example.com", Aliases: []string{"team@example.com"}}
	bob := Person{Email: "bob@example.com", Aliases: []string{"bob"}, ExitedAt: ago(grace)}
	for name, edit := range map[string]func(*directory.User){
		"by e-mail address":                      func(u *directory.User) { u.Email = "Bob@example.com" },
		"by username":                            func(u *directory.User) { u.Username = "bob" },
		"by username, with another's e-mail too": func(u *directory.User) { u.Username, u.Email = "bob", "team@example.com" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectMonitored("acme")
			r.sync(c, account("1", edit))
			for _, roster := range [][]Person{{ann, bob}, {ann}, {ann}} {
				r.clock.Advance(time.Minute)
				require.NoError(t, r.ImportRoster(r.ctx, "default", roster))
				require.Equal(t, Failing, r.monitors(c)[AccessRemovedOnExit].State)
				require.Equal(t, "bob@example.com", r.findings(c, AccessRemovedOnExit)[0].Person)
			}
			back := bob
			back.ExitedAt = nil
			r.clock.Advance(time.Minute)
			require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{ann, back}))
			require.NotEqual(t, Failing, r.monitors(c)[AccessRemovedOnExit].State)
		})
	}
}
