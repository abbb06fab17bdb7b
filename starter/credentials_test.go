package main_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
)

// rotate gives the API client a new secret, which the connection does not know,
// and returns it.
func (s *subject) rotate() string {
	secret := newSecret()
	s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.Secret = secret })
	return secret
}

// loseCredentials is rotate, and a sync that finds it out.
func (s *subject) loseCredentials() (secret string) {
	s.t.Helper()
	secret = s.rotate()
	s.jamf.RevokeTokens()
	s.failResync(3, "credentials_rejected")
	return secret
}

func (s *subject) reconnectWith(secret string, more ...string) result {
	return s.with("JAMF_CLIENT_SECRET=" + secret).run(append([]string{"reconnect", s.name, "-o", "json"}, more...)...)
}

func TestRejectedCredentialsWaitForAReconnect(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	before := s.users()
	secret := s.rotate()

	doc := s.failResync(3, "credentials_rejected")
	require.Equal(t, "needs_reconnect", doc.State)
	require.Contains(t, doc.Hint, "client secret")
	status := s.status()
	require.Equal(t, "needs_reconnect", status.State)
	require.NotEmpty(t, status.Reason)
	require.Nil(t, status.NextSyncAt, "it does not go on offering what was rejected")
	require.Equal(t, before, s.users())

	wrong := s.reconnectWith(newSecret())
	require.Equal(t, 3, wrong.code, "%s", wrong)
	require.Equal(t, "credentials_rejected", document[refused](t, wrong).Error)
	require.Equal(t, "needs_reconnect", s.status().State)

	right := s.reconnectWith(secret)
	require.Zero(t, right.code, "%s", right)
	doc = document[syncedDoc](t, right)
	require.Equal(t, "reconnect", doc.Sync.Trigger)
	require.Equal(t, "applied", doc.Sync.Outcome)
	require.Equal(t, "active", doc.State)
	require.NotContains(t, right.stdout+right.stderr, secret)
	status = s.status()
	require.Empty(t, status.Reason)
	require.NotNil(t, status.NextSyncAt)
	require.Equal(t, before, s.users())
	require.Equal(t, "applied", s.resync().Sync.Outcome)
}

func TestPauseSaysThatAConnectionNeedsAReconnectFirst(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	secret := s.loseCredentials()
	for command, after := range map[string]string{"resume": "syncs by itself after that", "pause": "paused after that"} {
		said := ask[map[string]string](s.cli, command, s.name)
		require.Equal(t, "needs_reconnect", said["state"])
		require.Contains(t, said["message"], "`starter reconnect "+s.name+"`")
		require.Contains(t, said["message"], after)
	}
	s.ok("pause", s.name)
	require.Zero(t, s.reconnectWith(secret).code)
	require.Equal(t, "paused", s.status().State)
}

func TestAConnectionSaysByItselfThatItNeedsAPerson(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect("--every", "10s")
	s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.Disabled = true })
	await(t, "the connection to need a person", func() bool { return s.status().State == "needs_reconnect" })
	require.Equal(t, "schedule", s.syncs()[0].Trigger)
	require.Equal(t, "credentials_rejected", s.syncs()[0].Error)

	listed := ask[[]statusDoc](s.cli, "list")
	states := []string{}
	for _, c := range listed {
		states = append(states, c.State)
	}
	require.Zero(t, slices.Index(states, "needs_reconnect"), "those that need a person come first")

	// It may have been mended at Jamf's side, and then needs no new secret.
	s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.Disabled = false })
	doc := s.resync()
	require.Equal(t, "active", doc.State)
	await(t, "the schedule to go on", func() bool { return s.syncs()[0].Number > doc.Sync.Number })
	require.Equal(t, "applied", s.syncs()[0].Outcome)
}

