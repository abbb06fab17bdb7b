package activities_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/db"
)

func TestValidateSaysWhatTheSourceIs(t *testing.T) {
	w := setup(t, 1)
	w.jamf.Revoke("Read API Roles")
	validated, err := w.newRun().validate(w.connection, 0)
	require.NoError(t, err)
	require.NotEmpty(t, validated.Report.Version)
	require.Equal(t, "Read API Roles", validated.Report.Limitations[0].Privilege)
	require.NotNil(t, validated.Report.SingleSignOn)
	require.Empty(t, w.usernames(), "it reads no users")
}

func TestValidateNamesTheMissingPrivilege(t *testing.T) {
	w := setup(t, 1)
	w.jamf.Revoke("Read Accounts")
	_, err := w.newRun().validate(w.connection, 0)
	require.Equal(t, string(directory.MissingPrivilege), codeOf(err))
	require.True(t, failureOf(err).NonRetryable())
	var privilege string
	require.NoError(t, failureOf(err).Details(&privilege))
	require.Equal(t, "Read Accounts", privilege)
}

func TestValidateMakesAnAcceptedOfferTheConnectionsOwn(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		w.source.reject()
		_, err := w.newRun().validate(w.connection, 0)
		require.Equal(t, directory.CredentialsRejected, directory.Code(codeOf(err)).General())
		require.NoError(t, w.record.ChangeState(t.Context(), w.connection.ID, db.StateChange{State: db.NeedsReconnect}))

		good := w.source.renew()
		offer := w.offer(good)
		for range 2 { // as a worker does that dies before it can say so
			_, err = w.newRun().validate(w.connection, offer)
			require.NoError(t, err)
		}
		c, err := w.record.ConnectionByID(t.Context(), w.connection.ID)
		require.NoError(t, err)
		require.Equal(t, db.Active, c.State)
		own, err := w.record.Credentials(t.Context(), w.connection.ID)
		require.NoError(t, err)
		require.Equal(t, good, own)

		refreshes := w.source.refreshes()
		w.sync()
		require.Equal(t, refreshes, w.source.refreshes(), "the token of the validation is still good")
	})
}

func TestValidateKeepsTheOldCredentialsAndNotThoseThatAreRefused(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		w.refuses(w.offer(directory.Credentials{ClientID: "client", ClientSecret: "wrong", APIToken: "wrong"}))
		w.sync()
	})
}

// Another token would fare no better: it is the source that contradicts itself.
func TestValidateSaysWhereANewTokenIsRejectedThatWasAccepted(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/v1/accounts", "/api/v3/sso"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := setup(t, 1)
			w.jamf.SetFault(faults.On(path, faults.Answer(401, `{"httpStatus":401,"errors":[{"code":"INVALID_TOKEN"}]}`)))
			for _, offer := range []int64{0, w.offer(w.source.target().Credentials)} {
				_, err := w.newRun().validate(w.connection, offer)
				require.Equal(t, string(directory.Inconsistent), codeOf(err))
				require.ErrorContains(t, err, path)
			}
		})
	}
}

func TestValidateKeepsNoCredentialsThatLackAPrivilege(t *testing.T) {
	w := setup(t, 1)
	w.jamf.Revoke("Read Accounts")
	e := w.refuses(w.offer(w.source.target().Credentials))
	require.Equal(t, []string{"missing_privilege", "Read Accounts"}, []string{string(e.Code), e.Privilege})
}

// An answer that makes no sense says nothing of the credentials.
func TestValidateKeepsWhatWasNotRefused(t *testing.T) {
	w := setup(t, 1)
	offer := w.offer(w.source.target().Credentials)
	w.jamf.SetFault(faults.On("/api/v1/sites", faults.Answer(200, `{"httpStatus":500,"errors":[]}`)))
	_, err := w.newRun().validate(w.connection, offer)
	require.Equal(t, string(directory.Inconsistent), codeOf(err), "%v", err)
	w.jamf.SetFault(nil)
	_, err = w.newRun().validate(w.connection, offer)
	require.NoError(t, err)
	_, err = w.record.OfferedCredentials(t.Context(), w.connection.ID, offer)
	require.ErrorIs(t, err, db.ErrNotFound, "they are the connection's own now")
}

