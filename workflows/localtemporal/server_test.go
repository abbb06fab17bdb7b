package localtemporal

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"jamf-access-review/db/localprocess"
)

func startWorkflow(t *testing.T, server *Server, id string) {
	t.Helper()
	options := client.StartWorkflowOptions{ID: id, TaskQueue: "nobody-listens"}
	if _, err := dial(t, server, "default").ExecuteWorkflow(testContext(t), options, "Anything"); err != nil {
		t.Fatal(err)
	}
}

func requireRunning(t *testing.T, server *Server, id string) {
	t.Helper()
	found, err := dial(t, server, "default").DescribeWorkflowExecution(testContext(t), id, "")
	if err != nil {
		t.Fatal(err)
	}
	if status := found.GetWorkflowExecutionInfo().GetStatus(); status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		t.Errorf("workflow %s is %v, want running", id, status)
	}
}

func TestRestartKeepsWorkflows(t *testing.T) {
	config := Config{Dir: filepath.Join(t.TempDir(), "temporal"), SearchAttributes: map[string]string{"Connection": "Keyword"}}
	first := start(t, config)
	startWorkflow(t, first, "kept")
	stop(t, first)
	second := start(t, config)
	requireRunning(t, second, "kept")
	if err := second.Kill(); err != nil {
		t.Fatal(err)
	}
	third := start(t, config)
	requireRunning(t, third, "kept")
}

func TestNamespaceAndSearchAttributes(t *testing.T) {
	server := start(t, Config{
		Namespace:        "reviews",
		SearchAttributes: map[string]string{"Connection": "Keyword", "Accounts": "Int"},
		DynamicConfig:    map[string]string{"limit.maxIDLength": "255"},
	})
	attributes, err := dial(t, server, "reviews").OperatorService().ListSearchAttributes(testContext(t),
		&operatorservice.ListSearchAttributesRequest{Namespace: "reviews"})
	if err != nil {
		t.Fatal(err)
	}
	if kind := attributes.GetCustomAttributes()["Connection"]; kind != enumspb.INDEXED_VALUE_TYPE_KEYWORD {
		t.Errorf("the search attribute Connection is %v", kind)
	}
	if kind := attributes.GetCustomAttributes()["Accounts"]; kind != enumspb.INDEXED_VALUE_TYPE_INT {
		t.Errorf("the search attribute Accounts is %v", kind)
	}
}

func TestUI(t *testing.T) {
	server := start(t, Config{})
	response, err := http.Get(server.UIAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(page), "<html") {
		t.Errorf("%s answers %s: %.200s", server.UIAddress, response.Status, page)
	}
}

func TestWithoutUI(t *testing.T) {
	server := start(t, Config{UIPort: NoUI})
	if server.UIAddress != "" {
		t.Errorf("the address of the UI is %q", server.UIAddress)
	}
}

func TestSeveralAtOnce(t *testing.T) {
	addresses := make(map[string]bool)
	for range 3 {
		server := start(t, Config{})
		addresses[server.Address] = true
		addresses[server.UIAddress] = true
	}
	if len(addresses) != 6 {
		t.Errorf("three servers have the addresses %v", addresses)
	}
}

func TestUnexpectedEndIsNoticed(t *testing.T) {
	server := start(t, Config{})
	if err := server.Failure(); err != nil {
		t.Fatalf("a running server has failed: %v", err)
	}
	if err := syscall.Kill(server.process.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-server.Done()
	if err := server.Failure(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the failure does not say how it ended: %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp4", localprocess.Address(0))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	for purpose, config := range map[string]Config{PurposeServer: {Port: port}, PurposeUI: {UIPort: port}} {
		_, err := Start(testContext(t), config)
		var taken *PortInUseError
		if !errors.As(err, &taken) || *taken != (PortInUseError{Port: port, Purpose: purpose}) {
			t.Errorf("%s on a taken port: %v", purpose, err)
		}
	}
}

func TestUnusablePorts(t *testing.T) {
	for _, config := range []Config{{Port: 80}, {UIPort: 70000}, {Port: 20000, UIPort: 20000}} {
		if _, err := Start(testContext(t), config); err == nil {
			t.Errorf("ports %d and %d were accepted", config.Port, config.UIPort)
		}
	}
}

func TestBadSettingIsExplained(t *testing.T) {
	_, err := Start(testContext(t), Config{DynamicConfig: map[string]string{"limit.maxIDLength": "{"}})
	if err == nil || !strings.Contains(err.Error(), "dynamic config") {
		t.Errorf("starting with a broken setting: %v", err)
	}
}

func TestDataInUse(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{Dir: dir})
	_, err := Start(testContext(t), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("starting on data in use: %v", err)
	}
}

