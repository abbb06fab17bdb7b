package activities_test

import (
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
)

func TestWhatTemporalMakesOfAFailure(t *testing.T) {
	for name, is := range map[string]struct {
		fault     *faults.Fault
		attempt   int32
		scheduled time.Duration
		code      string
		again     bool
		after     time.Duration
		benign    bool
	}{
		"busy":                     {fault: faults.Busy(429, 60), code: "busy", again: true, after: 60 * time.Second, benign: true},
		"busy without a hint":      {fault: jamftest.Maintenance(), code: "busy", again: true, benign: true},
		"busy beyond patience":     {fault: jamftest.Maintenance(), scheduled: 11 * time.Minute, code: "unreachable"},
		"busy, many attempts":      {fault: faults.Busy(503, 0), attempt: 50, code: "busy", again: true, benign: true},
		"unreachable":              {fault: faults.Reset(), attempt: 3, code: "unreachable", again: true},
		"unreachable a 4th time":   {fault: faults.Reset(), attempt: 4, code: "unreachable"},
		"elsewhere":                {fault: faults.RedirectTo("https://elsewhere.example/"), attempt: 4, code: "unreachable"},
		"a body that breaks off":   {fault: faults.Truncated(), code: "inconsistent_source"},
		"markup":                   {fault: jamftest.HTML(200, "welcome"), code: "inconsistent_source"},
		"no access token accepted": {fault: jamftest.HTML(401, "INVALID_TOKEN"), code: "token_rejected"},
		"no privilege":             {fault: faults.Answer(403, "{}"), code: "missing_privilege"},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t, 1)
			w.jamf.SetFault(faults.On(accountsPath, is.fault))
			r := w.newRun()
			r.attempt, r.scheduled = is.attempt, is.scheduled
			_, err := r.fetch(w.connection)
			require.Equal(t, is.code, codeOf(err))
			e := failureOf(err)
			require.Equal(t, is.again, !e.NonRetryable())
			// The hint counts from the answer, which was a moment ago.
			require.InDelta(t, is.after, e.NextRetryDelay(), float64(2*time.Second))
			require.Equal(t, is.benign, e.Category() == temporal.ApplicationErrorCategoryBenign)
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
		"repeated":  jamftest.PageInstead(0),
		"total":     jamftest.WrongTotal(1),
		"cut":       faults.Truncated(),
		"markup":    jamftest.HTML(200, canary),
		"busy":      jamftest.HTML(503, canary),
		"forbidden": jamftest.HTML(403, canary),
		"rejected":  jamftest.HTML(401, canary+" INVALID_TOKEN"),
		"elsewhere": faults.RedirectTo("https://elsewhere.example/" + canary + "?" + canary),
		"words":     faults.Answer(200, `{"`+canary+`":`),
		"an id":     faults.Answer(200, `{"totalCount":1,"results":[{"id":"`+canary+`@example.com"}]}`),
		"a number":  faults.Answer(200, `{"totalCount":"`+canary+`","results":[]}`),
	}
	for name, fault := range disturbed {
		for _, path := range []string{accountsPath, "/api/v1/account-groups", "/api/v1/oauth/token"} {
			t.Run(name+path, func(t *testing.T) {
				w := setup(t, 0)
				w.jamf.UpdateClient("client", func(c *jamftest.Client) { c.Secret = canary + "-secret" })
				for range 5 {
					w.jamf.AddAccount(jamftest.Account{Username: canary, RealName: canary, Email: canary + "@example.com"})
				}
				w.jamf.SetFault(faults.On(path, fault))
				offer := w.offer(canary + "-secret")
				_, validateErr := w.newRun().validate(w.connection, offer)
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
			})
		}
	}
}
