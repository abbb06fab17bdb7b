package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"

	"jamf-access-review/db"
	"jamf-access-review/worker/health"
	"jamf-access-review/worker/metrics"
)

// watch is what can be seen of a worker from outside while it runs.
type watch struct {
	health  *health.Health
	metrics *metrics.Metrics
	server  *http.Server
}

// newWatch begins to answer at an address; nowhere when it is "".
func newWatch(address string, logger *slog.Logger) (*watch, error) {
	m, err := metrics.New(logger)
	if err != nil {
		return nil, err
	}
	w := &watch{health: health.New(), metrics: m}
	m.WatchHealth(w.health)
	if address == "" {
		return w, nil
	}
	mux := http.NewServeMux()
	w.health.Register(mux)
	mux.Handle("GET /metrics", m.Handler())
	w.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for /livez, /readyz and /metrics: %w", err)
	}
	logger.Info("The worker says how it is", "address", listener.Addr().String())
	go func() {
		if err := w.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("The worker no longer says how it is", "error", err)
		}
	}()
	return w, nil
}

func (w *watch) record(record *db.DB) {
	w.health.AddPart("postgres", record.Ping)
	w.metrics.WatchRecord(record)
}

func (w *watch) temporal(temporal client.Client) {
	w.health.AddPart("temporal", func(ctx context.Context) error {
		_, err := temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	})
}

// close ends it at once: whoever asks meanwhile asks again.
func (w *watch) close() {
	if w.server != nil {
		_ = w.server.Close()
	}
}
