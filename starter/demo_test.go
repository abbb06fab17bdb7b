package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/worker/settings"
)

// ordinary is the user that the demo is run as besides root.
const ordinary = "nobody"

func TestDemo(t *testing.T) {
	t.Parallel()
	users := []string{""}
	if os.Getuid() == 0 {
		users = append(users, ordinary)
	}
	for _, name := range users {
		t.Run("as "+orSelf(name), func(t *testing.T) {
			t.Parallel()
			h := newHome(t, name)
			t.Run("ends by itself and leaves nothing running", h.demoEnds)
			t.Run("keeps its data and ends on Ctrl-C", h.demoStaysUp)
			t.Run("begins anew after a disconnect, and elsewhere", h.demoBeginsAnew)
			t.Run("goes on with a connect that it was stopped in", h.demoGoesOnConnecting)
			t.Run("leaves the settings of another alone", h.demoBesideAnother)
			t.Run("says as JSON how its sync failed", h.demoFails)
			t.Run("shows the same through Truto", h.demoThroughTruto)
			t.Run("names the flag of a port that is taken", h.demoWithTakenPorts)
		})
	}
}

func TestDevIsAStackForEveryOtherCommand(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	p := h.dev(t, "-o", "json")
	require.Equal(t, h.data(), document[map[string]string](t, result{stdout: p.stdout.String(), stderr: p.stderr.String()})["home"])
	require.Zero(t, p.interrupt(t), "%s", p)
	p = h.dev(t)
	require.Contains(t, p.stdout.String(), "Temporal UI   http://127.0.0.1:", "%s", p)
	require.Contains(t, p.stdout.String(), "starter staff import", "%s", p)
	s := setup(t)
	c := h.cli(t)
	require.Equal(t, "applied", ask[syncedDoc](c.with("JAMF_CLIENT_SECRET="+s.secret), s.connectArgs()...).Sync.Outcome)
	require.Equal(t, "applied", ask[syncedDoc](c, "resync", s.name).Sync.Outcome)
	require.Zero(t, p.interrupt(t), "%s", p)
	h.requireNothingRuns(t)
	failed := c.refuse(5, "unreachable", "list")
	require.Contains(t, failed.Hint, "starter dev")
}

// The first start takes minutes, and what is wrong is said before their end.
func TestTheFirstStart(t *testing.T) {
	t.Parallel()
	unbuilt := func(t *testing.T, goTool string) *home {
		h := newHome(t, "")
		require.NoError(t, os.RemoveAll(filepath.Join(h.dir, "cache")))
		require.NoError(t, os.Mkdir(filepath.Join(h.dir, "bin"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(h.dir, "bin", "go"), []byte("#!/bin/sh\n"+goTool), 0o755))
		h.path = filepath.Join(h.dir, "bin") + ":"
		return h
	}
	t.Run("a taken port is named while Temporal is built", func(t *testing.T) {
		t.Parallel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
		p := unbuilt(t, "exec sleep 1000").demo(t, "--postgres-port", port)
		require.Equal(t, 2, p.exit(t), "%s", p)
		require.Contains(t, p.stderr.String(), port)
	})
	t.Run("a build that fails is quoted line by line", func(t *testing.T) {
		t.Parallel()
		p := unbuilt(t, "echo one; echo two; exit 1").demo(t)
		require.Equal(t, 1, p.exit(t), "%s", p)
		require.Contains(t, p.stderr.String(), "one\n  two\n")
	})
}

func orSelf(name string) string {
	if name != "" {
		return name
	}
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return "oneself"
}

// home is where a local stack keeps its data, and the user it runs as.
type home struct {
	dir        string
	credential *syscall.Credential
	// path comes before the PATH.
	path string
}

// newHome makes a fresh home for a user, "" for the one who runs the tests.
// Temporal's program, which takes minutes to build, is in the user's cache.
func newHome(t *testing.T, name string) *home {
	t.Helper()
	dir, err := publicDir()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	h := &home{dir: dir}
	h.linkPrograms(t)
	if name == "" {
		return h
	}
	account, err := user.Lookup(name)
	require.NoError(t, err)
	uid, err := strconv.Atoi(account.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(account.Gid)
	require.NoError(t, err)
	h.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return os.Chown(path, uid, gid)
	}))
	return h
}

