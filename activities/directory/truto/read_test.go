package truto_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/truto/trutotest"
)

func TestReadMapsUsers(t *testing.T) {
	t.Parallel()
	admin := []string{"Administrator"}
	for name, c := range map[string]struct {
		user trutotest.User
		want directory.User
	}{
		"everything told": {
			trutotest.User{ID: "b1", Username: "ann", Name: "Ann", Emails: []string{"old@example.com", "ann@example.com"}, Primary: 1, Status: "active", MFA: new(true), Roles: []string{"CUSTOM", "AUDITOR", "Auditor"}, Groups: []string{"Z", "A"}},
			directory.User{Username: "ann", Name: "Ann", Email: "ann@example.com", Status: directory.StatusActive, MFA: directory.MFAEnabled, Roles: []string{"Auditor", "Custom"}, Groups: []string{"A", "Z"}},
		},
		"nothing told": {
			trutotest.User{Name: "B", Username: "b"},
			directory.User{Name: "B", Username: "b", Status: directory.StatusUnknown, MFA: directory.MFAUnknown},
		},
		"no primary address": {
			trutotest.User{Emails: []string{"first@example.com", "second@example.com"}, Primary: -1, Roles: admin},
			directory.User{Email: "first@example.com", Status: directory.StatusUnknown, MFA: directory.MFAUnknown, Roles: admin},
		},
		"no second factor": {
			trutotest.User{MFA: new(false), Roles: admin},
			directory.User{Status: directory.StatusUnknown, MFA: directory.MFADisabled, Roles: admin},
		},
		"role through a group": {
			trutotest.User{Roles: []string{}, Groups: []string{"Help Desk"}},
			directory.User{Status: directory.StatusUnknown, MFA: directory.MFAUnknown, Groups: []string{"Help Desk"}},
		},
		"another administrative role": {
			trutotest.User{Roles: []string{"Site admins", "Viewer"}},
			directory.User{Status: directory.StatusUnknown, MFA: directory.MFAUnknown, Roles: []string{"Site admins", "Viewer"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			id := b.server.AddUser(c.user)
			c.want.Identity = account(id)
			equal(t, mustRead(t, b.source(t)).user(t, directory.Account, id), c.want)
		})
	}
}

func TestReadMapsStatusWords(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]directory.Status{
		"active": directory.StatusActive, "Enabled": directory.StatusActive, "ENABLED": directory.StatusActive,
		"inactive": directory.StatusInactive, "Disabled": directory.StatusInactive, "disabled": directory.StatusInactive,
		"": directory.StatusUnknown, "Locked": directory.StatusUnknown, "invited": directory.StatusUnknown, "INVITED": directory.StatusUnknown, "active?": directory.StatusUnknown,
	} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			id := b.server.AddUser(trutotest.User{Status: word, Roles: []string{"Auditor"}})
			equal(t, mustRead(t, b.source(t)).user(t, directory.Account, id).Status, want)
		})
	}
}

func TestScopeTellsWhoAdministers(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	for _, u := range []trutotest.User{
		{ID: "role", Roles: []string{"Enrollment Only"}},
		{ID: "untold", Username: "u"},
		{ID: "group", Roles: []string{}, Groups: []string{"G"}},
		{ID: "none", Roles: []string{}, Groups: []string{}},
		{ID: "no-group-told", Roles: []string{}},
		{ID: "other", Roles: []string{"User"}, Groups: []string{"G"}},
		{ID: "deleted", Roles: []string{"Administrator"}, Status: "deleted"},
	} {
		b.server.AddUser(u)
	}
	admins := mustRead(t, b.source(t))
	for _, id := range []string{"role", "untold", "group", "no-group-told"} {
		admins.user(t, directory.Account, id)
	}
	equal(t, admins.summary.Totals, map[directory.Kind]int{directory.Account: 4})
	equal(t, admins.summary.LeftOut, map[string]int{
		"users without any role or group": 1, "users whose roles are not administrative": 1, "users that are deleted": 1,
	})

	everyone := mustRead(t, b.everyone().source(t))
	for _, id := range []string{"none", "other"} {
		everyone.user(t, directory.EndUser, id)
	}
	equal(t, everyone.summary.Totals, map[directory.Kind]int{directory.Account: 4, directory.EndUser: 2})
	equal(t, everyone.summary.LeftOut, map[string]int{"users that are deleted": 1})
}

