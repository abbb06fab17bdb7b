package main_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/jamf/jamftest"
)

func TestChangesAreTheFactsThatDiffer(t *testing.T) {
	t.Parallel()
	type facts = map[string]any
	for name, c := range map[string]struct {
		do            func(*subject, int)
		before, after facts
		added         int
		changed       int
	}{
		"disabled": {
			do:     func(s *subject, id int) { s.jamf.DisableAccount(id) },
			before: facts{"status": "active"}, after: facts{"status": "inactive"},
		},
		"another e-mail address": {
			do: func(s *subject, id int) {
				s.jamf.UpdateAccount(id, func(a *jamftest.Account) { a.Email = email("robert") })
			},
			before: facts{"email": email("bob")}, after: facts{"email": email("robert")},
		},
		"no e-mail address any more": {
			do:     func(s *subject, id int) { s.jamf.UpdateAccount(id, func(a *jamftest.Account) { a.Email = "" }) },
			before: facts{"email": email("bob")}, after: facts{"email": ""},
		},
		"another name": {
			do: func(s *subject, id int) {
				s.jamf.UpdateAccount(id, func(a *jamftest.Account) { a.Username, a.RealName = username("robert"), "Canary robert" })
			},
			before: facts{"username": username("bob"), "name": "Canary bob"},
			after:  facts{"username": username("robert"), "name": "Canary robert"},
		},
		"another role": {
			do: func(s *subject, id int) {
				s.jamf.UpdateAccount(id, func(a *jamftest.Account) { a.PrivilegeSet = jamftest.Administrator })
			},
			before: facts{"roles": []any{"Auditor"}}, after: facts{"roles": []any{"Administrator"}},
		},
		"into a group": {
			do: func(s *subject, id int) {
				s.jamf.UpdateAccount(id, func(a *jamftest.Account) { a.AccessLevel = jamftest.GroupAccess })
				s.jamf.AddGroup(jamftest.Group{Name: "Canary desk", PrivilegeSet: jamftest.EnrollmentOnly, Members: []int{id}})
			},
			before: facts{"access_level": "Full Access", "roles": []any{"Auditor"}, "groups": []any{}},
			after:  facts{"access_level": "Group Access", "roles": []any{"Enrollment Only"}, "groups": []any{"Canary desk"}},
		},
		"into a site": {
			do: func(s *subject, id int) {
				site := s.jamf.AddSite("Canary north")
				s.jamf.UpdateAccount(id, func(a *jamftest.Account) { a.AccessLevel, a.SiteID = jamftest.SiteAccess, site })
			},
			before: facts{"access_level": "Full Access", "site": ""},
			after:  facts{"access_level": "Site Access", "site": "Canary north"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect()
			c.do(s, s.bob)
			doc := s.resync()
			require.Equal(t, 1, doc.Sync.Changed)
			require.Zero(t, doc.Sync.Added+doc.Sync.Removed, "it is the same account")
			changes := s.changesOf(2)
			require.Len(t, changes, 1)
			called, renamed := c.after["username"]
			if !renamed {
				called = username("bob")
			}
			require.Equal(t, "changed", changes[0].Change)
			require.Equal(t, "account", changes[0].Kind)
			require.Equal(t, fmt.Sprint(s.bob), changes[0].ID)
			require.Equal(t, called, changes[0].Username, "as it is called now")
			require.Equal(t, c.before, changes[0].Before)
			require.Equal(t, c.after, changes[0].After)
		})
	}
}

func TestAnAccountIsAddedRemovedAndRestored(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	for _, raw := range ask[[]map[string]any](s.cli, "changes", s.name) {
		require.Subset(t, keysOf(raw), changeKeys)
		require.Equal(t, "added", raw["change"])
	}

	dan := s.addAccount("dan", jamftest.Account{})
	require.Equal(t, 1, s.resync().Sync.Added)
	added := s.changesOf(2)
	require.Len(t, added, 1)
	require.Equal(t, "added", added[0].Change)
	require.Empty(t, added[0].Before)
	require.Equal(t, username("dan"), added[0].After["username"])
	require.Equal(t, email("dan"), added[0].After["email"])

	s.jamf.RemoveAccount(dan)
	require.Equal(t, 1, s.resync().Sync.Removed)
	removed := s.changesOf(3)
	require.Len(t, removed, 1)
	require.Equal(t, "removed", removed[0].Change)
	require.Equal(t, username("dan"), removed[0].Username)
	require.Equal(t, email("dan"), removed[0].Before["email"])
	require.Empty(t, removed[0].After)
	require.NotContains(t, usernames(s.users(), "account"), username("dan"))
	gone := s.users("--removed")
	require.Equal(t, []string{username("dan")}, usernames(gone, "account"))
	require.NotNil(t, gone[0].RemovedAt)
	require.Equal(t, removed[0].At, *gone[0].RemovedAt)

	s.jamf.RestoreAccount(dan)
	require.Equal(t, 1, s.resync().Sync.Added)
	restored := s.changesOf(4)
	require.Len(t, restored, 1)
	require.Equal(t, "restored", restored[0].Change)
	require.Equal(t, fmt.Sprint(dan), restored[0].ID)
	require.Contains(t, usernames(s.users(), "account"), username("dan"))
	require.Empty(t, s.users("--removed"))

	since := ask[[]changeDoc](s.cli, "changes", s.name, "--since", restored[0].At.Format("2006-01-02T15:04:05Z07:00"))
	require.Contains(t, since, restored[0])
	require.Empty(t, ask[[]changeDoc](s.cli, "changes", s.name, "--since", "2999-01-01"))
}

