package activities_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/db"
)

const accountsPath = "/api/v1/accounts"

func TestFetchGoesOnAtTheLastPageOnAnotherWorker(t *testing.T) {
	forEverySource(t, 11, func(t *testing.T, w *world) { // four pages
		first := w.newRun()
		first.stop = make(chan struct{})
		w.source.SetFault(oncePageWaiting(w.source, 2, func() { close(first.stop) }))
		_, err := first.fetch(w.connection)
		require.Equal(t, "worker_stops", codeOf(err))
		require.False(t, failureOf(err).NonRetryable())

		before := w.source.Requests()
		second := w.place.newRun(first.id)
		fetched, err := second.fetch(w.connection)
		require.NoError(t, err)
		require.Equal(t, 2+w.source.looksAgain(12), w.requests(before)[w.source.list()], "pages 2 and 3, and not 0 and 1 again; then the list once more")
		require.Equal(t, 12+w.source.others(), fetched.Users)

		result, err := second.recordOutcomes(w.connection, false)
		require.NoError(t, err)
		require.Equal(t, fetched.Number, result.Number)
		require.Equal(t, w.usernamesThere(), sortedNames(w))
	})
}

func TestFetchSaysHowFarItHasCome(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		r := w.newRun()
		_, err := r.fetch(w.connection)
		require.NoError(t, err)
		require.Empty(t, r.said(), "it took no second")

		w.sync()
		r = w.newRun()
		w.source.SetFault(oncePage(w.source, 2, func() {
			require.Eventually(t, func() bool { return len(r.said()) > 0 }, time.Minute, time.Millisecond)
		}))
		fetched, err := r.fetch(w.connection)
		require.NoError(t, err)
		said := r.said()[0]
		require.Positive(t, said.Pages)
		require.Positive(t, said.Users)
		require.Less(t, said.Users, fetched.Users)
		require.LessOrEqual(t, said.Requests, fetched.Requests)
	})
}

// A connection that waits for its next sync holds nothing, here or at its
// source.
func TestNothingStaysOpenToASourceAfterwards(t *testing.T) {
	forEverySource(t, 5, func(t *testing.T, w *world) {
		_, err := w.newRun().fetch(w.connection)
		require.NoError(t, err)
		_, err = w.newRun().validate(w.connection, 0)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.place.open.Load() == 0 }, 10*time.Second, 10*time.Millisecond)
	})
}

func TestFetchReadsAgainWhatChangedMeanwhile(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		w.source.SetFault(oncePage(w.source, 1, func() { w.source.remove(9) }))
		w.sync()
		require.Equal(t, w.usernamesThere(), sortedNames(w))
	})
}

func TestFetchReadsThreeTimesAndThenFails(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		w.sync()
		accounts := w.usernames()
		var reads atomic.Int64
		count := w.source.onPage(0, &faults.Fault{})
		lying := w.source.onPage(2, w.source.overstated())
		w.source.SetFault(func(r *http.Request) *faults.Fault {
			if count(r) != nil {
				reads.Add(1)
			}
			return lying(r)
		})
		_, err := w.newRun().fetch(w.connection)
		require.Equal(t, string(directory.Inconsistent), codeOf(err))
		require.True(t, failureOf(err).NonRetryable())
		require.EqualValues(t, 3, reads.Load())
		require.Equal(t, accounts, w.usernames())
	})
}

// Somebody on the first page goes and somebody else comes at the end: those on
// the second page move up by one, and one of them is on neither page. As many
// came as were promised.
func TestFetchFindsWhoSlippedBetweenTwoPages(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		w.sync()
		w.source.SetFault(oncePage(w.source, 1, func() {
			w.source.remove(2)
			w.source.add("newcomer", "Auditor")
		}))
		before := w.source.Requests()
		result := w.sync()
		require.Equal(t, 1, result.Removed)
		require.Equal(t, 1, result.Added)
		require.Equal(t, w.usernamesThere(), sortedNames(w))
		require.Positive(t, w.requests(before)[w.source.list()+"/{id}"], "asked for who was missing")
		require.Greater(t, w.requests(before)[w.source.list()], 3+3, "and read everything again")
	})
}

