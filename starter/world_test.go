package main_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"jamf-access-review/db/localpostgres"
	"jamf-access-review/workflows/localtemporal"
)

// world is a database, a namespace of Temporal, a keyset, and the workers that
// work with them.
type world struct {
	temporal    *localtemporal.Server
	namespace   string
	dir         string
	databaseURL string
	client      client.Client
	// settings are more environment of the world's programs, which wins.
	settings []string

	mu      sync.Mutex
	workers []*worker
}

var (
	worldsMu sync.Mutex
	worlds   []*world
)

// newWorld makes a world without workers. Its logs are searched and its workers
// are ended when all tests have run.
func newWorld(ctx context.Context, namespace string) (*world, error) {
	w, err := newWorldOn(ctx, namespace, postgres, temporal)
	if w != nil {
		worldsMu.Lock()
		defer worldsMu.Unlock()
		worlds = append(worlds, w)
	}
	return w, err
}

// newWorldOn is newWorld on servers that are not everybody's, for whoever ends
// it. A world that is returned with an error has to be ended too.
func newWorldOn(ctx context.Context, namespace string, postgres *localpostgres.Server, temporal *localtemporal.Server) (*world, error) {
	dir, err := publicDir()
	if err != nil {
		return nil, err
	}
	w := &world{temporal: temporal, namespace: namespace, dir: dir}
	if w.databaseURL, err = postgres.CreateDatabase(ctx, "test_"+namespace, ""); err != nil {
		return w, err
	}
	if w.client, err = client.DialContext(ctx, client.Options{
		HostPort: temporal.Address, Namespace: namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	}); err != nil {
		return w, err
	}
	if namespace != "default" {
		if _, err := w.client.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(72 * time.Hour),
		}); err != nil {
			return w, err
		}
	}
	for _, args := range [][]string{{"keys", "create", w.keyset()}, {"migrate"}} {
		cmd := exec.CommandContext(ctx, program("starter"), args...)
		cmd.Env = w.env()
		if out, err := cmd.CombinedOutput(); err != nil {
			return w, fmt.Errorf("starter %v: %w\n%s", args, err, out)
		}
	}
	return w, nil
}

var ownWorlds atomic.Int64

// ownWorld is a world of the test alone.
func ownWorld(t *testing.T) *world {
	t.Helper()
	w, err := newWorld(t.Context(), fmt.Sprintf("%s-%d", identifier(t.Name()), ownWorlds.Add(1)))
	require.NoError(t, err)
	return w
}

func (w *world) keyset() string { return filepath.Join(w.dir, "keyset.json") }

// env is the whole environment of the world's programs.
func (w *world) env() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TZ=America/St_Johns",
		"DATABASE_URL=" + w.databaseURL, "TEMPORAL_ADDRESS=" + w.temporal.Address, "TEMPORAL_NAMESPACE=" + w.namespace,
		"JAMF_ACCESS_KEYSET=" + w.keyset(), "JAMF_ACCESS_HOME=" + filepath.Join(w.dir, "home"),
	}, w.settings...)
}

func (w *world) close() error {
	w.mu.Lock()
	workers := w.workers
	w.mu.Unlock()
	var errs []error
	for _, worker := range workers {
		errs = append(errs, worker.end(syscall.SIGKILL))
	}
	if w.client != nil {
		w.client.Close()
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// worker is a running worker program.
type worker struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

// startWorker starts a worker that logs all it can.
func (w *world) startWorker(args ...string) (*worker, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wk := &worker{log: filepath.Join(w.dir, fmt.Sprintf("worker-%d.log", len(w.workers)+1)), done: make(chan struct{})}
	out, err := os.Create(wk.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	wk.cmd = exec.Command(program("worker"), append([]string{"--log-level", "debug"}, args...)...)
	wk.cmd.Env, wk.cmd.Dir, wk.cmd.Stdout, wk.cmd.Stderr = w.env(), w.dir, out, out
	if err := wk.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(wk.done)
		wk.err = wk.cmd.Wait()
	}()
	w.workers = append(w.workers, wk)
	return wk, nil
}

func (w *world) mustStartWorker(t *testing.T, args ...string) *worker {
	t.Helper()
	wk, err := w.startWorker(args...)
	require.NoError(t, err)
	return wk
}

// end sends a signal, unless the worker has ended, and waits for its end.
func (wk *worker) end(signal os.Signal) error {
	select {
	case <-wk.done:
		return nil
	default:
	}
	if err := wk.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-wk.done:
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("worker %d does not end", wk.cmd.Process.Pid)
	}
}

// identifier makes a name of a test's name that connections, databases and
// namespaces accept.
func identifier(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, strings.TrimPrefix(name, "Test"))
	return strings.TrimLeft(name[max(0, len(name)-50):], "-")
}
