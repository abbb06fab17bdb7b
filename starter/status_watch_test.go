package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatusIsWatchedOnATerminal(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	const clear = "\x1b[2J"
	term := s.atTerminal("status", s.name, "--watch")
	await(t, "it to be drawn again", func() bool { return strings.Count(term.shown(), clear) > 1 })
	s.ok("pause", s.name)
	await(t, "the change", func() bool {
		return strings.Contains(term.shown()[strings.LastIndex(term.shown(), clear):], "paused")
	})
	require.NoError(t, term.cmd.Process.Signal(os.Interrupt))
	require.Zero(t, term.exit(), "%s", term.shown())
}

func TestStatusIsPrintedWhenItChangesElsewhere(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect("--every", "24h")
	name := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(name)
	require.NoError(t, err)
	defer out.Close()
	cmd := exec.Command(program("starter"), "status", s.name, "--watch")
	cmd.Env, cmd.Stdout = s.env, out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	shown := func() string {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(content)
	}
	await(t, "the first status", func() bool { return strings.Contains(shown(), "active") })
	s.ok("pause", s.name)
	await(t, "the change", func() bool { return strings.Contains(shown(), "paused") })
	require.NotContains(t, shown(), "\x1b")

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "to end it is no failure")
	blocks := strings.Split(strings.TrimSpace(shown()), "\n\n")
	for i, block := range blocks[1:] {
		_, before, _ := strings.Cut(blocks[i], "\n")
		_, after, _ := strings.Cut(block, "\n")
		require.NotEqual(t, before, after)
	}
}

func TestWatchIsForPeople(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.refuse(2, "usage", "status", s.name, "--watch")
	r := s.run("status", s.name, "--watch")
	require.Equal(t, 6, r.code, "%s", r)
}

func TestCommandsThatWaitSayWhatFor(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	c := w.cli(t)
	for said, args := range map[string][]string{
		"Importing the roster": {"staff", "import", file(t, "email,name,exited_at\n"+email("ada")+",Canary,\n")},
		"Sealing":              {"keys", "rotate"},
		"schema":               {"migrate"},
		"looking at":           {"doctor"},
	} {
		r := c.run(append(args, "-o", "json")...)
		require.Contains(t, r.stderr, said)
		document[map[string]any](t, r)
	}
}