func TestFetchRemovesNobodyOnTheWordOfAnEmptyList(t *testing.T) {
	refuse := func(t *testing.T, w *world, path string) {
		w.sync()
		before := w.held()
		w.source.SetFault(func(r *http.Request) *faults.Fault {
			if r.URL.Path == path {
				return w.source.noEntries()
			}
			return nil
		})
		r := w.newRun()
		_, err := r.fetch(w.connection)
		require.Equal(t, string(directory.Inconsistent), codeOf(err))
		_, err = r.recordFailure(w.connection, codeOf(err), failureOf(err).Message())
		require.NoError(t, err)
		require.Equal(t, rowsOf(before, "accounts"), rowsOf(w.held(), "accounts"))
		require.Equal(t, rowsOf(before, "outcomes"), rowsOf(w.held(), "outcomes"))
	}
	forEverySource(t, 2, func(t *testing.T, w *world) { refuse(t, w, w.source.list()) })
	t.Run("groups", func(t *testing.T) {
		w := setup(t, 2)
		w.jamf.AddGroup(jamftest.Group{Name: "Directory", LDAPServerID: 1})
		refuse(t, w, "/api/v1/account-groups")
	})
}

func TestFetchStartsOverAfterPostgresCrashed(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		r := w.newRun()
		w.source.SetFault(oncePage(w.source, 2, func() { require.NoError(t, w.crashPostgres(t.Context())) }))
		_, err := r.fetch(w.connection)
		require.Equal(t, activities.StagingLost, codeOf(err))
		fetched, err := r.fetch(w.connection)
		require.NoError(t, err)
		require.Equal(t, 9+w.source.others(), fetched.Users)
	})
}

func TestRejectedTokenIsReportedWithItsPlace(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		r := w.newRun()
		w.source.SetFault(oncePage(w.source, 2, w.source.rejectOnce))
		_, err := r.fetch(w.connection)
		require.Equal(t, string(directory.TokenRejected), codeOf(err))
		require.True(t, failureOf(err).NonRetryable())
		var rejected activities.RejectedToken
		require.NoError(t, failureOf(err).Details(&rejected))
		require.EqualValues(t, 1, rejected.Generation)
		require.Equal(t, 1, rejected.Attempts)
		require.Equal(t, w.pagesStaged(), rejected.Pages)

		require.NoError(t, r.refresh(w.connection, rejected.Generation))
		before := w.source.Requests()
		_, err = r.fetch(w.connection)
		require.NoError(t, err)
		require.Equal(t, 1+w.source.looksAgain(9), w.requests(before)[w.source.list()], "it went on at the page that was refused; then the list once more")
		require.Equal(t, 1, w.source.refreshes())
	})
}

// Tokens live for so short a time that a fetch takes several.
func TestNoMoreTokensThanLifetimesAndRejections(t *testing.T) {
	w := setup(t, 20)
	w.clock.live = true
	w.jamf.UpdateClient("client", func(c *jamftest.Client) { c.TokenLifetime = lifetime })
	w.jamf.SetLatency(lifetime / 12)
	r := w.newRun()
	started := time.Now()
	w.jamf.SetFault(oncePage(w.source, 4, w.jamf.RevokeTokens))
	rejections := 0
	for {
		_, err := r.fetch(w.connection)
		if err == nil {
			break
		}
		require.Equal(t, string(directory.TokenRejected), codeOf(err))
		rejections++
		var rejected activities.RejectedToken
		require.NoError(t, failureOf(err).Details(&rejected))
		require.NoError(t, r.refresh(w.connection, rejected.Generation))
	}
	require.Equal(t, 1, rejections)
	lifetimes := int(time.Since(started)/renewedAfter) + 1
	require.LessOrEqual(t, w.jamf.TokenRequests(), lifetimes+rejections)
	require.Greater(t, lifetimes, 1, "the fetch outlived a token")
}

// A worker that was cut off from Temporal goes on reading while another one
// has been given its work.
func TestTwoFetchesOfOneSyncAtOnce(t *testing.T) {
	forEverySource(t, 11, func(t *testing.T, w *world) {
		w.sync()
		w.source.remove(5)
		w.source.add("newcomer", "Auditor")
		id := w.newRun().id
		for range 3 {
			var workers sync.WaitGroup
			errs := make([]error, 2)
			for i := range errs {
				workers.Go(func() { _, errs[i] = w.place.newRun(id).fetch(w.connection) })
			}
			workers.Wait()
			for _, err := range errs {
				if err != nil {
					require.Equal(t, activities.StagingLost, codeOf(err))
				}
			}
		}
		r := w.place.newRun(id)
		_, err := r.fetch(w.connection)
		require.NoError(t, err)
		result, err := r.recordOutcomes(w.connection, false)
		require.NoError(t, err)
		require.Equal(t, []int{1, 1}, []int{result.Added, result.Removed})
		require.Equal(t, w.usernamesThere(), sortedNames(w))
	})
}

