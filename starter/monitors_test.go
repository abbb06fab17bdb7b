package main_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/jamf/jamftest"
)

const (
	removedOnExit = "JAMF_ACCESS_REMOVED_ON_EXIT"
	mfaEnabled    = "JAMF_USER_MFA_ENABLED"
)

const rosterHeader = "email,name,exited_at,aliases\n"

// employed and left are rows of a roster.
func employed(who string) string { return email(who) + ",Canary " + who + ",,\n" }

func left(who string, at time.Time) string {
	return fmt.Sprintf("%s,Canary %s,%s,\n", email(who), who, at.Format(time.RFC3339))
}

func (s *subject) importRoster(rows ...string) {
	s.t.Helper()
	s.ok("staff", "import", file(s.t, rosterHeader+strings.Join(rows, "")), "--org", s.org)
}

// findingOf is what a monitor found about an account, or nil.
func (m monitorDoc) findingOf(id int) *findingDoc {
	for i, f := range m.Findings {
		if f.ID == fmt.Sprint(id) {
			return &m.Findings[i]
		}
	}
	return nil
}

func TestWithoutARosterNothingIsProven(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	for _, raw := range ask[[]map[string]any](s.cli, "monitors", s.name) {
		require.Subset(t, keysOf(raw), monitorKeys)
		require.Subset(t, keysOf(raw["counts"].(map[string]any)), countKeys)
		for _, finding := range raw["findings"].([]any) {
			require.Subset(t, keysOf(finding.(map[string]any)), findingKeys)
		}
	}
	exit, mfa := s.monitor(removedOnExit), s.monitor(mfaEnabled)
	require.Equal(t, "not_evaluable", exit.State)
	require.Contains(t, exit.Reason, "no staff roster")
	require.Equal(t, 3, exit.Counts["not_evaluable"])
	require.Equal(t, "not_evaluable", mfa.State, "Jamf does not say whether there is a second factor")
	require.Len(t, mfa.Findings, 3)
}

func TestAnAccountIsDueAndThenFailingAfterItsPersonLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grace []string
		ago   time.Duration
		state string
	}{
		"an hour ago, with a day of grace":  {nil, time.Hour, "due"},
		"two days ago":                      {nil, 48 * time.Hour, "failing"},
		"a minute ago, without grace":       {[]string{"--exit-grace", "0s"}, time.Minute, "failing"},
		"two days ago, with a week's grace": {[]string{"--exit-grace", "168h"}, 48 * time.Hour, "due"},
		"in a day":                          {nil, -24 * time.Hour, "passing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			exit := time.Now().Add(-c.ago).UTC().Truncate(time.Second)
			s.importRoster(employed("ada"), left("bob", exit), employed("cleo"))
			doc := s.connect(c.grace...)
			m := s.monitor(removedOnExit)
			require.Equal(t, c.state, m.State)
			require.Equal(t, monitorDoc{Code: removedOnExit, State: c.state, Reason: m.Reason}, doc.Monitors[0])
			finding := m.findingOf(s.bob)
			if c.state == "passing" {
				require.Nil(t, finding)
				require.Equal(t, 3, m.Counts["passing"])
				return
			}
			require.Equal(t, map[string]int{"passing": 2, c.state: 1}, nonzero(m.Counts))
			require.Equal(t, c.state, finding.State)
			require.Equal(t, email("bob"), finding.Person)
			require.Equal(t, username("bob"), finding.Username)
			require.NotEmpty(t, finding.Reason)
			require.NotNil(t, finding.DueAt)
			require.False(t, finding.DueAt.Before(exit))
			require.Equal(t, 7, s.run("monitors", s.name, "--check").code)
		})
	}
}

func nonzero(counts map[string]int) map[string]int {
	left := map[string]int{}
	for name, n := range counts {
		if n != 0 {
			left[name] = n
		}
	}
	return left
}

func TestTheHistoryOfMonitorsTellsWhatIsNoLongerSo(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.importRoster(employed("ada"), left("bob", time.Now().Add(-time.Hour)), employed("cleo"))
	s.connect("--exit-grace", "0s")
	s.jamf.RemoveAccount(s.bob)
	s.resync()
	var states []string
	for _, m := range ask[[]monitorDoc](s.cli, "monitors", s.name, "--history", "--since", "1d") {
		if m.Code == removedOnExit {
			states = append(states, m.State)
		}
	}
	require.Equal(t, []string{"failing", "passing"}, states)
	require.Contains(t, s.ok("monitors", s.name, "--history").stdout, "fails for 1 of 3 accounts")
	require.Equal(t, "[]", strings.TrimSpace(s.ok("monitors", s.name, "--history", "--since", "2100-01-01", "-o", "json").stdout))
	s.refuse(2, "usage", "monitors", s.name, "--since", "1d")
	s.refuse(2, "usage", "monitors", s.name, "--history", "--check")
}

