package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/activities/webhook"
	"jamf-access-review/db"
)

// receiver takes webhooks and answers as a test tells it.
type receiver struct {
	url string

	mu       sync.Mutex
	answer   http.HandlerFunc // "ok" when nil
	messages []map[string]any
	ids      []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var m map[string]any
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		answer := r.answer
		r.messages, r.ids = append(r.messages, m), append(r.ids, req.Header.Get("webhook-id"))
		r.mu.Unlock()
		if answer == nil {
			io.WriteString(w, "ok")
			return
		}
		answer(w, req)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	r.url = server.URL
	return r
}

func (r *receiver) answers(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = h
}

func (r *receiver) got() ([]map[string]any, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]map[string]any(nil), r.messages...), append([]string(nil), r.ids...)
}

// subscribed is a world whose organization is told what happens, with the
// routes on which deliveries were started.
func subscribed(t *testing.T, to *receiver, withFindings bool) (w *world, started *[]db.Route) {
	t.Helper()
	w, started = setup(t, 2), &[]db.Route{}
	w.activities.Webhooks = webhook.NewSender(httpclient.Config{Timeout: time.Second})
	w.activities.StartDelivery = func(_ context.Context, r db.Route) error {
		*started = append(*started, r)
		return nil
	}
	require.NoError(t, w.record.Subscribe(t.Context(), db.NewSubscription{
		Name: w.connection.Name, Organization: w.connection.Organization, Server: to.url, WithFindings: withFindings,
		Webhook: db.Webhook{URL: to.url + "/secret", Secret: webhook.NewSecret()},
	}))
	return w, started
}

func (w *world) route() db.Route {
	return db.Route{Subscription: w.connection.Name, Connection: w.connection.Name}
}

func (w *world) deliver(r db.Route) (activities.DeliverNoticeResult, error) {
	return execute[activities.DeliverNoticeResult](w.newRun(), activities.DeliverNotice, r)
}

func (w *world) becomes(state db.State) {
	w.t.Helper()
	_, err := execute[any](w.newRun(), activities.RecordState, activities.RecordStateInput{ConnectionID: w.connection.ID, Becomes: db.StateChange{State: state}})
	require.NoError(w.t, err)
}

func TestWhoeverLeavesNoticesStartsTheirDelivery(t *testing.T) {
	t.Parallel()
	to := newReceiver(t)
	w, started := subscribed(t, to, false)
	w.sync()
	w.becomes(db.Active)
	require.Equal(t, w.route(), (*started)[len(*started)-1])

	// The worker dies after its transaction: the next attempt starts it.
	w.activities.StartDelivery = func(context.Context, db.Route) error { return errors.New("Temporal does not answer") }
	in := activities.RecordStateInput{ConnectionID: w.connection.ID, Becomes: db.StateChange{State: db.Paused}}
	_, err := execute[any](w.newRun(), activities.RecordState, in)
	require.ErrorContains(t, err, "Temporal does not answer")
	*started = nil
	w.activities.StartDelivery = func(_ context.Context, r db.Route) error { *started = append(*started, r); return nil }
	_, err = execute[any](w.newRun(), activities.RecordState, in)
	require.NoError(t, err)
	require.Equal(t, []db.Route{w.route()}, *started)

	*started = nil
	_, err = w.newRun().enableMonitors(w.connection)
	require.NoError(t, err)
	_, err = w.newRun().recordFailure(w.connection, "unreachable", "no answer")
	require.NoError(t, err)
	_, err = w.newRun().validate(w.connection, 0)
	require.NoError(t, err)
	_, err = execute[any](w.newRun(), activities.Disconnect, activities.DisconnectInput{ConnectionID: w.connection.ID})
	require.NoError(t, err)
	require.Equal(t, []db.Route{w.route(), w.route(), w.route(), w.route()}, *started)

	var kinds []string
	for {
		result, err := w.deliver(w.route())
		require.NoError(t, err)
		if result.Notice == "" {
			break
		}
		require.Equal(t, db.NoticeDelivered, result.Outcome)
		kinds = append(kinds, string(result.Kind))
	}
	require.Equal(t, []string{
		"connection.state", "connection.state", "monitor.state", "monitor.state", "connection.state", "connection.state",
	}, kinds)
	messages, ids := to.got()
	require.Len(t, messages, 6)
	for i, m := range messages {
		require.Equal(t, ids[i], m["id"])
		require.Contains(t, m["text"], w.connection.Name)
	}
}

