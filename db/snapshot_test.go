package db

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func (r *record) accounts(c Connection, removed bool) map[string]Account {
	r.t.Helper()
	accounts := map[string]Account{}
	for a, err := range r.Accounts(r.ctx, c.ID, removed) {
		require.NoError(r.t, err)
		accounts[string(a.Kind)+"/"+a.ID] = a
	}
	return accounts
}

// changes are those of a sync: what happened to whom, before and after.
func (r *record) changes(c Connection, number int) map[string]string {
	r.t.Helper()
	changes := map[string]string{}
	for change, err := range r.Changes(r.ctx, c.ID, time.Time{}) {
		require.NoError(r.t, err)
		if change.Sync == number {
			changes[change.Kind+"/"+change.ID] = fmt.Sprintf("%s %s → %s", change.Change, change.Before, change.After)
		}
	}
	return changes
}

func TestFirstSnapshotAddsEverybody(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	full := account("1", func(u *directory.User) {
		u.Groups, u.Privileges, u.Site, u.FromDirectory = []string{"g"}, []string{"p", "q"}, "s", new(true)
	})
	bare := directory.User{Identity: directory.Identity{Kind: directory.DirectoryGroup, ID: "1"}}
	s := r.sync(c, full, bare)

	require.Equal(t, Sync{
		Number: 1, Trigger: TriggerSchedule, Outcome: Applied, StartedAt: start, FinishedAt: new(start),
		Accounts: 2, Added: 2, Requests: 3,
	}, s)
	bare.Status, bare.MFA = directory.StatusUnknown, directory.MFAUnknown
	bare.Roles, bare.Groups, bare.Privileges = []string{}, []string{}, []string{}
	require.Equal(t, map[string]Account{"account/1": {User: full}, "directory_group/1": {User: bare}}, r.accounts(c, false))
	require.Equal(t, map[string]string{
		"account/1":         `added {} → {"mfa": "enabled", "name": "User 1", "site": "s", "email": "user1@example.com", "roles": ["Administrator"], "groups": ["g"], "status": "active", "username": "user1", "directory": true, "privileges": ["p", "q"], "access_level": "Full Access"}`,
		"directory_group/1": `added {} → {"mfa": "unknown", "name": "", "site": "", "email": "", "roles": [], "groups": [], "status": "unknown", "username": "", "directory": null, "privileges": [], "access_level": ""}`,
	}, r.changes(c, 1))
	require.Equal(t, []any{Active, 1}, []any{r.reload(c).State, r.reload(c).AppliedSync})
	require.Zero(t, r.staged())
}

