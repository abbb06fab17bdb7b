package localprocess

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Set in the copies of this test program that a test runs as a caller of its own; it
// holds the script that the caller runs as its server.
const ownedScript = "LOCALPROCESS_TEST_SCRIPT"

func TestMain(m *testing.M) {
	if script := os.Getenv(ownedScript); script != "" {
		ownProcess(script)
		return
	}
	os.Exit(m.Run())
}

func ownProcess(script string) {
	process, err := Start(shell(script, os.Getenv("LOG")))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(process.PID())
	<-process.Done()
}

func shell(script, log string) Command {
	return Command{
		Name:      "the server",
		Path:      "/bin/sh",
		Args:      []string{"-c", script},
		Env:       []string{"PATH=/usr/bin:/bin"},
		WorkDir:   "/",
		LogFile:   log,
		StopSteps: []Step{{Signal: syscall.SIGTERM, Patience: time.Second}},
	}
}

const (
	obedient = "echo up; exec sleep 600"
	stubborn = "trap '' TERM; echo up; while :; do sleep 1; done"
)

func start(t *testing.T, script string) *Process {
	t.Helper()
	process, err := Start(shell(script, filepath.Join(t.TempDir(), "log")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Kill() })
	eventually(t, "the server to print", func() bool { return process.Logged("up") })
	return process
}

func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !happened() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		case <-poll.C:
		}
	}
}

func TestStop(t *testing.T) {
	for name, script := range map[string]string{"obedient": obedient, "stubborn": stubborn} {
		t.Run(name, func(t *testing.T) {
			process := start(t, script)
			for range 2 {
				if err := process.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			<-process.Done()
			if process.Failure() == nil {
				t.Error("a server that has ended does not say how")
			}
		})
	}
}

func TestStopKillsWhenItsContextEnds(t *testing.T) {
	process := start(t, stubborn)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := process.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	<-process.Done()
}

func TestFailureQuotesTheLog(t *testing.T) {
	process := start(t, "echo up; echo the disk is full >&2; exit 3")
	<-process.Done()
	err := process.Failure()
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("failure: %v", err)
	}
}

func TestProgramThatIsMissing(t *testing.T) {
	command := shell("", filepath.Join(t.TempDir(), "log"))
	command.Path = "/nowhere/server"
	if _, err := Start(command); err == nil || !strings.Contains(err.Error(), "/nowhere/server") {
		t.Errorf("starting a missing program: %v", err)
	}
}

func TestEarlierLogIsKept(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for _, said := range []string{"first", "second", "third"} {
		process, err := Start(shell("echo "+said, log))
		if err != nil {
			t.Fatal(err)
		}
		<-process.Done()
	}
	for file, wanted := range map[string]string{log: "third\n", log + ".previous": "second\n"} {
		if text, err := os.ReadFile(file); err != nil || string(text) != wanted {
			t.Errorf("%s holds %q (%v), want %q", file, text, err, wanted)
		}
	}
}

func TestServerEndsWithItsKilledParent(t *testing.T) {
	for name, script := range map[string]string{"obedient": obedient, "stubborn": stubborn} {
		t.Run(name, func(t *testing.T) {
			owner, pid := startOwner(t, script)
			if err := owner.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = owner.Wait()
			eventually(t, "the server to end", func() bool { return commandLine(pid) == "" })
		})
	}
}

func startOwner(t *testing.T, script string) (owner *exec.Cmd, server int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	owner = exec.Command(program)
	owner.Env = append(os.Environ(), ownedScript+"="+script, "LOG="+filepath.Join(t.TempDir(), "log"))
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &server); err != nil {
		t.Fatalf("the owner of the server said %q", line)
	}
	return owner, server
}

// Ctrl-C goes to the terminal's foreground group.
func TestServerHasItsOwnGroup(t *testing.T) {
	process := start(t, obedient)
	group, err := syscall.Getpgid(process.PID())
	if err != nil {
		t.Fatal(err)
	}
	if group != process.PID() {
		t.Errorf("the server, process %d, is in group %d", process.PID(), group)
	}
}

func TestWatchdogEndsWithTheServer(t *testing.T) {
	process := start(t, obedient)
	if err := process.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	watchdog := process.watchdog.pid
	eventually(t, "the watchdog to end", func() bool { return commandLine(watchdog) == "" })
}

func TestOrphan(t *testing.T) {
	process := start(t, stubborn)
	file := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(file, []byte(strconv.Itoa(process.PID())+"\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	orphan, err := FindOrphan(file)
	if err != nil || orphan == nil {
		t.Fatalf("found %v, %v", orphan, err)
	}
	if !orphan.Mentions("trap", "sleep") || orphan.Mentions("trap", "postgres") {
		t.Errorf("what its command line mentions is misjudged: %s", orphan.Command)
	}
	if err := orphan.Stop(t.Context(), []Step{{Signal: syscall.SIGTERM, Patience: 50 * time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	<-process.Done()
	if again, err := FindOrphan(file); err != nil || again != nil {
		t.Errorf("found %v, %v after it was stopped", again, err)
	}
}

func TestNoOrphan(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	for _, text := range []string{"", "word\n", "-5\n", "0\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if orphan, err := FindOrphan(file); err != nil || orphan != nil {
			t.Errorf("%q: found %v, %v", text, orphan, err)
		}
	}
}

func TestALockIsFreeAlsoWhileAProcessIsBeingStarted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := syscall.Dup(int(lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(inherited)
	lock.Release()
	lock.Release()
	again, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := Acquire(path); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("taking a lock that is held: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := AcquireWithin(ctx, path, func(*LockedError) {}); !errors.As(err, &locked) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting in vain for a lock: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, first.Release)
	second, err := AcquireWithin(t.Context(), path, func(*LockedError) {})
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
}

func TestPorts(t *testing.T) {
	ports, err := FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool)
	for _, port := range ports {
		seen[port] = true
	}
	if len(seen) != 20 {
		t.Errorf("asked for 20 ports, got %v", ports)
	}
}

func TestCacheDirWithoutHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := CacheDir(); err == nil {
		t.Error("a folder that everybody can write to is accepted")
	}
}
