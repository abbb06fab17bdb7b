// Package metrics is what a worker counts and measures, for Prometheus. What
// happens is counted where it happens; how things are is read from the record.
// No label names a connection: there may be a hundred thousand of them.
package metrics

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// prefix begins the names of all metrics that are the product's own.
const prefix = "jamf_access_"

// Metrics are the metrics of one worker. They are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	logger   *slog.Logger
	temporal client.MetricsHandler

	syncs     *prometheus.CounterVec
	durations *prometheus.HistogramVec
	users     *prometheus.CounterVec
	requests  *prometheus.CounterVec
	waits     *prometheus.CounterVec
	waited    *prometheus.CounterVec
	tokens    *prometheus.CounterVec
}

// New returns metrics that nothing has been counted in. What goes wrong while
// they are collected is logged.
func New(logger *slog.Logger) (*Metrics, error) {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		logger:   logger,
		syncs: counter("syncs_total",
			"Syncs that have ended, by outcome (applied, held, failed) and, where not applied, error code.", "source", "outcome", "error"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "sync_duration_seconds", Help: "How long syncs took, waiting for the source included.",
			Buckets: []float64{1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 3 * 3600},
		}, []string{"source", "outcome"}),
		users:    counter("users_read_total", "Users read from sources.", "source"),
		requests: counter("source_requests_total", "HTTP requests sent to sources, by the answer's status; none where no answer came.", "source", "code"),
		waits:    counter("source_waits_total", "How often a source that was busy was waited for.", "source"),
		waited:   counter("source_wait_seconds_total", "How long sources that were busy were waited for.", "source"),
		tokens:   counter("token_requests_total", "Access tokens asked for, by error code; empty where one was issued.", "source", "error"),
	}
	for _, source := range []string{directory.JamfPro, directory.Truto} {
		m.begin(source)
	}
	m.registry.MustRegister(m.syncs, m.durations, m.users, m.requests, m.waits, m.waited, m.tokens,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	m.temporal, err = temporalMetrics(m.registry, logger)
	return m, err
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
}

// begin begins counting at zero: the first of a thing would not show as an
// increase if its metric began with it.
func (m *Metrics) begin(source string) {
	m.syncs.WithLabelValues(source, string(db.Applied), "")
	m.syncs.WithLabelValues(source, string(db.Held), string(db.Held))
	for _, code := range []directory.Code{
		directory.CredentialsRejected, directory.MissingPrivilege, directory.Unreachable, directory.Inconsistent,
	} {
		m.syncs.WithLabelValues(source, string(db.Failed), string(code))
	}
	for _, outcome := range []db.Outcome{db.Applied, db.Held, db.Failed} {
		m.durations.WithLabelValues(source, string(outcome))
	}
	for _, code := range []directory.Code{"", directory.CredentialsRejected, directory.Unreachable, directory.Busy} {
		m.tokens.WithLabelValues(source, string(code))
	}
	for _, status := range []string{"200", "401", "429", "503", noAnswer} {
		m.requests.WithLabelValues(source, status)
	}
	for _, c := range []*prometheus.CounterVec{m.users, m.waits, m.waited} {
		c.WithLabelValues(source)
	}
}

// SyncEnded counts a sync that has ended.
func (m *Metrics) SyncEnded(s db.EndedSync) {
	m.syncs.WithLabelValues(s.Source, string(s.Outcome), string(directory.Code(s.Error).General())).Inc()
	if s.FinishedAt != nil {
		m.durations.WithLabelValues(s.Source, string(s.Outcome)).Observe(s.FinishedAt.Sub(s.StartedAt).Seconds())
	}
}

// Temporal is how Temporal's SDK adds its own metrics.
func (m *Metrics) Temporal() client.MetricsHandler { return m.temporal }

// Handler serves the metrics. What cannot be collected is logged and left out.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(m.logger.Handler(), slog.LevelError),
		Registry: m.registry,
	})
}