// The signal can be sent from Temporal's UI, which sends no input.
func TestReconnectBySignalTriesTheSameCredentialsAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.Disabled = true })
	s.failResync(3, "credentials_rejected")
	s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.Disabled = false })
	_, err := s.world.client.WorkflowService().SignalWorkflowExecution(t.Context(), &workflowservice.SignalWorkflowExecutionRequest{
		Namespace: s.world.namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: s.workflow()}, SignalName: "reconnect",
	})
	require.NoError(t, err)
	await(t, "the connection to be active", func() bool { return s.status().State == "active" })
	require.Equal(t, "reconnect", s.syncs()[0].Trigger)
}

func TestReconnectKeepsWhatWorksUntilSomethingBetterDoes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	require.Equal(t, 3, s.reconnectWith(newSecret()).code)
	require.Equal(t, "active", s.status().State)
	s.jamf.RevokeTokens()
	require.Equal(t, "applied", s.resync().Sync.Outcome, "the old credentials are still there")

	secret := newSecret()
	s.jamf.AddRole(jamftest.Role{DisplayName: "Canary other", Privileges: jamftest.Privileges()})
	s.jamf.AddClient(jamftest.Client{DisplayName: "Canary other", ClientID: "canary-other", Secret: secret, Roles: []string{"Canary other"}})
	r := s.reconnectWith(secret, "--client-id", "canary-other")
	require.Zero(t, r.code, "%s", r)
	s.jamf.RemoveClient(s.clientID)
	require.Equal(t, "applied", s.resync().Sync.Outcome)
}

func TestReconnectNeedsThePrivilegesToo(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	secret := newSecret()
	s.jamf.AddClient(jamftest.Client{DisplayName: "Canary powerless", ClientID: "canary-powerless", Secret: secret})
	r := s.reconnectWith(secret, "--client-id", "canary-powerless")
	require.Equal(t, 4, r.code, "%s", r)
	require.Contains(t, document[refused](t, r).Message, "Read Accounts")
	require.Equal(t, "applied", s.resync().Sync.Outcome)
}

func TestATokenRejectedInMidRunIsRenewedOnce(t *testing.T) {
	t.Parallel()
	for name, release := range map[string]jamftest.Release{"new": jamftest.Modern(), "Classic": jamftest.ClassicOnly()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.jamf.SetRelease(release)
			s.jamf.Demo(250)
			s.connect()
			before, asked := s.users(), s.jamf.TokenRequests()
			s.jamf.SetFault(doing(func(r *http.Request) bool {
				return r.URL.Query().Get("page") == "1" || r.URL.Path == "/JSSResource/accounts/userid/120"
			}, s.jamf.RevokeTokens))
			doc := s.resync()
			require.Equal(t, "active", doc.State)
			require.Equal(t, asked+1, s.jamf.TokenRequests())
			require.Equal(t, before, s.users())
			require.Empty(t, s.changesOf(2))
		})
	}
}

func TestTokensThatEndWhileADirectoryIsReadAreRenewed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.jamf.Demo(400)
	s.jamf.UpdateClient(s.clientID, func(c *jamftest.Client) { c.TokenLifetime = 3 * time.Second })
	s.connect()
	before, asked := s.users(), s.jamf.TokenRequests()
	s.jamf.SetLatency(900 * time.Millisecond)
	require.Equal(t, "applied", s.resync().Sync.Outcome)
	require.Greater(t, s.jamf.TokenRequests(), asked+1)
	require.Equal(t, before, s.users())
}

func TestAJamfThatRejectsEveryTokenNeedsAPerson(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	s.jamf.SetFault(faults.On("/api/v1/accounts", faults.Answer(http.StatusUnauthorized, `{"httpStatus":401,"errors":[]}`, "Content-Type", "application/json")))
	asked := s.jamf.TokenRequests()
	require.Equal(t, "needs_reconnect", s.failResync(3, "credentials_rejected").State)
	require.LessOrEqual(t, s.jamf.TokenRequests(), asked+3, "it does not ask for tokens for ever")
}

func TestFirstTokenIsUsedAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	s.resync()
	s.resync()
	require.Equal(t, 1, s.jamf.TokenRequests(), "a token is good for minutes")
}
