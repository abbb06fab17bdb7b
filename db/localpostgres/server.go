// Package localpostgres runs a private PostgreSQL server on loopback, for work
// on one machine and for tests. It uses the PostgreSQL that is installed, or
// fetches one.
package localpostgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"jamf-access-review/db/localprocess"
)

// PortInUseError says that Config.Port belongs to another program.
type PortInUseError = localprocess.PortInUseError

// Config says how to run a server. Its zero value runs a temporary one.
type Config struct {
	// Dir keeps the data, which a later Start with the same Dir finds again.
	// It is created if need be. When it is empty the data is temporary: it
	// is removed by Stop.
	//
	// As root, PostgreSQL runs as another user. When that user cannot reach
	// Dir (under /root, say) the data lies in a folder of
	// /var/lib/jamf-access-review and Dir holds a symbolic link to it.
	Dir string
	// Port is the loopback port; 0 means any that is free.
	Port int
	// BinariesCache keeps fetched binaries; empty means a folder in the user's
	// cache.
	BinariesCache string
	// BinaryRepository is the address that binaries are fetched from, when none
	// are installed; empty means the fetching library's own.
	BinaryRepository string
	// Durable makes the data survive a crash of the machine. Without it the
	// data survives a crash of the server only, and everything is faster.
	Durable bool
	// Progress is told about steps that take long; nil means nobody is.
	Progress func(string)

	// search replaces installedDirs in tests.
	search func() []string
}

func (c Config) progress(format string, values ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, values...))
	}
}

// Server is a running PostgreSQL.
type Server struct {
	// Port is where it listens, on 127.0.0.1 only.
	Port int
	// Dir is Config.Dir, or the temporary folder used in its place.
	Dir string

	process   *localprocess.Process
	place     *place
	password  string
	temporary bool
}

// Start runs a server and returns when it answers. The server ends with Stop or
// Kill, and also when this program ends without either. When Config.Port belongs
// to another program the error is a *PortInUseError.
func Start(ctx context.Context, config Config) (*Server, error) {
	temporary := config.Dir == ""
	if temporary {
		dir, err := makeTemporaryDir()
		if err != nil {
			return nil, err
		}
		config.Dir = dir
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, err
	}
	config.Dir = dir
	return startIn(ctx, config, temporary)
}

func startIn(ctx context.Context, config Config, temporary bool) (*Server, error) {
	place, err := openPlace(ctx, config.Dir)
	if err != nil {
		return nil, err
	}
	server, err := startAt(ctx, config, place)
	if err != nil {
		place.close()
		if temporary {
			err = errors.Join(err, place.remove())
		}
		return nil, err
	}
	server.temporary = temporary
	return server, nil
}

// The port is looked at once the place is open: until then a server left behind by
// an earlier program may hold it.
func startAt(ctx context.Context, config Config, place *place) (*Server, error) {
	if config.Port != 0 {
		if err := localprocess.CheckPort(config.Port, "PostgreSQL"); err != nil {
			return nil, err
		}
	}
	version, err := place.dataVersion()
	if err != nil {
		return nil, err
	}
	binaries, err := findBinaries(ctx, config, place.account, version)
	if err != nil {
		return nil, err
	}
	if version == "" {
		if err := createCluster(ctx, config, place, binaries); err != nil {
			return nil, err
		}
	}
	password, err := place.readPassword()
	if err != nil {
		return nil, err
	}
	server := &Server{Dir: place.dir, place: place, password: password}
	if err := server.launch(ctx, config, binaries); err != nil {
		return nil, err
	}
	return server, nil
}

// URL is the connection string of a database on the server, for the server's
// only role. It contains that role's password.
func (s *Server) URL(database string) string {
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     localprocess.Address(s.Port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}

// Done is closed when the server has ended, whether it was asked to or not.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Failure says how the server ended, with the last lines of its log. It is nil
// while the server runs.
func (s *Server) Failure() error { return s.process.Failure() }

// Stop ends the server and returns when it is gone; connections are closed. When
// ctx ends first the server is killed, which loses nothing that was committed. A
// temporary server's data is removed.
func (s *Server) Stop(ctx context.Context) error {
	err := s.process.Stop(ctx)
	s.place.close()
	if s.temporary && err == nil {
		err = s.place.remove()
	}
	return err
}

// Kill ends the server as a crash would, and keeps its data, even a temporary
// server's: Start with Server.Dir runs it again, and whoever killed it removes the
// data.
func (s *Server) Kill() error {
	s.temporary = false
	err := s.process.Kill()
	s.place.close()
	return err
}
