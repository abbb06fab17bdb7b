package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
)

func TestAServerIsReadByOneConnectionAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t, 3)
	other, err := w.connect(t.Context(), w.source, directory.ScopeAdmins)
	require.NoError(t, err)
	second := w.newRun()
	w.jamf.SetFault(oncePage(w.source, 1, func() {
		_, err := second.fetch(other)
		require.Equal(t, activities.ServerTaken, codeOf(err))
		require.False(t, failureOf(err).NonRetryable())
		require.Positive(t, failureOf(err).NextRetryDelay())
	}))
	_, err = w.newRun().fetch(w.connection)
	require.NoError(t, err)
	fetched, err := second.fetch(other)
	require.NoError(t, err)
	require.Equal(t, 1, fetched.Number, "it was the same sync that waited")
}

// Whoever asks the server is one of those that take turns.
func TestCredentialsAreTriedInTurn(t *testing.T) {
	t.Parallel()
	w := setup(t, 3)
	other, err := w.connect(t.Context(), w.source, directory.ScopeAdmins)
	require.NoError(t, err)
	offer, err := w.record.OfferCredentials(t.Context(), other.ID, w.source.target().Credentials)
	require.NoError(t, err)
	r := w.newRun()
	w.jamf.SetFault(oncePage(w.source, 1, func() {
		before := total(w.jamf.Requests())
		_, validated := r.validate(other, 0)
		_, offered := r.validate(other, offer)
		for _, err := range []error{validated, offered, r.refresh(other, 0)} {
			require.Equal(t, activities.ServerTaken, codeOf(err))
			require.False(t, failureOf(err).NonRetryable())
		}
		require.Equal(t, before, total(w.jamf.Requests()))
	}))
	_, err = w.newRun().fetch(w.connection)
	require.NoError(t, err)
	_, err = r.validate(other, offer)
	require.NoError(t, err)
}

// A reconnect need not wait for the end of a read with the old credentials, and
// takes nothing from it.
func TestCredentialsAreTriedBesideTheirOwnRead(t *testing.T) {
	t.Parallel()
	w := setup(t, 3)
	other, err := w.connect(t.Context(), w.source, directory.ScopeAdmins)
	require.NoError(t, err)
	w.jamf.SetFault(oncePage(w.source, 1, func() {
		_, err := w.newRun().validate(w.connection, w.offer(w.source.target().Credentials))
		require.NoError(t, err)
		_, err = w.newRun().fetch(other)
		require.Equal(t, activities.ServerTaken, codeOf(err), "it is still being read")
	}))
	_, err = w.newRun().fetch(w.connection)
	require.NoError(t, err)
}

// Its worker stood still for so long that another connection was let in.
func TestWhoLosesTheServerStopsReading(t *testing.T) {
	t.Parallel()
	w := setup(t, 3)
	other, err := w.connect(t.Context(), w.source, directory.ScopeAdmins)
	require.NoError(t, err)
	w.jamf.SetFault(oncePageWaiting(w.source, 1, func() {
		_, err := w.sql.Exec(`UPDATE source_leases SET connection_id = $2, expires_at = now() + interval '1 hour', holder = gen_random_uuid() WHERE connection_id = $1`, w.connection.ID, other.ID)
		require.NoError(t, err)
	}))
	r := w.newRun()
	_, err = r.fetch(w.connection)
	require.ErrorContains(t, err, "the turn at the server was lost")
	require.False(t, failureOf(err).NonRetryable())
	_, err = r.fetch(w.connection)
	require.Equal(t, activities.ServerTaken, codeOf(err))
}

// What a worker that died was reading is read on at once by its own connection,
// and by others when its lease has ended.
func TestADeadWorkersServerIsFreeAgain(t *testing.T) {
	t.Parallel()
	w := setup(t, 3)
	other, err := w.connect(t.Context(), w.source, directory.ScopeAdmins)
	require.NoError(t, err)
	lease := func(span time.Duration) {
		given, err := w.record.LeaseServer(t.Context(), w.server.URL[len("http://"):], w.connection.ID, span)
		require.NoError(t, err)
		require.NotNil(t, given)
	}
	lease(time.Hour)
	_, err = w.newRun().fetch(w.connection)
	require.NoError(t, err)
	lease(0)
	_, err = w.newRun().fetch(other)
	require.NoError(t, err)
}
