package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/jamf/jamftest"
)

// slowly makes a Jamf answer so slowly that reading it takes a while, and
// returns a function that waits until a sync is in the middle of it.
func (s *subject) slowly() (awaitMiddle func()) {
	s.t.Helper()
	read := s.jamf.Requests()["/JSSResource/accounts/userid/{id}"]
	s.jamf.SetLatency(100 * time.Millisecond)
	return func() {
		s.t.Helper()
		await(s.t, "a fetch to be under way", func() bool { return s.jamf.Requests()["/JSSResource/accounts/userid/{id}"] >= read+150 })
	}
}

// bigSetup makes a subject whose Jamf is read account by account.
func (w *world) bigSetup(t *testing.T) *subject {
	t.Helper()
	s := w.setup(t)
	s.jamf.SetRelease(jamftest.ClassicOnly())
	s.jamf.Demo(400)
	return s
}

func TestAnotherWorkerFinishesWhatADeadOneBegan(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"killed": syscall.SIGKILL, "told to stop": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ownWorld(t)
			first := w.mustStartWorker(t)
			s := w.bigSetup(t)
			s.connect()
			before := s.users()
			awaitMiddle := s.slowly()
			asked := make(chan result, 1)
			go func() { asked <- s.run("resync", s.name, "-o", "json") }()
			awaitMiddle()
			require.NoError(t, first.end(signal))
			if signal == syscall.SIGTERM {
				require.NoError(t, first.err)
			}
			s.jamf.SetLatency(0)
			w.mustStartWorker(t)
			r := <-asked
			require.Zero(t, r.code, "%s", r)
			require.Equal(t, 2, document[syncedDoc](t, r).Sync.Number)
			require.Equal(t, before, s.users())
			require.Empty(t, s.changesOf(2))
			require.Len(t, s.syncs(), 2)
		})
	}
}

// What was read of a first snapshot is where it will stay, and counts once.
func TestAnotherWorkerFinishesAFirstSync(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	first := w.mustStartWorker(t)
	s := w.bigSetup(t)
	awaitMiddle := s.slowly()
	connected := make(chan syncedDoc, 1)
	go func() { connected <- s.connect() }()
	awaitMiddle()
	require.Empty(t, s.users(), "it is not on record yet")
	require.NoError(t, first.end(syscall.SIGKILL))
	s.jamf.SetLatency(0)
	w.mustStartWorker(t)
	got := <-connected
	require.Equal(t, got.Sync.Accounts, got.Sync.Added)
	require.Len(t, s.users(), got.Sync.Accounts)
	require.Len(t, s.changesOf(1), got.Sync.Accounts)
	require.Less(t, s.jamf.Requests()["/JSSResource/accounts/userid/{id}"], 600, "it went on where the other was")
}

// Whatever others want of a Jamf Pro that is being read, if only to try their
// credentials, they wait for their turn, on whichever worker.
func TestAJamfIsAskedForFiveThingsAtOnceAtMost(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	w.mustStartWorker(t)
	w.mustStartWorker(t)
	s := w.bigSetup(t)
	s.connect()
	awaitMiddle := s.slowly()
	var all sync.WaitGroup
	all.Go(func() {
		s.resync()
		s.jamf.SetLatency(0)
	})
	awaitMiddle()
	for range 4 {
		other := *s
		other.name = fmt.Sprintf("%s-%d", s.name, subjects.Add(1))
		all.Go(func() { other.connect() })
	}
	all.Wait()
	require.Equal(t, 5, s.jamf.MaxConcurrent())
}

// awaitPolling waits until a worker takes work.
func (wk *worker) awaitPolling(t *testing.T) {
	t.Helper()
	await(t, "the worker to poll", func() bool {
		content, err := os.ReadFile(wk.log)
		return err == nil && bytes.Contains(content, []byte("The worker is polling"))
	})
}

// Whatever a worker was about to do when it was told to stop is done by another
// one, soon and not after the longest time that it might have taken.
func TestReplacingWorkersDelaysNobody(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	current := w.mustStartWorker(t)
	busy := make([]*subject, 6)
	for i := range busy {
		busy[i] = w.setup(t)
		busy[i].connect()
	}
	var synced atomic.Int64
	replaced := make(chan struct{})
	results := make([]result, len(busy))
	var all sync.WaitGroup
	for i, s := range busy {
		all.Go(func() {
			for {
				if results[i] = s.run("resync", s.name); results[i].code != 0 {
					return
				}
				synced.Add(1)
				select {
				case <-replaced:
					return
				default:
				}
			}
		})
	}
	for range 6 {
		next := w.mustStartWorker(t)
		next.awaitPolling(t)
		enough := synced.Load() + int64(len(busy))
		await(t, "more syncs", func() bool { return synced.Load() >= enough })
		require.NoError(t, current.end(syscall.SIGTERM))
		current = next
	}
	close(replaced)
	all.Wait()
	for _, r := range results {
		require.Zero(t, r.code, "%s", r)
	}
}

func TestAnIdleWorkerEndsWhenItIsAsked(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		wk := w.mustStartWorker(t)
		wk.awaitPolling(t)
		require.NoError(t, wk.end(signal))
		require.NoError(t, wk.err)
	}
}

