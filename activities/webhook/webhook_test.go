package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/httpclient"
)

// send sends a message to a receiver that h plays.
func send(t *testing.T, h http.HandlerFunc) (Message, error) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	m := Message{URL: server.URL + "/services/a-secret?sig=another%2F", Secret: NewSecret(), ID: "id-1", Body: []byte(`{"text":"hello"}`)}
	err := NewSender(httpclient.Config{Timeout: time.Second}).Send(t.Context(), m)
	if err != nil {
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, err.Error(), "another")
	}
	return m, err
}

func TestAMessageArrivesSigned(t *testing.T) {
	t.Parallel()
	var got http.Request
	var body []byte
	m, err := send(t, func(_ http.ResponseWriter, r *http.Request) {
		got = *r.Clone(context.Background())
		body, _ = io.ReadAll(r.Body)
	})
	require.NoError(t, err)
	require.Equal(t, []any{http.MethodPost, "/services/a-secret?sig=another%2F", "application/json", "id-1", string(m.Body)},
		[]any{got.Method, got.RequestURI, got.Header.Get("Content-Type"), got.Header.Get("webhook-id"), string(body)})
	receiver, err := standardwebhooks.NewWebhook(m.Secret)
	require.NoError(t, err)
	require.NoError(t, receiver.Verify(body, got.Header))
	require.Error(t, receiver.Verify(append(body, ' '), got.Header), "another body")
	for name, forged := range map[string]string{"webhook-id": "id-2", "webhook-timestamp": "1700000000"} {
		header := got.Header.Clone()
		header.Set(name, forged)
		require.Error(t, receiver.VerifyIgnoringTimestamp(body, header), "another "+name)
	}
	other, err := standardwebhooks.NewWebhook(NewSecret())
	require.NoError(t, err)
	require.Error(t, other.Verify(body, got.Header), "another secret")
}

func TestWhatCountsAsDelivered(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for name, test := range map[string]struct {
		receiver http.HandlerFunc
		want     string // of the error; "" when it is delivered
	}{
		"ok, as Slack says it":  {answer(200, "ok", "Content-Type", "text/html"), ""},
		"no content":            {answer(204, ""), ""},
		"accepted, in XML":      {answer(202, "<Response/>", "Content-Type", "text/xml"), ""},
		"out of order":          {answer(500, ""), "HTTP 500"},
		"not there":             {answer(404, "no_service"), "HTTP 404"},
		"gone":                  {answer(410, ""), "HTTP 410"},
		"a login page":          {answer(200, "\n<!DOCTYPE html><html>", "Content-Type", "application/json"), "web page"},
		"a redirect":            {answer(302, "", "Location", "/elsewhere"), "redirects"},
		"a redirect that posts": {answer(307, "", "Location", "http://elsewhere.example/"), "redirects"},
		"far too much":          {answer(200, strings.Repeat("ok", maxBody)), "more than"},
		"half an answer":        {answer(200, "ok", "Content-Length", "3"), "broke off"},
		"nothing, ever":         {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			_, err := send(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				test.receiver(w, r)
			})
			require.EqualValues(t, 1, requests.Load())
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, e.Message, test.want)
			require.Equal(t, name == "gone", e.Gone)
		})
	}
}

func TestAReceiverMayAskForPatience(t *testing.T) {
	t.Parallel()
	_, err := send(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	require.Equal(t, 90*time.Second, e.RetryAfter)
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "http://hooks.example.com/a", "https://user:pass@hooks.example.com", "ftp://hooks.example.com", "https://169.254.169.254/latest"} {
		_, err := ParseURL(raw)
		require.Error(t, err, raw)
	}
	u, err := ParseURL(" https://Hooks.Example.com:443/a%2Fb?sig=c&d ")
	require.NoError(t, err)
	require.Equal(t, "https://hooks.example.com/a%2Fb?sig=c&d", u.String())
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckSecret(NewSecret()))
	require.NotEqual(t, NewSecret(), NewSecret())
	encoded := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	require.NoError(t, CheckSecret(secretPrefix+encoded(minSecret)))
	for _, wrong := range []string{"", secretPrefix, encoded(32), secretPrefix + encoded(minSecret-1), secretPrefix + encoded(maxSecret+1), secretPrefix + "not base64, and long enough to be a secret"} {
		err := CheckSecret(wrong)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "not base64,")
	}
}

func TestAServerThatHangsHoldsUpNoMoreThanAFew(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}))
	t.Cleanup(hangs.Close)
	works := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(works.Close)
	s := NewSender(httpclient.Config{})
	to := func(server *httptest.Server) error {
		return s.Send(t.Context(), Message{URL: server.URL, Secret: NewSecret(), ID: "id"})
	}
	sent := make(chan error)
	for range perServer {
		go func() { sent <- to(hangs) }()
		<-entered
	}
	require.ErrorIs(t, to(hangs), ErrBusy)
	require.NoError(t, to(works))
	close(release)
	for range perServer {
		require.NoError(t, <-sent)
	}
	go func() { <-entered }()
	require.NoError(t, to(hangs), "there is room again")
}
