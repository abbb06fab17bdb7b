package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

// Nobody on record speaks for an account that a sync has never seen: the read
// itself has to notice that it slipped.
func TestWhoWasNeverSeenDoesNotSlipBetweenTwoPages(t *testing.T) {
	t.Parallel()
	forEverySource(t, 8, func(t *testing.T, w *world) {
		w.source.SetFault(oncePage(w.source, 1, func() {
			w.source.remove(2)
			w.source.add("newcomer", "Auditor")
		}))
		w.sync()
		require.Equal(t, w.usernamesThere(), sortedNames(w))
	})
}

func TestATotalThatIsTooLowDoesNotHideTheLastPage(t *testing.T) {
	t.Parallel()
	w := setup(t, 6) // seven accounts on pages of three, of which six are owned up to
	w.jamf.SetFault(faults.On(accountsPath, jamftest.WrongTotal(-1)))
	_, err := w.newRun().fetch(w.connection)
	require.Equal(t, string(directory.Inconsistent), codeOf(err), "%v", err)
}

func TestGroupsThatChangeBetweenTwoWorkersAreNotMixed(t *testing.T) {
	t.Parallel()
	w := setup(t, 0)
	var ids []int
	for i := range 7 {
		ids = append(ids, w.jamf.AddAccount(jamftest.Account{Username: string(rune('a' + i)), AccessLevel: jamftest.GroupAccess}))
	}
	group := w.jamf.AddGroup(jamftest.Group{Name: "One", PrivilegeSet: jamftest.Auditor, Members: ids})
	r := w.newRun()
	r.stop = make(chan struct{})
	w.jamf.SetFault(oncePageWaiting(w.source, 1, func() { close(r.stop) }))
	_, err := r.fetch(w.connection)
	require.Error(t, err)
	w.jamf.UpdateGroup(group, func(g *jamftest.Group) { g.Name = "Two" })
	r.stop = nil
	_, err = r.fetch(w.connection)
	require.NoError(t, err)
	_, err = r.recordOutcomes(w.connection, false)
	require.NoError(t, err)
	grouped := 0
	for a, err := range w.record.Accounts(t.Context(), w.connection.ID, false) {
		require.NoError(t, err)
		if a.AccessLevel == "Group Access" {
			require.Equal(t, []string{"Two"}, a.Groups, a.Username)
			grouped++
		}
	}
	require.Len(t, ids, grouped)
}

func TestAPrivilegeThatIsWithdrawnTakesNoRoles(t *testing.T) {
	t.Parallel()
	w := setup(t, 0)
	id := w.jamf.AddAccount(jamftest.Account{Username: "through-group", AccessLevel: jamftest.GroupAccess})
	w.jamf.AddGroup(jamftest.Group{Name: "Admins", PrivilegeSet: jamftest.Administrator, Members: []int{id}})
	w.sync()
	w.jamf.Revoke("Read Account Groups")
	for range 2 {
		r := w.newRun()
		_, err := r.fetch(w.connection)
		require.NoError(t, err)
		_, err = r.recordOutcomes(w.connection, false)
		require.NoError(t, err)
	}
	found := false
	for a, err := range w.record.Accounts(t.Context(), w.connection.ID, false) {
		require.NoError(t, err)
		if a.Username == "through-group" {
			require.Equal(t, []string{"Administrator"}, a.Roles)
			require.Equal(t, []string{"Admins"}, a.Groups)
			found = true
		}
	}
	require.True(t, found)
}

// Also where something in front of Jamf Pro answers for it.
func TestRolesThatCannotBeReadTakeNoPrivilegesFromClients(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]func(*world){
		"withdrawn": func(w *world) { w.jamf.Revoke("Read API Roles") },
		"not there": func(w *world) {
			w.jamf.SetFault(faults.On("/api/v1/api-roles", jamftest.HTML(404, "Not Found")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, 3)
			w.sync()
			before := w.privileges()
			require.NotEmpty(t, before)
			hide(w)
			require.Zero(t, w.sync().Changed)
			require.Equal(t, before, w.privileges())
		})
	}
}

// privileges are those of all API clients.
func (w *world) privileges() (all []string) {
	for a, err := range w.record.Accounts(w.t.Context(), w.connection.ID, false) {
		require.NoError(w.t, err)
		if a.Kind == directory.APIClient {
			all = append(all, a.Privileges...)
		}
	}
	return all
}

func TestATokenThatServedWellMayBeReplacedWhenItIsRevokedLater(t *testing.T) {
	t.Parallel()
	forEverySource(t, 2, func(t *testing.T, w *world) {
		w.sync()
		for range 2 {
			w.source.rejectOnce()
			r := w.newRun()
			_, err := r.fetch(w.connection)
			require.Equal(t, string(directory.TokenRejected), codeOf(err), "%v", err)
			var rejected activities.RejectedToken
			require.NoError(t, failureOf(err).Details(&rejected))
			require.NoError(t, r.refresh(w.connection, rejected.Generation))
			_, err = r.fetch(w.connection)
			require.NoError(t, err)
			_, err = r.recordOutcomes(w.connection, false)
			require.NoError(t, err)
		}
	})
}

// The groups are read first. Who comes into one of them after that would seem
// to have Group Access from none.
func TestWhoComesIntoAGroupAfterThoseWereReadKeepsItsRoles(t *testing.T) {
	t.Parallel()
	w := setup(t, 4)
	id := w.jamf.AddAccount(jamftest.Account{Username: "late", AccessLevel: jamftest.GroupAccess})
	w.jamf.AddGroup(jamftest.Group{Name: "Admins", PrivilegeSet: jamftest.Administrator, Members: []int{2, id}})
	w.jamf.RemoveAccount(id)
	w.jamf.SetFault(oncePage(w.source, 0, func() { w.jamf.RestoreAccount(id) }))
	w.sync()
	for a, err := range w.record.Accounts(t.Context(), w.connection.ID, false) {
		require.NoError(t, err)
		if a.Username == "late" {
			require.Equal(t, []string{"Administrator"}, a.Roles)
		}
	}
	require.Contains(t, w.usernames(), "late")
}
