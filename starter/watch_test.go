package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
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
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/db"
	"jamf-access-review/workflows"
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
		for _, line := range watched.lines(func(line map[string]any) bool { return line["msg"] == "The worker says how it is" }) {
			watched.address, _ = line["address"].(string)
		}
		return watched.address != ""
	})
	watched.awaitPolling(t)
	return watched
}

// lines are the lines of the worker's log that are wanted.
func (wk *worker) lines(wanted func(map[string]any) bool) []map[string]any {
	file, err := os.Open(wk.log)
	if err != nil {
		return nil
	}
	defer file.Close()
	var lines []map[string]any
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line map[string]any
		if json.Unmarshal(scanner.Bytes(), &line) == nil && wanted(line) {
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

// metrics are the metrics of a worker by name, and their page.
func (w watchedWorker) metrics() (metrics, string) {
	w.t.Helper()
	status, body := w.get("/metrics")
	require.Equal(w.t, http.StatusOK, status, "%s", body)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(w.t, err)
	return families, body
}

type metrics map[string]*dto.MetricFamily

// sum is the sum of the metrics of a name that have these labels among theirs;
// of histograms, of the number of observations.
func (m metrics) sum(name string, labels ...string) float64 {
	sum := 0.0
	for _, metric := range m[name].GetMetric() {
		has := map[string]string{}
		for _, label := range metric.GetLabel() {
			has[label.GetName()] = label.GetValue()
		}
		matches := true
		for i := 0; i < len(labels); i += 2 {
			matches = matches && has[labels[i]] == labels[i+1]
		}
		if matches {
			sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// A hundred thousand connections wait for their next sync, and a worker's memory
// does not grow with them.
func TestAWorkerKeepsFewRunsInMemory(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	worker := w.startWatchedWorker(t)
	const waiting = 400
	next := time.Now().Add(24 * time.Hour)
	var starting errgroup.Group
	starting.SetLimit(10)
	for i := range waiting {
		starting.Go(func() error {
			name := fmt.Sprintf("waiting-%d", i)
			_, err := w.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
				ID: workflows.AccessSyncID(name), TaskQueue: workflows.TaskQueue,
			}, workflows.AccessSync, workflows.AccessSyncInput{
				Connection: workflows.Connection{ID: int64(i + 1), Name: name}, Every: db.Interval(24 * time.Hour), Outlook: workflows.Outlook{NextSyncAt: next},
			})
			return err
		})
	}
	require.NoError(t, starting.Wait())
	await(t, "all have begun to wait", func() bool {
		got, _ := worker.metrics()
		return got.sum("temporal_workflow_task_execution_latency_seconds") >= waiting
	})
	got, _ := worker.metrics()
	require.LessOrEqual(t, got.sum("temporal_sticky_cache_size"), 300.0)
}

func TestAWorkerCountsWhatItDoes(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	worker := w.startWatchedWorker(t)
	s := w.setup(t)
	s.name = "a-name-like-no-other"
	s.connect()
	s.jamf.SetFault(faults.On("/", &faults.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}).Times(1))
	for range 9 {
		s.addAccount("one of many", jamftest.Account{})
	}
	s.resync()
	for _, account := range s.jamf.Accounts()[1:] {
		s.jamf.RemoveAccount(account.ID)
	}
	s.failResync(8, "held")

	got, page := worker.metrics()
	for _, want := range []struct {
		value  int
		name   string
		labels []string
	}{
		{2, "jamf_access_syncs_total", []string{"source", "jamf_pro", "outcome", "applied", "error", ""}},
		{1, "jamf_access_syncs_total", []string{"source", "jamf_pro", "outcome", "held", "error", "held"}},
		{3, "jamf_access_syncs_total", nil},
		{2, "jamf_access_sync_duration_seconds", []string{"source", "jamf_pro", "outcome", "applied"}},
		{s.jamf.TokenRequests(), "jamf_access_token_requests_total", []string{"source", "jamf_pro", "error", ""}},
		{1, "jamf_access_source_requests_total", []string{"source", "jamf_pro", "code", "429"}},
		{1, "jamf_access_source_waits_total", []string{"source", "jamf_pro"}},
		{1, "jamf_access_source_wait_seconds_total", []string{"source", "jamf_pro"}},
		{0, "jamf_access_source_requests_total", []string{"source", "truto"}},
		{1, "jamf_access_connections", []string{"source", "jamf_pro", "state", "active"}},
		{1, "jamf_access_connections_held", nil},
		{0, "jamf_access_connections_stale", nil},
		{1, "jamf_access_monitors", []string{"monitor", "JAMF_USER_MFA_ENABLED", "state", "not_evaluable"}},
		{1, "jamf_access_record_up", nil},
		{3, "jamf_access_ready", nil},
	} {
		require.Contains(t, got, want.name)
		require.InDelta(t, want.value, got.sum(want.name, want.labels...), 0, "%s %v", want.name, want.labels)
	}
	read := 0
	for _, sync := range s.syncs() {
		read += sync.Accounts
	}
	require.InDelta(t, read, got.sum("jamf_access_users_read_total"), 0)
	requests := 0
	for _, n := range s.jamf.Requests() {
		requests += n
	}
	require.InDelta(t, requests, got.sum("jamf_access_source_requests_total"), 0)

	require.NotContains(t, page, s.name, "there may be a hundred thousand connections")
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

// What the alert rules and the dashboard ask for has to be on the page.
func TestAlertsAndDashboardAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	worker := w.startWatchedWorker(t)
	w.setup(t).connect()
	got, _ := worker.metrics()
	for _, file := range []string{"prometheus-rules.yaml", "grafana-dashboard.json"} {
		content, err := os.ReadFile(filepath.Join("..", "worker", "deploy", file))
		require.NoError(t, err)
		names := regexp.MustCompile(`\b(jamf_access|temporal)_\w+`).FindAllString(string(content), -1)
		require.NotEmpty(t, names)
		for _, name := range names {
			require.Contains(t, got, strings.TrimSuffix(name, "_bucket"), file)
		}
	}
}

func TestAWatchedWorkerEndsInTimeAndSaysSo(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	worker := w.startWatchedWorker(t)
	probe := func() ([]byte, error) {
		return exec.CommandContext(t.Context(), program("worker"), "--probe", worker.address).CombinedOutput()
	}
	out, err := probe()
	require.NoError(t, err, "%s", out)
	require.Empty(t, out)

	second := exec.CommandContext(t.Context(), program("worker"), "--listen", worker.address)
	second.Env = w.env()
	out, err = second.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), worker.address+": bind: address already in use")

	s := w.bigSetup(t)
	s.connect()
	awaitMiddle := s.slowly()
	s.ok("resync", s.name, "--no-wait")
	awaitMiddle()
	require.NoError(t, worker.end(syscall.SIGTERM))
	require.NoError(t, worker.err)
	out, err = probe()
	require.Error(t, err)
	require.Contains(t, string(out), "connection refused")
}

func TestReadinessNamesWhatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	m := newMortals(t)
	worker := m.startWatchedWorker(t)
	m.setup(t).connect()
	ready := func() bool {
		status, _ := worker.get("/readyz")
		return status == http.StatusOK
	}
	status, body := worker.get("/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "worker: ok\npostgres: ok\ntemporal: ok\n", body)
	for _, part := range []struct {
		name   string
		others string
		die    func() error
		rise   func()
	}{
		{"postgres", "temporal", m.postgres.Kill, func() { m.startPostgres(m.postgres.Port) }},
		{"temporal", "postgres", m.temporal.Kill, func() { m.startTemporal(m.temporal.Address) }},
	} {
		require.NoError(t, part.die())
		status, body := worker.get("/readyz")
		require.Equal(t, http.StatusServiceUnavailable, status, "%s", body)
		require.Contains(t, body, part.name+": failing: ")
		require.Contains(t, body, part.others+": ok\n")
		status, body = worker.get("/livez")
		require.Equal(t, http.StatusOK, status, "%s", body)

		got, page := worker.metrics()
		require.InDelta(t, 0, got.sum("jamf_access_ready", "part", part.name), 0)
		require.InDelta(t, 1, got.sum("jamf_access_ready", "part", part.others), 0)
		require.Contains(t, page, "jamf_access_syncs_total", "the rest is as ever")
		if part.name == "postgres" {
			require.Contains(t, page, "jamf_access_record_up 0")
			require.NotContains(t, got, "jamf_access_connections")
		}
		part.rise()
		await(t, "the worker to be ready again", ready)
	}
	got, _ := worker.metrics()
	require.InDelta(t, 1, got.sum("jamf_access_record_up"), 0)
	require.InDelta(t, 1, got.sum("jamf_access_connections"), 0)
}

func TestTheLogSaysWhatBecameOfEachSync(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	worker := w.mustStartWorker(t)
	s := w.setup(t)
	s.connect()
	s.loseCredentials()

	ended := worker.lines(func(line map[string]any) bool { return line["msg"] == "The sync has ended" })
	require.Len(t, ended, 2)
	for i, want := range []map[string]any{
		{"level": "INFO", "connection": s.name, "sync": 1.0, "trigger": "connect", "outcome": "applied", "error": "", "added": 4.0},
		{"level": "INFO", "connection": s.name, "sync": 2.0, "trigger": "resync", "outcome": "failed", "error": "credentials_rejected"},
	} {
		for key, value := range want {
			require.Equal(t, value, ended[i][key], "%s: %v", key, ended[i])
		}
	}
	about := worker.lines(func(line map[string]any) bool { return line["WorkflowID"] != nil })
	require.NotEmpty(t, about)
	for _, line := range about {
		require.Equal(t, s.name, line["connection"], "%v", line)
	}
}
