package db

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func TestGroupsThatMayNotBeReadAreKept(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	member := inGroups("2", "Packagers")
	member.Roles = []string{"Custom"}
	require.NoError(t, r.check(c, account("1"), member))

	moved := inGroups("2")
	moved.Email = "moved@example.com"
	users := []directory.User{account("1"), moved}
	unread := summary(users)
	unread.GroupsUnread = true
	for range 2 {
		key, s := r.stage(c, unread, users)
		require.NoError(t, r.checkSnapshot(c, s))
		_, err := r.ApplySnapshot(r.ctx, c.ID, key, ApplyOptions{Becomes: StateChange{State: Active}})
		require.NoError(t, err)
	}
	kept := r.accounts(c, false)["account/2"]
	require.Equal(t, []string{"Packagers"}, kept.Groups)
	require.Equal(t, []string{"Custom"}, kept.Roles)
	require.Equal(t, map[string]string{
		"account/2": `changed {"email": "user2@example.com"} → {"email": "moved@example.com"}`,
	}, r.changes(c, 2))
	require.Empty(t, r.changes(c, 3))
}

// An account whose name changed while its groups could not be read has facts of
// two readings. It may be in no group by then.
func TestGroupsThatWereKeptEndOnceTheyAreRead(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.check(c, account("1"), inGroups("2", "Packagers"), inGroups("3", "Packagers")))
	renamed := inGroups("2")
	renamed.Name = "Renamed"
	users := []directory.User{account("1"), renamed, inGroups("3")}
	unread := summary(users)
	unread.GroupsUnread = true
	for range 2 {
		key, _ := r.stage(c, unread, users)
		r.apply(c, key)
	}
	require.Equal(t, []string{"Packagers"}, r.accounts(c, false)["account/2"].Groups)

	require.NoError(t, r.check(c, account("1"), renamed, inGroups("3", "Packagers")))
	require.Empty(t, r.accounts(c, false)["account/2"].Groups)
	require.Equal(t, map[string]string{
		"account/2": `changed {"groups": ["Packagers"]} → {"groups": []}`,
	}, r.changes(c, 4))
}

func TestPrivilegesOfRolesThatMayNotBeReadAreKept(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	client := func(name string, privileges ...string) directory.User {
		return account("1", of(directory.APIClient), noLevel, func(u *directory.User) { u.Name, u.Privileges = name, privileges })
	}
	require.NoError(t, r.check(c, account("1"), client("client", "Create Accounts", "Read Accounts")))

	users := []directory.User{account("1"), client("renamed")}
	unread := summary(users)
	unread.RolesUnread = true
	for range 2 {
		key, _ := r.stage(c, unread, users)
		r.apply(c, key)
	}
	require.Equal(t, []string{"Create Accounts", "Read Accounts"}, r.accounts(c, false)["api_client/1"].Privileges)
	require.Equal(t, map[string]string{"api_client/1": `changed {"name": "client"} → {"name": "renamed"}`}, r.changes(c, 2))
	require.Empty(t, r.changes(c, 3))

	require.NoError(t, r.check(c, account("1"), client("renamed", "Read Accounts")))
	require.Equal(t, map[string]string{
		"api_client/1": `changed {"privileges": ["Create Accounts", "Read Accounts"]} → {"privileges": ["Read Accounts"]}`,
	}, r.changes(c, 4))
}

// A client that was given another role has other privileges, which nobody told.
func TestPrivilegesAreNotKeptWithAnotherRole(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	client := func(role string, privileges ...string) directory.User {
		return account("1", of(directory.APIClient), noLevel, func(u *directory.User) { u.Roles, u.Privileges = []string{role}, privileges })
	}
	require.NoError(t, r.check(c, account("1"), client("Reader", "Read Accounts")))
	users := []directory.User{account("1"), client("Root")}
	unread := summary(users)
	unread.RolesUnread = true
	key, _ := r.stage(c, unread, users)
	r.apply(c, key)
	require.Empty(t, r.accounts(c, false)["api_client/1"].Privileges)
}

