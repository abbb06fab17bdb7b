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
	"runtime/debug"
	"syscall"

	"jamf-access-review/worker/health"
	"jamf-access-review/worker/service"
	"jamf-access-review/worker/settings"
)

func main() {
	level := slog.LevelInfo
	flag.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	maxBody := flag.Int64("max-body", 32<<20, "largest body, in bytes, that is read from a source")
	listen := flag.String("listen", "", "address at which to say over HTTP how the worker is, as in 127.0.0.1:9090: /livez, /readyz, /metrics")
	probe := flag.String("probe", "", "ask the worker that listens at this address whether it is ready, and do nothing else")
	flag.Parse()
	if os.Getenv("GOGC") == "" {
		// Little is live at any time, and a page of users is garbage at once:
		// memory for it is cheaper than collecting it so often.
		debug.SetGCPercent(200)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	do := func() error { return run(ctx, service.Config{Logger: logger, MaxBody: *maxBody, Listen: *listen}) }
	if *probe != "" {
		do = func() error { return health.Probe(ctx, *probe) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// run works with the settings, and with what the flags say of c.
func run(ctx context.Context, c service.Config) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	if c.DatabaseURL, err = s.DatabaseURL(); err != nil {
		return fmt.Errorf("%w: %s", err, settings.DatabaseRemedy)
	}
	if c.Keyset, err = s.Keyset(); err != nil {
		return fmt.Errorf("%w: %s", err, settings.KeysetRemedy)
	}
	if c.Temporal, err = s.TemporalOptions(); err != nil {
		return err
	}
	return service.Run(ctx, c, nil)
}
