package main_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/truto/trutotest"
)

// trutoSetup makes a subject whose Jamf is read through a simulated Truto.
func trutoSetup(t *testing.T) (*subject, *trutotest.Server) {
	t.Helper()
	s := setup(t)
	truto := trutotest.New(trutotest.Config{APIToken: s.secret})
	for _, who := range []string{"ada", "bob"} {
		truto.AddUser(trutotest.User{Username: username(who), Emails: []string{email(who)}, Name: "Canary " + who, Status: "active", Roles: []string{"Administrator"}})
	}
	s.url = serve(t, truto)
	return s, truto
}

func (s *subject) viaTruto(more ...string) []string {
	return append([]string{"connect", s.name, "--via", "truto", "--truto-url", s.url,
		"--integrated-account", trutotest.DefaultAccount, "--org", s.org, "--confirm-admin"}, more...)
}

func (s *subject) withToken() cli { return s.with("TRUTO_API_TOKEN=" + s.secret) }

func (s *subject) connectViaTruto(more ...string) syncedDoc {
	s.t.Helper()
	doc := ask[syncedDoc](s.withToken(), s.viaTruto(more...)...)
	s.t.Cleanup(func() { s.run("disconnect", s.name) })
	return doc
}

func TestTrutoFillsTheSameRecord(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	doc := s.connectViaTruto()
	require.Equal(t, "truto", doc.Source)
	require.Equal(t, "applied", doc.Sync.Outcome)
	require.Equal(t, []string{username("ada"), username("bob")}, usernames(s.users(), "account"))

	truto.UpdateUser(truto.Users()[1].ID, func(u *trutotest.User) { u.Status = "inactive" })
	require.Equal(t, 1, s.resync().Sync.Changed)
	changes := s.changesOf(2)
	require.Equal(t, map[string]any{"status": "inactive"}, changes[0].After)
}

func TestTrutoRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		upset func(*trutotest.Server)
		code  int
		error string
		said  string
	}{
		"another integration": {func(s *trutotest.Server) { s.SetIntegration("okta") }, 5, "unreachable", "okta"},
		"blocked":             {func(s *trutotest.Server) { s.SetBlocked(true) }, 5, "unreachable", "blocked"},
		"needs_reauth":        {func(s *trutotest.Server) { s.SetStatus("needs_reauth") }, 3, "credentials_rejected", ""},
		"validation_error":    {func(s *trutotest.Server) { s.SetStatus("validation_error") }, 3, "credentials_rejected", ""},
		"the wrong API token": {func(s *trutotest.Server) { s.SetFault(faults.On("/", trutotest.Refused(401))) }, 5, "unreachable", "API token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, truto := trutoSetup(t)
			c.upset(truto)
			failed := s.withToken().refuse(c.code, c.error, s.viaTruto()...)
			require.Contains(t, failed.Message, c.said)
			s.refuse(6, "not_found", "status", s.name)
		})
	}
}

func TestAnAccountThatIsAuthorisedAgainAtTrutoGoesOnByItself(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	s.connectViaTruto()
	truto.Reject()
	truto.SetRefresh(trutotest.RefreshFails)
	s.failResync(3, "credentials_rejected")
	status := s.status()
	require.Equal(t, "needs_reconnect", status.State)
	require.NotNil(t, status.NextSyncAt, "it looks again by itself")

	answer := ask[map[string]string](s.cli, "reconnect", s.name)
	require.NotEmpty(t, answer["link_token"])
	tokens.Store(answer["link_token"], true)
	require.True(t, truto.Authorise(answer["link_token"]))
	require.Equal(t, "applied", s.resync().Sync.Outcome)
	require.Equal(t, "active", s.status().State)
}

func TestAnAPITokenThatIsOursToMendDoesNotMarkTheConnection(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	s.connectViaTruto()
	truto.RevokeToken(s.secret)
	failed := s.failResync(5, "unreachable")
	require.Contains(t, failed.Sync.Reason, "API token")
	require.Equal(t, "active", s.status().State)
	truto.AddToken(s.secret)
	require.Equal(t, "applied", s.resync().Sync.Outcome)
}

func TestAScopeThatTrutoLacksIsNamed(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	s.connectViaTruto()
	truto.Lack("Read Accounts")
	failed := s.failResync(4, "missing_privilege")
	require.Contains(t, failed.Sync.Reason, "Read Accounts")
	require.Equal(t, "active", s.status().State)
}

func TestOptionsOfOneWayDoNotGoWithTheOther(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, args := range []string{
		"--via carrier-pigeon", "--via truto --jamf-url https://acme.example", "--integrated-account 1",
	} {
		s.refuse(2, "usage", append([]string{"connect", s.name, "--confirm-admin"}, strings.Fields(args)...)...)
	}
}
