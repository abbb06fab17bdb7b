package localtemporal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"jamf-access-review/db/localprocess"
)

// A place is the folder of one server's files. Without data to keep it is a
// temporary one.
type place struct {
	dir       string
	temporary bool
	lock      *localprocess.Lock
}

func openPlace(ctx context.Context, dir string) (*place, error) {
	if dir == "" {
		made, err := os.MkdirTemp("", "jamf-access-temporal-*")
		if err != nil {
			return nil, fmt.Errorf("cannot make a temporary folder for Temporal's log: %w", err)
		}
		return &place{dir: made, temporary: true}, nil
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	p := &place{dir: absolute}
	if err := p.takeLock(); err != nil {
		return nil, err
	}
	if err := p.stopOrphan(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *place) takeLock() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder for Temporal's data: %w", err)
	}
	lock, err := localprocess.Acquire(filepath.Join(p.dir, "temporal.lock"))
	var locked *localprocess.LockedError
	if errors.As(err, &locked) {
		return &localprocess.InUseError{What: "Temporal data", Dir: p.dir, PID: locked.PID}
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the Temporal data in %s belongs to another user: run this as that user, or use another folder (%w)", p.dir, err)
	}
	p.lock = lock
	return err
}

// The lock is ours, so whoever started a server that still runs is dead.
func (p *place) stopOrphan(ctx context.Context) error {
	orphan, err := localprocess.FindOrphan(p.pidFile())
	if err != nil || orphan == nil || !orphan.Mentions("start-dev", p.dataFile()) {
		return err
	}
	return orphan.Stop(ctx, stopSteps())
}

func (p *place) pidFile() string  { return filepath.Join(p.dir, "temporal.pid") }
func (p *place) dataFile() string { return filepath.Join(p.dir, "temporal.db") }
func (p *place) logFile() string  { return filepath.Join(p.dir, "temporal.log") }

func (p *place) writePID(pid int) error {
	return os.WriteFile(p.pidFile(), []byte(strconv.Itoa(pid)+"\n"), 0o600)
}

func (p *place) close() error {
	if p.temporary {
		return os.RemoveAll(p.dir)
	}
	p.lock.Release()
	return nil
}
