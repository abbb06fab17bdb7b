package main_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

type (
	messageDoc struct {
		ID           string         `json:"id"`
		Kind         string         `json:"kind"`
		At           time.Time      `json:"at"`
		Organization string         `json:"organization"`
		Connection   string         `json:"connection"`
		Text         string         `json:"text"`
		Monitor      string         `json:"monitor"`
		State        string         `json:"state"`
		Was          string         `json:"was"`
		Reason       string         `json:"reason"`
		Counts       map[string]int `json:"counts"`
		Findings     *struct {
			Total int          `json:"total"`
			Worst []findingDoc `json:"worst"`
		} `json:"findings"`
	}
	subscriptionDoc struct {
		Subscription string `json:"subscription"`
		Server       string `json:"server"`
		Pending      int    `json:"pending"`
		Delivered    int    `json:"delivered"`
		GivenUp      int    `json:"given_up"`
		LastError    string `json:"last_error"`
		Secret       string `json:"secret"`
	}
	deliveryDoc struct {
		ID       string `json:"id"`
		Kind     string `json:"kind"`
		Outcome  string `json:"outcome"`
		Attempts int    `json:"attempts"`
		Error    string `json:"error"`
	}
)

// receiver takes the webhooks of a subscription of its own, and says yes to
// those whose signature is right.
type receiver struct {
	*subject
	name, server, secret string

	mu       sync.Mutex
	fault    http.HandlerFunc // answers instead, unless nil
	attempts int
	bodies   []string
}

// receiver subscribes to a subject's organization. The webhook's path and its
// secret are both marked: nobody else may see them.
func (s *subject) receiver(more ...string) *receiver {
	s.t.Helper()
	r := &receiver{subject: s, name: "to-" + rand.Text(), secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte(newSecret()))}
	path := "/services/" + newSecret()
	verifier, err := standardwebhooks.NewWebhook(r.secret)
	require.NoError(s.t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = verifier.Verify(body, req.Header)
		}
		if err != nil || req.URL.Path != path {
			s.t.Errorf("not a message to this receiver: %v", err)
			return
		}
		r.mu.Lock()
		r.attempts++
		fault := r.fault
		if fault == nil {
			r.bodies = append(r.bodies, string(body))
		}
		r.mu.Unlock()
		if fault != nil {
			fault(w, req)
		}
	}))
	s.t.Cleanup(func() {
		s.run("notify", "remove", r.name)
		server.CloseClientConnections()
		server.Close()
	})
	r.server = server.URL
	s.ok(append([]string{"notify", "add", r.name, "--org", s.org,
		"--url-file", file(s.t, server.URL+path), "--secret-file", file(s.t, r.secret)}, more...)...)
	return r
}

func (r *receiver) breaks(fault http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

func (r *receiver) tried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts
}

// told waits for a number of messages and returns them in the order in which
// they came.
func (r *receiver) told(n int) (messages []messageDoc) {
	r.t.Helper()
	var bodies []string
	await(r.t, "the messages", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		bodies = slices.Clone(r.bodies)
		return len(bodies) >= n
	})
	require.Len(r.t, bodies, n)
	for _, body := range bodies {
		var m messageDoc
		require.NoError(r.t, json.Unmarshal([]byte(body), &m))
		require.Equal(r.t, []any{r.org, true}, []any{m.Organization, m.Text != ""})
		messages = append(messages, m)
	}
	return messages
}

func (r *receiver) subscription() subscriptionDoc {
	r.t.Helper()
	for _, s := range ask[[]subscriptionDoc](r.cli, "notify", "list") {
		if s.Subscription == r.name {
			return s
		}
	}
	require.FailNow(r.t, "no subscription "+r.name)
	return subscriptionDoc{}
}

func (m messageDoc) short() string { return m.Kind + " " + m.Monitor + " " + m.Was + ">" + m.State }

func shorts(messages []messageDoc) []string {
	all := []string{}
	for _, m := range messages {
		all = append(all, m.short())
	}
	return all
}

func TestWhatHappensIsToldSignedAndInOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	r, named := s.receiver(), s.receiver("--with-findings")
	other := setup(t).receiver()
	s.importRoster(employed("ada"), employed("bob"), employed("cleo"))
	s.connect("--exit-grace", "0s")
	want := []string{
		"monitor.state " + removedOnExit + " >passing",
		"monitor.state " + mfaEnabled + " >not_evaluable",
		"connection.state  connecting>active",
	}
	require.Equal(t, want, shorts(r.told(3)))

	s.resync() // nothing is new
	s.importRoster(employed("ada"), left("bob", time.Now().Add(-time.Minute)), employed("cleo"))
	require.Equal(t, "failing", r.told(4)[3].State, "the roster alone tells it")
	s.resync()
	s.ok("pause", s.name)
	s.ok("disconnect", s.name)
	want = append(want,
		"monitor.state "+removedOnExit+" passing>failing",
		"connection.state  active>paused",
		"connection.state  paused>disconnected")
	messages := r.told(6)
	require.Equal(t, want, shorts(messages))
	require.Equal(t, map[string]int{"failing": 1, "passing": 2}, nonzero(messages[3].Counts))
	require.Contains(t, messages[3].Text, "starter monitors "+s.name)
	for _, body := range r.bodies {
		require.NotContains(t, body, canary, "it tells something about a person")
	}

	var ids []string
	for _, d := range ask[[]deliveryDoc](s.cli, "notify", "deliveries", r.name) {
		require.Equal(t, []any{"delivered", 1, ""}, []any{d.Outcome, d.Attempts, d.Error})
		ids = append([]string{d.ID}, ids...)
	}
	for i, m := range messages {
		require.Equal(t, ids[i], m.ID)
		require.Equal(t, s.name, m.Connection)
	}

	findings := named.told(6)[3].Findings
	require.Equal(t, 1, findings.Total)
	require.Equal(t, email("bob"), findings.Worst[0].Person)
	require.Zero(t, other.tried(), "another organization is told nothing")
}

