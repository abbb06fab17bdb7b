package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// watchedWorker is a worker that says over HTTP how it is.
type watchedWorker struct {
	*worker
	t       *testing.T
	address string
}

func (w *world) startWatchedWorker(t *testing.T) watchedWorker {
	t.Helper()
	watched := watchedWorker{worker: w.mustStartWorker(t, "--listen", "127.0.0.1:0"), t: t}
	await(t, "the worker to listen", func() bool {
		watched.address = watched.logged("The worker says how it is", "address")
		return watched.address != ""
	})
	watched.awaitPolling(t)
	return watched
}

// logged is the value of a key in the first line of the worker's log that has a
// message.
func (wk *worker) logged(message, key string) string {
	for _, line := range wk.lines(message) {
		value, _ := line[key].(string)
		return value
	}
	return ""
}

// lines are the lines of the worker's log that have a message.
func (wk *worker) lines(message string) []map[string]any {
	file, err := os.Open(wk.log)
	if err != nil {
		return nil
	}
	defer file.Close()
	var lines []map[string]any
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line map[string]any
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line["msg"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}

func (w watchedWorker) get(path string) (status int, body string) {
	w.t.Helper()
	resp, err := http.Get("http://" + w.address + path)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return resp.StatusCode, string(content)
}

// page is a page of metrics.
type page map[string]*dto.MetricFamily

func (w watchedWorker) metrics() (page, string) {
	w.t.Helper()
	status, body := w.get("/metrics")
	require.Equal(w.t, http.StatusOK, status, "%s", body)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(w.t, err)
	return families, body
}

// value is the value of the one metric that has these labels among its own, or
// its number of observations.
func (p page) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	require.Contains(t, p, name)
	var found []*dto.Metric
	for _, m := range p[name].GetMetric() {
		has := map[string]string{}
		for _, label := range m.GetLabel() {
			has[label.GetName()] = label.GetValue()
		}
		matches := true
		for i := 0; i < len(labels); i += 2 {
			matches = matches && has[labels[i]] == labels[i+1]
		}
		if matches {
			found = append(found, m)
		}
	}
	require.Len(t, found, 1, "%s %v", name, labels)
	m := found[0]
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
}

func TestAWorkerCanBeWatched(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	worker := w.startWatchedWorker(t)
	for _, path := range []string{"/livez", "/readyz"} {
		status, body := worker.get(path)
		require.Equal(t, http.StatusOK, status, "%s", body)
	}
	require.NoError(t, exec.CommandContext(t.Context(), program("worker"), "--probe", worker.address).Run())

	s := w.setup(t)
	s.connect()
	s.jamf.Demo(40)
	added := s.resync().Sync.Added
	for range 30 {
		s.jamf.RemoveAccount(0)
	}
	metrics, body := worker.metrics()
	jamf := []string{"source", "jamf_pro"}
	require.EqualValues(t, 2, metrics.value(t, "jamf_access_syncs_total", append(jamf, "outcome", "applied", "error", "")...))
	require.Zero(t, metrics.value(t, "jamf_access_syncs_total", append(jamf, "outcome", "failed", "error", "unreachable")...))
	require.EqualValues(t, 2, metrics.value(t, "jamf_access_sync_duration_seconds", append(jamf, "outcome", "applied")...))
	require.Greater(t, metrics.value(t, "jamf_access_users_read_total", jamf...), float64(added))
	require.Positive(t, metrics.value(t, "jamf_access_source_requests_total", append(jamf, "code", "200")...))
	require.EqualValues(t, 1, metrics.value(t, "jamf_access_token_requests_total", append(jamf, "error", "")...))
	require.EqualValues(t, 1, metrics.value(t, "jamf_access_connections", append(jamf, "state", "active")...))
	require.EqualValues(t, 1, metrics.value(t, "jamf_access_monitors", "monitor", "JAMF_USER_MFA_ENABLED", "state", "not_evaluable"))
	require.EqualValues(t, 1, metrics.value(t, "jamf_access_record_up"))
	for _, part := range []string{"worker", "postgres", "temporal"} {
		require.EqualValues(t, 1, metrics.value(t, "jamf_access_ready", "part", part))
	}
	_ = os.WriteFile("/tmp/metrics-scratch/page.txt", []byte(body), 0o644)

	require.NotContains(t, body, s.name, "a label names a connection")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	_ = metrics
	_ = syscall.SIGTERM
	_ = time.Second
	_ = filepath.Join
	_ = regexp.MustCompile
}
