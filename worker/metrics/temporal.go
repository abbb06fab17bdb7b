package metrics

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/otlptranslator"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// temporalMetrics adds the metrics of Temporal's SDK to a registry, under the
// names that Temporal's own documentation has for Prometheus.
func temporalMetrics(registry *prometheus.Registry, logger *slog.Logger) (client.MetricsHandler, error) {
	exporter, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo(),
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
	)
	if err != nil {
		return nil, fmt.Errorf("collect Temporal's metrics: %w", err)
	}
	const help = "Measured by Temporal's SDK."
	provider := metric.NewMeterProvider(metric.WithReader(exporter),
		// The default buckets are made for milliseconds, and these are seconds.
		metric.WithView(metric.NewView(metric.Instrument{Kind: metric.InstrumentKindHistogram, Name: "*"}, metric.Stream{
			Description: help,
			Aggregation: metric.AggregationExplicitBucketHistogram{
				Boundaries: []float64{.005, .01, .05, .1, .5, 1, 5, 10, 60, 300, 1800, 6 * 3600},
			},
		})),
		metric.WithView(func(i metric.Instrument) (metric.Stream, bool) {
			return metric.Stream{Name: i.Name, Description: help, Unit: i.Unit}, i.Kind != metric.InstrumentKindHistogram
		}),
	)
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter:                provider.Meter("temporal"),
		OnError:              func(err error) { logger.Warn("A metric of Temporal's is left out", "error", err) },
		UseMonotonicCounters: true,
	}), nil
}
