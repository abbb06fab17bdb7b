package activities_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func TestRefreshReplacesARejectedTokenOnce(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		w.sync()
		var callers sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			callers.Go(func() { errs[i] = w.place.newRun("").refresh(w.connection, 1) })
		}
		callers.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.Equal(t, 1, w.source.refreshes())
	})
}

func TestRefreshOfRejectedCredentials(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		w.sync()
		w.source.reject()
		err := w.newRun().refresh(w.connection, 1)
		require.Equal(t, directory.CredentialsRejected, directory.Code(codeOf(err)).General())
		require.True(t, failureOf(err).NonRetryable())
	})
}

// The rejection that it answers is old: the token was replaced since.
func TestRefreshLeavesANewerTokenAlone(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		w.sync()
		require.NoError(t, w.newRun().refresh(w.connection, 1))
		require.NoError(t, w.newRun().refresh(w.connection, 1))
		require.Equal(t, 1, w.source.refreshes())
		w.sync()
		require.Equal(t, 1, w.source.refreshes())
	})
}
