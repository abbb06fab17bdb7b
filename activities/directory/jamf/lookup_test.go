package jamf_test

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

// lookup is how many of those there are.
func lookup(t *testing.T, b *bundle, ids ...directory.Identity) int {
	t.Helper()
	before := asked(b)
	found, err := b.source(t).Lookup(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, found.Requests, asked(b)-before)
	return found.Present
}

// asked is how many requests there were but those for tokens.
func asked(b *bundle) (requests int) {
	for path, n := range b.server.Requests() {
		if !strings.HasSuffix(path, "/token") {
			requests += n
		}
	}
	return requests
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
			equal(t, lookup(t, b, slices.Collect(maps.Keys(whole.users))...), len(whole.users))
			for _, id := range []directory.Identity{
				identity(directory.Account, 999), identity(directory.EndUser, 999), identity(directory.APIClient, 999), identity(directory.DirectoryGroup, 999),
				identity(directory.DirectoryGroup, 1), // a group, but not of a directory
				{Kind: directory.Account, ID: "../1"},
			} {
				equal(t, lookup(t, b, id), 0)
			}
		})
	}
}

func TestLookupOfNobodyAsksNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	equal(t, lookup(t, b), 0)
	equal(t, len(b.server.Requests()), 0)
}

// What proves that the newer API answers by id, and one request for each.
func TestLookupOfAccountsAsksForNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t, jamftest.Config{})
	b.server.Demo(10)
	equal(t, lookup(t, b, identity(directory.Account, 998), identity(directory.Account, 999)), 0)
	equal(t, asked(b), 2+2)
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
			equal(t, lookup(t, b, identity(directory.Account, 5), identity(directory.EndUser, 5), identity(directory.APIClient, 2)), 3)
		})
	}
	for name, c := range map[string]struct {
		release jamftest.Release
		path    string
		id      directory.Identity
	}{
		"no Classic account details": {jamftest.ClassicOnly(), "/JSSResource/accounts/userid/", identity(directory.Account, 5)},
		"no Classic group details":   {jamftest.ClassicOnly(), "/JSSResource/accounts/groupid/", identity(directory.DirectoryGroup, 999)},
		"no group details":           {jamftest.Modern(), "/api/v1/account-groups/", identity(directory.DirectoryGroup, 999)},
		"no client details":          {jamftest.Modern(), "/api/v1/api-integrations/", identity(directory.APIClient, 999)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, jamftest.Config{Release: &c.release})
			b.server.Demo(10)
			b.server.SetFault(faults.On(c.path, jamftest.HTML(404, "Not Found")))
			_, err := b.source(t).Lookup(t.Context(), []directory.Identity{c.id})
			wantCode(t, err, directory.Inconsistent)
		})
	}
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
	equal(t, lookup(t, b, missing...), len(missing))
	b.server.RemoveAccount(5)
	equal(t, lookup(t, b, missing...), 1)
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
			_, err := b.source(t).Lookup(t.Context(), []directory.Identity{identity(directory.APIClient, 2)})
			wantCode(t, err, directory.Inconsistent)
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
		_, err := b.source(t).Lookup(t.Context(), []directory.Identity{identity(kind, 1)})
		if e := wantCode(t, err, directory.MissingPrivilege); e.Privilege != privilege {
			t.Errorf("%q is missing", e.Privilege)
		}
	}
}
