package activities_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func TestRefreshReplacesARejectedTokenOnce(t *testing.T) {
	w := setup(t, 1)
	w.sync()
	require.Equal(t, 1, w.jamf.TokenRequests())
	var callers sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		callers.Go(func() { errs[i] = w.place.newRun("").refresh(w.connection, 1) })
	}
	callers.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 2, w.jamf.TokenRequests())
}

func TestRefreshWithARevokedClient(t *testing.T) {
	w := setup(t, 1)
	w.sync()
	w.jamf.RotateSecret("client")
	err := w.newRun().refresh(w.connection, 1)
	require.Equal(t, string(directory.CredentialsRejected), codeOf(err))
	require.True(t, failureOf(err).NonRetryable())
}

// The rejection that it answers is old: the token was replaced since.
func TestRefreshLeavesANewerTokenAlone(t *testing.T) {
	w := setup(t, 1)
	w.sync()
	require.NoError(t, w.newRun().refresh(w.connection, 1))
	require.NoError(t, w.newRun().refresh(w.connection, 1))
	require.Equal(t, 2, w.jamf.TokenRequests())
	w.sync()
	require.Equal(t, 2, w.jamf.TokenRequests())
}
