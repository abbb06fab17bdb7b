package health

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func ask(h *Health, path string) (int, string) {
	mux := http.NewServeMux()
	h.Register(mux)
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	return answer.Code, answer.Body.String()
}

func TestReadinessFollowsTheWorkersLife(t *testing.T) {
	t.Parallel()
	h := New()
	for _, step := range []struct {
		becomes func()
		live    int
		ready   int
		body    string
	}{
		{func() {}, 200, 503, "worker: failing: it is starting\n"},
		{h.SetReady, 200, 200, "worker: ok\n"},
		{h.SetStopping, 200, 503, "worker: failing: it is stopping\n"},
		{func() { h.SetFailed(errors.New("no such namespace")) }, 503, 503, "worker: failing: no such namespace\n"},
	} {
		step.becomes()
		live, _ := ask(h, "/livez")
		ready, body := ask(h, "/readyz")
		require.Equal(t, step.live, live, step.body)
		require.Equal(t, step.ready, ready, step.body)
		require.Equal(t, step.body, body)
	}
}

// A part that hangs is a part that fails, and does not keep the others.
func TestAPartThatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := New()
		h.SetReady()
		h.AddPart("postgres", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		h.AddPart("temporal", func(context.Context) error { return nil })
		ready, body := ask(h, "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, ready)
		require.Equal(t, "worker: ok\npostgres: failing: context deadline exceeded\ntemporal: ok\n", body)
	})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	h := New()
	mux := http.NewServeMux()
	h.Register(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	require.ErrorContains(t, Probe(t.Context(), address), "it is starting")
	h.SetReady()
	require.NoError(t, Probe(t.Context(), address))
	server.Close()
	require.ErrorContains(t, Probe(t.Context(), address), "connection refused")
}
