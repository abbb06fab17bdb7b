package metrics

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jamf-access-review/db"
)

const (
	// totalsTimeout leaves time for the rest within the 10 s that Prometheus
	// waits for a page unless told otherwise.
	totalsTimeout = 8 * time.Second
	// totalsShare bounds what a large record costs: it is read anew when this
	// many times as long has passed as the reading took.
	totalsShare = 10
)

// Record is the record, as far as metrics read it.
type Record interface {
	Totals(context.Context) (db.Totals, error)
}

// WatchRecord adds how the connections and monitors on record are. Every worker
// says the same of them. When the record cannot be read they are left out,
// jamf_access_record_up is 0, and the rest of the page is as ever.
func (m *Metrics) WatchRecord(record Record) {
	m.registry.MustRegister(&recordCollector{record: record, logger: m.logger})
}

var (
	recordUp = prometheus.NewDesc(prefix+"record_up",
		"Whether the record could be read from Postgres for this page.", nil, nil)
	connections = prometheus.NewDesc(prefix+"connections",
		"Connections by state.", []string{"source", "state"}, nil)
	connectionsStale = prometheus.NewDesc(prefix+"connections_stale",
		"Connections that have had no sync applied for three of their intervals.", []string{"source", "state"}, nil)
	connectionsHeld = prometheus.NewDesc(prefix+"connections_held",
		"Connections whose last sync waits for a person to accept what it would remove.", []string{"source", "state"}, nil)
	oldestSync = prometheus.NewDesc(prefix+"applied_sync_oldest_age_seconds",
		"Age of the applied sync of the connection whose is the oldest.", []string{"source", "state"}, nil)
	monitors = prometheus.NewDesc(prefix+"monitors",
		"Monitors of all connections, by code and state.", []string{"monitor", "state"}, nil)
)

type recordCollector struct {
	record Record
	logger *slog.Logger

	mu     sync.Mutex
	last   db.Totals
	readAt time.Time
	took   time.Duration
}

// Describe implements prometheus.Collector.
func (c *recordCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{recordUp, connections, connectionsStale, connectionsHeld, oldestSync, monitors} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *recordCollector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	totals, err := c.totals()
	if err != nil {
		c.logger.Warn("The record could not be read for the metrics", "error", err)
		gauge(recordUp, 0)
		return
	}
	gauge(recordUp, 1)
	for _, in := range totals.Connections {
		gauge(connections, float64(in.Count), in.Source, string(in.State))
		if in.State == db.Disconnected {
			continue
		}
		gauge(connectionsStale, float64(in.Stale), in.Source, string(in.State))
		gauge(connectionsHeld, float64(in.Held), in.Source, string(in.State))
		gauge(oldestSync, in.OldestAge.Seconds(), in.Source, string(in.State))
	}
	for _, in := range totals.Monitors {
		gauge(monitors, float64(in.Count), in.Code, string(in.State))
	}
}

func (c *recordCollector) totals() (db.Totals, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.readAt.IsZero() && time.Since(c.readAt) < totalsShare*c.took {
		return c.last, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), totalsTimeout)
	defer cancel()
	begun := time.Now()
	totals, err := c.record.Totals(ctx)
	if err != nil {
		c.readAt = time.Time{}
		return db.Totals{}, err
	}
	c.last, c.readAt, c.took = totals, time.Now(), time.Since(begun)
	return totals, nil
}
