package truto_test

import (
	"maps"
	"slices"
	"testing"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/truto/trutotest"
)

func TestLookupFindsWhatReadReadAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited()).everyone()
	b.server.Demo(130)
	b.server.SetQuirks(trutotest.Quirks{NamesOnly: true, EmptyPages: 1})
	whole := mustRead(t, b.source(t))
	equal(t, lookup(t, b, slices.Collect(maps.Keys(whole.users))...), len(whole.users))
	for _, id := range []directory.Identity{
		account("999"), account("../1"), account(""),
		{Kind: directory.EndUser, ID: "1"}, // an account
		{Kind: directory.Account, ID: "7"}, // an end user
		{Kind: directory.APIClient, ID: "1"},
	} {
		equal(t, lookup(t, b, id), 0)
	}
}

func TestLookupOfNobodyAsksNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	equal(t, lookup(t, b), 0)
	equal(t, len(b.server.Requests()), 0)
}

func TestLookupTellsWhoIsGone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*trutotest.Server){
		"removed":       func(s *trutotest.Server) { s.RemoveUser("1") },
		"deleted":       func(s *trutotest.Server) { s.UpdateUser("1", func(u *trutotest.User) { u.Status = "deleted" }) },
		"no role left":  func(s *trutotest.Server) { s.UpdateUser("1", func(u *trutotest.User) { u.Roles = []string{} }) },
		"no admin role": func(s *trutotest.Server) { s.UpdateUser("1", func(u *trutotest.User) { u.Roles = []string{"User"} }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			b.server.Demo(10)
			change(b.server)
			equal(t, lookup(t, b, account("1"), account("2")), 1)
		})
	}
}

// A 404 must not pass for a removal where Truto does not answer for anybody.
func TestLookupDoesNotTrustA404Alone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault faults.Func
		want  directory.Code
	}{
		"no details":             {faults.On(trutotest.UsersPath+"/", trutotest.Remote(404)), directory.Inconsistent},
		"no details, Truto's":    {faults.On(trutotest.UsersPath+"/", trutotest.Refused(404)), directory.Inconsistent},
		"markup":                 {faults.On(trutotest.UsersPath+"/", trutotest.HTML(404)), directory.Unreachable},
		"the account is unknown": {faults.On(trutotest.UsersPath, trutotest.Refused(404)), directory.AccountUnusable},
		"an empty list": {faults.Any(
			faults.On(trutotest.UsersPath+"/", trutotest.Remote(404)),
			trutotest.OnList(faults.Answer(200, `{"result":[]}`)),
		), directory.Inconsistent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			b.server.Demo(10)
			b.server.SetFault(c.fault)
			_, err := b.source(t).Lookup(t.Context(), []directory.Identity{account("1")})
			wantCode(t, err, c.want)
		})
	}
}
