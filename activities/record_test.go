package activities_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/truto/trutotest"
	"jamf-access-review/db"
)

func TestRecordAfterPostgresCrashedHasItFetchedAgain(t *testing.T) {
	forEverySource(t, 4, func(t *testing.T, w *world) {
		r := w.newRun()
		_, err := r.fetch(w.connection)
		require.NoError(t, err)
		require.NoError(t, w.crashPostgres(t.Context()))
		_, err = r.recordOutcomes(w.connection, false)
		require.Equal(t, activities.StagingLost, codeOf(err))
		require.True(t, failureOf(err).NonRetryable())

		_, err = r.fetch(w.connection)
		require.NoError(t, err)
		result, err := r.recordOutcomes(w.connection, false)
		require.NoError(t, err)
		require.Equal(t, []int{1, 5 + w.source.others()}, []int{result.Number, result.Added})
	})
}

func TestRecordTwiceIsAsGoodAsOnce(t *testing.T) {
	forEverySource(t, 4, func(t *testing.T, w *world) {
		r := w.newRun()
		_, err := r.fetch(w.connection)
		require.NoError(t, err)
		result, err := r.recordOutcomes(w.connection, false)
		require.NoError(t, err)
		before := w.held()
		w.clock.Advance(time.Minute)

		again, err := r.recordOutcomes(w.connection, true)
		require.NoError(t, err)
		require.Equal(t, result, again)
		failed, err := r.recordFailure(w.connection, "late", "late")
		require.NoError(t, err)
		require.Equal(t, result, failed)
		require.Equal(t, before, w.held())
	})
}

func TestWhoComesBackIsRestored(t *testing.T) {
	forEverySource(t, 2, func(t *testing.T, w *world) {
		w.sync()
		w.source.remove(2)
		require.Equal(t, 1, w.sync().Removed)
		require.NotContains(t, w.usernames(), "user2")
		w.source.restore(2)
		require.Equal(t, 1, w.sync().Added)
		require.Contains(t, w.usernames(), "user2")
	})
}

// A failure before anything was read is a sync with a number too.
func TestRecordFailureChangesNothingElse(t *testing.T) {
	forEverySource(t, 4, func(t *testing.T, w *world) {
		_, err := w.newRun().enableMonitors(w.connection)
		require.NoError(t, err)
		w.sync()
		before := w.held()
		w.source.remove(2)
		w.clock.Advance(time.Hour)
		result, err := w.newRun().recordFailure(w.connection, "unreachable", "no answer")
		require.NoError(t, err)
		require.Equal(t, 2, result.Number)
		require.Equal(t, db.Failed, result.Outcome)
		for _, table := range dumped[1:] {
			require.Equal(t, rowsOf(before, table), rowsOf(w.held(), table), table)
		}
	})
}

// While a sync is held the monitors stay what they were: nobody's access is
// said to be removed before a person has accepted it.
func TestRecordHoldsWhatTakesTooMuchAway(t *testing.T) {
	forEverySource(t, 11, func(t *testing.T, w *world) {
		r := w.newRun()
		_, err := r.enableMonitors(w.connection)
		require.NoError(t, err)
		w.importStaff(new(w.clock.Now().Add(-2 * grace)))
		before := w.sync()
		for id := 2; id <= 7; id++ {
			w.source.remove(id)
		}
		w.clock.Advance(time.Hour)
		held := w.sync()
		require.Equal(t, db.Held, held.Outcome)
		require.Equal(t, "held", held.Error)
		require.Contains(t, held.Reason, fmt.Sprintf("6 of %d", 12+w.source.others()))
		require.Equal(t, before.Monitors, held.Monitors)
		require.Len(t, w.usernames(), 12)

		r = w.newRun()
		_, err = r.fetch(w.connection)
		require.NoError(t, err)
		accepted, err := r.recordOutcomes(w.connection, true)
		require.NoError(t, err)
		require.Equal(t, db.Applied, accepted.Outcome)
		require.Equal(t, 6, accepted.Removed)
		require.Equal(t, 3, accepted.Number)
	})
}

