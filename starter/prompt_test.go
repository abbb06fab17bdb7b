package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal is a program that believes that somebody sits in front of it.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu     sync.Mutex
	screen strings.Builder
	closed chan struct{}
}

// atTerminal starts a command with its input and errors at a terminal.
func (c cli) atTerminal(args ...string) *terminal {
	c.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(c.t, err)
	require.NoError(c.t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(c.t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(c.t, err)
	defer slave.Close()

	require.NoError(c.t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	term := &terminal{t: c.t, master: master, cmd: exec.Command(program("starter"), args...), closed: make(chan struct{})}
	term.cmd.Env, term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = c.env, slave, slave, slave
	require.NoError(c.t, term.cmd.Start())
	go term.read()
	c.t.Cleanup(func() {
		term.cmd.Process.Kill()
		term.cmd.Wait()
		<-term.closed
		master.Close()
	})
	return term
}

// read reads the screen until the program has closed it.
func (term *terminal) read() {
	defer close(term.closed)
	part := make([]byte, 4096)
	for {
		n, err := term.master.Read(part)
		term.mu.Lock()
		term.screen.Write(part[:n])
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (term *terminal) shown() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.String()
}

func (term *terminal) awaitPrompt(prompt string) {
	term.t.Helper()
	await(term.t, "the prompt "+prompt, func() bool { return strings.HasSuffix(term.shown(), prompt) })
}

func (term *terminal) answer(text string) {
	term.t.Helper()
	_, err := term.master.WriteString(text + "\n")
	require.NoError(term.t, err)
}

func (term *terminal) echoes() bool {
	mode, err := unix.IoctlGetTermios(int(term.master.Fd()), unix.TCGETS)
	require.NoError(term.t, err)
	return mode.Lflag&unix.ECHO != 0
}

func (term *terminal) exit() int {
	<-term.closed
	_ = term.cmd.Wait()
	return term.cmd.ProcessState.ExitCode()
}

// requireNarrow requires that what a command prints fits into a terminal of the
// usual width.
func (c cli) requireNarrow(args ...string) {
	c.t.Helper()
	term := c.atTerminal(args...)
	require.Zero(c.t, term.exit(), "%s", term.shown())
	for line := range strings.Lines(term.shown()) {
		require.LessOrEqual(c.t, len([]rune(strings.TrimRight(line, "\r\n"))), 80, "%q", line)
	}
}

// interrupt ends the program as Ctrl-C does, and requires words of it that say
// what that means.
func (term *terminal) interrupt(said ...string) {
	term.t.Helper()
	require.NoError(term.t, term.cmd.Process.Signal(os.Interrupt))
	require.Equal(term.t, 1, term.exit(), "%s", term.shown())
	for _, words := range said {
		require.Contains(term.t, term.shown(), words)
	}
	require.NotContains(term.t, term.shown(), "context canceled")
}

func TestConnectAsksAPersonWithoutShowingTheSecret(t *testing.T) {
	t.Parallel()
	s := setup(t)
	term := s.atTerminal("connect", s.name, "--org", s.org)
	term.awaitPrompt("I have admin access to this Jamf [y/N]: ")
	term.answer("y")
	term.awaitPrompt("Jamf URL: ")
	term.answer(s.url)
	term.awaitPrompt("Client ID: ")
	term.answer(s.clientID)
	term.awaitPrompt("Client secret (not shown): ")
	await(t, "the echo to be off", func() bool { return !term.echoes() })
	term.answer(s.secret)
	require.Zero(t, term.exit(), "%s", term.shown())
	t.Cleanup(func() { s.run("disconnect", s.name) })
	require.NotContains(t, term.shown(), s.secret)
	require.Contains(t, term.shown(), "JAMF_ACCESS_REMOVED_ON_EXIT")
	require.Equal(t, "active", s.status().State)
}

func TestConnectStopsWhereNobodyConfirms(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "n", "perhaps"} {
		s := setup(t)
		term := s.with("JAMF_CLIENT_SECRET="+s.secret).atTerminal("connect", s.name, "--jamf-url", s.url, "--client-id", s.clientID)
		term.awaitPrompt("[y/N]: ")
		term.answer(answer)
		require.Equal(t, 2, term.exit(), "%s", term.shown())
		require.Empty(t, s.jamf.Requests())
	}
}

func TestConnectAsksNothingWhereTheNameIsTaken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	term := s.atTerminal("connect", s.name)
	require.Equal(t, 6, term.exit(), "%s", term.shown())
	require.NotContains(t, term.shown(), "I have admin access")
	require.Contains(t, term.shown(), "choose another name")
}

func TestReconnectAsksForTheSecret(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	secret := s.rotate()
	term := s.atTerminal("reconnect", s.name)
	term.awaitPrompt("Client secret (not shown): ")
	await(t, "the echo to be off", func() bool { return !term.echoes() })
	term.answer(secret)
	require.Zero(t, term.exit(), "%s", term.shown())
	require.NotContains(t, term.shown(), secret)
}

func TestCtrlCEndsACommandThatAsks(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const confirm = "I have admin access to this Jamf [y/N]: "
	given := []string{"connect", s.name, "--jamf-url", s.url, "--confirm-admin"}
	for prompt, args := range map[string][]string{
		confirm:                       {"connect", s.name},
		"Jamf URL: ":                  {"connect", s.name, "--confirm-admin"},
		"Client ID: ":                 given,
		"Client secret (not shown): ": append(given, "--client-id", s.clientID),
		"Webhook URL (not shown): ":   {"notify", "add", s.name},
		"written.\r\n\r\n\r\n":        append(given, "--client-id", s.clientID, "--client-secret-file", "-"),
	} {
		t.Run(prompt, func(t *testing.T) {
			t.Parallel()
			term := s.in(t).atTerminal(args...)
			term.awaitPrompt(prompt)
			secret := strings.Contains(prompt, "not shown")
			await(t, "the echo", func() bool { return term.echoes() != secret })
			term.interrupt("nothing was changed")
			require.True(t, term.echoes(), "the terminal is left as it was")
		})
	}
}

// The work is Temporal's, and goes on without who watches it.
func TestCtrlCEndsACommandThatWatches(t *testing.T) {
	t.Parallel()
	for command, said := range map[string][]string{
		"resync":    {"a sync that has begun goes on", "starter status"},
		"reconnect": {"a reconnect that has begun goes on", "starter status"},
		"doctor":    {"stopped before every check was made", "nothing was changed"},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.connect()
			asked, hold := make(chan struct{}), make(chan struct{})
			release := sync.OnceFunc(func() { close(hold) })
			defer release()
			s.jamf.SetFault(doing(func(*http.Request) bool { return true }, func() {
				close(asked)
				<-hold
			}))
			term := s.withSecret().atTerminal(command, s.name)
			<-asked
			term.interrupt(said...)
			release()
			if command != "doctor" {
				await(t, "the sync", func() bool { return s.syncs()[0].Trigger == command })
			}
		})
	}
	t.Run("before it is known what Temporal does", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.connect()
		asked := make(chan struct{}, 10)
		temporal := s.world.interposed(t, func(ctx context.Context, call string) error {
			if call != "SignalWithStartWorkflowExecution" {
				return nil
			}
			asked <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
		term := s.with("TEMPORAL_ADDRESS="+temporal).atTerminal("pause", s.name)
		<-asked
		term.interrupt("stopped before it was done", "starter list")
	})
	t.Run("without a worker", func(t *testing.T) {
		t.Parallel()
		w := ownWorld(t)
		worker := w.mustStartWorker(t)
		s := w.setup(t)
		s.connect()
		s.with("JAMF_ACCESS_NOTIFY_URL=https://127.0.0.1:1/canary").ok("notify", "add", "siem", "--org", s.org)
		require.NoError(t, worker.end(syscall.SIGTERM))
		watching := func(args ...string) *terminal {
			waiting := make(chan struct{}, 10)
			term := s.with("TEMPORAL_ADDRESS=" + w.interposed(t, func(_ context.Context, call string) error {
				if call == "GetWorkflowExecutionHistory" {
					waiting <- struct{}{}
				}
				return nil
			})).atTerminal(args...)
			<-waiting
			return term
		}
		term := watching("notify", "test", "siem")
		term.interrupt("the message is sent all the same", "starter notify deliveries siem")

		term = watching("disconnect", s.name)
		term.interrupt("disconnecting goes on", "starter status")
		w.mustStartWorker(t)
		await(t, "the disconnect", func() bool { return s.status().State == "disconnected" })
	})
}

func TestErasingAtATerminalAsksForTheName(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	for answer, says := range map[string]string{"y": "not erased", "\x04": "stopped before it was answered"} {
		term := s.atTerminal("disconnect", s.name, "--erase")
		term.awaitPrompt("Its name, to erase it: ")
		term.answer(answer)
		require.Equal(t, 2, term.exit(), "%s", term.shown())
		require.Contains(t, term.shown(), says)
		require.Equal(t, "active", s.status().State)
	}
	term := s.atTerminal("disconnect", s.name, "--erase")
	term.awaitPrompt("Its name, to erase it: ")
	term.answer(s.name)
	require.Zero(t, term.exit(), "%s", term.shown())
	require.Equal(t, 6, s.run("status", s.name).code)
}

// A named pipe that nobody writes to is waited for in the kernel.
func TestASecondCtrlCEndsACommandThatCannotEndByItself(t *testing.T) {
	t.Parallel()
	s := setup(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	term := s.atTerminal(s.connectArgs("--client-secret-file", pipe)...)
	await(t, "the command to have begun", func() bool { return strings.Contains(term.shown(), "Connecting") })
	require.NoError(t, term.cmd.Process.Signal(os.Interrupt))
	await(t, "its end", func() bool {
		_ = term.cmd.Process.Signal(os.Interrupt)
		select {
		case <-term.closed:
			return true
		default:
			return false
		}
	})
}