func TestReadOfNobodySaysWhoWasLeftOut(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	b.server.AddUser(trutotest.User{Roles: []string{}, Groups: []string{}})
	s := mustRead(t, b.source(t))
	equal(t, s.summary.Totals, map[directory.Kind]int{directory.Account: 0})
	equal(t, s.summary.LeftOut, map[string]int{"users without any role or group": 1})
}

// A list that tells no details may write them as empty ones.
func TestRowsThatSayNothingAreAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	b.server.AddUser(trutotest.User{Username: "u", Status: "active", Roles: []string{"Administrator"}})
	b.server.SetQuirks(trutotest.Quirks{NamesOnly: true})
	b.server.SetFault(trutotest.OnList(faults.Rewritten(func(page map[string]any) {
		for _, row := range page["result"].([]any) {
			row := row.(map[string]any)
			row["roles"], row["groups"], row["emails"] = []any{}, []any{}, []any{}
		}
	})))
	equal(t, mustRead(t, b.source(t)).user(t, directory.Account, "1").Roles, []string{"Administrator"})
}

// Whatever the habits of the list, the same people are read.
func TestReadReachesTheRealEnd(t *testing.T) {
	t.Parallel()
	plain := setup(t, unlimited()).everyone()
	plain.server.Demo(230)
	want := mustRead(t, plain.source(t))
	for name, quirks := range map[string]trutotest.Quirks{
		"empty pages":       {EmptyPages: 2},
		"end is empty":      {End: trutotest.EndEmpty},
		"end is absent":     {End: trutotest.EndAbsent, EmptyPages: 1},
		"names only":        {NamesOnly: true},
		"says it's partial": {SaysPartial: true},
		"numeric ids":       {NumericIDs: true, NamesOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited()).everyone()
			b.server.Demo(230)
			b.server.SetQuirks(quirks)
			s := mustRead(t, b.source(t))
			equal(t, len(s.users), 230)
			for id, user := range want.users {
				equal(t, s.users[id], user)
			}
			equal(t, s.summary, want.summary)
			total := 0
			for _, n := range b.server.Requests() {
				total += n
			}
			if s.requests != total {
				t.Errorf("pages count %d requests of %d", s.requests, total)
			}
			if n := b.server.MaxConcurrent(); n > 5 {
				t.Errorf("%d requests at once", n)
			}
		})
	}
}

func TestReadResumesAtEachCursor(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited()).everyone()
	b.server.Demo(330)
	b.server.SetQuirks(trutotest.Quirks{EmptyPages: 1})
	whole := mustRead(t, b.source(t))
	left := len(whole.users)
	for _, cursor := range whole.cursors {
		rest, err := read(t, b.source(t), cursor)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, rest.summary, whole.summary)
		if len(rest.users) > left {
			t.Errorf("%d users are left after fewer were", len(rest.users))
		}
		left = len(rest.users)
	}
	if left != 0 {
		t.Errorf("the last cursor reads %d users", left)
	}
}

func TestReadRefusesACursorItCannotUse(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	for _, cursor := range []directory.Cursor{"x", "{}", `{"next":"a"}`, `{"next":"a","pages":1,"totals":null}`, `{"next":"unknown","pages":1}`} {
		_, err := read(t, b.source(t), cursor)
		wantCode(t, err, directory.Inconsistent)
	}
}