// linkPrograms puts what this user has built of Temporal in the home's cache.
func (h *home) linkPrograms(t *testing.T) {
	t.Helper()
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	built, err := filepath.Glob(filepath.Join(cache, "jamf-access-review", "*", "temporal"))
	require.NoError(t, err)
	for _, program := range built {
		to := filepath.Join(h.dir, "cache", "jamf-access-review", filepath.Base(filepath.Dir(program)), "temporal")
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		if os.Link(program, to) == nil {
			continue
		}
		content, err := os.ReadFile(program)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, content, 0o755))
	}
}

func (h *home) env() []string {
	return []string{
		"PATH=" + h.path + os.Getenv("PATH"), "HOME=" + h.dir, "XDG_CACHE_HOME=" + filepath.Join(h.dir, "cache"),
		"JAMF_ACCESS_HOME=" + h.data(),
	}
}

func (h *home) data() string { return filepath.Join(h.dir, "data") }

func (h *home) cli(t *testing.T) cli { return cli{t: t, env: h.env()} }

// stack is a running demo or dev.
type stack struct {
	cmd            *exec.Cmd
	stdout, stderr buffer
	done           chan struct{}
}

// buffer is a bytes.Buffer that can be read while it is written.
type buffer struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}

func (p *stack) String() string {
	return fmt.Sprintf("%s\nstdout:\n%s\nstderr:\n%s", p.cmd, p.stdout.String(), p.stderr.String())
}