// Sites of which only the ids are told keep their names on record.
func TestNamesOfSitesThatMayNotBeReadAreKept(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	at := func(id, site string) directory.User {
		return account(id, func(u *directory.User) { u.Site = site })
	}
	require.NoError(t, r.check(c, account("1"), at("2", "Berlin"), at("3", "")))
	users := []directory.User{account("1"), at("2", "id 7"), at("3", "id 7")}
	unread := summary(users)
	unread.SitesUnread = true
	for range 2 {
		key, _ := r.stage(c, unread, users)
		r.apply(c, key)
	}
	require.Equal(t, map[string]string{"account/3": `changed {"site": ""} → {"site": "id 7"}`}, r.changes(c, 2))
	require.Empty(t, r.changes(c, 3))
	require.Equal(t, "Berlin", r.accounts(c, false)["account/2"].Site)
}

// An account that is read by an API which lists no privileges has some still.
func TestPrivilegesOfAccountsThatAreNotToldAreKept(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	custom := func(name, role string, privileges ...string) directory.User {
		return account("2", func(u *directory.User) { u.Name, u.Roles, u.Privileges = name, []string{role}, privileges })
	}
	require.NoError(t, r.check(c, account("1"), custom("A", "Custom", "Update Accounts")))
	untold := func(u directory.User) map[string]string {
		t.Helper()
		users := []directory.User{account("1"), u}
		s := summary(users)
		s.PrivilegesUnread = true
		key, sync := r.stage(c, s, users)
		r.apply(c, key)
		return r.changes(c, sync.Number)
	}
	require.Empty(t, untold(custom("A", "Custom")))
	require.Equal(t, map[string]string{"account/2": `changed {"name": "A"} → {"name": "B"}`}, untold(custom("B", "Custom")))
	require.Equal(t, []string{"Update Accounts"}, r.accounts(c, false)["account/2"].Privileges)
	untold(custom("B", "Auditor"))
	require.Empty(t, r.accounts(c, false)["account/2"].Privileges, "which another role does not have")
}

// Who was away comes back with what is known then.
func TestNothingIsKeptOfWhoWasRemoved(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.check(c, account("1"), inGroups("2", "Admins")))
	require.NoError(t, r.check(c, account("1")))
	users := []directory.User{account("1"), inGroups("2")}
	unread := summary(users)
	unread.GroupsUnread = true
	key, _ := r.stage(c, unread, users)
	r.apply(c, key)
	require.Empty(t, r.accounts(c, false)["account/2"].Groups)
}

func TestAMoveToAnotherSiteIsSeenByItsIDOrName(t *testing.T) {
	t.Parallel()
	for name, sites := range map[string][2]string{"by id": {"id 1", "id 2"}, "by name": {"Berlin", "Paris"}, "first known by its id": {"", "id 2"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connect("acme")
			for _, site := range sites {
				users := []directory.User{account("1"), account("2", func(u *directory.User) { u.Site = site })}
				unread := summary(users)
				unread.SitesUnread = true
				key, _ := r.stage(c, unread, users)
				r.apply(c, key)
				require.Equal(t, site, r.accounts(c, false)["account/2"].Site)
			}
		})
	}
}

func TestWhatWasUnreadIsNotKeptForSomebodyOrSomethingElse(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.check(c, account("1"), inGroups("2", "Admins"), account("3", func(u *directory.User) {
		u.Roles, u.Privileges = []string{"Custom"}, []string{"Update Accounts"}
	})))
	other, member := inGroups("2"), inGroups("3", "Readers")
	other.Username, other.Email, other.Name = "zoe", "zoe@example.com", "Zoe"
	member.Roles = []string{"Custom"}
	users := []directory.User{account("1"), other, member}
	unread := summary(users)
	unread.GroupsUnread, unread.PrivilegesUnread = true, true
	key, _ := r.stage(c, unread, users)
	require.Equal(t, Applied, r.apply(c, key).Outcome)
	require.Empty(t, r.accounts(c, false)["account/2"].Groups)
	require.Empty(t, r.accounts(c, false)["account/3"].Privileges)
}