func TestKilledParent(t *testing.T) {
	dir := t.TempDir()
	owner, pid := startOwner(t, dir)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	requireGone(t, pid)
	start(t, Config{Dir: dir})
}

func requireGone(t *testing.T, pid int) {
	t.Helper()
	ctx := testContext(t)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for syscall.Kill(pid, 0) == nil && !isZombie(pid) {
		select {
		case <-ctx.Done():
			t.Fatalf("the server, process %d, outlives its parent", pid)
		case <-poll.C:
		}
	}
}

// Where nobody waits for orphans, one that has ended keeps its number.
func isZombie(pid int) bool {
	state, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && strings.Contains(string(state), ") Z ")
}

// The lock is given up while the server runs, as when a program and its watchdog are
// killed together.
func TestOrphanIsStopped(t *testing.T) {
	config := Config{Dir: t.TempDir()}
	first := start(t, config)
	startWorkflow(t, first, "kept")
	if err := first.place.close(); err != nil {
		t.Fatal(err)
	}
	config.Port = portOf(t, first)
	second := start(t, config)
	<-first.Done()
	requireRunning(t, second, "kept")
}

func portOf(t *testing.T, server *Server) int {
	t.Helper()
	_, text, err := net.SplitHostPort(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Whoever runs the tests, the scenario is run by an ordinary user. It finds the
// program on PATH, where it would otherwise build its own.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		start(t, Config{Dir: t.TempDir()})
		return
	}
	home, credential := homeOfNobody(t)
	program, err := findProgram(testContext(t), Config{})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyProgram(t, program, filepath.Join(home, "bin", "temporal"))
	copyProgram(t, self, filepath.Join(home, "bin", "tests"))
	tests := exec.Command(filepath.Join(home, "bin", "tests"), "-test.v",
		"-test.run", "^(TestRestart|TestKilledParent|TestOrphan|TestOrdinaryUser)")
	tests.Dir = home
	tests.Env = []string{"PATH=" + filepath.Join(home, "bin"), "HOME=" + home, "TMPDIR=" + home}
	tests.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	said, err := tests.CombinedOutput()
	if err != nil {
		t.Errorf("as nobody: %v\n%s", err, said)
	}
}

func homeOfNobody(t *testing.T) (string, *syscall.Credential) {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, uidErr := strconv.Atoi(nobody.Uid)
	gid, gidErr := strconv.Atoi(nobody.Gid)
	home, err := os.MkdirTemp("", "localtemporal-test-*")
	if err := errors.Join(err, uidErr, gidErr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := errors.Join(os.Chown(home, uid, gid), os.Mkdir(filepath.Join(home, "bin"), 0o755)); err != nil {
		t.Fatal(err)
	}
	return home, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		t.Fatal(err)
	}
}

// Callers that give up while the server works on their data, as stopping
// workers do, must not break it for everybody else: of a query that SQLite was
// made to interrupt its driver once left a part behind, and from then on every
// statement was interrupted.
func TestCallersThatGiveUpLeaveTheServerWell(t *testing.T) {
	server := start(t, Config{UIPort: NoUI})
	temporal := dial(t, server, "default")
	for i := range 100 {
		options := client.StartWorkflowOptions{ID: strconv.Itoa(i), TaskQueue: "nobody-listens"}
		if _, err := temporal.ExecuteWorkflow(testContext(t), options, "Anything"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4000 {
		ctx, giveUp := context.WithTimeout(t.Context(), time.Duration(i%200)*20*time.Microsecond)
		_, _ = temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{})
		giveUp()
	}
	if _, err := temporal.ListWorkflow(testContext(t), &workflowservice.ListWorkflowExecutionsRequest{}); err != nil {
		t.Fatal(err)
	}
	startWorkflow(t, server, "after")
	requireRunning(t, server, "after")
}
