package db

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func auditors(n int) []directory.User { return numbered(0, n) }

// numbered are auditors with ids from one on.
func numbered(from, n int) []directory.User {
	users := make([]directory.User, n)
	for i := range users {
		users[i] = auditor(fmt.Sprint(from + i))
	}
	return users
}

func TestSnapshotThatIsNotWholeChangesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		totals map[directory.Kind]int
		users  []directory.User
		says   string
	}{
		"fewer than it says":  {map[directory.Kind]int{directory.Account: 3}, auditors(2), "has 3 of kind account and listed 2"},
		"more than it says":   {map[directory.Kind]int{directory.Account: 1}, auditors(2), "has 1 of kind account and listed 2"},
		"a kind it says more": {map[directory.Kind]int{directory.Account: 2, directory.APIClient: 1}, auditors(2), "has 1 of kind api_client and listed 0"},
		"a kind not counted":  {map[directory.Kind]int{directory.DirectoryGroup: 0}, auditors(2), "does not say how many"},
		"nobody":              {map[directory.Kind]int{directory.Account: 0, directory.DirectoryGroup: 0}, nil, "listed nobody, and 3 were there"},
		"no account": {
			map[directory.Kind]int{directory.Account: 0, directory.DirectoryGroup: 1},
			[]directory.User{account("g", of(directory.DirectoryGroup))}, "listed no account, and 2 were there",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectMonitored("acme")
			r.sync(c, auditor("0"), auditor("1"), account("g", of(directory.DirectoryGroup)))
			key, s := r.stage(c, &directory.Summary{Totals: test.totals}, test.users)
			before := r.dump()

			err := r.checkSnapshot(c, s)
			require.Equal(t, directory.Inconsistent, directory.CodeOf(err))
			require.ErrorContains(t, err, test.says)
			for range 2 {
				_, err = r.ApplySnapshot(r.ctx, c.ID, key, ApplyOptions{AcceptRemovals: true})
				require.ErrorContains(t, err, test.says)
			}
			require.Equal(t, before, r.dump())
		})
	}
}

