package truto

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

func TestRowsMayBeBareOrFull(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]directory.User{
		`{"id":5}`: {},
		`{"id":"5","name":null,"emails":null,"status":null,"is_2fa_enabled":null,"roles":null,"groups":null,"created_at":null}`:     {},
		`{"id":"5","first_name":"A","last_name":"B","created_at":"2024-09-01 10:00:00","updated_at":"2024-09-01T10:00:00.000Z"}`:    {Name: "A B"},
		`{"id":"5","is_2fa_enabled":"TRUE","emails":[{"email":" "},{"email":" a@example.com "},{"email":"b","is_primary":"true"}]}`: {MFA: directory.MFAEnabled, Email: "b"},
		`{"id":"5","is_2fa_enabled":"later","emails":[{"email":"","is_primary":true},{"email":"a"}]}`:                               {Email: "a"},
		`{"id":"5","roles":[{"id":7},{"name":"ENROLLMENT_ONLY"},{}],"groups":[{"id":"g"},null]}`:                                    {Roles: []string{"Enrollment Only", "id 7"}, Groups: []string{"id g"}},
	} {
		var r row
		if err := json.Unmarshal([]byte(raw), &r); err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		want.Identity = directory.Identity{Kind: directory.Account, ID: "5"}
		want.Status = directory.StatusUnknown
		if want.MFA == "" {
			want.MFA = directory.MFAUnknown
		}
		got, _ := json.Marshal(r.user(directory.Account))
		wanted, _ := json.Marshal(want)
		if string(got) != string(wanted) {
			t.Errorf("%s is read as %s", raw, got)
		}
	}
}

func TestOnlyWordsForEndUsersRuleAnybodyOut(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`[{"id":"7"}]`: "",
		`[{"name":"User"},{"name":" END_USER "}]`: leftOutNoAdmin,
		`[{"name":"User"},{"name":"SYSADMIN"}]`:   "",
		`[{"name":"Full Access"}]`:                "",
		`[{"name":"auditor "}]`:                   "",
		`[{"name":"Viewer"}]`:                     "",
		`[],"groups":[]`:                          leftOutNoRole,
		`[]`:                                      "", // groups may be why
		`[],"groups":null`:                        "",
		`null`:                                    "",
	} {
		var r row
		if err := json.Unmarshal([]byte(`{"roles":`+raw+`}`), &r); err != nil {
			t.Fatal(err)
		}
		if _, got := r.place(directory.ScopeAdmins); got != want {
			t.Errorf("%s is left out for %q", raw, got)
		}
	}
}

func TestCursorsAreKeptToTheLetter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 2000)
	for raw, want := range map[string]string{`null`: "", `""`: "", `"a+/=&"`: "a+/=&", `12345678901234567890`: "12345678901234567890", `"` + long + `"`: long} {
		var got cursorText
		if err := json.Unmarshal([]byte(raw), &got); err != nil || string(got) != want {
			t.Errorf("%.30s is read as %.30q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{`{}`, `[]`, `true`} {
		if err := json.Unmarshal([]byte(raw), new(cursorText)); err == nil {
			t.Errorf("%s is read as a cursor", raw)
		}
	}
}

// A circle of any length after a beginning of any length is met, and a way
// without one never is.
func TestTrailMeetsEveryCircle(t *testing.T) {
	t.Parallel()
	for begin := range 20 {
		for length := 1; length < 20; length++ {
			var t1 trail
			met := false
			for i := 0; i < 4*(begin+length)+4 && !met; i++ {
				at := i
				if i >= begin {
					at = begin + (i-begin)%length
				}
				met = t1.crosses(string(rune('a' + at)))
			}
			if !met {
				t.Errorf("a circle of %d after %d is not met", length, begin)
			}
		}
	}
	var straight trail
	for i := range 10_000 {
		if straight.crosses(string(rune(0x10000 + i))) {
			t.Fatal("a circle where there is none")
		}
	}
}

// FuzzBodies reads any body as each of the answers there are. What is read
// must be what a database can keep, and what is refused must be an error.
func FuzzBodies(f *testing.F) {
	for _, body := range []string{
		`{"result":[{"id":1,"name":"a\u0000","emails":[{"email":"x","is_primary":true}],"roles":[{"name":"Administrator"}]}],"next_cursor":"c","result_count":1}`,
		`{"result":[],"next_cursor":null}`, `{"integration":"jamf","account":{"id":"x","is_blocked":false}}`, `{"integration":{"name":"jamf"}}`,
		`{"statusCode":403,"truto_is_remote_error":true,"truto_error_insight":{"forbidden_error":{"value":{"missing_scopes":["Read Accounts"]}}}}`,
		`{"next":"c","pages":1,"totals":{"account":1}}`, `null`, `[]`, `{"truto_error_insight":[]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var page listing
		if json.Unmarshal(body, &page) == nil {
			for i := range page.Rows {
				kept(t, page.Rows[i].user(directory.Account))
				if _, why := page.Rows[i].place(directory.ScopeAdmins); why != "" && page.Rows[i].Roles == nil && !page.Rows[i].isDeleted() {
					t.Fatalf("left out for %s although no roles are told", why)
				}
			}
			_ = begin(directory.ScopeAdmins).take(&page)
		}
		_ = json.Unmarshal(body, new(capabilities))
		for _, status := range []int{400, 401, 403, 404, 500, 503} {
			err := outward(refused(&httpclient.Response{Status: status, Body: body}))
			if directory.CodeOf(err) == "" {
				t.Fatalf("HTTP %d becomes %v", status, err)
			}
		}
		if at, err := parseCursor(directory.Cursor(body), directory.ScopeAdmins); err == nil && len(body) > 0 {
			if _, err := parseCursor(at.cursor(), directory.ScopeAdmins); err != nil {
				t.Fatalf("%s is a cursor and %s is not", body, at.cursor())
			}
		}
	})
}

func kept(t *testing.T, user directory.User) {
	t.Helper()
	all := append([]string{user.ID, user.Username, user.Email, user.Name}, user.Roles...)
	for _, s := range append(all, user.Groups...) {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) || utf8.RuneCountInString(s) > 2*httpclient.MaxTextRunes+1 {
			t.Fatalf("cannot be kept: %q", s)
		}
	}
}
