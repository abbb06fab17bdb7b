package activities_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/encoding/protojson"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/activities/directory/truto/trutotest"
	"jamf-access-review/db"
)

func TestWhatTemporalMakesOfAFailure(t *testing.T) {
	for name, is := range map[string]struct {
		fault   *faults.Fault
		trouble db.Trouble // since its last page
		code    string
		again   bool
		after   time.Duration
		benign  bool
	}{
		"busy":                     {fault: faults.Busy(429, 60), code: "busy", again: true, after: 60 * time.Second, benign: true},
		"busy without a hint":      {fault: jamftest.Maintenance(), code: "busy", again: true, after: time.Second, benign: true},
		"busy for a while":         {fault: jamftest.Maintenance(), trouble: db.Trouble{Busy: 9 * time.Minute}, code: "busy", again: true, after: 30 * time.Second, benign: true},
		"busy beyond patience":     {fault: jamftest.Maintenance(), trouble: db.Trouble{Busy: 11 * time.Minute}, code: "unreachable"},
		"busy for a day":           {fault: faults.Busy(503, 86400), code: "unreachable"},
		"busy for too long by now": {fault: faults.Busy(429, 120), trouble: db.Trouble{Busy: 9 * time.Minute}, code: "unreachable"},
		"busy, and was not there":  {fault: faults.Busy(503, 0), trouble: db.Trouble{Unreachable: 50}, code: "busy", again: true, after: time.Second, benign: true},
		"unreachable":              {fault: faults.Reset(), trouble: db.Trouble{Unreachable: 2}, code: "unreachable", again: true},
		"unreachable a 4th time":   {fault: faults.Reset(), trouble: db.Trouble{Unreachable: 3}, code: "unreachable"},
		"elsewhere":                {fault: faults.RedirectTo("https://elsewhere.example/"), trouble: db.Trouble{Unreachable: 3}, code: "unreachable"},
		"a body that breaks off":   {fault: faults.Truncated(), code: "inconsistent_source"},
		"markup":                   {fault: jamftest.HTML(200, "welcome"), code: "inconsistent_source"},
		"no access token accepted": {fault: jamftest.HTML(401, "INVALID_TOKEN"), code: "token_rejected"},
		"no privilege":             {fault: faults.Answer(403, "{}"), code: "missing_privilege"},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, 1)
			w.jamf.SetFault(faults.On(accountsPath, is.fault))
			r := w.newRun()
			// It waited for its turn, workers stopped, and Postgres was away.
			r.attempt, r.scheduled = 50, time.Hour
			_, err := r.fetch(w.connection)
			require.Error(t, err, "what comes before the accounts is stored")
			require.NoError(t, w.setTrouble(t.Context(), w.connection, is.trouble))
			_, err = r.fetch(w.connection)
			require.Equal(t, is.code, codeOf(err))
			e := failureOf(err)
			require.Equal(t, is.again, !e.NonRetryable())
			// The hint counts from the answer, which was a moment ago.
			require.InDelta(t, is.after, e.NextRetryDelay(), float64(2*time.Second))
			require.Equal(t, is.benign, e.Category() == temporal.ApplicationErrorCategoryBenign)
		})
	}
}

// A read may take hours at a source that is busy now and then: each page that is
// stored begins its patience anew.
func TestASourceIsGivenTimeFromPageToPage(t *testing.T) {
	for name, is := range map[string]struct {
		fault *faults.Fault
		again int
	}{
		"busy for a minute at a time": {faults.Busy(429, 60), 9},
		"unreachable":                 {faults.Reset(), 3},
	} {
		t.Run(name, func(t *testing.T) {
			forEverySource(t, 8, func(t *testing.T, w *world) {
				r := w.newRun()
				for _, page := range []int{0, 1, 2} {
					w.source.SetFault(w.source.onPage(page, is.fault))
					for range is.again {
						_, err := r.fetch(w.connection)
						require.False(t, failureOf(err).NonRetryable(), "page %d: %v", page, err)
					}
				}
				_, err := r.fetch(w.connection)
				require.Equal(t, "unreachable", codeOf(err))
				require.True(t, failureOf(err).NonRetryable())
			})
		})
	}
}

