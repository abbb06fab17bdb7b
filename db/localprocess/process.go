// Package localprocess runs a server program as a child of this one: in its
// own process group, with its output in a file, ended step by step, and never
// outliving the program that started it.
package localprocess

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Step is one attempt at ending a server: a signal, and how long the server may
// take to obey it.
type Step struct {
	Signal   syscall.Signal
	Patience time.Duration
}

// Command describes a server to run.
type Command struct {
	// Name is what messages call the server.
	Name string
	// Path is the program's file; Args do not repeat it.
	Path string
	Args []string
	// Env is the whole environment of the server.
	Env []string
	// WorkDir is the server's working folder.
	WorkDir string
	// LogFile receives what the server prints. What an earlier run left there
	// is kept beside it, as LogFile.previous.
	LogFile string
	// Credential is the user that the server runs as; nil means this
	// program's own.
	Credential *syscall.Credential
	// StopSteps are tried in order, both by Stop and when this program dies;
	// after the last one the server is killed.
	StopSteps []Step
}

// Process is a server started by Start.
type Process struct {
	name      string
	logFile   string
	steps     []Step
	cmd       *exec.Cmd
	watchdog  *watchdog
	done      chan struct{}
	waitError error
}

// Start runs the command and returns at once; whether the server is ready is
// for the caller to find out. The server is ended when this program ends,
// however that happens.
func Start(c Command) (*Process, error) {
	log, err := createLog(c.LogFile)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log of %s: %w", c.Name, err)
	}
	defer log.Close()
	guard, err := startWatchdog(c.StopSteps)
	if err != nil {
		return nil, fmt.Errorf("cannot start the process that watches over %s: %w", c.Name, err)
	}
	p := &Process{
		name:     c.Name,
		logFile:  c.LogFile,
		steps:    c.StopSteps,
		cmd:      serverCommand(c, log),
		watchdog: guard,
		done:     make(chan struct{}),
	}
	if err := p.cmd.Start(); err != nil {
		guard.release()
		return nil, fmt.Errorf("cannot start %s (%s): %w", c.Name, c.Path, err)
	}
	unwatched := guard.watch(p.cmd.Process.Pid)
	go p.wait()
	if unwatched != nil {
		return nil, errors.Join(fmt.Errorf("the process that watches over %s has ended: %w", c.Name, unwatched), p.Kill())
	}
	return p, nil
}

// The group of its own keeps a terminal's Ctrl-C from reaching the server
// directly: whoever started it decides the order in which things end.
func serverCommand(c Command, log *os.File) *exec.Cmd {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = c.Env
	cmd.Dir = c.WorkDir
	cmd.Stdout = log
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.Credential}
	return cmd
}

func (p *Process) wait() {
	p.waitError = p.cmd.Wait()
	p.watchdog.release()
	close(p.done)
}

// PID is the server's process number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the server has ended, for whatever reason.
func (p *Process) Done() <-chan struct{} { return p.done }

// Failure says how the server ended and what it printed last. It is nil while
// the server runs.
func (p *Process) Failure() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	how := "status 0"
	if p.waitError != nil {
		how = p.waitError.Error()
	}
	return fmt.Errorf("%s has ended (%s)%s", p.name, how, p.LastWords())
}

// LastWords is a phrase, to end a message with, that quotes the last lines of
// the server's log and names the file.
func (p *Process) LastWords() string { return QuoteLog(p.logFile) }

// Logged tells whether the server has printed the given text.
func (p *Process) Logged(text string) bool { return logContains(p.logFile, text) }

// Stop ends the server, with the steps of its Command, and returns when it is
// gone. When ctx ends first the server is killed. Stopping a server that has
// ended does nothing.
func (p *Process) Stop(ctx context.Context) error {
	for _, step := range p.steps {
		if err := p.signal(step.Signal); err != nil {
			return err
		}
		if p.goneWithin(ctx, step.Patience) {
			return nil
		}
	}
	return p.Kill()
}

// Kill ends the server as a crash would, and returns when it is gone.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *Process) signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot send %s (process %d) the signal %q: %w", p.name, p.PID(), s, err)
	}
	return nil
}

func (p *Process) goneWithin(ctx context.Context, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-ctx.Done():
		return false
	case <-timer.C:
		return false
	}
}
