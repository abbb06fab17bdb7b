package localprocess

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Orphan is a server that the program that started it left behind, as found by
// a file that holds its process number in the first line.
type Orphan struct {
	PID     int
	Command string
}

// FindOrphan reads the file at path. It returns nil when there is no such file
// or no such process.
func FindOrphan(path string) (*Orphan, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	pid := readPID(file)
	if pid == 0 {
		return nil, nil
	}
	command := commandLine(pid)
	if command == "" {
		return nil, nil
	}
	return &Orphan{PID: pid, Command: command}, nil
}

// Mentions tells whether the command line of the process holds every word. It
// guards against a number that by now belongs to somebody else.
func (o *Orphan) Mentions(words ...string) bool {
	for _, word := range words {
		if !strings.Contains(o.Command, word) {
			return false
		}
	}
	return true
}

// Stop ends the process with the steps, then kills it, and returns when it is
// gone.
func (o *Orphan) Stop(ctx context.Context, steps []Step) error {
	steps = append(steps[:len(steps):len(steps)], Step{Signal: syscall.SIGKILL, Patience: 5 * time.Second})
	for _, step := range steps {
		if err := syscall.Kill(o.PID, step.Signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("cannot stop process %d, left behind by an earlier run (%s): %w", o.PID, o.Command, err)
		}
		gone, err := o.goneWithin(ctx, step.Patience)
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d, left behind by an earlier run (%s), does not end: stop it by hand", o.PID, o.Command)
}

// The end of a process that is not a child can only be polled for.
func (o *Orphan) goneWithin(ctx context.Context, patience time.Duration) (bool, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for commandLine(o.PID) == o.Command {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-deadline.C:
			return false, nil
		case <-poll.C:
		}
	}
	return true, nil
}

// A process that has ended but was not yet waited for has no command line, which
// is as good as gone.
func commandLine(pid int) string {
	number := strconv.Itoa(pid)
	text, err := os.ReadFile(filepath.Join("/proc", number, "cmdline"))
	if err == nil {
		return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
	}
	if _, err := os.Stat("/proc/self/cmdline"); err == nil {
		return ""
	}
	text, err = exec.Command("ps", "-ww", "-o", "command=", "-p", number).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