func TestAReceiverThatFailsHangsOrLiesIsTriedAgain(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t)
	for name, answer := range map[string]http.HandlerFunc{
		"fails": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"redirects elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.url, http.StatusTemporaryRedirect)
		},
		"answers with a page": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in</html>") },
		"never ends": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := newReceiver(t)
			to.answers(answer)
			w, _ := subscribed(t, to, false)
			w.becomes(db.Active)
			_, err := w.deliver(w.route())
			require.Equal(t, activities.NotDelivered, codeOf(err), "%v", err)
			require.False(t, failureOf(err).NonRetryable())
			require.NotContains(t, err.Error(), "secret")
			s, err := w.record.Subscription(t.Context(), w.connection.Name)
			require.NoError(t, err)
			require.Equal(t, 1, s.Pending)
			require.NotEmpty(t, s.LastError)
			require.NotContains(t, s.LastError, "secret")

			to.answers(nil)
			result, err := w.deliver(w.route())
			require.NoError(t, err)
			require.Equal(t, db.NoticeDelivered, result.Outcome)
			_, ids := to.got()
			require.Equal(t, []string{result.Notice, result.Notice}, ids, "under the same id")
		})
	}
	messages, _ := elsewhere.got()
	require.Empty(t, messages)
}

func TestWhatIsGivenUpMakesWayForTheNext(t *testing.T) {
	t.Parallel()
	to := newReceiver(t)
	w, _ := subscribed(t, to, false)
	w.becomes(db.Active)
	w.becomes(db.Paused)
	w.becomes(db.Active)

	to.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) })
	result, err := w.deliver(w.route())
	require.NoError(t, err)
	require.Equal(t, db.NoticeGivenUp, result.Outcome)

	to.answers(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "120")
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	_, err = w.deliver(w.route())
	require.Equal(t, 2*time.Minute, failureOf(err).NextRetryDelay())
	w.clock.Advance(db.NoticePatience)
	result, err = w.deliver(w.route())
	require.NoError(t, err)
	require.Equal(t, db.NoticeGivenUp, result.Outcome)

	to.answers(nil)
	result, err = w.deliver(w.route())
	require.NoError(t, err)
	require.Equal(t, db.NoticeDelivered, result.Outcome, "however old it is, it is tried once")
}

func TestATestIsTriedOnce(t *testing.T) {
	t.Parallel()
	to := newReceiver(t)
	w, _ := subscribed(t, to, false)
	w.becomes(db.Active)
	to.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) })
	id, err := w.record.NoticeTest(t.Context(), w.connection.Name)
	require.NoError(t, err)
	result, err := w.deliver(db.Route{Subscription: w.connection.Name})
	require.NoError(t, err)
	require.Equal(t, activities.DeliverNoticeResult{Notice: id, Kind: db.NoticeTest, Outcome: db.NoticeGivenUp}, result)
	messages, _ := to.got()
	require.Len(t, messages, 1, "what waits on another route is not in its way")
	require.Equal(t, "test", messages[0]["kind"])
}

func TestPeopleAreToldOfOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	for name, withFindings := range map[string]bool{"not asked for": false, "asked for": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := newReceiver(t)
			w, _ := subscribed(t, to, withFindings)
			_, err := w.newRun().enableMonitors(w.connection)
			require.NoError(t, err)
			for i := range 60 {
				w.jamf.AddAccount(jamftest.Account{Username: "more" + string(rune('a'+i)), Email: "more@example.com"})
			}
			w.sync()
			for {
				result, err := w.deliver(w.route())
				require.NoError(t, err)
				if result.Notice == "" {
					break
				}
			}
			messages, _ := to.got()
			require.Len(t, messages, 3)
			for _, m := range messages {
				content, err := json.Marshal(m)
				require.NoError(t, err)
				if !withFindings || m["kind"] != "monitor.state" {
					require.NotContains(t, string(content), "example.com")
					require.NotContains(t, string(content), "user2")
					continue
				}
				findings := m["findings"].(map[string]any)
				require.EqualValues(t, 63, findings["total"])
				require.Len(t, findings["worst"], 50)
				require.Contains(t, string(content), "@example.com")
			}
		})
	}
}

// What a source writes is shown as it is: it makes no links and calls nobody.
func TestTextsAreHarmlessInSlack(t *testing.T) {
	t.Parallel()
	to := newReceiver(t)
	w, _ := subscribed(t, to, false)
	w.becomes(db.Active)
	_, err := w.deliver(w.route())
	require.NoError(t, err)
	_, err = w.newRun().recordFailure(w.connection, "inconsistent_source", `the group "<!channel> & <https://evil.example|log in>" is odd`)
	require.NoError(t, err)
	result, err := w.deliver(w.route())
	require.NoError(t, err)
	require.Equal(t, db.NoticeDelivered, result.Outcome)
	messages, _ := to.got()
	require.Contains(t, messages[1]["text"], `"&lt;!channel&gt; &amp; &lt;https://evil.example|log in&gt;"`)
	require.Contains(t, messages[1]["reason"], `"<!channel> & `, "programs get it as it is")
}
