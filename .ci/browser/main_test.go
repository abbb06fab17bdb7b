// Package browser looks at Temporal's own UI, in headless Chromium, as the
// people do who watch connections there:
//
//	cd .ci/browser && go test .
//
// PICTURES=<folder> keeps a picture of each page.
package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/starter/stack"
	"jamf-access-review/worker/settings"
)

var (
	starter string // the program
	running *stack.Stack
	home    string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "jamf-access-browser-")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	starter, home = filepath.Join(dir, "starter"), filepath.Join(dir, "home")
	if out, err := exec.Command("go", "build", "-C", "../..", "-o", starter, "./starter").CombinedOutput(); err != nil {
		return failed(fmt.Errorf("%w\n%s", err, out))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	running, err = stack.Start(ctx, settings.Settings{Home: home}, stack.Config{Progress: func(string) {}})
	if err != nil {
		return failed(err)
	}
	code := m.Run()
	if err := running.Stop(); err != nil {
		return failed(err)
	}
	return code
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// connection is a connected simulated Jamf Pro.
type connection struct {
	t    *testing.T
	name string
	jamf *jamftest.Server
}

func connect(t *testing.T, name string) *connection {
	t.Helper()
	c := &connection{t: t, name: name, jamf: jamftest.New(jamftest.Config{ClientID: "client", ClientSecret: "secret"})}
	c.jamf.AddAccount(jamftest.Account{Username: "admin", Email: "admin@example.com", PrivilegeSet: jamftest.Administrator})
	for i := range 9 {
		c.jamf.AddAccount(jamftest.Account{Username: fmt.Sprint("user", i), Email: fmt.Sprintf("user%d@example.com", i)})
	}
	server := httptest.NewServer(c.jamf)
	t.Cleanup(server.Close)
	c.run(0, "connect", name, "--jamf-url", server.URL, "--client-id", "client", "--confirm-admin")
	t.Cleanup(func() { c.run(0, "disconnect", name) })
	return c
}

// run runs a command of the CLI, which is to end with an exit status.
func (c *connection) run(status int, args ...string) {
	c.t.Helper()
	cmd := exec.Command(starter, args...)
	cmd.Env = []string{"JAMF_ACCESS_HOME=" + home, "JAMF_CLIENT_SECRET=secret"}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(c.t, err)
	}
	require.Equal(c.t, status, cmd.ProcessState.ExitCode(), "starter %v\n%s", args, out)
}

// stall keeps a sync reading until the returned function is called.
func (c *connection) stall() (goOn func()) {
	gate := make(chan struct{})
	c.jamf.SetFault(func(r *http.Request) *faults.Fault {
		if r.URL.Path == "/api/v1/accounts" {
			<-gate
		}
		return nil
	})
	return func() { close(gate) }
}