// Jamf gives sets in another order from reading to reading.
func TestTheSameSetsInAnotherOrderAreNoChange(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.jamf.Demo(30)
	s.connect()
	for range 2 {
		doc := s.resync()
		require.Zero(t, doc.Sync.Added+doc.Sync.Changed+doc.Sync.Removed, "%v", s.changesOf(doc.Sync.Number))
	}
}

// The page is read again where only the list's own order went wrong, and the
// one who slipped between two pages is asked for by id.
func TestWhoSlipsBetweenTwoPagesIsNotTakenForRemoved(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.jamf.Demo(250)
	s.connect()
	s.jamf.SetFault(doing(func(r *http.Request) bool {
		return r.URL.Path == "/api/v1/accounts" && r.URL.Query().Get("page") == "1"
	}, func() {
		s.jamf.RemoveAccount(s.cleo)
		s.addAccount("new", jamftest.Account{})
	}))
	doc := s.resync()
	require.Equal(t, 1, doc.Sync.Added)
	require.Equal(t, 1, doc.Sync.Removed)
	require.Equal(t, []string{username("cleo")}, usernames(s.users("--removed"), "account"))
}

func TestASnapshotThatRemovesTooMuchIsHeld(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*subject, []int){
		"most accounts are gone": func(s *subject, ids []int) {
			for _, id := range ids {
				s.jamf.RemoveAccount(id)
			}
		},
		"most accounts are disabled": func(s *subject, ids []int) {
			for _, id := range ids {
				s.jamf.DisableAccount(id)
			}
		},
		"the only administrator is gone": func(s *subject, _ []int) { s.jamf.RemoveAccount(s.ada) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			var ids []int
			for i := range 12 {
				ids = append(ids, s.addAccount(fmt.Sprintf("extra-%d", i), jamftest.Account{}))
			}
			s.connect()
			before := s.users()
			do(s, ids)

			doc := s.failResync(8, "held")
			require.Equal(t, "held", doc.Sync.Outcome)
			require.Contains(t, doc.Hint, "--accept-removals")
			require.Equal(t, before, s.users(), "nothing is changed")
			require.Empty(t, s.changesOf(2))
			require.NotEmpty(t, s.status().Reason)
			s.failResync(8, "held")
			held := ask[[]changeDoc](s.cli, "changes", s.name, "--held")
			require.Contains(t, s.ok("changes", s.name, "--held").stdout, held[0].Username)

			doc = s.resync("--accept-removals")
			require.Contains(t, doc.Sync.Reason, "removals were accepted: it would ", "the record says that a person did")
			require.Equal(t, "applied", doc.Sync.Outcome)
			require.Positive(t, doc.Sync.Removed+doc.Sync.Changed)
			applied := s.changesOf(doc.Sync.Number)
			require.Len(t, applied, len(held))
			for i := range held {
				held[i].Sync, held[i].At = applied[i].Sync, applied[i].At
			}
			require.Equal(t, applied, held, "what was held is what is then applied")
			require.Empty(t, ask[[]changeDoc](s.cli, "changes", s.name, "--held"))
			s.refuse(2, "usage", "changes", s.name, "--held", "--since", "1d")
			require.NotEqual(t, before, s.users())
			require.Equal(t, "applied", s.resync().Sync.Outcome)
		})
	}
}

func TestAnEmptyDirectoryIsNeverApplied(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	before := s.users()
	for _, id := range []int{s.ada, s.bob, s.cleo} {
		s.jamf.RemoveAccount(id)
	}
	s.failResync(9, "inconsistent_source")
	s.failResync(9, "inconsistent_source", "--accept-removals")
	require.Equal(t, before, s.users())
}
