package localpostgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"

	"jamf-access-review/db/localprocess"
)

func TestRestartKeepsData(t *testing.T) {
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprintf("durable=%t", durable), func(t *testing.T) {
			config := Config{Dir: reachableDir(t), Durable: durable}
			first := start(t, config)
			run(t, first, "CREATE TABLE kept AS SELECT generate_series(1, 10)")
			stop(t, first)
			second := start(t, config)
			if rows := count(t, second, "kept"); rows != 10 {
				t.Errorf("%d rows after a restart, want 10", rows)
			}
		})
	}
}

func TestCrashKeepsWhatWasCommitted(t *testing.T) {
	config := Config{Dir: reachableDir(t)}
	first := start(t, config)
	config.Port = first.Port
	run(t, first, "CREATE TABLE kept AS SELECT generate_series(1, 1000)")
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	second := start(t, config)
	if rows := count(t, second, "kept"); rows != 1000 {
		t.Errorf("%d rows after a crash, want 1000", rows)
	}
}

func TestUnexpectedEndIsNoticed(t *testing.T) {
	server := start(t, Config{})
	if err := server.Failure(); err != nil {
		t.Fatalf("a running server has failed: %v", err)
	}
	if err := syscall.Kill(server.process.PID(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-server.Done()
	if err := server.Failure(); err == nil || !strings.Contains(err.Error(), "immediate shutdown") {
		t.Errorf("the failure does not quote the log: %v", err)
	}
}

func TestTemporaryDataIsRemoved(t *testing.T) {
	server := start(t, Config{})
	home := server.place.home
	stop(t, server)
	for _, dir := range []string{server.Dir, home} {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", dir)
		}
	}
}

func TestPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp4", localprocess.Address(0))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = Start(testContext(t), Config{Port: port})
	var taken *PortInUseError
	if !errors.As(err, &taken) || taken.Port != port {
		t.Errorf("starting on a taken port: %v", err)
	}
}

func TestPortOutOfRange(t *testing.T) {
	for _, port := range []int{-1, 80, 65536} {
		if _, err := Start(testContext(t), Config{Port: port}); err == nil || !strings.Contains(err.Error(), "between 1024 and 65535") {
			t.Errorf("port %d: %v", port, err)
		}
	}
}

func TestDataInUse(t *testing.T) {
	first := start(t, Config{Dir: reachableDir(t)})
	_, err := Start(testContext(t), Config{Dir: first.Dir})
	if err == nil || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("starting on data in use: %v", err)
	}
	run(t, first, "SELECT 1")
}