// What the second worker has read stays read: the first one's page does not
// follow it, and so is not stored.
func TestFetchLeavesAloneWhatASecondWorkerHasRead(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		r := w.newRun()
		w.source.SetFault(oncePage(w.source, 1, func() {
			_, err := w.place.newRun(r.id).fetch(w.connection)
			require.NoError(t, err)
		}))
		_, err := r.fetch(w.connection)
		require.Equal(t, activities.StagingLost, codeOf(err))
		result, err := r.recordOutcomes(w.connection, false)
		require.NoError(t, err)
		require.Equal(t, 9+w.source.others(), result.Accounts)
	})
}

// A zombie that outlives its whole sync finds nothing to go on with.
func TestFetchOfASyncThatHasEndedStoresNothing(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		old, next := w.newRun(), w.newRun()
		w.source.SetFault(oncePage(w.source, 1, func() {
			_, err := next.fetch(w.connection)
			require.NoError(t, err)
			_, err = next.recordOutcomes(w.connection, false)
			require.NoError(t, err)
		}))
		_, err := old.fetch(w.connection)
		require.Equal(t, activities.StagingLost, codeOf(err))
		before := w.held()
		_, err = old.fetch(w.connection)
		require.NoError(t, err, "its sync has ended, as interrupted")
		require.Equal(t, before, w.held())
	})
}

func TestFetchEndsWithItsActivity(t *testing.T) {
	forEverySource(t, 8, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		r := w.newRun()
		r.ctx = ctx
		w.source.SetFault(oncePageWaiting(w.source, 1, cancel))
		_, err := r.fetch(w.connection)
		require.Error(t, err)
		require.Empty(t, w.usernames())
	})
}

func TestFetchOfWhatIsNoMore(t *testing.T) {
	forEverySource(t, 1, func(t *testing.T, w *world) {
		_, err := execute[any](w.newRun(), activities.Disconnect, activities.DisconnectInput{ConnectionID: w.connection.ID})
		require.NoError(t, err)
		_, err = w.newRun().fetch(w.connection)
		require.Equal(t, activities.Disconnected, codeOf(err))
		_, err = execute[any](w.newRun(), activities.Disconnect, activities.DisconnectInput{ConnectionID: w.connection.ID, Erase: true})
		require.NoError(t, err)
		_, err = w.newRun().fetch(w.connection)
		require.Equal(t, activities.NotFound, codeOf(err))
		require.True(t, failureOf(err).NonRetryable())
	})
}

// What may not be read is as it was: neither removed nor good.
func TestWhatMayNotBeReadIsNotRemoved(t *testing.T) {
	w := setup(t, 2)
	w.jamf.AddGroup(jamftest.Group{Name: "Directory", LDAPServerID: 1})
	w.sync()
	w.jamf.Revoke("Read Account Groups", "Read API Integrations")
	result := w.sync()
	require.Equal(t, db.Applied, result.Outcome)
	require.Zero(t, result.Removed)
	c, err := w.record.ConnectionByID(t.Context(), w.connection.ID)
	require.NoError(t, err)
	require.Len(t, c.Report.Limitations, 2)
}

// One of them logs in: where none are listed, they were not read.
func TestAPIClientsAreNotRemovedWhereNoneAreListed(t *testing.T) {
	for name, fault := range map[string]*faults.Fault{"not there": jamftest.HTML(404, "Not Found"), "empty": jamftest.NoEntries()} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, 2)
			w.jamf.AddClient(jamftest.Client{DisplayName: "Pipeline", ClientID: "pipeline"})
			w.sync()
			before := w.held()
			w.jamf.SetFault(faults.On("/api/v1/api-integrations", fault))
			result := w.sync()
			require.Equal(t, db.Applied, result.Outcome)
			require.Equal(t, []int{0, 0, 0}, []int{result.Added, result.Changed, result.Removed})
			require.Equal(t, rowsOf(before, "accounts"), rowsOf(w.held(), "accounts"))
			c, err := w.record.ConnectionByID(t.Context(), w.connection.ID)
			require.NoError(t, err)
			require.Len(t, c.Report.Limitations, 1)
			require.Equal(t, "API clients", c.Report.Limitations[0].Lost)

			w.jamf.SetFault(nil)
			w.jamf.RemoveClient("pipeline")
			require.Equal(t, 1, w.sync().Removed, "once they are listed again, who is gone is gone")
		})
	}
}

// whoIsGone are the requests for single accounts, as w.requests names them.
func (w *world) whoIsGone(before map[string]int) int {
	return w.requests(before)[w.source.list()+"/{id}"]
}