func TestConnectWaitsForAWorkerAndSaysSo(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	s := w.setup(t)
	term := s.withSecret().atTerminal(s.connectArgs()...)
	await(t, "word of it", func() bool { return bytes.Contains([]byte(term.shown()), []byte("no worker polls the task queue")) })
	w.mustStartWorker(t)
	require.Zero(t, term.exit(), "%s", term.shown())
	require.Equal(t, "active", s.status().State)
}

// A worker that hangs is still listed at Temporal as one that polls.
func TestAWorkerThatDoesNothingIsNoticed(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	hanging := w.mustStartWorker(t)
	s := w.setup(t)
	s.connect("--every", "1000h")
	require.Equal(t, "not known: Temporal does not answer", ask[statusDoc](s.with("TEMPORAL_ADDRESS=127.0.0.1:1"), "status", s.name).Doing)
	require.NoError(t, hanging.cmd.Process.Signal(syscall.SIGSTOP))
	t.Cleanup(func() { hanging.cmd.Process.Signal(syscall.SIGCONT) })

	require.Contains(t, s.status().Doing, "no worker answers")
	term := s.atTerminal("resync", s.name)
	await(t, "word of it", func() bool { return strings.Contains(term.shown(), "no worker has taken this yet") })
	require.NoError(t, hanging.cmd.Process.Signal(syscall.SIGCONT))
	require.Zero(t, term.exit(), "%s", term.shown())
	require.Equal(t, 1, strings.Count(term.shown(), "no worker has taken this yet"))
}

func TestKeysRotateUnderARunningWorker(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	w.mustStartWorker(t)
	old := w.setup(t)
	old.connect()
	require.Equal(t, 1, ask[map[string]int](old.cli, "keys", "rotate")["resealed"])
	require.Contains(t, old.ok("keys", "rotate").stdout, "are sealed with it: 1.")
	require.Equal(t, "applied", old.resync().Sync.Outcome, "what was sealed with the new key is opened")
	require.Equal(t, "applied", w.setup(t).connect().Sync.Outcome, "what is sealed with the new key is opened")
	old.jamf.RevokeTokens()
	require.Equal(t, "applied", old.resync().Sync.Outcome)
	secret := old.rotate()
	require.Zero(t, old.reconnectWith(secret).code)
}

func TestAKeysetThatCannotBeRotatedStaysAsItIs(t *testing.T) {
	t.Parallel()
	made := filepath.Join(t.TempDir(), "keyset.json")
	s := setup(t)
	s.connect()
	c := s.cli
	c.ok("keys", "create", made)
	content, err := os.ReadFile(made)
	require.NoError(t, err)

	// What is refused is a document with a message and a hint, and has no key
	// in it.
	inline := c.with("JAMF_ACCESS_KEYSET="+string(content)).refuse(2, "usage", "keys", "rotate")
	require.Contains(t, inline.Message, "the keyset is in the environment")
	require.Contains(t, inline.Hint, "file")
	require.NotContains(t, inline.Message+inline.Hint, "keyData")

	missing := c.with("JAMF_ACCESS_KEYSET="+made+".not").refuse(2, "usage", "keys", "rotate")
	require.Contains(t, missing.Message, made+".not")
	require.Contains(t, missing.Hint, "starter keys create")

	another := c.with("JAMF_ACCESS_KEYSET="+made).refuse(1, "unexpected", "keys", "rotate")
	require.Contains(t, another.Message, "the keyset has no key for it")

	c.with("JAMF_ACCESS_KEYSET="+made, "DATABASE_URL=postgres://127.0.0.1:1/record").refuse(5, "unreachable", "keys", "rotate")
	after, err := os.ReadFile(made)
	require.NoError(t, err)
	require.Equal(t, content, after, "nothing is sealed with the new key")
}

func TestKeysAreMadeOnce(t *testing.T) {
	t.Parallel()
	failed := shared.cli(t).refuse(6, "already_exists", "keys", "create", shared.keyset())
	require.Contains(t, failed.Message, shared.keyset())
	info, err := os.Stat(shared.keyset())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestWithoutAKeysetNoSecretIsTaken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	missing := s.world.dir + "/nowhere.json"
	failed := s.with("JAMF_ACCESS_KEYSET="+missing).refuse(2, "usage", s.connectArgs()...)
	require.Contains(t, failed.Message, missing, "and not that there is no secret, which is asked for later")
	require.Contains(t, failed.Hint, "starter keys create")
	s.refuse(6, "not_found", "status", s.name)
}

func TestAWorkerThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	const closed = "127.0.0.1:1"
	for name, c := range map[string]struct{ env, said, remedy string }{
		"no PostgreSQL": {"DATABASE_URL=postgres://canary:canary-password@" + closed + "/record?sslmode=disable", closed, ""},
		"no Temporal":   {"TEMPORAL_ADDRESS=" + closed, closed, ""},
		"no keyset":     {"JAMF_ACCESS_KEYSET=/nowhere/keyset.json", "/nowhere/keyset.json", "starter keys create"},
		"no setting":    {"DATABASE_URL=", "DATABASE_URL", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, program("worker"))
			cmd.Env = append(shared.env(), c.env)
			out, err := cmd.CombinedOutput()
			require.NoError(t, ctx.Err())
			require.Error(t, err)
			require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", out)
			require.Contains(t, string(out), c.said)
			require.Contains(t, string(out), c.remedy)
			require.NotContains(t, string(out), "canary-password")
			require.NotContains(t, string(out), "goroutine ")
		})
	}
}