func TestReadReturnsTheErrorOfEmit(t *testing.T) {
	t.Parallel()
	b := setup(t, unlimited())
	b.server.Demo(300)
	stop := errors.New("stop")
	if err := b.source(t).Read(t.Context(), "", func(directory.Page) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
}

// Cursors that lead in a circle are noticed although nobody remembers all of
// them, also by readers that go on where others stopped.
func TestReadNoticesCursorsThatLeadBack(t *testing.T) {
	t.Parallel()
	for name, way := range map[string][]int{ // where the cursor of each page leads
		"itself":          {1, 1},
		"at once":         {0},
		"back to the 1st": {1, 2, 3, 4, 1},
		"far on":          {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 11},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			b.server.SetFault(func(r *http.Request) *faults.Fault {
				if r.URL.Path != trutotest.UsersPath {
					return nil
				}
				at := 0
				fmt.Sscanf(r.URL.Query().Get("next_cursor"), "at %d", &at)
				return faults.Answer(200, fmt.Sprintf(`{"result":[],"next_cursor":"at %d"}`, way[at]))
			})
			var last directory.Cursor
			pages, stop := 0, errors.New("stop")
			for {
				err := b.source(t).Read(t.Context(), last, func(page directory.Page) error {
					last = page.Cursor
					if pages++; pages%3 == 0 {
						return stop
					}
					return nil
				})
				if err != stop {
					wantCode(t, err, directory.Inconsistent)
					break
				}
				if pages > 100 {
					t.Fatal("the circle is not noticed")
				}
			}
			if len(last) > 500 {
				t.Errorf("a cursor of %d bytes", len(last))
			}
		})
	}
}

// Answers that are not whole, or contradict each other, never pass for a
// smaller directory.
func TestReadFindsContradictions(t *testing.T) {
	t.Parallel()
	onePage := func(body string) faults.Func { return trutotest.OnList(faults.Answer(200, body)) }
	for name, c := range map[string]struct {
		fault  faults.Func
		quirks trutotest.Quirks
	}{
		"no list":               {fault: trutotest.OnList(trutotest.Set("result", nil))},
		"null list":             {fault: onePage(`{"result":null,"next_cursor":null}`)},
		"fewer than it says":    {fault: trutotest.OnList(trutotest.EmptyList())},
		"more than it says":     {fault: trutotest.OnList(trutotest.Set("result_count", 3))},
		"users again":           {fault: trutotest.OnList(trutotest.Set("next_cursor", "MD8w")).Times(1)},
		"row without id":        {fault: onePage(`{"result":[{"name":"a"}]}`)},
		"left out twice":        {fault: onePage(`{"result":[{"id":"1","roles":[],"groups":[]},{"id":"1","roles":[],"groups":[]}]}`)},
		"two cursors":           {fault: onePage(`{"result":[],"next_cursor":"more","next_cursor":null}`)},
		"lost cursor":           {fault: trutotest.OnList(trutotest.Set("next_cursor", nil)).Times(1), quirks: trutotest.Quirks{PageSize: 50}},
		"id with a path":        {fault: onePage(`{"result":[{"id":"../1"}]}`)},
		"id is an address":      {fault: onePage(`{"result":[{"id":"a@example.com"}]}`)},
		"another shape":         {fault: onePage(`[1,2]`)},
		"broken JSON":           {fault: onePage(`{"result":[{"id":"1"`)},
		"cursor is no text":     {fault: onePage(`{"result":[],"next_cursor":{}}`)},
		"cursor too long":       {fault: onePage(`{"result":[],"next_cursor":"` + strings.Repeat("x", 9000) + `"}`)},
		"markup":                {fault: trutotest.OnList(trutotest.HTML(200))},
		"truncated":             {fault: trutotest.OnList(faults.Truncated())},
		"detail of another":     {fault: faults.On(trutotest.UsersPath+"/7", trutotest.Set("id", "8")), quirks: trutotest.Quirks{NamesOnly: true}},
		"detail is gone":        {fault: faults.On(trutotest.UsersPath+"/7", trutotest.Remote(404)), quirks: trutotest.Quirks{NamesOnly: true}},
		"no details":            {fault: faults.On(trutotest.UsersPath+"/", trutotest.Refused(404)), quirks: trutotest.Quirks{SaysPartial: true}},
		"another account":       {fault: faults.On("/integrated-account", trutotest.Set("account", map[string]any{"id": "other"}))},
		"cursor is not known":   {fault: trutotest.OnList(trutotest.Refused(422)).After(1)},
		"refuses what is asked": {fault: trutotest.OnList(trutotest.Refused(400))},
		"conflict":              {fault: trutotest.OnList(trutotest.Remote(409))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			b.server.Demo(250)
			b.server.SetQuirks(c.quirks)
			b.server.SetFault(c.fault)
			s, err := read(t, b.source(t), "")
			wantCode(t, err, directory.Inconsistent)
			if s.summary != nil {
				t.Error("a summary was emitted")
			}
		})
	}
}