func TestAReceiverThatWasDownIsToldLater(t *testing.T) {
	t.Parallel()
	s := setup(t)
	r, well := s.receiver(), s.receiver()
	r.breaks(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	s.connect()
	require.Len(t, well.told(3), 3, "one that is down holds up nobody else")
	await(t, "the failure to be seen", func() bool { return r.subscription().LastError != "" })
	list := r.subscription()
	require.Equal(t, []any{3, 0, 0, r.server}, []any{list.Pending, list.Delivered, list.GivenUp, list.Server})
	s.requireNarrow("notify", "list")
	require.Contains(t, list.LastError, "HTTP 502")
	failed := s.refuse(5, "unreachable", "notify", "test", r.name)
	require.Contains(t, failed.Message, "HTTP 502")

	r.breaks(nil)
	messages := r.told(3)
	require.Equal(t, shorts(well.told(3)), shorts(messages))
	deliveries := ask[[]deliveryDoc](s.cli, "notify", "deliveries", r.name)
	require.Equal(t, []string{"test", "connection.state", "monitor.state", "monitor.state"},
		[]string{deliveries[0].Kind, deliveries[1].Kind, deliveries[2].Kind, deliveries[3].Kind})
	require.Equal(t, []any{"given_up", 1}, []any{deliveries[0].Outcome, deliveries[0].Attempts}, "nobody waits for an old test")
	require.Equal(t, messages[0].ID, deliveries[3].ID)
	require.Greater(t, deliveries[3].Attempts, 1)
}

func TestANoticeOutlivesAWorkerThatDies(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	first := w.mustStartWorker(t)
	s := w.setup(t)
	r := s.receiver()
	r.breaks(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	s.connect()
	await(t, "a delivery to be under way", func() bool { return r.tried() > 0 })
	require.NoError(t, first.end(syscall.SIGKILL))
	r.breaks(nil)
	w.mustStartWorker(t)
	messages := r.told(3)
	require.Equal(t, "connection.state  connecting>active", messages[2].short())
}

func TestATestSaysWhatWasAnswered(t *testing.T) {
	t.Parallel()
	s := setup(t)
	r := s.receiver()
	d := ask[deliveryDoc](s.cli, "notify", "test", r.name)
	require.Equal(t, []any{"test", "delivered", 1}, []any{d.Kind, d.Outcome, d.Attempts})
	m := r.told(1)[0]
	require.Equal(t, []any{d.ID, "test", ""}, []any{m.ID, m.Kind, m.Connection})
	r.breaks(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html>") })
	require.Contains(t, s.refuse(5, "unreachable", "notify", "test", r.name).Message, "web page")
	s.refuse(6, "not_found", "notify", "test", "nobody")
}

func TestASubscriptionIsAddedOnceAndRemoved(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c := s.with("JAMF_ACCESS_NOTIFY_URL=https://hooks.example.com/canary-secret-path")
	name := "to-" + rand.Text()
	added := ask[subscriptionDoc](c, "notify", "add", name, "--org", s.org)
	require.Equal(t, "https://hooks.example.com", added.Server)
	require.Contains(t, added.Secret, "whsec_")
	require.NotContains(t, s.ok("notify", "list", "-o", "json").stdout, added.Secret, "it is shown once")
	c.refuse(6, "already_exists", "notify", "add", name, "--org", s.org)
	s.ok("notify", "remove", name)
	s.refuse(6, "not_found", "notify", "remove", name)
	s.refuse(6, "not_found", "notify", "deliveries", name)

	for what, args := range map[string][]string{
		"no URL":                 {"notify", "add", name},
		"http":                   {"notify", "add", name, "--url", "http://hooks.example.com/x"},
		"no name":                {"notify", "add", "a/b", "--url", "https://hooks.example.com/x"},
		"a secret of other form": {"notify", "add", name, "--url", "https://hooks.example.com/x", "--secret-file", file(t, "secret")},
		"two standard inputs":    {"notify", "add", name, "--url-file", "-", "--secret-file", "-"},
		"two URLs":               {"notify", "add", name, "--url-file", "-", "--url", "https://hooks.example.com/x"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s.in(t).refuse(2, "usage", args...)
		})
	}
}

func TestErasingAConnectionEndsWhatIsToldOfIt(t *testing.T) {
	t.Parallel()
	s := setup(t)
	r := s.receiver()
	r.breaks(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	s.connect()
	await(t, "an attempt", func() bool { return r.tried() > 0 })
	s.ok("disconnect", s.name, "--erase")
	require.Zero(t, r.subscription().Pending)
	r.breaks(nil)
	require.Equal(t, "delivered", ask[deliveryDoc](s.cli, "notify", "test", r.name).Outcome)
	s.connect()
	require.Len(t, r.told(4), 4)
}