func TestBrake(t *testing.T) {
	t.Parallel()
	admin := account("admin")
	twenty := append(auditors(19), admin)
	crowd := endUsers(upTo(100)...)
	for name, test := range map[string]struct {
		before, after []directory.User
		held          bool
	}{
		"30 % is applied":                             {twenty, append(auditors(13), admin), false},
		"more than 30 % is held":                      {twenty, append(auditors(12), admin), true},
		"5 is applied, whatever their share":          {append(auditors(6), admin), append(auditors(1), admin), false},
		"6 is held":                                   {append(auditors(7), admin), append(auditors(1), admin), true},
		"every administrator removed":                 {twenty, auditors(19), true},
		"every administrator deactivated":             {twenty, append(auditors(19), account("admin", inactive)), true},
		"every administrator replaced":                {twenty, append(auditors(19), account("new")), true},
		"one administrator of two":                    {append(auditors(3), admin, account("second")), append(auditors(3), admin), false},
		"the inactive one of two administrators":      {append(auditors(3), admin, account("second", inactive)), append(auditors(3), admin), false},
		"the only active one of two":                  {append(auditors(3), admin, account("second", inactive)), append(auditors(3), account("second", inactive)), true},
		"every administrator without an access level": {append(auditors(3), untold("admin", "Administrator")), auditors(3), true},
		"every role of that name":                     {append(auditors(3), untold("admin", "Jamf ADMINS", "x")), auditors(3), true},
		"one of two such":                             {append(auditors(3), untold("a", "Administrator"), untold("b", "Site admin")), append(auditors(3), untold("b", "Site admin")), false},
		"auditors without an access level":            {[]directory.User{untold("a", "Auditor"), untold("b", "Custom")}, []directory.User{untold("b", "Custom")}, false},
		"administrators of sites":                     {append(auditors(3), account("site", siteAccess)), auditors(3), false},
		"what is no account, without an access level": {append(auditors(3), account("1", of(directory.DirectoryGroup), noLevel)), auditors(3), false},
		"an administrator whose status is unknown":    {append(auditors(3), admin), append(auditors(3), account("admin", unknownStatus)), false},
		"inactive ones removed count too":             {append(deactivated(auditors(7)), admin), []directory.User{admin}, true},
		"inactive ones that stay do not":              {append(deactivated(auditors(7)), admin), append(deactivated(auditors(7)), admin), false},
		"7 of 11 active ones among many inactive": {
			slices.Concat(deactivated(auditors(40)), numbered(100, 10), []directory.User{admin}),
			slices.Concat(deactivated(auditors(40)), deactivated(numbered(100, 7)), numbered(107, 3), []directory.User{admin}), true},
		"7 of 20 deactivated":                      {twenty, append(append(deactivated(auditors(7)), auditors(19)[7:]...), admin), true},
		"nearly all accounts among many end users": {slices.Concat(twenty, crowd), append(crowd, admin), true},
		"many end users beside the accounts":       {slices.Concat(twenty, crowd[:10]), append(twenty, crowd[:4]...), false},
		"nearly all end users":                     {slices.Concat(twenty, crowd), append(twenty, crowd[0]), true},
		"one of two administrators, the other in an unchanged block": {
			[]directory.User{account("1"), auditor("2"), account("1000")}, []directory.User{auditor("2"), account("1000")}, false},
		"the only active administrator, another in an unchanged block": {
			[]directory.User{account("1"), auditor("2"), account("1000", inactive)}, []directory.User{auditor("2"), account("1000", inactive)}, true},
		"7 of 27 accounts, the others in an unchanged block": {
			slices.Concat(twenty, numbered(1000, 7), crowd[:50]), slices.Concat(twenty, crowd[:50]), false},
		"9 of 29":                                   {slices.Concat(twenty, numbered(1000, 9), crowd[:50]), slices.Concat(twenty, crowd[:50]), true},
		"every administrator demoted":               {append(auditors(3), account("a"), account("b")), append(auditors(3), auditor("a"), auditor("b")), true},
		"every administrator is another person":     {append(auditors(3), admin), append(auditors(3), otherPeople([]directory.User{admin})...), true},
		"a small directory of other people":         {append(auditors(3), admin), otherPeople(append(auditors(3), admin)), true},
		"an administrator's successor is on record": {append(auditors(3), account("a")), append(auditors(2), account("2"), auditor("a")), false},
		"the only administrator demoted, another in an unchanged block": {
			[]directory.User{account("1"), auditor("2"), account("1000")}, []directory.User{auditor("1"), auditor("2"), account("1000")}, false},
		"7 of 20 are other people":                   {twenty, slices.Concat(otherPeople(auditors(7)), auditors(19)[7:], []directory.User{admin}), true},
		"20 have other usernames and addresses":      {twenty, renamed(twenty), false},
		"7 of 20 of whom only a username is told":    {toldUsername(twenty), slices.Concat(otherPeople(toldUsername(twenty[:7])), toldUsername(twenty[7:])), true},
		"7 of 20 are told by another way of writing": {twenty, slices.Concat(shouted(twenty[:7]), twenty[7:]), false},
		"the first snapshot":                         {nil, twenty, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connect("acme")
			r.sync(c, test.before...)
			s := r.sync(c, test.after...)
			require.Equal(t, test.held, s.Outcome == Held, s.Reason)
		})
	}
}

// otherPeople are other people of the same ids.
func otherPeople(users []directory.User) []directory.User {
	return each(users, func(u *directory.User) {
		for _, called := range []*string{&u.Username, &u.Email, &u.Name} {
			if *called != "" {
				*called = "other-" + *called
			}
		}
	})
}

func renamed(users []directory.User) []directory.User {
	return each(users, func(u *directory.User) { u.Username, u.Email = "new-"+u.Username, "new-"+u.Email })
}

func toldUsername(users []directory.User) []directory.User {
	return each(users, func(u *directory.User) { u.Email, u.Name = "", "" })
}

func shouted(users []directory.User) []directory.User {
	return each(users, func(u *directory.User) {
		u.Username, u.Email, u.Name = strings.ToUpper(u.Username), "", ""
	})
}

func each[T any](list []T, change func(*T)) []T {
	list = slices.Clone(list)
	for i := range list {
		change(&list[i])
	}
	return list
}

func noLevel(u *directory.User)    { u.AccessLevel = "" }
func siteAccess(u *directory.User) { u.AccessLevel = "Site Access" }

// untold is an account of a source that tells no access levels.
func untold(id string, roles ...string) directory.User {
	return account(id, noLevel, func(u *directory.User) { u.Roles = roles })
}