// repeatsItsEnds lists the last user of a page again, in the place of the first of
// the next.
func repeatsItsEnds() faults.Func {
	var last any
	return trutotest.OnList(faults.Rewritten(func(page map[string]any) {
		rows := page["result"].([]any)
		end := rows[len(rows)-1]
		if last != nil {
			rows[0] = last
		}
		if last = end; page["next_cursor"] == nil {
			last = nil
		}
	}))
}

// Nothing that a page says shows that somebody is on none.
func TestReadNoticesWhoIsOnNoPage(t *testing.T) {
	t.Parallel()
	onLaterPages := func(b *bundle, f func() *faults.Fault) {
		b.server.SetFault(func(r *http.Request) *faults.Fault {
			if r.URL.Query().Get("next_cursor") == "" {
				return nil
			}
			return f()
		})
	}
	for name, spoil := range map[string]func(*bundle){
		"somebody before the page goes away": func(b *bundle) {
			onLaterPages(b, func() *faults.Fault { b.server.RemoveUser("1"); return nil })
		},
		"each page begins with whom the one before ended with": func(b *bundle) {
			b.server.SetFault(repeatsItsEnds().Times(3 + 4)) // pages of 100, and of 67
		},
		"the list is broken off at its first page": func(b *bundle) {
			b.server.SetFault(trutotest.OnList(trutotest.Set("next_cursor", nil)).Times(1))
		},
		"the list is broken off later": func(b *bundle) {
			b.server.SetFault(trutotest.OnList(trutotest.Set("next_cursor", nil)).After(1).Times(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited())
			b.server.Demo(250)
			spoil(b)
			s, err := read(t, b.source(t), "")
			wantCode(t, err, directory.Inconsistent)
			if s.summary != nil {
				t.Error("a summary was emitted")
			}
			mustRead(t, b.source(t))
		})
	}
}

func TestReadGoesOnAfterPassingFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]*faults.Fault{"reset": faults.Reset(), "truncated": faults.Truncated()}
	for _, status := range []int{408, 425, 500, 502, 504, 530} {
		faults[fmt.Sprint(status)] = trutotest.Remote(status)
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unlimited()).everyone()
			b.server.Demo(150)
			b.server.SetFault(trutotest.OnList(fault).Times(2))
			equal(t, len(mustRead(t, b.source(t)).users), 150)
			if fault.Status == 0 {
				return
			}
			b.server.SetFault(trutotest.OnList(fault))
			_, err := read(t, b.source(t), "")
			wantCode(t, err, directory.Busy)
		})
	}
}

func TestReadDoesNotFollowARedirectElsewhere(t *testing.T) {
	t.Parallel()
	b, other := setup(t, unlimited()), setup(t, unlimited())
	b.server.SetFault(trutotest.OnList(faults.RedirectTo(other.settings.BaseURL + "/x")))
	_, err := read(t, b.source(t), "")
	wantCode(t, err, directory.Unreachable)
	if n := len(other.server.Requests()); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}
