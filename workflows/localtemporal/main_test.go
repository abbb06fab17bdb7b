package localtemporal

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

// Set in the copies of this test program that a test runs as a caller of its own.
const ownerOfDir = "LOCALTEMPORAL_TEST_OWNER_OF"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerOfDir); dir != "" {
		ownServer(dir)
		return
	}
	os.Exit(m.Run())
}

// ownServer starts a server, says its process number and never stops it.
func ownServer(dir string) {
	server, err := Start(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(server.process.PID())
	<-server.Done()
}

func startOwner(t *testing.T, dir string) (owner *exec.Cmd, server int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	owner = exec.Command(program)
	owner.Env = append(os.Environ(), ownerOfDir+"="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = owner.Process.Kill()
		_ = owner.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &server); err != nil {
		t.Fatalf("the owner of the server said %q", line)
	}
	return owner, server
}

// The time covers a first build on a slow machine.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, config Config) *Server {
	t.Helper()
	config.Progress = func(text string) { t.Log(text) }
	server, err := Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return server
}

func stop(t *testing.T, server *Server) {
	t.Helper()
	if err := server.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, server *Server, namespace string) client.Client {
	t.Helper()
	connection, err := client.DialContext(testContext(t), client.Options{
		HostPort:  server.Address,
		Namespace: namespace,
		Logger:    log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return connection
}