// What takes a few requests only is given as much patience as the pages of a
// read.
func TestHowLongAConnectionIsTriedToBeValidated(t *testing.T) {
	for name, is := range map[string]struct {
		fault   *faults.Fault
		earlier db.Trouble
		again   bool
		later   db.Trouble
	}{
		"busy":                   {faults.Busy(429, 0), db.Trouble{Busy: 9 * time.Minute}, true, db.Trouble{Busy: 9*time.Minute + 30*time.Second}},
		"busy beyond patience":   {faults.Busy(429, 0), db.Trouble{Busy: 11 * time.Minute}, false, db.Trouble{Busy: 11*time.Minute + 30*time.Second}},
		"unreachable":            {faults.Reset(), db.Trouble{Unreachable: 2}, true, db.Trouble{Unreachable: 3}},
		"unreachable a 4th time": {faults.Reset(), db.Trouble{Unreachable: 3}, false, db.Trouble{Unreachable: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			forEverySource(t, 1, func(t *testing.T, w *world) {
				w.source.SetFault(func(*http.Request) *faults.Fault { return is.fault })
				r := w.newRun()
				// It waited for its turn, workers stopped, and Postgres was away.
				r.attempt, r.scheduled, r.earlier = 50, time.Hour, &activities.Progress{Trouble: is.earlier}
				_, err := r.validate(w.connection, 0)
				require.Equal(t, is.again, !failureOf(err).NonRetryable(), "%v", err)
				heartbeats := r.said()
				said := heartbeats[len(heartbeats)-1].Trouble
				require.Equal(t, is.later.Unreachable, said.Unreachable)
				require.InDelta(t, is.later.Busy, said.Busy, float64(2*time.Second))
			})
		})
	}
}

// What only the operator or a person at Truto can mend is not tried in vain.
func TestWhatTemporalMakesOfAFailureAtTruto(t *testing.T) {
	list := func(f *faults.Fault) func(*trutotest.Server) {
		return func(s *trutotest.Server) { s.SetFault(trutotest.OnList(f)) }
	}
	for name, is := range map[string]struct {
		spoil   func(*trutotest.Server)
		code    string
		general directory.Code
		again   bool
		after   time.Duration
	}{
		"the API token":          {func(s *trutotest.Server) { s.RevokeToken("token") }, "api_token_rejected", directory.Unreachable, false, 0},
		"what it may do":         {list(trutotest.Refused(403)), "api_token_rejected", directory.Unreachable, false, 0},
		"a blocked account":      {func(s *trutotest.Server) { s.SetBlocked(true) }, "account_blocked", directory.Unreachable, false, 0},
		"blocked meanwhile":      {list(trutotest.Refused(503)), "account_blocked", directory.Unreachable, false, 0},
		"another integration":    {func(s *trutotest.Server) { s.SetIntegration("okta") }, "account_unusable", directory.Unreachable, false, 0},
		"post_install_error":     {func(s *trutotest.Server) { s.SetStatus(trutotest.PostInstallError) }, "account_unusable", directory.Unreachable, false, 0},
		"validation_error":       {func(s *trutotest.Server) { s.SetStatus(trutotest.ValidationError) }, "validation_error", directory.CredentialsRejected, false, 0},
		"needs_reauth":           {func(s *trutotest.Server) { s.SetStatus(trutotest.NeedsReauth) }, "token_rejected", directory.TokenRejected, false, 0},
		"Jamf Pro's 401":         {list(trutotest.Remote(401)), "token_rejected", directory.TokenRejected, false, 0},
		"Jamf Pro's 403":         {func(s *trutotest.Server) { s.Lack("Read Accounts") }, "missing_privilege", directory.MissingPrivilege, false, 0},
		"not Truto":              {list(trutotest.HTML(403)), "unreachable", directory.Unreachable, true, 0},
		"a connecting account":   {func(s *trutotest.Server) { s.SetStatus(trutotest.Connecting) }, "busy", directory.Busy, true, 0},
		"the rate":               {list(faults.Busy(429, 7)), "busy", directory.Busy, true, 7 * time.Second},
		"the rate, without hint": {list(trutotest.Refused(429)), "busy", directory.Busy, true, time.Second}, // the span, which is short here
	} {
		t.Run(name, func(t *testing.T) {
			w := setupWith(t, newSimulatedTruto(), 1)
			is.spoil(w.truto)
			_, err := w.newRun().fetch(w.connection)
			require.Equal(t, is.code, codeOf(err), "%v", err)
			require.Equal(t, is.general, directory.Code(codeOf(err)).General())
			require.Equal(t, is.again, !failureOf(err).NonRetryable())
			require.InDelta(t, is.after, failureOf(err).NextRetryDelay(), float64(2*time.Second))
		})
	}
}