func (r *run) fetchAccepting(c db.Connection) (activities.FetchUsersResult, error) {
	return execute[activities.FetchUsersResult](r, activities.FetchUsers, activities.FetchUsersInput{
		ConnectionID: c.ID, Trigger: db.TriggerResync, AcceptRemovals: true,
	})
}

// removeMany removes accounts, but for the first ones.
func (w *world) removeMany(n int) {
	for id := range n {
		w.source.remove(id + 10)
	}
}

// Nothing is removed by a snapshot that is held for a person: that takes no
// request for each of a million.
func TestOfASnapshotThatIsHeldSomeAreAskedFor(t *testing.T) {
	forEverySource(t, 300, func(t *testing.T, w *world) {
		w.sync()
		w.removeMany(250)
		before := w.source.Requests()
		held := w.sync()
		require.Equal(t, db.Held, held.Outcome)
		require.InDelta(t, 100, w.whoIsGone(before), 1)

		before = w.source.Requests()
		r := w.newRun()
		_, err := r.fetchAccepting(w.connection)
		require.NoError(t, err)
		require.InDelta(t, 250, w.whoIsGone(before), 3)
		accepted, err := r.recordOutcomes(w.connection, true)
		require.NoError(t, err)
		require.Equal(t, []any{db.Applied, 250}, []any{accepted.Outcome, accepted.Removed})
	})
}

// A workflow of the build before this does not tell the fetch what it tells the
// record: whom the source was not asked for stays.
func TestWhoWasNotAskedForIsNotRemoved(t *testing.T) {
	forEverySource(t, 300, func(t *testing.T, w *world) {
		w.sync()
		w.removeMany(250)
		r := w.newRun()
		_, err := r.fetch(w.connection)
		require.NoError(t, err)
		result, err := r.recordOutcomes(w.connection, true)
		require.NoError(t, err)
		require.Equal(t, db.Held, result.Outcome)
		require.Contains(t, result.Reason, "250 of")
		require.Len(t, w.usernames(), 301)
	})
}

func TestEverybodyWhoIsMissingIsAskedForWhereNothingIsHeld(t *testing.T) {
	forEverySource(t, 600, func(t *testing.T, w *world) {
		w.sync()
		w.removeMany(150)
		before := w.source.Requests()
		result := w.sync()
		require.Equal(t, []any{db.Applied, 150}, []any{result.Outcome, result.Removed})
		require.InDelta(t, 150, w.whoIsGone(before), 2)
	})
}

// Whoever was found to be gone is not asked for again, and tokens that are
// rejected meanwhile are rejected at different places.
func TestAskingForTheMissingGoesOnWhereItStopped(t *testing.T) {
	forEverySource(t, 300, func(t *testing.T, w *world) {
		w.sync()
		w.removeMany(250)
		r := w.newRun()
		var places []int
		rejectAt := func(n int) {
			var seen atomic.Int64
			w.source.SetFault(func(req *http.Request) *faults.Fault {
				if strings.HasPrefix(req.URL.Path, w.source.list()+"/") && seen.Add(1) == int64(n) {
					w.source.rejectOnce()
				}
				return nil
			})
			_, err := r.fetchAccepting(w.connection)
			require.Equal(t, string(directory.TokenRejected), codeOf(err))
			var rejected activities.RejectedToken
			require.NoError(t, failureOf(err).Details(&rejected))
			require.NoError(t, r.refresh(w.connection, rejected.Generation))
			places = append(places, rejected.Pages)
		}
		rejectAt(50)
		rejectAt(150)
		require.Equal(t, places[0]+1, places[1])

		before := w.source.Requests()
		w.source.SetFault(nil)
		fetched, err := r.fetchAccepting(w.connection)
		require.NoError(t, err)
		require.InDelta(t, 150, w.whoIsGone(before), 2, "all but the first hundred")
		require.Equal(t, 51+w.source.others(), fetched.Users)
		require.Equal(t, places[1]+2, w.pagesStaged())
	})
}

// sortedNames are the usernames on record, in the order of usernamesThere.
func sortedNames(w *world) []string {
	names := w.usernames()
	slices.Sort(names)
	return names
}

// rowsOf is the part of a dump that shows one table.
func rowsOf(dump, table string) string {
	_, rest, _ := strings.Cut("\n"+dump, "\n"+table+"\n")
	for _, next := range dumped {
		if i := strings.Index(rest, "\n"+next+"\n"); i >= 0 {
			rest = rest[:i]
		}
	}
	return rest
}
