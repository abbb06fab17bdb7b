package localprocess

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// LockedError says that another program holds a lock. PID is its process
// number, zero when it could not be read.
type LockedError struct {
	Path string
	PID  int
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another program holds %s", e.Path)
	}
	return fmt.Sprintf("process %d holds %s", e.PID, e.Path)
}

// InUseError says that another program works with what is in a folder.
type InUseError struct {
	What string // is in it
	Dir  string
	PID  int
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("the %s in %s is in use by process %d: stop that one, or use another folder", e.What, e.Dir, e.PID)
}

// Lock is held by one program at a time, and given up by the kernel when that
// program dies.
type Lock struct {
	file *os.File
}

// Acquire takes the lock kept in the file at path, creating the file, or returns
// a *LockedError at once.
func Acquire(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &LockedError{Path: path, PID: readPID(file)}
		}
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	lock := &Lock{file: file}
	if err := lock.sign(); err != nil {
		lock.Release()
		return nil, err
	}
	return lock, nil
}

// AcquireWithin is Acquire that waits for the lock until ctx ends. It calls
// waiting, every few seconds, with the error that it would have returned.
func AcquireWithin(ctx context.Context, path string, waiting func(*LockedError)) (*Lock, error) {
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	report := time.NewTicker(5 * time.Second)
	defer report.Stop()
	for {
		lock, err := Acquire(path)
		var locked *LockedError
		if !errors.As(err, &locked) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", locked, ctx.Err())
		case <-report.C:
			waiting(locked)
		case <-retry.C:
		}
	}
}

// Release gives the lock up. Releasing it twice does nothing.
func (l *Lock) Release() {
	// To close the file would not do at once: a process that is just being started
	// has it open too, until it runs its own program.
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	_ = l.file.Close()
}

func (l *Lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(r io.Reader) int {
	text, err := io.ReadAll(io.LimitReader(r, 64))
	if err != nil {
		return 0
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(first)))
	if err != nil || pid < 1 {
		return 0
	}
	return pid
}
