package db

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

// inGroups is an account whose access comes from groups.
func inGroups(id string, groups ...string) directory.User {
	return account(id, func(u *directory.User) {
		u.AccessLevel, u.Groups, u.Roles = "Group Access", groups, nil
	})
}

// check stages a snapshot in a new sync, checks it, and applies it if it may
// be applied.
func (r *record) check(c Connection, users ...directory.User) error {
	r.t.Helper()
	key, s := r.stage(c, summary(users), users)
	if err := r.checkSnapshot(c, s); err != nil {
		return err
	}
	_, err := r.ApplySnapshot(r.ctx, c.ID, key, ApplyOptions{Becomes: StateChange{State: Active}})
	return err
}

func TestAGroupThatLostAllItsMembersIsBelievedTheSecondTime(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	admin := account("1")
	require.NoError(t, r.check(c, admin, inGroups("2", "Help Desk", "Packagers"), inGroups("3", "Packagers")))

	emptied := []directory.User{admin, inGroups("2"), inGroups("3")}
	err := r.check(c, emptied...)
	require.Equal(t, directory.Inconsistent, directory.CodeOf(err))
	require.ErrorContains(t, err, "groups (2) that had members list none")
	require.NotContains(t, err.Error(), "Packagers", "a group's name may be a person's")
	require.Equal(t, []string{"Packagers"}, r.accounts(c, false)["account/3"].Groups, "nothing changed")

	require.NoError(t, r.check(c, emptied...))
	require.Empty(t, r.accounts(c, false)["account/3"].Groups)
}

func TestTheSameSyncDoesNotBelieveItself(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.check(c, account("1"), inGroups("2", "Packagers")))
	emptied := []directory.User{account("1"), inGroups("2")}
	_, s := r.stage(c, summary(emptied), emptied)
	for range 3 {
		require.Error(t, r.checkSnapshot(c, s))
	}
}

func TestADoubtIsForgottenOnceMembersAreThereAgain(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	whole := []directory.User{account("1"), inGroups("2", "Packagers")}
	emptied := []directory.User{account("1"), inGroups("2")}
	require.NoError(t, r.check(c, whole...))
	require.Error(t, r.check(c, emptied...))
	require.NoError(t, r.check(c, whole...))
	require.Error(t, r.check(c, emptied...))
}

func TestAGroupIsEmptyWhereItsAccountsAgree(t *testing.T) {
	t.Parallel()
	for name, now := range map[string][]directory.User{
		"the member was removed":       {account("1")},
		"it has access of its own":     {account("1"), account("2")},
		"it is in another group":       {account("1"), inGroups("2", "Help Desk")},
		"the group still has a member": {account("1"), inGroups("2"), inGroups("3", "Packagers")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connect("acme")
			require.NoError(t, r.check(c, account("1"), inGroups("2", "Packagers")))
			require.NoError(t, r.check(c, now...))
		})
	}
}

// Those of an unchanged block are not staged, and are members all the same.
func TestAGroupHasTheMembersOfUnchangedBlocks(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.check(c, account("1"), inGroups("2", "Packagers"), inGroups("1000", "Packagers")))
	require.NoError(t, r.check(c, account("1"), inGroups("2"), inGroups("1000", "Packagers")))
	require.Error(t, r.check(c, account("1"), inGroups("2"), inGroups("1000")))
}

// There may be a million end users, and an account group has none of them.
func TestOnlyAccountsAreMembersOfAGroup(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	require.NoError(t, r.check(c, account("1"), inGroups("2", "Packagers")))
	other := account("3", of(directory.DirectoryGroup), func(u *directory.User) { u.Groups = []string{"Packagers"} })
	require.Error(t, r.check(c, account("1"), inGroups("2"), other))
}