func TestChangeShowsOnlyTheFactsThatDiffer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit func(*directory.User)
		want string
	}{
		"e-mail":              {func(u *directory.User) { u.Email = "new@example.com" }, `{"email": "user1@example.com"} → {"email": "new@example.com"}`},
		"e-mail in case only": {func(u *directory.User) { u.Email = "User1@example.com" }, `{"email": "user1@example.com"} → {"email": "User1@example.com"}`},
		"username":            {func(u *directory.User) { u.Username = "x" }, `{"username": "user1"} → {"username": "x"}`},
		"name":                {func(u *directory.User) { u.Name = "" }, `{"name": "User 1"} → {"name": ""}`},
		"role":                {func(u *directory.User) { u.Roles = []string{"Auditor"} }, `{"roles": ["Administrator"]} → {"roles": ["Auditor"]}`},
		"status":              {inactive, `{"status": "active"} → {"status": "inactive"}`},
		"second factor":       {func(u *directory.User) { u.MFA = "" }, `{"mfa": "enabled"} → {"mfa": "unknown"}`},
		"groups":              {func(u *directory.User) { u.Groups = []string{"g"} }, `{"groups": []} → {"groups": ["g"]}`},
		"privileges":          {func(u *directory.User) { u.Privileges = []string{"p"} }, `{"privileges": []} → {"privileges": ["p"]}`},
		"access level":        {func(u *directory.User) { u.AccessLevel = "Site Access" }, `{"access_level": "Full Access"} → {"access_level": "Site Access"}`},
		"site":                {func(u *directory.User) { u.Site = "s" }, `{"site": ""} → {"site": "s"}`},
		"directory":           {func(u *directory.User) { u.FromDirectory = new(false) }, `{"directory": null} → {"directory": false}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connect("acme")
			r.sync(c, account("1"), account("2"))
			s := r.sync(c, account("1", test.edit), account("2"))
			require.Equal(t, []int{2, 0, 1, 0}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
			require.Equal(t, map[string]string{"account/1": "changed " + test.want}, r.changes(c, 2))
			s = r.sync(c, account("1", test.edit), account("2"))
			require.Zero(t, s.Changed)
		})
	}
}

// A fact that is added to the model and not to the hash would change unseen.
func TestHashCoversEveryFact(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var columns []string
	require.NoError(t, r.DB.sql.SelectContext(r.ctx, &columns, `
		SELECT column_name FROM information_schema.columns WHERE table_name = 'accounts'
			AND column_name NOT IN ('connection_id', 'kind', 'source_id', 'facts_digest', 'block', 'arrived_in', 'removed_at')`))
	require.ElementsMatch(t, strings.Split(facts, ", "), columns)
	require.ElementsMatch(t, strings.Split(factColumns, ", "), strings.Split(plainColumns+", "+accessColumns, ", "))

	edits := []func(*directory.User){
		func(u *directory.User) {},
		func(u *directory.User) { u.Username += "x" },
		func(u *directory.User) { u.Email += "x" },
		func(u *directory.User) { u.Name += "x" },
		inactive, unknownStatus,
		func(u *directory.User) { u.MFA = directory.MFADisabled },
		func(u *directory.User) { u.MFA = directory.MFAUnknown },
		func(u *directory.User) { u.Roles = nil },
		func(u *directory.User) { u.Roles = []string{"Administrator", ""} },
		func(u *directory.User) { u.Roles, u.Groups = nil, u.Roles },
		func(u *directory.User) { u.Roles, u.Privileges = nil, u.Roles },
		func(u *directory.User) { u.AccessLevel += "x" },
		func(u *directory.User) { u.AccessLevel, u.Site = "", u.AccessLevel },
		func(u *directory.User) { u.FromDirectory = new(true) },
		func(u *directory.User) { u.FromDirectory = new(false) },
	}
	require.Greater(t, len(edits), len(columns))
	seen := map[string]int{}
	for i, edit := range edits {
		u := account("1", edit)
		hash := string(factsDigest(&u))
		require.NotContains(t, seen, hash, "edits %d and %d", i, seen[hash])
		seen[hash] = i
	}
}

// An account is its own arrival until it changes, which nobody sees who reads
// its history.
func TestAnArrivalStaysWhateverBecomesOfTheAccount(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), account("2"), account("3"))
	first := r.changes(c, 1)
	r.clock.Advance(time.Hour)
	r.sync(c, account("1"), account("2", inactive), account("4"))
	second := r.changes(c, 2)
	require.Equal(t, []int{3, 3}, []int{len(first), len(second)})
	require.Equal(t, 4, one[int](r, `SELECT count(*) FROM changes`), "what happened to 2 and 3, and their arrivals")

	r.sync(c, account("1"), account("2"), account("3"))
	r.sync(c, auditor("1"), account("2"), account("3"))
	require.Equal(t, first, r.changes(c, 1))
	require.Equal(t, second, r.changes(c, 2))
	arrivals := 0
	for change, err := range r.Changes(r.ctx, c.ID, start.Add(time.Minute)) {
		require.NoError(t, err)
		require.Equal(t, start.Add(time.Hour), change.At)
		if change.Change == "added" {
			arrivals++
		}
	}
	require.Equal(t, 1, arrivals, "those of the first sync were before")
}

func TestWhatIsReadOfAFirstSnapshotIsNotOnRecord(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	key, s := r.stage(c, nil, []directory.User{account("1")})
	unknown := func() {
		t.Helper()
		require.Empty(t, r.accounts(c, false))
		require.Empty(t, r.accounts(c, true))
		require.Empty(t, r.changes(c, s.Number))
		require.Empty(t, r.monitors(c))
	}
	require.Equal(t, 1, r.staged())
	unknown()
	_, err := r.FailSync(r.ctx, c.ID, key, TriggerConnect, "unreachable", "it did not answer", StateChange{State: Connecting})
	require.NoError(t, err)
	require.Zero(t, r.staged())
	unknown()

	s = r.sync(c, account("2"))
	require.Equal(t, 1, s.Added)
	require.Len(t, r.accounts(c, false), 1)
}

func TestRemovedAndRestored(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), account("2"))

	r.clock.Advance(time.Hour)
	removed := start.Add(time.Hour)
	s := r.sync(c, account("1"))
	require.Equal(t, []int{1, 0, 0, 1}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
	require.Equal(t, &removed, r.accounts(c, true)["account/2"].RemovedAt)
	require.NotContains(t, r.accounts(c, false), "account/2")
	require.Equal(t, 1, len(r.changes(c, 2)))
	require.Contains(t, r.changes(c, 2)["account/2"], `removed {"mfa": "enabled"`)
	require.True(t, strings.HasSuffix(r.changes(c, 2)["account/2"], "→ {}"))

	r.clock.Advance(time.Hour)
	s = r.sync(c, account("1"))
	require.Equal(t, []int{1, 0, 0, 0}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
	require.Equal(t, &removed, r.accounts(c, true)["account/2"].RemovedAt)

	s = r.sync(c, account("1"), account("2", inactive))
	require.Equal(t, []int{2, 1, 0, 0}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
	require.Equal(t, map[string]string{"account/2": `restored {"status": "active"} → {"status": "inactive"}`}, r.changes(c, 4))
	require.Empty(t, r.accounts(c, true))
	require.Nil(t, r.accounts(c, false)["account/2"].RemovedAt)
}

func TestUnchangedSnapshotWritesNoAccount(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	users := []directory.User{account("1"), account("2"), account("3", func(u *directory.User) { u.Email = "" })}
	r.sync(c, users...)
	const versions = `SELECT string_agg(xmin || ' ' || xmax || ' ' || ctid, ',' ORDER BY ctid) FROM `
	accounts := one[string](r, versions+"accounts")
	findings := one[string](r, versions+"findings")
	r.clock.Advance(time.Hour)
	for range 2 {
		s := r.sync(c, users...)
		require.Equal(t, []int{3, 0, 0, 0}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
		require.Empty(t, r.changes(c, s.Number))
		require.Equal(t, accounts, one[string](r, versions+"accounts"))
		require.Equal(t, findings, one[string](r, versions+"findings"))
	}
}

// The form of the hash may change from one program to the next.
func TestOtherHashOfTheSameFactsIsNoChange(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"))
	r.exec(`UPDATE accounts SET facts_digest = 'of another form'`)
	r.exec(`UPDATE account_blocks SET digest = 'of another form'`)
	require.Zero(t, r.sync(c, account("1")).Changed)
	u := account("1")
	require.Equal(t, factsDigest(&u), one[[]byte](r, `SELECT facts_digest FROM accounts`))
}

func TestApplyTwiceIsAsGoodAsOnce(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	r.sync(c, account("1"))
	users := []directory.User{account("1", func(u *directory.User) { u.Name = "New" }), account("2")}
	key, _ := r.stage(c, summary(users), users)
	syncs := make([]EndedSync, 4)
	for _, err := range together(len(syncs), func(i int) (err error) {
		syncs[i], err = r.ApplySnapshot(r.ctx, c.ID, key, becomesActive)
		return err
	}) {
		require.NoError(t, err)
	}
	before := r.dump()
	r.clock.Advance(time.Hour)
	late, err := r.ApplySnapshot(r.ctx, c.ID, key, becomesActive)
	require.NoError(t, err)
	require.True(t, late.Again)
	first := 0
	for _, s := range syncs {
		if !s.Again {
			first++
		}
		s.Again = true
		require.Equal(t, late, s)
	}
	require.Equal(t, 1, first)
	require.Equal(t, before, r.dump())
	require.Len(t, r.changes(c, 2), 2)
}

// The connection is there; only what a restored database has forgotten is not.
func TestApplyOfAnUnknownSync(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	_, err := r.ApplySnapshot(r.ctx, c.ID, "none", becomesActive)
	require.ErrorIs(t, err, ErrStagingLost)
	require.NotErrorIs(t, err, ErrNotFound)

	key, s := r.stage(c, summary(nil), nil)
	r.exec(`DELETE FROM syncs`)
	require.ErrorIs(t, r.checkSnapshot(c, s), ErrStagingLost)
	_, err = r.OpenStaging(r.ctx, c.ID, s.Number)
	require.ErrorIs(t, err, ErrStagingLost)
	failed, err := r.FailSync(r.ctx, c.ID, key, TriggerSchedule, "code", "words", StateChange{State: Active})
	require.NoError(t, err, "it is recorded once more")
	require.Equal(t, Failed, failed.Outcome)
}

func TestKindsThatWereNotReadAreNotRemoved(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	client := account("1", of(directory.APIClient))
	users := []directory.User{account("1"), client}
	key, _ := r.stage(c, &directory.Summary{Totals: map[directory.Kind]int{directory.Account: 1, directory.APIClient: 1}}, users)
	r.apply(c, key)
	lost := []directory.Limitation{{Privilege: "Read API Integrations", Lost: "API clients"}}
	key, _ = r.stage(c, &directory.Summary{
		Report: directory.Report{Version: "11.9", Limitations: lost, SingleSignOn: &directory.SingleSignOn{Enabled: true, Type: "SAML"}},
		Totals: map[directory.Kind]int{directory.Account: 1},
	}, []directory.User{account("1")})
	s := r.apply(c, key)
	require.Zero(t, s.Removed)
	require.Contains(t, r.accounts(c, false), "api_client/1")
	require.Equal(t, directory.Report{
		Version: "11.9", Limitations: lost, SingleSignOn: &directory.SingleSignOn{Enabled: true, Type: "SAML"},
	}, r.reload(c).Report)
}

func TestSummaryIsReadBackAsItWasStaged(t *testing.T) {
	t.Parallel()
	want := directory.Summary{
		Report: directory.Report{
			Version: "11.9", Limitations: []directory.Limitation{{Privilege: "p", Lost: "l"}},
			SingleSignOn: &directory.SingleSignOn{Enabled: true, BypassAllowed: true, Type: "t"},
		},
		Totals:  map[directory.Kind]int{directory.Account: 3},
		LeftOut: map[string]int{"reason": 2},
	}
	text, err := json.Marshal(want)
	require.NoError(t, err)
	var got directory.Summary
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, want, got)
}

func TestEmptyDirectorySaysWhy(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	key, _ := r.stage(c, &directory.Summary{
		Report:  directory.Report{Limitations: []directory.Limitation{{Privilege: "Read Groups", Lost: "groups"}}},
		Totals:  map[directory.Kind]int{directory.Account: 0},
		LeftOut: map[string]int{"of site b": 2, "of site a": 1},
	}, nil)
	s := r.apply(c, key)
	require.Equal(t, Applied, s.Outcome)
	require.Equal(t, `no users: the scope is "admins", and the source lists none; left out: of site a (1); left out: of site b (2); not read: groups (privilege "Read Groups" is missing)`, s.Reason)
	stored, err := r.SyncByNumber(r.ctx, c.ID, s.Number)
	require.NoError(t, err)
	require.Equal(t, s, stored)
}

func TestWhatIsLeftOutIsSaid(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	users := []directory.User{auditor("1")}
	what := summary(users)
	what.LeftOut = map[string]int{"who are deleted": 2, "of no role": 1}
	key, _ := r.stage(c, what, users)
	require.Equal(t, "left out: of no role (1); left out: who are deleted (2)", r.apply(c, key).Reason)
	require.Empty(t, r.reload(c).Reason, "nothing is wrong with the connection")
	require.Empty(t, r.sync(c, users...).Reason)
}

func TestHostileTextIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectMonitored("acme")
	texts := []string{
		"", " ", `\N`, `\.`, "\\", "a\tb\nc\r\v\f\x01\x1b[31m\x7f", `'; DROP TABLE accounts; --`, `"quoted", {braces}`, "NULL",
		"=cmd()", "\U0001F600é\u202e", strings.Repeat("long ", 2048), "\ufeff\ufffd",
	}
	var users []directory.User
	for i, s := range texts {
		users = append(users, directory.User{
			Identity: directory.Identity{Kind: directory.Account, ID: fmt.Sprint(i, s[:min(len(s), 300)])},
			Username: s, Email: s, Name: s, Status: directory.StatusActive, MFA: directory.MFAEnabled,
			Roles: []string{s, s}, Groups: []string{s}, AccessLevel: s, Site: s, Privileges: texts,
		})
	}
	r.sync(c, users...)
	accounts := r.accounts(c, false)
	for _, u := range users {
		require.Equal(t, u, accounts["account/"+u.ID].User)
	}
	require.Zero(t, r.sync(c, users...).Changed)
}