// No account is active, so nobody who has left has one; but who has left?
func TestWithoutARosterNothingPasses(t *testing.T) {
	w := setup(t, 1)
	w.jamf.DisableAccount(1)
	w.jamf.DisableAccount(2)
	_, err := w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	require.Equal(t, db.NotEvaluable, exitState(w.sync()))
	w.importStaff(nil)
	require.Equal(t, db.Passing, exitState(w.sync()))
}

// Whoever has left may still take up the invitation.
func TestAnInvitationOfSomebodyWhoHasLeftDoesNotPass(t *testing.T) {
	w := setupWith(t, newSimulatedTruto(), 1)
	_, err := w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	w.source.disable(1)
	w.truto.UpdateUser("2", func(u *trutotest.User) { u.Status = "invited" })
	w.importStaff(new(w.clock.Now().Add(-2 * grace)))
	require.Equal(t, db.NotEvaluable, exitState(w.sync()))
	w.source.disable(2)
	require.Equal(t, db.Passing, exitState(w.sync()))
}

func TestAnOldRosterProvesNothing(t *testing.T) {
	const week = 7 * 24 * time.Hour
	w := setup(t, 1)
	_, err := w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	w.importStaff(nil)
	w.clock.Advance(week - time.Hour)
	require.Equal(t, db.Passing, exitState(w.sync()))
	w.clock.Advance(2 * time.Hour)
	require.Equal(t, db.NotEvaluable, w.exitNow(), "it has grown old since")
	require.Equal(t, db.NotEvaluable, exitState(w.sync()))
	w.importStaff(nil)
	require.Equal(t, db.Passing, w.exitNow(), "the sync is judged by the new one")
}

func TestARosterThatComesDuringASyncIsTheOneItIsJudgedBy(t *testing.T) {
	w := setup(t, 1)
	_, err := w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	w.importStaff(nil)
	require.Equal(t, db.Passing, exitState(w.sync()))
	w.jamf.SetFault(oncePage(w.source, 0, func() { w.importStaff(new(w.clock.Now().Add(-grace))) }))
	r := w.newRun()
	_, err = r.fetch(w.connection)
	require.NoError(t, err)
	require.Equal(t, db.Failing, w.exitNow(), "what was synced before is judged by it too")
	result, err := r.recordOutcomes(w.connection, false)
	require.NoError(t, err)
	require.Equal(t, db.Failing, exitState(result))
}

func TestAnOldSyncProvesNothing(t *testing.T) {
	w := setup(t, 1)
	_, err := w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	w.importStaff(nil)
	require.Equal(t, db.Passing, exitState(w.sync()))
	w.clock.Advance(3 * every)
	require.Equal(t, db.Passing, w.exitNow())
	w.clock.Advance(time.Second)
	require.Equal(t, db.NotEvaluable, w.exitNow())
	_, err = w.newRun().recordFailure(w.connection, string(directory.Unreachable), "no answer")
	require.NoError(t, err)
	require.Equal(t, db.NotEvaluable, w.exitNow(), "a failed sync makes nothing younger")
}

func TestGraceEndsWithoutASync(t *testing.T) {
	w := setup(t, 1)
	_, err := w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	w.importStaff(new(w.clock.Now().Add(-grace + time.Hour)))
	require.Equal(t, db.Due, exitState(w.sync()))
	w.clock.Advance(time.Hour)
	require.Equal(t, db.Failing, w.exitNow())
}

// importStaff imports the owners of all accounts, who all leave at a time.
func (w *world) importStaff(leave *time.Time) {
	w.t.Helper()
	var people []db.Person
	for _, name := range w.source.usernames() {
		people = append(people, db.Person{Email: name + "@example.com", ExitedAt: leave})
	}
	_, err := w.record.ImportRoster(w.t.Context(), w.connection.Organization, people, true)
	require.NoError(w.t, err)
	_, err = w.record.JudgeByRoster(w.t.Context(), w.connection.Organization, nil)
	require.NoError(w.t, err)
}

func exitState(r activities.SyncResult) db.MonitorState {
	for _, m := range r.Monitors {
		if m.Code == db.AccessRemovedOnExit {
			return m.State
		}
	}
	return ""
}

