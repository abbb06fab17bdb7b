// Package localtemporal runs Temporal's own development server on loopback, with
// its web UI, for work on one machine and for tests. It uses the temporal program
// that is installed, or builds one.
package localtemporal

import (
	"context"
	"errors"
	"fmt"

	"jamf-access-review/db/localprocess"
)

// NoUI is the Config.UIPort that runs the server without its web UI.
const NoUI = -1

// What a *PortInUseError names as the purpose of its port.
const (
	PurposeServer = "Temporal"
	PurposeUI     = "Temporal's UI"
)

// PortInUseError says that a port of the Config belongs to another program; its
// Purpose is PurposeServer or PurposeUI.
type PortInUseError = localprocess.PortInUseError

// Config says how to run a server. Its zero value keeps nothing and has a UI.
type Config struct {
	// Dir keeps the data, which a later Start with the same Dir finds again. It
	// is created if need be. When it is empty the data ends with the
	// server.
	Dir string
	// Port is the loopback port of the server; 0 means any that is free.
	Port int
	// UIPort is the loopback port of the UI; 0 means any that is free, and NoUI
	// none.
	UIPort int
	// Namespace exists when Start returns; empty means "default".
	Namespace string
	// SearchAttributes maps names to types (Text, Keyword, Int, Double, Bool,
	// Datetime, KeywordList). They may be the same at every start.
	SearchAttributes map[string]string
	// DynamicConfig maps the server's settings to values in JSON.
	DynamicConfig map[string]string
	// BuildCache keeps the program when it has to be built; empty means a folder
	// in the user's cache.
	BuildCache string
	// Progress is told about steps that take long; nil means nobody is.
	Progress func(string)
}

func (c Config) progress(format string, values ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, values...))
	}
}

func (c Config) namespace() string {
	if c.Namespace == "" {
		return "default"
	}
	return c.Namespace
}

// Server is a running Temporal.
type Server struct {
	// Address is the host and port that clients dial.
	Address string
	// UIAddress is the URL of the web UI, without a slash at its end; empty when
	// there is none.
	UIAddress string

	process *localprocess.Process
	place   *place
}

// Start runs a server and returns when it answers and the namespace exists. The
// server ends with Stop or Kill, and also when this program ends without either.
// When a port of the Config belongs to another program the error is a
// *PortInUseError. The first Start on a machine without the temporal program
// builds it, which takes minutes.
func Start(ctx context.Context, config Config) (*Server, error) {
	place, err := openPlace(ctx, config.Dir)
	if err != nil {
		return nil, err
	}
	server, err := startAt(ctx, config, place)
	if err != nil {
		return nil, errors.Join(err, place.close())
	}
	return server, nil
}

// The ports are looked at once the place is open: until then a server left behind by
// an earlier program may hold them.
func startAt(ctx context.Context, config Config, place *place) (*Server, error) {
	if err := checkPorts(config); err != nil {
		return nil, err
	}
	program, err := findProgram(ctx, config)
	if err != nil {
		return nil, err
	}
	server := &Server{place: place}
	if err := server.launch(ctx, config, program); err != nil {
		return nil, err
	}
	return server, nil
}

func checkPorts(config Config) error {
	if config.Port != 0 {
		if err := localprocess.CheckPort(config.Port, PurposeServer); err != nil {
			return err
		}
	}
	if config.UIPort == 0 || config.UIPort == NoUI {
		return nil
	}
	if config.UIPort == config.Port {
		return fmt.Errorf("port %d cannot serve both Temporal and its UI: choose two ports", config.Port)
	}
	return localprocess.CheckPort(config.UIPort, PurposeUI)
}

// Done is closed when the server has ended, whether it was asked to or not.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Failure says how the server ended, with the last lines of its log. It is nil
// while the server runs.
func (s *Server) Failure() error { return s.process.Failure() }

// Stop ends the server and returns when it is gone. When ctx ends first the server
// is killed, which loses nothing that it had acknowledged.
func (s *Server) Stop(ctx context.Context) error {
	err := s.process.Stop(ctx)
	return errors.Join(err, s.place.close())
}

// Kill ends the server as a crash would, and keeps its data.
func (s *Server) Kill() error {
	err := s.process.Kill()
	return errors.Join(err, s.place.close())
}
