package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"jamf-access-review/worker/health"
)

var ready = prometheus.NewDesc(prefix+"ready",
	"Whether a part of the worker is well, as /readyz says.", []string{"part"}, nil)

// WatchHealth adds the health of the worker.
func (m *Metrics) WatchHealth(h *health.Health) { m.registry.MustRegister(healthCollector{h}) }

type healthCollector struct{ health *health.Health }

// Describe implements prometheus.Collector.
func (c healthCollector) Describe(descs chan<- *prometheus.Desc) { descs <- ready }

// Collect implements prometheus.Collector.
func (c healthCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, part := range c.health.Check(context.Background()) {
		value := 1.0
		if part.Err != nil {
			value = 0
		}
		metrics <- prometheus.MustNewConstMetric(ready, prometheus.GaugeValue, value, part.Name)
	}
}
