package main_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

type helpDoc struct {
	Command string `json:"command"`
	Help    string `json:"help"`
}

// listedCommand is a line of help that may be about a command.
var listedCommand = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}\S`)

// Programs read one document whatever they ask for, and people an example.
func TestHelpOfEveryCommandIsOneDocumentAndHasExamples(t *testing.T) {
	t.Parallel()
	c := shared.cli(t)
	seen := map[string]bool{}
	var look func(path ...string)
	look = func(path ...string) {
		doc := ask[helpDoc](c, append(path, "--help")...)
		if doc.Command != strings.Join(append([]string{"starter"}, path...), " ") || seen[doc.Command] {
			return // a line that is not about a command
		}
		seen[doc.Command] = true
		require.Contains(t, doc.Help, "Usage:")
		for line := range strings.Lines(doc.Help) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSpace(line)), 80, line)
		}
		require.Equal(t, doc, ask[helpDoc](c, append([]string{"help"}, path...)...))
		require.Contains(t, doc.Help, "Examples:\n  starter", doc.Command)
		for _, line := range listedCommand.FindAllStringSubmatch(doc.Help, -1) {
			if line[1] != "help" && line[1] != "completion" {
				look(append(path, line[1])...)
			}
		}
	}
	look()
	for _, command := range []string{"starter", "starter connect", "starter staff import", "starter keys rotate", "starter notify add"} {
		require.Contains(t, seen, command)
	}
	require.Contains(t, ask[helpDoc](c, "completion", "--help").Help, "bash")
	for _, unknown := range [][]string{{"completion", "tcsh"}, {"help", "foo"}, {"help", "status", "foo"}, {"foo"}} {
		require.Equal(t, 2, c.run(unknown...).code, "%v", unknown)
	}
	require.Contains(t, c.ok("connect", "--help").stdout, "Usage:\n  starter connect NAME")
}

// Flags are sorted by their names, so each has to make sense by itself.
func TestHelpSaysWhatHoldsASync(t *testing.T) {
	t.Parallel()
	help := shared.cli(t).ok("connect", "--help").stdout
	require.Regexp(t, `(?s)--hold-count int .*hold a sync that .* --hold-percent .* every full\s+administrator`, help)
	require.Regexp(t, `(?s)--hold-percent int .*hold a sync that .* --hold-count `, help)
}

func TestTheVersionIsToldAsIsAskedFor(t *testing.T) {
	t.Parallel()
	c := shared.cli(t)
	version := ask[map[string]string](c, "--version")["version"]
	require.NotEmpty(t, version)
	require.Equal(t, "starter version "+version+"\n", c.ok("--version").stdout)
}
