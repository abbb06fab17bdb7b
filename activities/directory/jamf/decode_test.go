package jamf

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

func TestTextAcceptsWhatServersWrite(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"a"`:                                 "a",
		`""`:                                  "",
		`null`:                                "",
		`12`:                                  "12",
		`-1`:                                  "-1",
		`true`:                                "true",
		`"a\u0000b"`:                          "ab",
		`"\u00e9\n"`:                          "é\n",
		"\"\xff\"":                            "\ufffd",
		`"\ud800"`:                            "\ufffd",
		`"` + strings.Repeat("é", 1500) + `"`: strings.Repeat("é", httpclient.MaxTextRunes),
	} {
		var got text
		if err := httpclient.Decode([]byte(raw), &got); err != nil || string(got) != want {
			t.Errorf("%.40s is read as %.40q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{`{}`, `[]`, `["a"]`} {
		if err := httpclient.Decode([]byte(raw), new(text)); err == nil {
			t.Errorf("%s is read as a text", raw)
		}
	}
}

func TestFlagIsUnknownUnlessSaid(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]*bool{`true`: new(true), `"true"`: new(true), `false`: new(false), `"False"`: new(false), `null`: nil, `""`: nil} {
		var got flag
		if err := httpclient.Decode([]byte(raw), &got); err != nil || (got.value == nil) != (want == nil) || want != nil && *got.value != *want {
			t.Errorf("%s is read as %v, %v", raw, got.value, err)
		}
	}
	if err := httpclient.Decode([]byte(`2`), new(flag)); err == nil {
		t.Error("2 is read as a flag")
	}
}

// Every field of a row but its id may be absent or null, and ids and
// references may be strings or numbers.
func TestRowsMayBeBareOrFull(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]directory.User{
		`{"id":5}`: {},
		`{"id":"5","username":null,"realname":null,"email":null,"ldapServerId":null,"siteId":null,"accessLevel":null,"privilegeLevel":null,"accountStatus":null,"accountType":null}`: {},
		`{"id":"5","ldapServerId":"-1","siteId":"-1"}`:                 {FromDirectory: new(false)},
		`{"id":"5","ldapServerId":2,"siteId":"3"}`:                     {FromDirectory: new(true), Site: "id 3"},
		`{"id":"5","ldapServerId":-1,"accountType":"FEDERATED"}`:       {FromDirectory: new(true)},
		`{"id":"5","accountStatus":"Locked","privilegeLevel":"OTHER"}`: {Roles: []string{"OTHER"}},
		`{"id":"5","email":"  a@example.com "}`:                        {Email: "a@example.com"},
	} {
		var row accountRow
		if err := httpclient.Decode([]byte(raw), &row); err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		want.Identity = directory.Identity{Kind: directory.Account, ID: "5"}
		want.Status, want.MFA = directory.StatusUnknown, directory.MFAUnknown
		got, _ := json.Marshal(row.user(nil))
		wanted, _ := json.Marshal(want)
		if string(got) != string(wanted) {
			t.Errorf("%s is read as %s", raw, got)
		}
	}
}

func TestIDsAreOrderedByValue(t *testing.T) {
	t.Parallel()
	ordered := []string{"0", "9", "10", "100", "00", "a", "b"}
	for i := range ordered {
		for j := range ordered {
			if got := compareIDs(ordered[i], ordered[j]); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s and %s compare as %d", ordered[i], ordered[j], got)
			}
		}
	}
}

func TestOrderNoticesRepetitionsWhereItCan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pages [][]text
		fails bool
	}{
		"by value":               {[][]text{{"8", "9"}, {"10", "11"}}, false},
		"by value, repeated":     {[][]text{{"8", "9", "10"}, {"8", "9", "10"}}, true},
		"by value, going back":   {[][]text{{"8", "10"}, {"9", "12"}}, true},
		"as text":                {[][]text{{"1", "10"}, {"2", "20"}, {"3"}}, false},
		"as text, all ascending": {[][]text{{"1", "199"}, {"2", "20"}}, false},
		"unsorted":               {[][]text{{"5", "1"}, {"4", "2"}}, false},
		"not numbers":            {[][]text{{"b", "a"}, {"a"}}, false},
	} {
		var o order
		failed := false
		for _, ids := range c.pages {
			rows := make([]anyRow, len(ids))
			for i, id := range ids {
				rows[i].ID = id
			}
			failed = failed || !follows(&o, rows)
		}
		if failed != c.fails {
			t.Errorf("%s: noticed %v", name, failed)
		}
	}
}

// A read that goes on where another stopped compares the groups of both.
func TestGroupsAreTheSameInWhateverOrderTheirListsCome(t *testing.T) {
	t.Parallel()
	newer := func(members, privileges string) string {
		var row groupRow
		if err := httpclient.Decode([]byte(`{"id":"1","members":[`+members+`],"privileges":[`+privileges+`]}`), &row); err != nil {
			t.Fatal(err)
		}
		return (&survey{groups: &accountGroups{list: []accountGroup{row.group()}}}).identity()
	}
	classic := func(members, privileges string) string {
		var detail classicGroupDetail
		if err := httpclient.Decode([]byte(`{"group":{"id":1,"members":[`+members+`],"privileges":{"jss_objects":[`+privileges+`]}}}`), &detail); err != nil {
			t.Fatal(err)
		}
		return (&survey{groups: &accountGroups{list: []accountGroup{detail.group()}}}).identity()
	}
	const ann, bob, cid = `{"id":2,"name":"ann"}`, `{"id":10,"name":"bob"}`, `{"id":3,"name":"cid"}`
	for name, identity := range map[string]func(members, privileges string) string{"newer": newer, "Classic": classic} {
		one := identity(ann+","+bob, `"Read A","Read B"`)
		if one != identity(bob+","+ann+","+bob, `"Read B","Read A","Read B"`) {
			t.Errorf("%s: another order is another group", name)
		}
		if one == identity(ann+","+cid, `"Read A","Read B"`) || one == identity(ann, `"Read A","Read B"`) {
			t.Errorf("%s: other members are the same group", name)
		}
	}
}

func TestMembersAreKnownByNameAcrossTheAPIs(t *testing.T) {
	t.Parallel()
	groups := &accountGroups{classic: true, list: []accountGroup{
		{id: "1", name: "G", role: "Auditor", members: []groupMember{{ID: "7", Name: "ann"}}},
	}}
	users := []directory.User{
		{Identity: directory.Identity{Kind: directory.Account, ID: "7"}, Username: "bob", AccessLevel: groupAccess},
		{Identity: directory.Identity{Kind: directory.Account, ID: "8"}, Username: "ann", AccessLevel: groupAccess},
	}
	groups.fill(users, false)
	if len(users[0].Groups) != 0 || len(users[1].Groups) != 1 {
		t.Errorf("across the APIs %v and %v", users[0].Groups, users[1].Groups)
	}
	groups.fill(users, true)
	if len(users[0].Groups) != 1 || len(users[1].Groups) != 0 {
		t.Errorf("in one API %v and %v", users[0].Groups, users[1].Groups)
	}
}

// FuzzBodies reads any body as each of the answers there are. What is read
// must be what a database can keep.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		`{"totalCount":1,"results":[{"id":"1","username":"a\u0000","members":[{"id":1,"name":"x"}],"privileges":["b","a"]}]}`,
		`{"account":{"id":16,"name":"svc","directory_user":false,"site":{"id":1},"privilege_set":"Custom","privileges":{"jss_objects":["Read"]}}}`,
		`{"group":{"id":3,"members":[],"ldap_server":{"id":-1}}}`,
		`{"accounts":{"users":[{"id":12}],"groups":[]}}`,
		`[{"id":1,"name":"S"}]`, `{"sites":[]}`, `null`, `{"user":null}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		storable := func(user directory.User) {
			all := append([]string{user.ID, user.Username, user.Email, user.Name, user.AccessLevel, user.Site}, user.Roles...)
			for _, s := range append(append(all, user.Groups...), user.Privileges...) {
				if strings.ContainsRune(s, 0) || !utf8.ValidString(s) || utf8.RuneCountInString(s) > httpclient.MaxTextRunes+len("id ") {
					t.Fatalf("cannot be kept: %q", s)
				}
			}
		}
		var accounts listing[accountRow]
		if httpclient.Decode(body, &accounts) == nil {
			for _, row := range accounts.Results {
				storable(row.user(siteNames{}))
			}
		}
		var groups listing[groupRow]
		if httpclient.Decode(body, &groups) == nil {
			for _, row := range groups.Results {
				storable(row.group().user(nil))
			}
		}
		var clients listing[clientRow]
		if httpclient.Decode(body, &clients) == nil {
			for _, row := range clients.Results {
				storable(row.user(nil))
			}
		}
		var users listing[endUserRow]
		if httpclient.Decode(body, &users) == nil {
			for _, row := range users.Results {
				storable(row.user())
			}
		}
		var account classicAccountDetail
		if httpclient.Decode(body, &account) == nil {
			storable(account.user(nil))
		}
		var group classicGroupDetail
		if httpclient.Decode(body, &group) == nil {
			storable(group.group().user(nil))
		}
		var user classicUserDetail
		if httpclient.Decode(body, &user) == nil {
			storable(user.User.user())
		}
		var accountsList classicAccountList
		if httpclient.Decode(body, &accountsList) == nil {
			if ids, err := ascending(classicAccounts, accountsList.Accounts.Users); err == nil && ids == nil {
				t.Fatal("a list that is absent is read as empty")
			}
		}
		_ = httpclient.Decode(body, new(siteList))
		_, _ = parseCursor(directory.Cursor(body))
	})
}
