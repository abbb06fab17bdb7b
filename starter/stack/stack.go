// Package stack runs everything on one machine: PostgreSQL, Temporal with its
// UI, and a worker.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"jamf-access-review/db"
	"jamf-access-review/db/localpostgres"
	"jamf-access-review/worker/service"
	"jamf-access-review/worker/settings"
	"jamf-access-review/workflows/localtemporal"
)

// stopTimeout is how long the servers have to end by themselves.
const stopTimeout = 15 * time.Second

// Config says how to run a stack.
type Config struct {
	// Ports on loopback; 0 means any that is free.
	PostgresPort, TemporalPort, UIPort int
	// Progress is told what is going on.
	Progress func(string)
}

// Stack is a running stack.
type Stack struct {
	settings.Stack
	// Keyset is what its credentials are sealed with.
	Keyset *db.Keyset

	logFile  *os.File
	postgres *localpostgres.Server
	temporal *localtemporal.Server
	worker   *errgroup.Group
	cancel   context.CancelFunc
	// done is closed when the worker has ended.
	done chan struct{}
}

// Start starts a stack that keeps its data in the home of the settings, and
// returns when its worker polls. It leaves word of its addresses there. A
// port that is taken is a *localpostgres.PortInUseError.
func Start(ctx context.Context, s settings.Settings, c Config) (*Stack, error) {
	if err := os.MkdirAll(s.Home, 0o755); err != nil {
		return nil, err
	}
	stack := &Stack{}
	if err := stack.start(ctx, s, c); err != nil {
		return nil, errors.Join(err, stack.Stop())
	}
	return stack, nil
}

func (st *Stack) start(ctx context.Context, s settings.Settings, c Config) error {
	var err error
	if st.Keyset, err = keyset(filepath.Join(s.Home, "keyset.json")); err != nil {
		return err
	}
	if st.logFile, err = os.OpenFile(filepath.Join(s.Home, "worker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	if err := st.startServers(ctx, s, c); err != nil {
		return err
	}
	st.DatabaseURL = st.postgres.URL("postgres")
	st.TemporalAddress, st.UIAddress = st.temporal.Address, st.temporal.UIAddress
	if err := s.SaveStack(st.Stack); err != nil {
		return err
	}
	return st.startWorker(ctx)
}

// startServers starts both servers at once: each takes about a second, or
// minutes the first time, in which the other's failure is not waited for.
func (st *Stack) startServers(ctx context.Context, s settings.Settings, c Config) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		c.Progress("starting PostgreSQL")
		st.postgres, err = localpostgres.Start(ctx, localpostgres.Config{
			Dir: filepath.Join(s.Home, "postgres"), Port: c.PostgresPort, Durable: true, Progress: c.Progress,
		})
		return err
	})
	g.Go(func() (err error) {
		c.Progress("starting Temporal")
		st.temporal, err = localtemporal.Start(ctx, localtemporal.Config{
			Dir: filepath.Join(s.Home, "temporal"), Port: c.TemporalPort, UIPort: c.UIPort, Progress: c.Progress,
		})
		return err
	})
	return g.Wait()
}

func (st *Stack) startWorker(ctx context.Context) error {
	ctx, st.cancel = context.WithCancel(context.WithoutCancel(ctx))
	ready := make(chan struct{})
	st.worker = &errgroup.Group{}
	st.done = make(chan struct{})
	temporal := client.Options{HostPort: st.TemporalAddress}
	st.worker.Go(func() error {
		defer close(st.done)
		return service.Run(ctx, service.Config{
			DatabaseURL: st.DatabaseURL, Keyset: st.Keyset, Temporal: temporal,
			Logger: slog.New(slog.NewJSONHandler(st.logFile, nil)),
		}, func() { close(ready) })
	})
	select {
	case <-ready:
		return nil
	case <-st.done:
		return fmt.Errorf("start the worker: %w", st.worker.Wait())
	}
}

// Wait waits until ctx ends, or a part of the stack does: that is an error.
func (st *Stack) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-st.postgres.Done():
		return fmt.Errorf("PostgreSQL ended: %w", st.postgres.Failure())
	case <-st.temporal.Done():
		return fmt.Errorf("Temporal ended: %w", st.temporal.Failure())
	case <-st.done:
		return fmt.Errorf("the worker ended: %w", st.worker.Wait())
	}
}

// Stop ends the worker and then the servers, and returns when they are gone.
func (st *Stack) Stop() error {
	var errs []error
	if st.cancel != nil {
		st.cancel()
		errs = append(errs, st.worker.Wait())
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if st.temporal != nil {
		errs = append(errs, st.temporal.Stop(ctx))
	}
	if st.postgres != nil {
		errs = append(errs, st.postgres.Stop(ctx))
	}
	if st.logFile != nil {
		errs = append(errs, st.logFile.Close())
	}
	return errors.Join(errs...)
}

// keyset loads the stack's keyset, making it at the first start.
func keyset(file string) (*db.Keyset, error) {
	k, err := db.LoadKeyset(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if k, err = db.NewKeyset(); err != nil {
		return nil, err
	}
	return k, k.Create(file)
}
