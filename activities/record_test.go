package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

func TestRecordAfterPostgresCrashedHasItFetchedAgain(t *testing.T) {
	w := setup(t, 4)
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
	require.Equal(t, []int{1, 6}, []int{result.Number, result.Added})
}

func TestRecordTwiceIsAsGoodAsOnce(t *testing.T) {
	w := setup(t, 4)
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
}

// A failure before anything was read is a sync with a number too.
func TestRecordFailureChangesNothingElse(t *testing.T) {
	w := setup(t, 4)
	_, err := w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	w.sync()
	before := w.held()
	w.jamf.RemoveAccount(2)
	w.clock.Advance(time.Hour)
	result, err := w.newRun().recordFailure(w.connection, "unreachable", "no answer")
	require.NoError(t, err)
	require.Equal(t, 2, result.Number)
	require.Equal(t, db.Failed, result.Outcome)
	for _, table := range dumped[1:] {
		require.Equal(t, rowsOf(before, table), rowsOf(w.held(), table), table)
	}
}

// While a sync is held the monitors stay what they were: nobody's access is
// said to be removed before a person has accepted it.
func TestRecordHoldsWhatTakesTooMuchAway(t *testing.T) {
	w := setup(t, 11)
	r := w.newRun()
	_, err := r.enableMonitors(w.connection)
	require.NoError(t, err)
	var people []db.Person
	for _, a := range w.jamf.Accounts() {
		people = append(people, db.Person{Email: a.Email, ExitedAt: new(w.clock.Now().Add(-2 * grace))})
	}
	require.NoError(t, w.record.ImportRoster(t.Context(), w.connection.Organization, people))
	before := w.sync()
	for id := 2; id <= 7; id++ {
		w.jamf.RemoveAccount(id)
	}
	w.clock.Advance(time.Hour)
	held := w.sync()
	require.Equal(t, db.Held, held.Outcome)
	require.Equal(t, "held", held.Error)
	require.Contains(t, held.Reason, "6 of 13")
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