// exitNow is the state that the monitor reads at this moment.
func (w *world) exitNow() db.MonitorState {
	w.t.Helper()
	monitors, err := w.record.Monitors(w.t.Context(), w.connection.ID)
	require.NoError(w.t, err)
	for _, m := range monitors {
		if m.Code == db.AccessRemovedOnExit {
			return m.State
		}
	}
	return ""
}

func TestEnableMonitorsJudgesTheLastSync(t *testing.T) {
	w := setup(t, 1)
	w.sync()
	sums, err := w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	require.Equal(t, []activities.MonitorSum{
		{Code: db.AccessRemovedOnExit, State: db.NotEvaluable, NotEvaluable: 2},
		{Code: db.UserMFAEnabled, State: db.NotEvaluable, NotEvaluable: 2},
	}, sums)
}

// Erasing takes as long as there is recorded. The credentials do not wait for
// it, and a worker that stops meanwhile leaves it to another one.
func TestCredentialsAreGoneWhileTheRecordIsErased(t *testing.T) {
	w := setup(t, 3)
	w.sync()
	erasing, err := w.sql.Begin()
	require.NoError(t, err)
	defer erasing.Rollback()
	_, err = erasing.Exec(`SELECT FROM accounts WHERE connection_id = $1 FOR UPDATE`, w.connection.ID)
	require.NoError(t, err)

	erase := func(r *run) error {
		_, err := execute[any](r, activities.Disconnect, activities.DisconnectInput{ConnectionID: w.connection.ID, Erase: true})
		return err
	}
	first := w.newRun()
	first.stop = make(chan struct{})
	stopped := make(chan error, 1)
	go func() { stopped <- erase(first) }()
	require.Eventually(t, func() bool {
		_, err := w.record.Credentials(t.Context(), w.connection.ID)
		return errors.Is(err, db.ErrDisconnected)
	}, 30*time.Second, 10*time.Millisecond)
	close(first.stop)
	require.Equal(t, "worker_stops", codeOf(<-stopped))
	_, err = w.record.ConnectionByID(t.Context(), w.connection.ID)
	require.NoError(t, err)

	require.NoError(t, erasing.Rollback())
	require.NoError(t, erase(w.newRun()))
	_, err = w.record.ConnectionByID(t.Context(), w.connection.ID)
	require.ErrorIs(t, err, db.ErrNotFound)
}

func TestStateOfAConnectionThatIsGone(t *testing.T) {
	w := setup(t, 1)
	state := activities.RecordStateInput{ConnectionID: w.connection.ID, Becomes: db.StateChange{State: db.Paused}}
	_, err := execute[any](w.newRun(), activities.RecordState, state)
	require.NoError(t, err)
	_, err = execute[any](w.newRun(), activities.DiscardConnection, activities.ConnectionInput{ConnectionID: w.connection.ID})
	require.NoError(t, err, "only a connection that never was one is discarded")
	_, err = execute[any](w.newRun(), activities.Disconnect, activities.DisconnectInput{ConnectionID: w.connection.ID})
	require.NoError(t, err)
	_, err = execute[any](w.newRun(), activities.RecordState, state)
	require.Equal(t, activities.Disconnected, codeOf(err))
	_, err = w.newRun().recordFailure(w.connection, string(directory.Unreachable), "no answer")
	require.Equal(t, activities.Disconnected, codeOf(err))
}

// PostgreSQL failed over to a replica that lagged behind: the sync that was
// read is unknown there. The connection is not.
func TestASyncThatTheDatabaseForgotIsFetchedAgain(t *testing.T) {
	forEverySource(t, 3, func(t *testing.T, w *world) {
		r := w.newRun()
		_, err := r.fetch(w.connection)
		require.NoError(t, err)
		_, err = w.sql.Exec(`DELETE FROM syncs WHERE connection_id = $1`, w.connection.ID)
		require.NoError(t, err)
		_, err = r.recordOutcomes(w.connection, false)
		require.Equal(t, activities.StagingLost, codeOf(err))

		_, err = r.fetch(w.connection)
		require.NoError(t, err)
		result, err := r.recordOutcomes(w.connection, false)
		require.NoError(t, err)
		require.Equal(t, db.Applied, result.Outcome)
		require.Equal(t, w.usernamesThere(), sortedNames(w))
	})
}