func TestAMonitorPassesOnceTheAccountIs(t *testing.T) {
	t.Parallel()
	for name, mend := range map[string]func(*subject){
		"disabled": func(s *subject) { s.jamf.DisableAccount(s.bob) },
		"removed":  func(s *subject) { s.jamf.RemoveAccount(s.bob) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.importRoster(employed("ada"), left("bob", time.Now().Add(-time.Hour)), employed("cleo"))
			s.connect("--exit-grace", "0s")
			since := s.monitor(removedOnExit).findingOf(s.bob).Since
			s.resync()
			require.Equal(t, since, s.monitor(removedOnExit).findingOf(s.bob).Since, "it fails since then")
			mend(s)
			require.Equal(t, monitorDoc{Code: removedOnExit, State: "passing"}, s.resync().Monitors[0])
			m := s.monitor(removedOnExit)
			require.Equal(t, "passing", m.State)
			require.Empty(t, m.Findings)
			require.Equal(t, 3, m.Sync)
		})
	}
}

func TestAPersonLeavesBetweenTwoSyncs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.importRoster(employed("ada"), employed("bob"), employed("cleo"))
	require.Equal(t, "passing", s.connect("--exit-grace", "0s").Monitors[0].State)
	s.importRoster(employed("ada"), left("bob", time.Now().Add(-time.Minute)), employed("cleo"))
	require.Equal(t, "failing", s.resync().Monitors[0].State)
	s.importRoster(employed("ada"), employed("bob"), employed("cleo"))
	require.Equal(t, "passing", s.resync().Monitors[0].State, "the roster was wrong")
}

func TestPeopleAreFoundByTheirAddresses(t *testing.T) {
	t.Parallel()
	exited := time.Now().Add(-time.Hour).Format(time.RFC3339)
	for name, row := range map[string]string{
		"e-mail":                  email("bob") + ",Canary bob," + exited + ",\n",
		"e-mail in another case":  strings.ToUpper(email("bob")) + ",Canary bob," + exited + ",\n",
		"alias":                   "canary.robert@example.org,Canary bob," + exited + ",canary.x@example.com; " + email("bob") + "\n",
		"alias in another case":   "canary.robert@example.org,Canary bob," + exited + "," + strings.ToUpper(email("bob")) + "\n",
		"alias that is a login":   "canary.robert@example.org,Canary bob," + exited + "," + username("bob") + "\n",
		"the day that they left":  email("bob") + ",Canary bob,2020-02-29,\n",
		"columns between quotes":  `"` + email("bob") + `","Bob, ""Canary""",` + exited + ",\n",
		"lines that end in CR LF": email("bob") + ",Canary bob," + exited + ",\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.importRoster(employed("ada"), row, employed("cleo"))
			s.connect("--exit-grace", "0s")
			m := s.monitor(removedOnExit)
			require.Equal(t, "failing", m.State)
			require.NotNil(t, m.findingOf(s.bob))
			require.Len(t, m.Findings, 1)
		})
	}
}

func TestWhoIsNotOnTheRosterIsNotTakenForEmployed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.importRoster(employed("ada"), employed("bob"))
	require.Equal(t, "not_evaluable", s.connect().Monitors[0].State)
	m := s.monitor(removedOnExit)
	require.Equal(t, map[string]int{"passing": 2, "not_evaluable": 1}, nonzero(m.Counts))
	require.NotNil(t, m.findingOf(s.cleo))
}

func TestTheRosterOfAnotherOrganizationSaysNothing(t *testing.T) {
	t.Parallel()
	s, other := setup(t), setup(t)
	s.importRoster(employed("ada"), employed("bob"), employed("cleo"))
	other.importRoster(left("ada", time.Now().Add(-72*time.Hour)), left("bob", time.Now().Add(-72*time.Hour)))
	require.Equal(t, "passing", s.connect().Monitors[0].State)
	require.Equal(t, "failing", other.connect().Monitors[0].State)
}

func TestCheckTellsByItsExitStatus(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, id := range []int{s.ada, s.bob, s.cleo} {
		s.jamf.DisableAccount(id)
	}
	s.importRoster(employed("ada"), employed("bob"), employed("cleo"))
	s.connect("--exit-grace", "0s")
	r := s.run("monitors", s.name, "--check", "-o", "json")
	require.Zero(t, r.code, "%s", r)
	require.Len(t, document[[]monitorDoc](t, r), 2)

	s.addAccount("dan", jamftest.Account{})
	s.resync()
	r = s.run("monitors", s.name, "--check", "-o", "json")
	require.Equal(t, 7, r.code, "%s", r)
	require.Len(t, document[[]monitorDoc](t, r), 2, "the outcomes are the document")
	r = s.run("monitors", s.name, "--check")
	require.Equal(t, 7, r.code)
	require.Contains(t, r.stderr, removedOnExit)
	require.Zero(t, s.run("monitors", s.name).code, "only a check is about passing")
}

