package localpostgres

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Set in the copies of this test program that a test runs as a caller of its own.
const ownerOfDir = "LOCALPOSTGRES_TEST_OWNER_OF"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerOfDir); dir != "" {
		ownServer(dir)
		return
	}
	os.Exit(m.Run())
}

// ownServer starts a server, says on which port and never stops it.
func ownServer(dir string) {
	server, err := Start(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(server.process.PID())
	<-server.Done()
}

// startOwner runs ownServer in another process and returns the server's process
// number.
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

// reachableDir is a folder that every user can enter; those of t.TempDir are closed
// to others than the one who runs the tests.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "localpostgres-test-*")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "postgres")
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, config Config) *Server {
	t.Helper()
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

func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	database, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	return database
}

func run(t *testing.T, server *Server, statement string) {
	t.Helper()
	if _, err := connect(t, server.URL("postgres")).ExecContext(testContext(t), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t *testing.T, server *Server, table string) int {
	t.Helper()
	var rows int
	err := connect(t, server.URL("postgres")).QueryRowContext(testContext(t), "SELECT count(*) FROM "+table).Scan(&rows)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
