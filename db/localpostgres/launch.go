package localpostgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/lib/pq"

	"jamf-access-review/db/localprocess"
)

const (
	superuser     = "postgres"
	logName       = "server.log"
	launchRetries = 20
	readyWithin   = 60 * time.Second
)

// PostgreSQL's fast shutdown, then its immediate one.
func stopSteps() []localprocess.Step {
	return []localprocess.Step{
		{Signal: syscall.SIGINT, Patience: 20 * time.Second},
		{Signal: syscall.SIGQUIT, Patience: 5 * time.Second},
	}
}

// errTransient marks a failed launch that another attempt may not repeat.
var errTransient = errors.New("PostgreSQL could not start, and trying again may help")

func (s *Server) launch(ctx context.Context, config Config, binaries *binaries) error {
	var err error
	for range launchRetries {
		err = s.launchOnce(ctx, config, binaries)
		if !errors.Is(err, errTransient) {
			return err
		}
		if waitErr := pause(ctx, 250*time.Millisecond); waitErr != nil {
			return waitErr
		}
	}
	return err
}

func (s *Server) launchOnce(ctx context.Context, config Config, binaries *binaries) error {
	port, err := choosePort(config.Port)
	if err != nil {
		return err
	}
	s.Port = port
	s.process, err = localprocess.Start(localprocess.Command{
		Name:       "PostgreSQL",
		Path:       binaries.program("postgres"),
		Args:       serverArguments(config, s.place.dataDir(), port),
		Env:        serverEnvironment(),
		WorkDir:    "/",
		LogFile:    filepath.Join(s.place.dir, logName),
		Credential: s.place.account.credential,
		StopSteps:  stopSteps(),
	})
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return errors.Join(s.explain(config, err), s.process.Kill())
	}
	return nil
}

func choosePort(wanted int) (int, error) {
	if wanted != 0 {
		return wanted, nil
	}
	ports, err := localprocess.FreePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// The processes of a server that was killed notice it a moment later, and it may
// take another until it is reaped; until then they hold its shared memory or its
// lock, and a new server refuses to start.
func (s *Server) explain(config Config, err error) error {
	switch {
	case s.process.Logged("pre-existing shared memory block"), s.process.Logged(`lock file "postmaster.pid" already exists`):
		return fmt.Errorf("%w: %w", errTransient, err)
	case s.process.Logged("Address already in use") && config.Port == 0:
		return fmt.Errorf("%w: %w", errTransient, err)
	case s.process.Logged("Address already in use"):
		return &PortInUseError{Port: config.Port, Purpose: "PostgreSQL"}
	}
	return err
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	database, err := sql.Open("postgres", s.URL("postgres"))
	if err != nil {
		return err
	}
	defer database.Close()
	for {
		err := database.PingContext(ctx)
		if err == nil {
			return nil
		}
		var refused *pq.Error
		if errors.As(err, &refused) && refused.Code == invalidPassword {
			return fmt.Errorf("PostgreSQL refuses the password kept in %s: %w", s.place.passwordFile(), err)
		}
		if waitErr := s.waitAlive(ctx, 20*time.Millisecond); waitErr != nil {
			return fmt.Errorf("%w (last attempt to connect: %w)", waitErr, err)
		}
	}
}

const invalidPassword = "28P01"

func (s *Server) waitAlive(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-s.process.Done():
		return s.process.Failure()
	case <-ctx.Done():
		return fmt.Errorf("PostgreSQL does not answer on port %d: %w%s", s.Port, ctx.Err(), s.process.LastWords())
	case <-timer.C:
		return nil
	}
}

func pause(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// The log leaves out statements, details and contexts, since they quote rows.
func serverArguments(config Config, dataDir string, port int) []string {
	arguments := []string{"-D", dataDir, "-p", strconv.Itoa(port)}
	settings := []string{
		"listen_addresses=127.0.0.1",
		"unix_socket_directories=",
		"max_connections=100",
		"shared_buffers=64MB",
		"max_wal_size=512MB",
		"wal_level=minimal",
		"max_wal_senders=0",
		"jit=off",
		"timezone=UTC",
		"log_timezone=UTC",
		"log_min_error_statement=panic",
		"log_error_verbosity=terse",
		"log_checkpoints=off",
	}
	if !config.Durable {
		settings = append(settings, "fsync=off", "full_page_writes=off")
	}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	return arguments
}

// Variables of the caller's environment such as PGDATA or LC_MESSAGES would
// change what the programs do and which words they print.
func serverEnvironment() []string {
	return []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}
