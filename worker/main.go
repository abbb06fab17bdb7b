// The worker runs the workflows and activities: go run ./worker
//
// It finds Postgres, Temporal and the keyset as package settings says, and
// stops on SIGINT or SIGTERM.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"jamf-access-review/worker/service"
	"jamf-access-review/worker/settings"
)

func main() {
	level := slog.LevelInfo
	flag.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	maxBody := flag.Int64("max-body", 32<<20, "largest body, in bytes, that is read from a source")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if err := run(ctx, logger, *maxBody); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, logger *slog.Logger, maxBody int64) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	databaseURL, err := s.DatabaseURL()
	if err != nil {
		return err
	}
	keyset, err := s.Keyset()
	if err != nil {
		return err
	}
	temporal, err := s.TemporalOptions()
	if err != nil {
		return err
	}
	return service.Run(ctx, service.Config{DatabaseURL: databaseURL, Keyset: keyset, Temporal: temporal, Logger: logger, MaxBody: maxBody}, nil)
}