func TestOtherMajorVersion(t *testing.T) {
	dir := reachableDir(t)
	stop(t, start(t, Config{Dir: dir}))
	if err := os.WriteFile(filepath.Join(dir, dataName, "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(testContext(t), Config{Dir: dir})
	var mismatch *MajorVersionError
	if !errors.As(err, &mismatch) || mismatch.Data != "9" || len(mismatch.Installed) == 0 {
		t.Errorf("starting on data of version 9: %v", err)
	}
}

func TestFilesThatAreNoDataAreKept(t *testing.T) {
	dir := reachableDir(t)
	file := filepath.Join(dir, dataName, "letter.txt")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Dir(file), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("dear"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(testContext(t), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no PostgreSQL data") {
		t.Errorf("starting in a folder with other files: %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestPasswordIsRequired(t *testing.T) {
	server := start(t, Config{})
	address, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(superuser, "guess")
	err = connect(t, address.String()).PingContext(testContext(t))
	var refused *pq.Error
	if !errors.As(err, &refused) || refused.Code != invalidPassword {
		t.Errorf("connecting with a wrong password: %v", err)
	}
	info, err := os.Stat(server.place.passwordFile())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the password file has the mode %v", info.Mode())
	}
}

func TestLogQuotesNoRows(t *testing.T) {
	server := start(t, Config{})
	run(t, server, "CREATE TABLE people (email text PRIMARY KEY)")
	insert := "INSERT INTO people VALUES ('someone@example.com')"
	run(t, server, insert)
	if _, err := connect(t, server.URL("postgres")).ExecContext(testContext(t), insert); err == nil {
		t.Fatal("a duplicate was accepted")
	}
	text, err := os.ReadFile(filepath.Join(server.Dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "duplicate key") || strings.Contains(string(text), "someone@") {
		t.Errorf("the log:\n%s", text)
	}
}

func TestGivenUpStartLeavesNothingBehind(t *testing.T) {
	dir := reachableDir(t)
	ctx, cancel := context.WithCancel(testContext(t))
	config := Config{Dir: dir, Progress: func(string) { cancel() }}
	if _, err := Start(ctx, config); err == nil {
		t.Fatal("a start that was given up succeeded")
	}
	run(t, start(t, Config{Dir: dir}), "SELECT 1")
}

func TestDatabases(t *testing.T) {
	ctx := testContext(t)
	server := start(t, Config{})
	template, err := server.CreateDatabase(ctx, "the template", "")
	if err != nil {
		t.Fatal(err)
	}
	database := connect(t, template)
	if _, err := database.ExecContext(ctx, "CREATE TABLE ready AS SELECT 1 AS one"); err != nil {
		t.Fatal(err)
	}
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
	copies := make(chan error, 5)
	for i := range cap(copies) {
		go func() { copies <- copyAndRead(ctx, server, fmt.Sprintf("copy %d", i)) }()
	}
	for range cap(copies) {
		if err := <-copies; err != nil {
			t.Error(err)
		}
	}
	if err := server.DropDatabase(ctx, "copy 0"); err != nil {
		t.Error(err)
	}
	if err := connect(t, server.URL("copy 0")).PingContext(ctx); err == nil {
		t.Error("a dropped database answers")
	}
}

func copyAndRead(ctx context.Context, server *Server, name string) error {
	address, err := server.CreateDatabase(ctx, name, "the template")
	if err != nil {
		return err
	}
	database, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	defer database.Close()
	var one int
	return database.QueryRowContext(ctx, "SELECT one FROM ready").Scan(&one)
}

func TestServerEndsWithAKilledParent(t *testing.T) {
	dir := reachableDir(t)
	ctx := testContext(t)
	owner, pid := startOwner(t, dir)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	for syscall.Kill(pid, 0) == nil && !isZombie(pid) {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			t.Fatalf("the server, process %d, outlives its parent: %v", pid, err)
		}
	}
	run(t, start(t, Config{Dir: dir}), "SELECT 1")
}

func TestNextStartTakesOverWhatAKilledParentLeft(t *testing.T) {
	dir := reachableDir(t)
	owner, _ := startOwner(t, dir)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	run(t, start(t, Config{Dir: dir}), "SELECT 1")
}

// The lock is given up while the server runs, as when a program and its watchdog are
// killed together.
func TestOrphanIsStopped(t *testing.T) {
	first := start(t, Config{Dir: reachableDir(t)})
	run(t, first, "CREATE TABLE kept AS SELECT generate_series(1, 3)")
	first.place.close()
	second := start(t, Config{Dir: first.Dir, Port: first.Port})
	<-first.Done()
	if rows := count(t, second, "kept"); rows != 3 {
		t.Errorf("%d rows after taking over, want 3", rows)
	}
}

func TestPidFileOfSomebodyElse(t *testing.T) {
	dir := reachableDir(t)
	first := start(t, Config{Dir: dir})
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command("sleep", "600")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait()
	}()
	reusePID(t, filepath.Join(first.place.dataDir(), "postmaster.pid"), stranger.Process.Pid)
	run(t, start(t, Config{Dir: dir}), "SELECT 1")
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process that is not ours was stopped: %v", err)
	}
}

func reusePID(t *testing.T, pidFile string, pid int) {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(pid)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
}

// As root, PostgreSQL's own user cannot enter the folders of t.TempDir.
func TestUnreachableDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home", "postgres")
	first := start(t, Config{Dir: dir})
	home := first.place.home
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if moved := home != dir; moved != (os.Geteuid() == 0) {
		t.Errorf("the data of %s lies in %s", dir, home)
	}
	run(t, first, "CREATE TABLE kept AS SELECT generate_series(1, 7)")
	stop(t, first)

	second := start(t, Config{Dir: dir})
	if rows := count(t, second, "kept"); rows != 7 {
		t.Errorf("%d rows after a restart, want 7", rows)
	}
	stop(t, second)

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	third := start(t, Config{Dir: dir})
	run(t, third, "CREATE TABLE kept ()")
}

func TestUnusualTemporaryFolder(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "a folder with spaces", strings.Repeat("long", 40))
	if err := os.MkdirAll(odd, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", odd)
	run(t, start(t, Config{}), "SELECT 1")
}

// Whoever runs the tests, the scenario is run by an ordinary user.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		run(t, start(t, Config{Dir: reachableDir(t)}), "SELECT 1")
		return
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	account, err := accountOf(nobody)
	if err != nil {
		t.Fatal(err)
	}
	home := reachableDir(t)
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := account.own(home); err != nil {
		t.Fatal(err)
	}
	tests := exec.Command(copyOfTests(t), "-test.v",
		"-test.run", "^(TestRestartKeepsData|TestCrash|TestServerEndsWith|TestNextStart|TestUnreachableDir|TestOrphan|TestTemporary|TestOrdinaryUser)")
	tests.Dir = home
	tests.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home}
	tests.SysProcAttr = &syscall.SysProcAttr{Credential: account.credential}
	said, err := tests.CombinedOutput()
	if err != nil {
		t.Errorf("as %s: %v\n%s", nobody.Username, err, said)
	}
}

// The test program lies in a folder that is closed to other users.
func copyOfTests(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	dir := reachableDir(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tests")
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Where nobody waits for orphans, one that has ended keeps its number.
func isZombie(pid int) bool {
	state, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && strings.Contains(string(state), ") Z ")
}
