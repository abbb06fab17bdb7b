package main_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"jamf-access-review/db/localpostgres"
	"jamf-access-review/workflows/localtemporal"
)

// What all tests share: the built programs, one PostgreSQL, one Temporal, and
// one world with a worker. Tests that end workers or change keys make a world
// of their own.
var (
	programs string
	postgres *localpostgres.Server
	temporal *localtemporal.Server
	shared   *world
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runAll(m))
}

func runAll(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	// Tests wait far more than they work, so more of them than there are
	// processors can run at once.
	if !given("test.parallel") {
		if err := flag.Set("test.parallel", "12"); err != nil {
			return complain(err)
		}
	}
	var err error
	defer func() {
		if err := errors.Join(stopServers(), os.RemoveAll(programs)); err != nil {
			code = complain(err)
		}
	}()
	if err = start(ctx); err != nil {
		return complain(err)
	}
	watch := watchArguments()
	if shared, err = newWorld(ctx, "default"); err != nil {
		return complain(err)
	}
	if _, err = shared.startWorker(); err != nil {
		return complain(err)
	}
	code = m.Run()
	if err := errors.Join(watch(), searchForCanaries(context.Background())); err != nil {
		code = complain(err)
	}
	return code
}

func given(name string) bool {
	found := false
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "FAIL:", err)
	return 1
}

func start(ctx context.Context) error {
	var err error
	if programs, err = publicDir(); err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { return build(ctx, "starter", "worker") })
	g.Go(func() (err error) {
		postgres, err = localpostgres.Start(ctx, localpostgres.Config{})
		return err
	})
	g.Go(func() (err error) {
		temporal, err = localtemporal.Start(ctx, localtemporal.Config{UIPort: localtemporal.NoUI})
		return err
	})
	return g.Wait()
}

func build(ctx context.Context, packages ...string) error {
	if err := noteSources(); err != nil {
		return err
	}
	for _, p := range packages {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", program(p), "jamf-access-review/"+p)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p, err, out)
		}
	}
	return nil
}

// noteSources looks at every source of the programs, which go test does not
// know to be part of these tests: without it, it would answer from its cache
// after they changed.
func noteSources() error {
	return filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != ".." && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case entry.IsDir():
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}

func program(name string) string { return filepath.Join(programs, name) }

// publicDir makes a temporary folder that other users can enter, as PostgreSQL's
// user and the ordinary user of the demo have to.
func publicDir() (string, error) {
	dir, err := os.MkdirTemp("", "starter-test-*")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

func stopServers() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	for _, w := range worlds {
		errs = append(errs, w.close())
	}
	if temporal != nil {
		errs = append(errs, temporal.Stop(ctx))
	}
	if postgres != nil {
		errs = append(errs, postgres.Stop(ctx))
	}
	return errors.Join(errs...)
}
