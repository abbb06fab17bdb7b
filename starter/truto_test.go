package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/truto/trutotest"
)

// trutoSetup makes a subject whose Jamf is read through a simulated Truto.
func trutoSetup(t *testing.T) (*subject, *trutotest.Server) {
	t.Helper()
	s := setup(t)
	truto := trutotest.New(trutotest.Config{APIToken: s.secret})
	addToTruto(truto, "ada", "Administrator")
	addToTruto(truto, "bob", "Auditor")
	addToTruto(truto, "cleo", "Enrollment Only")
	s.url = serve(t, truto)
	return s, truto
}

func addToTruto(truto *trutotest.Server, who, role string) string {
	return truto.AddUser(trutotest.User{Username: username(who), Emails: []string{email(who)}, Name: "Canary " + who, Status: "active", Roles: []string{role}})
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

func TestTrutoTellsWhoHasASecondFactor(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	for _, u := range truto.Users() {
		truto.UpdateUser(u.ID, func(u *trutotest.User) { u.MFA = new(true) })
	}
	truto.AddUser(trutotest.User{Username: username("owner"), Roles: []string{"User"}})
	doc := s.connectViaTruto()
	require.Equal(t, "passing", s.monitor(mfaEnabled).State)
	require.Equal(t, 3, doc.Sync.Accounts)
	require.Contains(t, doc.Sync.Reason, "left out: users whose roles are not administrative (1)")
	dan := addToTruto(truto, "dan", "Custom")
	s.resync()
	require.Equal(t, "not_evaluable", s.monitor(mfaEnabled).State, "it is not told of dan")
	truto.UpdateUser(dan, func(u *trutotest.User) { u.MFA = new(false) })
	s.resync()
	require.Equal(t, "failing", s.monitor(mfaEnabled).State)
}

// What nobody but a person at Truto can mend is said at once, each with what
// to do.
func TestTrutoRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		upset func(*subject, *trutotest.Server)
		code  int
		error string
		said  string
		hint  string
		later string // hinted at where a connection was there before
		state string // of that connection
	}{
		"another integration": {func(_ *subject, t *trutotest.Server) { t.SetIntegration("okta") }, 5, "unreachable", "okta", "that it is of Jamf", "", "active"},
		"blocked":             {func(_ *subject, t *trutotest.Server) { t.SetBlocked(true) }, 5, "unreachable", "blocked", "unblock", "", "active"},
		"post_install_error":  {func(_ *subject, t *trutotest.Server) { t.SetStatus("post_install_error") }, 5, "unreachable", "post_install_error", "setup", "", "active"},
		"needs_reauth": {func(_ *subject, t *trutotest.Server) {
			t.SetStatus("needs_reauth")
			t.SetRefresh(trutotest.RefreshFails)
		}, 3, "credentials_rejected", "authorise", "authorise the integrated account again", "link token", "needs_reconnect"},
		"validation_error":    {func(_ *subject, t *trutotest.Server) { t.SetStatus("validation_error") }, 3, "credentials_rejected", "validation_error", "last error in Truto", "by itself", "needs_reconnect"},
		"the wrong API token": {func(s *subject, t *trutotest.Server) { t.RevokeToken(s.secret) }, 5, "unreachable", "API token", "TRUTO_API_TOKEN", "starter reconnect", "active"},
	} {
		t.Run(name+", at first", func(t *testing.T) {
			t.Parallel()
			s, truto := trutoSetup(t)
			c.upset(s, truto)
			failed := s.withToken().refuse(c.code, c.error, s.viaTruto()...)
			require.Contains(t, failed.Message, c.said)
			require.Contains(t, failed.Hint, c.hint)
			require.NotContains(t, failed.Hint, "reconnect", "there is nothing to reconnect")
			require.NotContains(t, failed.Hint, "by itself")
			s.refuse(6, "not_found", "status", s.name)
			require.Equal(t, 1, truto.Requests()["/integrated-account/{id}/capabilities"], "no other try would help")
		})
		t.Run(name+", later", func(t *testing.T) {
			t.Parallel()
			s, truto := trutoSetup(t)
			s.connectViaTruto()
			before := s.users()
			c.upset(s, truto)
			failed := s.failResync(c.code, c.error)
			require.Equal(t, c.error, failed.Error)
			require.Contains(t, failed.Message, c.said)
			require.Contains(t, failed.Hint, c.hint)
			require.Contains(t, failed.Hint, c.later)
			require.Equal(t, c.state, failed.State)
			require.Equal(t, c.error, s.syncs()[0].Error)
			require.NotNil(t, s.status().NextSyncAt, "it looks again by itself")
			require.Equal(t, before, s.users())
		})
	}
}