func (h *home) start(t *testing.T, args ...string) *stack {
	t.Helper()
	p := &stack{cmd: exec.Command(program("starter"), args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = h.env(), h.dir, &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.credential}
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

func (p *stack) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *stack) exit(t *testing.T) int {
	t.Helper()
	await(t, "the end of "+p.cmd.String(), p.ended)
	return p.cmd.ProcessState.ExitCode()
}

func (p *stack) interrupt(t *testing.T) int {
	t.Helper()
	require.False(t, p.ended(), "%s", p)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	return p.exit(t)
}

var anyPorts = []string{"--temporal-port", "0", "--ui-port", "0", "--postgres-port", "0"}

func (h *home) demo(t *testing.T, more ...string) *stack {
	t.Helper()
	return h.start(t, append(append([]string{"demo"}, anyPorts...), more...)...)
}

// requireNothingRuns looks for processes that know of the home.
func (h *home) requireNothingRuns(t *testing.T) {
	t.Helper()
	await(t, "the end of every process of "+h.dir, func() bool { return len(h.processes(t)) == 0 })
}

func (h *home) processes(t *testing.T) []string {
	t.Helper()
	var found []string
	folders, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, folder := range folders {
		command, _ := os.ReadFile(folder + "/cmdline")
		environment, _ := os.ReadFile(folder + "/environ")
		if bytes.Contains(command, []byte(h.dir)) || bytes.Contains(environment, []byte(h.dir)) {
			found = append(found, string(command))
		}
	}
	return found
}

func (h *home) demoEnds(t *testing.T) {
	p := h.demo(t, "--exit", "--accounts", "12")
	require.Zero(t, p.exit(t), "%s", p)
	require.Empty(t, h.processes(t), "it ends what it started before it ends")
	for _, shown := range []string{
		"amara.abara", "amara.abara@example.com", "Administrator",
		"JAMF_ACCESS_REMOVED_ON_EXIT: failing", "JAMF_USER_MFA_ENABLED: not_evaluable",
		"http://127.0.0.1:", "access-sync%2Fdemo", "without --exit",
	} {
		require.Contains(t, p.stdout.String(), shown)
	}
	require.NotContains(t, p.stdout.String(), "starter resync", "which would find nothing")
	require.Contains(t, p.stderr.String(), "starting PostgreSQL")
	require.NotContains(t, p.stdout.String(), "$?", "it is 1 of every failure, after go run")
}

func (h *home) demoStaysUp(t *testing.T) {
	p := h.demo(t)
	await(t, "the demo to be up", func() bool { return strings.Contains(p.stderr.String(), "Ctrl-C ends it") || p.ended() })
	require.False(t, p.ended(), "%s", p)
	for _, shown := range []string{"starter resync demo", "starter staff list --org demo"} {
		// What was printed before comes by another pipe.
		await(t, shown, func() bool { return strings.Contains(p.stdout.String(), shown) })
	}
	c := h.cli(t)
	syncs := ask[[]syncDoc](c, "syncs", "demo")
	require.Len(t, syncs, 2, "the second demo goes on with the record of the first")
	require.Equal(t, "connect", syncs[1].Trigger)
	require.Equal(t, "applied", syncs[0].Outcome)
	require.Equal(t, syncs[1].Accounts, syncs[0].Accounts)
	require.Equal(t, "active", ask[statusDoc](c, "status", "demo").State)
	require.Equal(t, "applied", ask[syncedDoc](c, "resync", "demo").Sync.Outcome)
	require.Equal(t, 7, c.run("monitors", "demo", "--check").code)
	require.NotEmpty(t, ask[[]map[string]any](c, "staff", "list", "--org", "demo"))
	c.refuse(6, "not_found", "staff", "list")
	c.ok("disconnect", "demo")

	require.Zero(t, p.interrupt(t), "%s", p)
	require.Empty(t, h.processes(t), "it ends what it started before it ends")
}

// demoBeginsAnew runs after a demo whose connection was disconnected.
func (h *home) demoBeginsAnew(t *testing.T) {
	for _, more := range [][]string{nil, {"--jamf-port", strconv.Itoa(freePort(t))}} {
		p := h.demo(t, append(more, "--exit")...)
		require.Zero(t, p.exit(t), "%s", p)
		require.Contains(t, p.stdout.String(), "Sync 1: ")
	}
	p := h.demo(t, "--exit")
	require.Zero(t, p.exit(t), "%s", p)
	require.Contains(t, p.stdout.String(), "Sync 2: ", "it is still there")

	p = h.dev(t)
	h.cli(t).ok("staff", "import", file(t, "email,name,exited_at\n"+email("ada")+",Canary ada,\n"))
	h.exec(t, `UPDATE connections SET organization_id = (SELECT id FROM organizations WHERE name = 'default')`)
	require.Zero(t, p.interrupt(t), "%s", p)
	p = h.demo(t, "--exit")
	require.Zero(t, p.exit(t), "%s", p)
	require.Contains(t, p.stdout.String(), "Sync 1: ", "it was in another organization")

	p = h.dev(t)
	h.exec(t, `UPDATE connections SET base_url = 'https://acme.example', account = base_url`)
	require.Zero(t, p.interrupt(t), "%s", p)
	p = h.demo(t, "--exit")
	require.Equal(t, 6, p.exit(t), "%s", p)
	require.Contains(t, p.stderr.String(), "https://acme.example")
	require.Contains(t, p.stderr.String(), "JAMF_ACCESS_HOME")
	p = h.dev(t)
	h.exec(t, `UPDATE connections SET base_url = account, account = ''`)
	require.Zero(t, p.interrupt(t), "%s", p)
}

// demoGoesOnConnecting has something that never answers stand where the
// simulated Jamf Pro will be.
func (h *home) demoGoesOnConnecting(t *testing.T) {
	var state struct{ Ports map[string]int }
	content, err := os.ReadFile(filepath.Join(h.data(), "demo.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &state))
	silent, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", state.Ports["jamf"]))
	require.NoError(t, err)
	defer silent.Close()
	p := h.dev(t)
	c := h.cli(t)
	roster := ask[[]map[string]any](c, "staff", "list")
	require.Len(t, roster, 1, "the demo has left the roster of real people alone")
	require.Equal(t, email("ada"), roster[0]["email"])
	c.ok("disconnect", "demo", "--erase")
	connecting := exec.Command(program("starter"), "connect", "demo", "--jamf-url", "http://"+silent.Addr().String(), "--client-id", "demo-client", "--org", "demo", "--confirm-admin")
	connecting.Env = append(h.env(), "JAMF_CLIENT_SECRET=demo-secret")
	require.NoError(t, connecting.Start())
	await(t, "the connect", func() bool { return c.run("status", "demo").code == 0 })
	require.NoError(t, connecting.Process.Signal(os.Interrupt))
	_ = connecting.Wait()
	require.Equal(t, "connecting", ask[statusDoc](c, "status", "demo").State)
	require.Zero(t, p.interrupt(t), "%s", p)

	require.NoError(t, silent.Close())
	p = h.demo(t, "--exit")
	require.Zero(t, p.exit(t), "%s", p)
	require.Contains(t, p.stdout.String(), "Sync 1: ")
}

// demoBesideAnother is refused: a demo that took over its port would begin anew.
func (h *home) demoBesideAnother(t *testing.T) {
	settings := func() string {
		content, err := os.ReadFile(filepath.Join(h.data(), "demo.json"))
		require.NoError(t, err)
		return string(content)
	}
	before, p := settings(), h.dev(t)
	refused := h.demo(t, "--jamf-port", fmt.Sprint(freePort(t)), "--exit")
	require.Equal(t, 2, refused.exit(t), "%s", refused)
	require.Equal(t, before, settings())
	require.Zero(t, p.interrupt(t), "%s", p)
}

// dev is a dev that is up.
func (h *home) dev(t *testing.T, more ...string) *stack {
	t.Helper()
	p := h.start(t, append(append([]string{"dev"}, anyPorts...), more...)...)
	await(t, "the stack to be up", func() bool {
		return strings.Contains(p.stderr.String(), "Ctrl-C ends it") && p.stdout.String() != "" || p.ended()
	})
	require.False(t, p.ended(), "%s", p)
	return p
}

// exec changes the home's record behind everybody's back.
func (h *home) exec(t *testing.T, statement string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(h.data(), "stack.json"))
	require.NoError(t, err)
	var stack settings.Stack
	require.NoError(t, json.Unmarshal(content, &stack))
	(&world{databaseURL: stack.DatabaseURL}).exec(t, statement)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// demoFails has the simulated Jamf Pro say that nobody is left in it.
func (h *home) demoFails(t *testing.T) {
	file := filepath.Join(h.data(), "demo.json")
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, bytes.Replace(before, []byte(`"accounts":12`), []byte(`"accounts":0`), 1), 0o600))
	p := h.demo(t, "--exit", "-o", "json")
	require.Equal(t, 9, p.exit(t), "%s", p)
	failed := document[refused](t, result{stdout: p.stdout.String(), stderr: p.stderr.String()})
	require.Equal(t, "inconsistent_source", failed.Error)
	require.NotEmpty(t, failed.Message)
	require.NoError(t, os.WriteFile(file, before, 0o600))
}

func (h *home) demoThroughTruto(t *testing.T) {
	p := h.demo(t, "--via", "truto", "--exit")
	require.Zero(t, p.exit(t), "%s", p)
	for _, shown := range []string{
		"amara.abara", "The simulated Truto", "access-sync%2Fdemo-truto",
		"JAMF_ACCESS_REMOVED_ON_EXIT: failing", "JAMF_USER_MFA_ENABLED: failing",
		"left out: users without any role or group (",
	} {
		require.Contains(t, p.stdout.String(), shown)
	}
	require.Empty(t, h.processes(t), "it ends what it started before it ends")
}

func (h *home) demoWithTakenPorts(t *testing.T) {
	for _, flag := range []string{"--postgres-port", "--temporal-port", "--ui-port", "--jamf-port"} {
		t.Run(flag, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
			p := h.demo(t, flag, port, "--exit", "-o", "json")
			require.Equal(t, 2, p.exit(t), "%s", p)
			failed := document[refused](t, result{stdout: p.stdout.String(), stderr: p.stderr.String()})
			require.Contains(t, failed.Message, port)
			require.Contains(t, failed.Hint, flag)
			require.Empty(t, h.processes(t))
		})
	}
}