func deactivated(users []directory.User) []directory.User {
	users = slices.Clone(users)
	for i := range users {
		inactive(&users[i])
	}
	return users
}

func TestHeldSnapshotLeavesTheRecordAsItWas(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	require.NoError(t, r.ImportRoster(r.ctx, "default", []Person{{Email: "user1@example.com", ExitedAt: &start}}))
	r.clock.Advance(48 * time.Hour)
	r.sync(c, account("1"), auditor("2"))
	accounts, monitors := r.accounts(c, false), r.monitors(c)
	require.Equal(t, Failing, monitors[AccessRemovedOnExit].State)
	for code, m := range monitors {
		m.add("sync 2 is held, and not judged")
		monitors[code] = m
	}

	r.clock.Advance(time.Hour)
	users := []directory.User{auditor("2")}
	key, _ := r.stage(c, summary(users), users)
	next := start.Add(100 * time.Hour)
	options := ApplyOptions{Becomes: StateChange{State: Active, NextSyncAt: &next}}
	for range 2 {
		s, err := r.ApplySnapshot(r.ctx, c.ID, key, options)
		require.NoError(t, err)
		require.Equal(t, []any{Held, "held", "it would remove, deactivate or replace every full administrator (1)"}, []any{s.Outcome, s.Error, s.Reason})
		require.Equal(t, []int{1, 0, 0, 0, 3}, []int{s.Accounts, s.Added, s.Changed, s.Removed, s.Requests})
		require.Equal(t, accounts, r.accounts(c, false))
		require.Equal(t, monitors, r.monitors(c))
		require.Empty(t, r.changes(c, s.Number))
		got := r.reload(c)
		require.Equal(t, []any{1, s.Reason, &next}, []any{got.AppliedSync, got.Reason, got.NextSyncAt})
		require.Zero(t, r.staged())
	}

	require.Len(t, r.heldChanges(c), 1)
	key, _ = r.stage(c, summary(users), users)
	s, err := r.ApplySnapshot(r.ctx, c.ID, key, ApplyOptions{AcceptRemovals: true, Becomes: StateChange{State: Active}})
	require.NoError(t, err)
	require.Equal(t, []any{Applied, "", 1}, []any{s.Outcome, s.Error, s.Removed})
	require.Empty(t, r.heldChanges(c), "nothing is held any more")
	require.Equal(t, "", r.reload(c).Reason)
	require.Zero(t, r.monitors(c)[AccessRemovedOnExit].Failing)
}

func (r *record) heldChanges(c Connection) []string {
	r.t.Helper()
	var held []string
	for change, err := range r.HeldChanges(r.ctx, c.ID) {
		require.NoError(r.t, err)
		held = append(held, fmt.Sprintf("sync %d, %s: %s %s → %s", change.Sync, change.Username, change.Change, change.Before, change.After))
	}
	return held
}

func TestAHeldSnapshotSaysWhomItWouldTake(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	stays := account("5", func(u *directory.User) { u.Groups = []string{"Staff"} })
	r.sync(c, auditor("1"), auditor("2"), account("3"), account("4"), stays)
	demoted, renamed := auditor("4"), stays
	renamed.Name = "Somebody"
	users := []directory.User{
		account("2", inactive, func(u *directory.User) { u.Roles = auditor("2").Roles }),
		account("3", func(u *directory.User) { u.Username, u.Email, u.Name = "new", "new@example.com", "New" }),
		demoted, renamed,
	}
	r.exec(`UPDATE connections SET hold_count = 2`)
	unread := summary(users)
	unread.GroupsUnread = true
	for number := 2; number <= 3; number++ { // the last one that was held counts
		key, _ := r.stage(c, unread, users)
		require.Equal(t, Held, r.apply(c, key).Outcome)
		held := r.heldChanges(c)
		require.Len(t, held, 4)
		for i, says := range []string{
			`user1: removed {"mfa": `,
			`user2: changed {"status": "active"} → {"status": "inactive"}`,
			`user3: changed {"name": "User 3", "email": "user3@example.com", "username": "user3"} → {"name": "New", "email": "new@example.com", "username": "new"}`,
			`user4: changed {"roles": ["Administrator"]} → {"roles": ["Auditor"]}`,
		} {
			require.Contains(t, held[i], fmt.Sprintf("sync %d, %s", number, says))
		}
	}
}