// Truto allows 50 requests in 10 s. Reading each of these users takes more.
func TestARunAtTrutosRateIsNeverRefused(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	for i := range 55 {
		addToTruto(truto, fmt.Sprintf("extra-%d", i), "Auditor")
	}
	truto.SetQuirks(trutotest.Quirks{NamesOnly: true})
	require.Equal(t, 58, s.connectViaTruto().Sync.Accounts)
	require.Greater(t, truto.Requests()[trutotest.UsersPath+"/{id}"], 50)
	require.Zero(t, truto.Answered(http.StatusTooManyRequests))
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

	require.True(t, truto.Authorise(s.linkToken()))
	require.Equal(t, "applied", s.resync().Sync.Outcome)
	require.Equal(t, "active", s.status().State)

	// By itself is at the next interval, too.
	truto.Reject()
	s.failResync(3, "credentials_rejected")
	link := s.linkToken()
	s.ok("reschedule", s.name, "--every", "10s")
	require.True(t, truto.Authorise(link))
	await(t, "the connection to go on", func() bool { return s.status().State == "active" })
}

// linkToken is the one that reconnect prints.
func (s *subject) linkToken() string {
	s.t.Helper()
	answer := ask[map[string]string](s.cli, "reconnect", s.name)
	require.NotEmpty(s.t, answer["link_token"])
	require.Contains(s.t, answer["message"], "Truto's link dialogue")
	require.Equal(s.t, "needs_reconnect", answer["state"])
	tokens.Store(answer["link_token"], true)
	return answer["link_token"]
}

// Truto does not know yet what Jamf Pro will say.
func TestAReconnectThatJamfRejectsOnlyWhenItIsReadPrintsALinkToken(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	s.connectViaTruto()
	truto.Reject()
	truto.SetRefresh(trutotest.RefreshFails)
	require.True(t, truto.Authorise(s.linkToken()))
}

func TestAConnectThatJamfRejectsOnlyWhenItIsReadHintsAtNoReconnect(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	truto.Reject()
	truto.SetRefresh(trutotest.RefreshFails)
	failed := s.withToken().refuse(3, "credentials_rejected", s.viaTruto()...)
	require.Contains(t, failed.Hint, "authorise")
	require.NotContains(t, failed.Hint, "reconnect")
}

func TestANewAPITokenTakesThePlaceOfTheOld(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	s.connectViaTruto()
	truto.RevokeToken(s.secret)
	s.failResync(5, "unreachable")
	secret := newSecret()
	failed := s.with("TRUTO_API_TOKEN="+secret).refuse(5, "unreachable", "reconnect", s.name)
	require.Contains(t, failed.Hint, "TRUTO_API_TOKEN")
	truto.AddToken(secret)
	require.Equal(t, "applied", ask[syncedDoc](s.with("TRUTO_API_TOKEN="+secret), "reconnect", s.name).Sync.Outcome)
	require.Equal(t, "applied", s.resync().Sync.Outcome)
}

func TestAScopeThatTrutoLacksIsNamed(t *testing.T) {
	t.Parallel()
	s, truto := trutoSetup(t)
	s.connectViaTruto()
	truto.Lack("Read Accounts")
	failed := s.failResync(4, "missing_privilege")
	require.Contains(t, failed.Sync.Reason, "Read Accounts")
	require.Contains(t, failed.Hint, "what Truto logs in with")
	require.Equal(t, "active", s.status().State)
}

func TestOptionsOfOneWayDoNotGoWithTheOther(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, args := range []string{
		"--via carrier-pigeon", "--via truto --jamf-url https://acme.example", "--integrated-account 1", "--truto-url https://acme.example",
	} {
		s.refuse(2, "usage", append([]string{"connect", s.name, "--confirm-admin"}, strings.Fields(args)...)...)
	}
	s.connect()
	s.refuse(2, "usage", "reconnect", s.name, "--api-token-file", "-")
	via, _ := trutoSetup(t)
	via.connectViaTruto()
	via.refuse(2, "usage", "reconnect", via.name, "--client-id", "1")
}