func TestStaffImportReplacesTheRoster(t *testing.T) {
	t.Parallel()
	c, org := shared.cli(t), "org-staff"
	person := func(row int, more string) string {
		return fmt.Sprintf("canary%d@example.com,Canary %d,%s\n", row, row, more)
	}
	imported := ask[map[string]any](c.reading(rosterHeader+person(1, ",")+person(2, "2024-05-06,canary.b;canary.c")), "staff", "import", "-", "--org", org)
	require.EqualValues(t, 2, imported["people"])
	people := ask[[]map[string]any](c, "staff", "list", "--org", org)
	require.Len(t, people, 2)
	require.Nil(t, people[0]["exited_at"])
	require.Equal(t, "2024-05-06T00:00:00Z", people[1]["exited_at"])
	require.Equal(t, []any{"canary.b", "canary.c"}, people[1]["aliases"])

	// Columns may come in another order, without the optional one, and after a
	// byte order mark.
	ask[map[string]any](c.reading("\ufeffname,EMAIL,exited_at\nCanary 3,canary3@example.com,\n"), "staff", "import", "-", "--org", org)
	people = ask[[]map[string]any](c, "staff", "list", "--org", org)
	require.Len(t, people, 1)
	require.Equal(t, "canary3@example.com", people[0]["email"])
}

func TestARosterWithoutItsExitsIsNotImported(t *testing.T) {
	t.Parallel()
	c, org := shared.cli(t), "org-exits"
	roster := func(exit string) string {
		all := rosterHeader
		for i := range 8 {
			all += fmt.Sprintf("canary%d@example.com,Canary,%s,\n", i, exit)
		}
		return file(t, all)
	}
	c.ok("staff", "import", roster("2025-01-31"), "--org", org)
	failed := c.refuse(8, "held", "staff", "import", roster(""), "--org", org)
	require.Contains(t, failed.Message, "8 of 8 people who had left are employed again")
	require.Contains(t, failed.Hint, "--accept-returns")
	require.NotNil(t, ask[[]map[string]any](c, "staff", "list", "--org", org)[0]["exited_at"])

	imported := ask[map[string]any](c, "staff", "import", roster(""), "--org", org, "--accept-returns")
	require.EqualValues(t, 8, imported["returned"])
	require.Contains(t, c.ok("staff", "import", roster(""), "--org", org).stdout, "new 0, no longer listed 0 (with an exit 0); employed again, or longer 0.")
}

func TestAnOldFileIsNotImportedInSilence(t *testing.T) {
	t.Parallel()
	c, name := shared.cli(t), file(t, rosterHeader+"a@example.com,A,,\n")
	require.NotContains(t, c.ok("staff", "import", name, "--org", "org-old").stderr, "last written")
	long := time.Now().Add(-8 * 24 * time.Hour)
	require.NoError(t, os.Chtimes(name, long, long))
	require.Contains(t, c.ok("staff", "import", name, "--org", "org-old").stderr, "was last written 8 days ago")
}

func TestAMalformedRosterIsNotImported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ roster, where string }{
		"empty file":             {"", "row 1"},
		"nobody":                 {"email,name,exited_at\n", "lists nobody"},
		"no such column":         {"email,name,exited_at,salary\n", "row 1, column salary"},
		"a column is missing":    {"email,name\n", "row 1, column exited_at"},
		"a column twice":         {"email,name,exited_at,name\n", "row 1, column name"},
		"no e-mail address":      {rosterHeader + employed("a") + "canary,Canary,,\n", "row 3, column email"},
		"empty e-mail address":   {rosterHeader + ",Canary,,\n", "row 2, column email"},
		"bad date":               {rosterHeader + employed("a") + employed("b") + email("c") + ",Canary,31.12.2024,\n", "row 4, column exited_at"},
		"no such day":            {rosterHeader + email("c") + ",Canary,2025-02-29,\n", "row 2, column exited_at"},
		"too few fields":         {rosterHeader + employed("a") + email("b") + "\n", "row 3"},
		"too many fields":        {rosterHeader + email("b") + ",Canary,,,,\n", "row 2"},
		"the same person twice":  {rosterHeader + employed("a") + strings.ToUpper(employed("a")), "row 3, column email"},
		"an alias of two people": {rosterHeader + employed("a") + email("b") + ",Canary,," + email("a") + "\n", "row 3, column aliases"},
		"an open quote":          {rosterHeader + employed("a") + `"canary` + "\n", "row 3"},
		"not UTF-8":              {rosterHeader + email("a") + ",Canary \xff,,\n", "row 2, column name"},
		"another format":         {"PK\x03\x04canary", "row 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.importRoster(employed("ada"))
			failed := s.refuse(2, "usage", "staff", "import", file(t, c.roster), "--org", s.org)
			require.Contains(t, failed.Message, c.where)
			require.Contains(t, failed.Hint, "nothing was imported")
			require.Len(t, ask[[]map[string]any](s.cli, "staff", "list", "--org", s.org), 1)
		})
	}
}
