package localtemporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"jamf-access-review/db/localprocess"
)

const (
	readyWithin     = 30 * time.Second
	pollEvery       = 20 * time.Millisecond
	launchRetries   = 5
	addressInUse    = "address already in use"
	portNotFreeText = "can't set"
)

type ports struct {
	server int
	ui     int
}

// errPortLost marks a launch that failed because a port, found free, was taken by
// somebody else a moment later.
var errPortLost = errors.New("a free port was taken meanwhile")

func (s *Server) launch(ctx context.Context, config Config, program string) error {
	var err error
	for range launchRetries {
		err = s.launchOnce(ctx, config, program)
		if !errors.Is(err, errPortLost) {
			return err
		}
		if err := checkPorts(config); err != nil {
			return err
		}
	}
	return err
}

func (s *Server) launchOnce(ctx context.Context, config Config, program string) error {
	ports, err := choosePorts(config)
	if err != nil {
		return err
	}
	s.setAddresses(ports)
	s.process, err = localprocess.Start(localprocess.Command{
		Name:      "Temporal",
		Path:      program,
		Args:      serverArguments(config, s.place, ports),
		Env:       s.environment(),
		WorkDir:   s.place.dir,
		LogFile:   s.place.logFile(),
		StopSteps: s.stopSteps(),
	})
	if err != nil {
		return err
	}
	err = s.place.writePID(s.process.PID())
	if err == nil {
		err = s.awaitReady(ctx, config, ports)
	}
	if err != nil {
		return errors.Join(s.explain(err), s.process.Kill())
	}
	return nil
}

func (s *Server) setAddresses(ports ports) {
	s.Address = localprocess.Address(ports.server)
	s.UIAddress = ""
	if ports.ui != NoUI {
		s.UIAddress = "http://" + localprocess.Address(ports.ui)
	}
}

// The server closes its data in about three seconds.
func stopSteps() []localprocess.Step {
	return []localprocess.Step{{Signal: syscall.SIGTERM, Patience: 15 * time.Second}}
}

// A server whose data is not kept has nothing to finish.
func (s *Server) stopSteps() []localprocess.Step {
	if s.place.temporary {
		return nil
	}
	return stopSteps()
}

// The server uses ports of its own beside those that it is given.
func (s *Server) explain(err error) error {
	if s.process.Logged(addressInUse) || s.process.Logged(portNotFreeText) {
		return fmt.Errorf("%w: %w", errPortLost, err)
	}
	return err
}

func choosePorts(config Config) (ports, error) {
	free, err := localprocess.FreePorts(2)
	if err != nil {
		return ports{}, err
	}
	chosen := ports{server: config.Port, ui: config.UIPort}
	if chosen.server == 0 {
		chosen.server = free[0]
	}
	if chosen.ui == 0 {
		chosen.ui = free[1]
	}
	return chosen, nil
}

func serverArguments(config Config, place *place, ports ports) []string {
	arguments := []string{
		"server", "start-dev",
		"--ip", "127.0.0.1",
		"--port", strconv.Itoa(ports.server),
		"--log-level", "warn",
	}
	if ports.ui == NoUI {
		arguments = append(arguments, "--headless")
	} else {
		arguments = append(arguments, "--ui-port", strconv.Itoa(ports.ui))
	}
	// Always a file: what is kept in memory is gone when SQLite's connection to
	// it breaks off, and then no namespace is found any more.
	arguments = append(arguments, "--db-filename", place.dataFile())
	if place.temporary {
		arguments = append(arguments, "--sqlite-pragma", "synchronous=OFF")
	}
	if config.namespace() != "default" {
		arguments = append(arguments, "--namespace", config.namespace())
	}
	arguments = appendPairs(arguments, "--search-attribute", config.SearchAttributes)
	return appendPairs(arguments, "--dynamic-config-value", config.DynamicConfig)
}

func appendPairs(arguments []string, flag string, values map[string]string) []string {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		arguments = append(arguments, flag, name+"="+values[name])
	}
	return arguments
}

// The caller's TEMPORAL_ variables and the files in its home say how to reach some
// other server.
func (s *Server) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.place.dir, "TMPDIR=" + os.TempDir(), "TZ=UTC"}
}

func (s *Server) awaitReady(ctx context.Context, config Config, ports ports) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	checks := []func(context.Context) error{
		func(ctx context.Context) error { return connects(ctx, ports.server) },
		func(ctx context.Context) error { return s.serves(ctx, config.namespace()) },
	}
	if ports.ui != NoUI {
		checks = append(checks, func(ctx context.Context) error { return connects(ctx, ports.ui) })
	}
	for _, check := range checks {
		if err := s.until(ctx, check); err != nil {
			return err
		}
	}
	return nil
}

// until repeats a check until it succeeds, the server ends or ctx does.
func (s *Server) until(ctx context.Context, check func(context.Context) error) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.Done():
			return s.Failure()
		case <-ctx.Done():
			return fmt.Errorf("Temporal does not answer on %s: %w (%w)%s", s.Address, ctx.Err(), err, s.process.LastWords())
		case <-poll.C:
		}
	}
}

func connects(ctx context.Context, port int) error {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp4", localprocess.Address(port))
	if err != nil {
		return err
	}
	return connection.Close()
}

func (s *Server) serves(ctx context.Context, namespace string) error {
	connection, err := client.DialContext(ctx, client.Options{
		HostPort:  s.Address,
		Namespace: namespace,
		Logger:    log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err := connection.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
		return err
	}
	_, err = connection.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	return err
}