// refuses requires that an offer is refused for the same reason however often, as
// a worker may die before it has told, and is destroyed.
func (w *world) refuses(offer int64) *directory.Error {
	w.t.Helper()
	_, first := w.newRun().validate(w.connection, offer)
	require.True(w.t, failureOf(first).NonRetryable())
	_, second := w.newRun().validate(w.connection, offer)
	require.Equal(w.t, []any{codeOf(first), failureOf(first).Error()}, []any{codeOf(second), failureOf(second).Error()})
	_, err := w.record.OfferedCredentials(w.t.Context(), w.connection.ID, offer)
	e := directory.AsError(err)
	require.NotNil(w.t, e, "%v", err)
	require.Equal(w.t, codeOf(first), string(e.Code))
	return e
}

// An attempt that was taken for dead commits while the next one asks the source.
func TestTwoAttemptsAtOneOfferAtOnce(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		require.NoError(t, w.record.ChangeState(t.Context(), w.connection.ID, db.StateChange{State: db.NeedsReconnect}))
		offer := w.offer(w.source.renew())
		w.atFirstRequest(func() {
			_, err := w.newRun().validate(w.connection, offer)
			require.NoError(t, err)
		})
		_, err := w.newRun().validate(w.connection, offer)
		require.NoError(t, err)
		c, err := w.record.ConnectionByID(t.Context(), w.connection.ID)
		require.NoError(t, err)
		require.Equal(t, db.Active, c.State)
		w.sync()
	})
}

// The newer offer is accepted while the older one is tried, which goes with it.
func TestTwoReconnectsAtOnce(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		good := w.source.renew()
		older, newer := w.offer(good), w.offer(good)
		w.atFirstRequest(func() {
			_, err := w.newRun().validate(w.connection, newer)
			require.NoError(t, err)
		})
		_, err := w.newRun().validate(w.connection, older)
		require.NoError(t, err)
		w.sync()
	})
}

// atFirstRequest makes f happen before the source answers for the first time.
func (w *world) atFirstRequest(f func()) {
	var asked atomic.Bool
	w.source.SetFault(func(*http.Request) *faults.Fault {
		if asked.CompareAndSwap(false, true) {
			f()
		}
		return nil
	})
}

func TestValidateOfADisconnectedConnection(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		_, err := execute[any](w.newRun(), activities.Disconnect, activities.DisconnectInput{ConnectionID: w.connection.ID})
		require.NoError(t, err)
		_, err = w.newRun().validate(w.connection, 0)
		require.Equal(t, activities.Disconnected, codeOf(err))

		_, err = w.newRun().validate(w.connection, w.offer(w.source.target().Credentials))
		require.NoError(t, err, "an offer connects it again")
		w.sync()
	})
}

func (w *world) offer(credentials directory.Credentials) int64 {
	w.t.Helper()
	offer, err := w.record.OfferCredentials(w.t.Context(), w.connection.ID, credentials)
	require.NoError(w.t, err)
	return offer
}

func TestTryCredentialsLeavesTheConnectionsTokenAlone(t *testing.T) {
	w := setup(t, 1)
	w.sync()
	w.jamf.Revoke("Read Sites")
	report, err := activities.TryCredentials(t.Context(), w.record, w.activities.Providers, w.connection)
	require.NoError(t, err)
	require.Equal(t, "Read Sites", report.Limitations[0].Privilege)

	w.jamf.Revoke("Read Accounts")
	report, err = activities.TryCredentials(t.Context(), w.record, w.activities.Providers, w.connection)
	require.Equal(t, directory.MissingPrivilege, directory.CodeOf(err))
	require.NotEmpty(t, report.Version, "what was found before")

	w.jamf.Revoke()
	tokens := w.jamf.TokenRequests()
	w.sync()
	require.Equal(t, tokens, w.jamf.TokenRequests())

	w.jamf.RotateSecret("client")
	_, err = activities.TryCredentials(t.Context(), w.record, w.activities.Providers, w.connection)
	require.Equal(t, directory.CredentialsRejected, directory.CodeOf(err))
	require.NoError(t, w.record.Disconnect(t.Context(), w.connection.ID))
	_, err = activities.TryCredentials(t.Context(), w.record, w.activities.Providers, w.connection)
	require.ErrorIs(t, err, db.ErrDisconnected)
}
