package main_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// complete is what a shell is told to offer, and to do besides.
func (c cli) complete(args ...string) (offers []string, directive string) {
	c.t.Helper()
	r := c.ok(append([]string{"__complete"}, args...)...)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

const (
	offersFiles = ":0"
	offersOnly  = ":4"
)

func TestConnectionNamesAreCompleted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.connect()
	for _, command := range [][]string{
		{"status"}, {"syncs"}, {"users"}, {"changes"}, {"monitors"}, {"doctor"}, {"resync", "--no-wait"}, {"reconnect"},
		{"pause"}, {"resume"}, {"reschedule", "--every", "1h"}, {"disconnect"},
	} {
		// On a busy machine a shell may be told nothing rather than wait.
		await(t, "the name", func() bool {
			offers, directive := s.complete(append(command, s.name[:len(s.name)-1])...)
			require.Equal(t, offersOnly, directive, command)
			return slices.Contains(offers, s.name)
		})
		offers, _ := s.complete(append(command, "no-such-")...)
		require.Empty(t, offers)
		offers, _ = s.complete(append(command, s.name, "")...)
		require.Empty(t, offers, "there is one name")
	}
	offers, _ := s.complete("connect", "")
	require.Empty(t, offers, "it is to be a new name")
}

func TestSubscriptionNamesAreCompleted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	name := "to-" + rand.Text()
	s.with("JAMF_ACCESS_NOTIFY_URL=https://hooks.example.com/canary-secret-path").ok("notify", "add", name, "--org", s.org)
	s.connect()
	for _, command := range []string{"test", "deliveries", "remove"} {
		await(t, "the name", func() bool {
			offers, directive := s.complete("notify", command, name[:len(name)-1])
			require.Equal(t, offersOnly, directive)
			return slices.Contains(offers, name)
		})
		offers, _ := s.complete("notify", command, s.name)
		require.Empty(t, offers, "that is a connection")
	}
	offers, _ := s.complete("notify", "add", "")
	require.Empty(t, offers, "it is to be a new name")
	s.ok("notify", "remove", name)
}

func TestFlagsAreCompleted(t *testing.T) {
	t.Parallel()
	c := shared.cli(t)
	for _, test := range []struct{ args, want []string }{
		{[]string{"connect", "--scope", ""}, []string{"admins", "everyone"}},
		{[]string{"connect", "--via", ""}, []string{"jamf", "truto"}},
		{[]string{"demo", "--via", ""}, []string{"jamf", "truto"}},
		{[]string{"status", "-o", ""}, []string{"table", "json"}},
	} {
		offers, directive := c.complete(test.args...)
		require.Equal(t, test.want, offers)
		require.Equal(t, offersOnly, directive)
	}
	for _, args := range [][]string{{"staff", "import", ""}, {"keys", "create", ""}, {"connect", "--client-secret-file", ""}} {
		_, directive := c.complete(args...)
		require.Equal(t, offersFiles, directive, args)
	}
}

func TestCompletionIsSilentWhereNothingAnswers(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"DATABASE_URL=postgres://127.0.0.1:1/record", "DATABASE_URL="} {
		offers, directive := shared.cli(t).with(env).complete("status", "")
		require.Empty(t, offers)
		require.Equal(t, offersOnly, directive)
	}
}

func TestEveryShellHasACompletion(t *testing.T) {
	t.Parallel()
	c := shared.cli(t)
	offers, _ := c.complete("completion", "")
	shells := []string{"bash", "fish", "powershell", "zsh"}
	for _, shell := range shells {
		require.True(t, slices.ContainsFunc(offers, func(o string) bool { return strings.HasPrefix(o, shell) }))
		require.Contains(t, c.ok("completion", shell).stdout, "starter")
	}
}