// Who accepts removals has seen how many they are, and whether administrators are
// among them.
func TestAcceptedIsWhatWasHeldAndLittleMore(t *testing.T) {
	t.Parallel()
	admin := account("admin")
	twenty := append(auditors(19), admin)
	crowd := endUsers(upTo(100)...)
	for name, test := range map[string]struct {
		before, held, accepted []directory.User
		why                    string
	}{
		"as much": {twenty, append(auditors(12), admin), append(auditors(12), admin),
			"removals were accepted: it would remove, deactivate or replace 7 of 20 accounts"},
		"a little more": {twenty, append(auditors(12), admin), append(auditors(11), admin),
			"removals were accepted: it would remove, deactivate or replace 8 of 20 accounts"},
		"as little as is usual": {twenty, append(auditors(12), admin), append(auditors(13), admin), ""},
		"much more": {twenty, append(auditors(12), admin), []directory.User{auditor("1"), admin},
			"it would remove, deactivate or replace 18 of 20 accounts, and 7 were accepted"},
		"as many, and the administrator": {twenty, append(auditors(12), admin), auditors(13),
			"it would remove, deactivate or replace every full administrator (1), and that was not accepted"},
		"the administrator, and somebody else": {twenty, auditors(19), auditors(18),
			"removals were accepted: it would remove, deactivate or replace every full administrator (1)"},
		"many more console accounts among end users": {
			slices.Concat(twenty, crowd), slices.Concat(twenty[7:], crowd[:50]), slices.Concat(twenty[14:], crowd[:50]),
			"it would remove, deactivate or replace 14 of 20 active console accounts, and 7 were accepted"},
		"where nothing is held": {twenty, twenty, []directory.User{admin},
			"removals were accepted: it would remove, deactivate or replace 19 of 20 accounts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectEveryone("acme")
			r.sync(c, test.before...)
			r.sync(c, test.held...)
			key, _ := r.stage(c, summary(test.accepted), test.accepted)
			s, err := r.ApplySnapshot(r.ctx, c.ID, key, ApplyOptions{AcceptRemovals: true, Becomes: StateChange{State: Active}})
			require.NoError(t, err)
			require.Equal(t, test.why, s.Reason)
			require.Equal(t, strings.HasPrefix(test.why, "it would"), s.Outcome == Held)
		})
	}
}

func TestTheBrakeIsTheConnectionsOwn(t *testing.T) {
	t.Parallel()
	r := setup(t)
	n := newConnection("acme")
	n.Hold = Hold{Percent: 10, Count: 0}
	c := r.create(n)
	r.sync(c, account("1"), auditor("2"), auditor("3"))
	require.Equal(t, Held, r.sync(c, account("1"), auditor("2")).Outcome)
}

func TestWhatIsToBeHeldIsHeldWhoeverAcceptsIt(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), auditor("2"))
	accept := ApplyOptions{AcceptRemovals: true, Becomes: StateChange{State: Active}}
	hold := func(s Sync) (held bool) {
		t.Helper()
		for range 2 {
			var err error
			held, err = r.HoldSnapshot(r.ctx, c.ID, s.Number, false)
			require.NoError(t, err)
		}
		return held
	}

	without := []directory.User{auditor("2")}
	key, s := r.stage(c, summary(without), without)
	require.True(t, hold(s))
	ended, err := r.ApplySnapshot(r.ctx, c.ID, key, accept)
	require.NoError(t, err)
	require.Equal(t, []any{Held, "it would remove, deactivate or replace every full administrator (1)"}, []any{ended.Outcome, ended.Reason})

	key, s = r.stage(c, summary(without), without)
	require.True(t, hold(s))
	_, err = r.RestartStaging(r.ctx, c.ID, s.Number, r.openStaging(c, s))
	require.NoError(t, err)
	whole := []directory.User{account("1"), auditor("2")}
	_, err = r.storePage(c.ID, s.Number, r.openStaging(c, s), directory.Page{Users: whole, Cursor: "end", Summary: summary(whole)})
	require.NoError(t, err)
	require.Equal(t, Applied, r.apply(c, key).Outcome, "another reading is another snapshot")

	_, s = r.stage(c, summary(whole), whole)
	require.False(t, hold(s))
	_, s = r.stage(c, nil, whole)
	_, err = r.HoldSnapshot(r.ctx, c.ID, s.Number, false)
	require.ErrorIs(t, err, ErrStagingLost)
}
