package jamf_test

import (
	"net/http"
	"strconv"
	"testing"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

func lookup(t *testing.T, source directory.Source, ids ...directory.Identity) (*snapshot, error) {
	t.Helper()
	s := &snapshot{users: map[directory.Identity]directory.User{}}
	err := source.Lookup(t.Context(), ids, s.add)
	if s.summary != nil {
		t.Error("a looked-up page has a summary")
	}
	return s, err
}

func identity(kind directory.Kind, id int) directory.Identity {
	return directory.Identity{Kind: kind, ID: strconv.Itoa(id)}
}

func TestLookupFindsWhatReadReadAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, release := range releases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: &release}).everyone()
			b.server.Demo(130)
			b.server.GenerateEndUsers(5)
			whole := mustRead(t, b.source(t))
			ids := []directory.Identity{
				identity(directory.Account, 999), identity(directory.EndUser, 999), identity(directory.APIClient, 999), identity(directory.DirectoryGroup, 999),
				identity(directory.DirectoryGroup, 1), // a group, but not of a directory
				{Kind: directory.Account, ID: "../1"},
			}
			for id := range whole.users {
				ids = append(ids, id)
			}
			s, err := lookup(t, b.source(t), ids...)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, len(s.users), len(whole.users))
			for id, want := range whole.users {
				equal(t, s.users[id], want)
			}
		})
	}
}

func TestLookupOfNobody(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	if s, err := lookup(t, b.source(t)); err != nil || s.pages != 0 || len(b.server.Requests()) != 0 {
		t.Errorf("%d pages, %v, %v", s.pages, err, b.server.Requests())
	}
}

// A 404 must not pass for a removal where the endpoint itself is missing or
// out of order.
func TestLookupDoesNotTrustA404Alone(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faults.Func{
		"no newer details":        faults.On("/api/v1/accounts/", jamftest.HTML(404, "Not Found")),
		"no newer user details":   faults.On("/api/v1/users/", jamftest.HTML(404, "Not Found")),
		"no newer client details": faults.On("/api/v1/api-integrations/", jamftest.HTML(404, "Not Found")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{}).everyone()
			b.server.Demo(10)
			b.server.GenerateEndUsers(5)
			b.server.SetFault(fault)
			s, err := lookup(t, b.source(t), identity(directory.Account, 5), identity(directory.EndUser, 5), identity(directory.APIClient, 2))
			if err != nil || len(s.users) != 3 {
				t.Errorf("%d found, %v", len(s.users), err)
			}
		})
	}
	b := setup(t, jamftest.Config{Release: new(jamftest.ClassicOnly())})
	b.server.Demo(10)
	b.server.SetFault(faults.On("/JSSResource/accounts/userid/", jamftest.HTML(404, "Not Found")))
	_, err := lookup(t, b.source(t), identity(directory.Account, 5))
	wantCode(t, err, directory.Inconsistent)
}

// The list that is asked again may be the same that left somebody out: only who
// is not known by id either is gone.
func TestLookupDoesNotTrustAClassicListAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{Release: new(jamftest.ClassicOnly())}).everyone()
	b.server.Demo(10)
	b.server.GenerateEndUsers(5)
	onList := func(path string) faults.Func {
		return func(r *http.Request) *faults.Fault {
			if r.URL.Path == path {
				return jamftest.Without(5)
			}
			return nil
		}
	}
	b.server.SetFault(faults.Any(onList("/JSSResource/accounts"), onList("/JSSResource/users")))
	whole := mustRead(t, b.source(t))
	equal(t, whole.summary.Totals[directory.Account], 9)
	equal(t, whole.summary.Totals[directory.EndUser], 4)
	missing := []directory.Identity{identity(directory.Account, 5), identity(directory.EndUser, 5)}
	s, err := lookup(t, b.source(t), missing...)
	if err != nil || len(s.users) != len(missing) {
		t.Errorf("%d found, %v", len(s.users), err)
	}
	b.server.RemoveAccount(5)
	s, err = lookup(t, b.source(t), missing...)
	if err != nil || len(s.users) != 1 {
		t.Errorf("%d found after one was removed, %v", len(s.users), err)
	}
}

// What keeps the list of API clients out keeps them out by id as well.
func TestLookupDoesNotTakeAPIClientsForGoneWhereNoneAreListed(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faults.Func{
		"not there": faults.On("/api/v1/api-integrations", jamftest.HTML(404, "Not Found")),
		"empty": faults.Any(
			faults.On("/api/v1/api-integrations/", jamftest.HTML(404, "Not Found")),
			faults.On("/api/v1/api-integrations", jamftest.NoEntries()),
		),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{})
			b.server.Demo(10)
			b.server.SetFault(fault)
			s, err := lookup(t, b.source(t), identity(directory.APIClient, 2))
			wantCode(t, err, directory.Inconsistent)
			equal(t, s.pages, 0)
		})
	}
}

func TestLookupOfWhatMayNotBeRead(t *testing.T) {
	t.Parallel()
	for kind, privilege := range map[directory.Kind]string{
		directory.Account: "Read Accounts", directory.EndUser: "Read User",
		directory.APIClient: "Read API Integrations", directory.DirectoryGroup: "Read Account Groups",
	} {
		b := setup(t, jamftest.Config{}).everyone()
		b.server.Demo(10)
		b.server.Revoke(privilege)
		_, err := lookup(t, b.source(t), identity(kind, 1))
		if e := wantCode(t, err, directory.MissingPrivilege); e.Privilege != privilege {
			t.Errorf("%q is missing", e.Privilege)
		}
	}
}