func TestRejectedCredentialsAreForAPerson(t *testing.T) {
	w := setup(t, 1)
	w.jamf.UpdateClient("client", func(c *jamftest.Client) { c.Disabled = true })
	_, err := w.newRun().fetch(w.connection)
	require.Equal(t, string(directory.CredentialsRejected), codeOf(err))
	require.True(t, failureOf(err).NonRetryable())
}

// Postgres comes back by itself; the error has no type that would end a sync.
func TestFailuresOfPostgresAreTriedAgain(t *testing.T) {
	w := setup(t, 1)
	require.NoError(t, w.record.Close())
	_, err := w.newRun().fetch(w.connection)
	require.False(t, failureOf(err).NonRetryable())
	require.NotContains(t, []string{activities.NotFound, activities.Disconnected, activities.StagingLost}, codeOf(err))
}

// What an activity ends with stays in Temporal's history.
func TestFailuresHoldNothingOfAPerson(t *testing.T) {
	const canary = "canary"
	disturbed := map[string]*faults.Fault{
		"repeated":    jamftest.PageInstead(0),
		"total":       jamftest.WrongTotal(1),
		"cut":         faults.Truncated(),
		"markup":      jamftest.HTML(200, canary),
		"busy":        jamftest.HTML(503, canary),
		"forbidden":   jamftest.HTML(403, canary),
		"rejected":    jamftest.HTML(401, canary+" INVALID_TOKEN"),
		"elsewhere":   faults.RedirectTo("https://elsewhere.example/" + canary + "?" + canary),
		"words":       faults.Answer(200, `{"`+canary+`":`),
		"an id":       faults.Answer(200, `{"totalCount":1,"results":[{"id":"`+canary+`@example.com"}],"result":[{"id":"`+canary+`@example.com"}]}`),
		"a number":    faults.Answer(200, `{"totalCount":"`+canary+`","results":[],"result_count":"`+canary+`"}`),
		"in words":    faults.Answer(403, `{"message":"`+canary+`","raw_response":{"token":"`+canary+`"}}`),
		"in its name": faults.Answer(401, `{"message":"`+canary+`","truto_is_remote_error":true}`),
	}
	search := func(t *testing.T, w *world, path string, fault *faults.Fault, good directory.Credentials) {
		for range 5 {
			w.source.add(canary, "Auditor")
		}
		w.source.SetFault(faults.On(path, fault))
		_, validateErr := w.newRun().validate(w.connection, w.offer(good))
		_, fetchErr := w.newRun().fetch(w.connection)
		for _, err := range []error{validateErr, fetchErr} {
			if err == nil {
				continue
			}
			failure := temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
				DataConverter: converter.GetDefaultDataConverter(),
			}).ErrorToFailure(err)
			require.NotContains(t, protojson.Format(failure), canary)
		}
	}
	for name, fault := range disturbed {
		for _, path := range []string{accountsPath, "/api/v1/account-groups", "/api/v1/oauth/token"} {
			t.Run(name+path, func(t *testing.T) {
				w := setup(t, 0)
				w.jamf.UpdateClient("client", func(c *jamftest.Client) { c.Secret = canary + "-secret" })
				search(t, w, path, fault, directory.Credentials{ClientID: "client", ClientSecret: canary + "-secret"})
			})
		}
		for _, path := range []string{trutotest.UsersPath, "/integrated-account"} {
			t.Run(name+path, func(t *testing.T) {
				w := setupWith(t, newSimulatedTruto(), 0)
				w.truto.AddToken(canary + "-secret")
				search(t, w, path, fault, directory.Credentials{APIToken: canary + "-secret"})
			})
		}
	}
}
