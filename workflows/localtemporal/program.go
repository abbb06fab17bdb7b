package localtemporal

import (
	"context"
	"os/exec"
	"regexp"
	"strconv"
)

// Versions before this one have a SQLite driver that leaves part of an interrupted
// query behind: from then on every statement of theirs is interrupted. So has the
// pinned source, which is therefore built with a later driver.
var oldestUsable = [2]int{1, 7}

// findProgram is the temporal program on PATH when it is new enough, else one that
// is built from the pinned source.
func findProgram(ctx context.Context, config Config) (string, error) {
	path, err := exec.LookPath("temporal")
	if err == nil && newEnough(ctx, path) {
		return path, nil
	}
	return buildProgram(ctx, config)
}

var programVersion = regexp.MustCompile(`^temporal version ([0-9]+)\.([0-9]+)\.[0-9]+ `)

// A program that does not say its version, as one built from source may not,
// counts as too old.
func newEnough(ctx context.Context, path string) bool {
	said, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return false
	}
	match := programVersion.FindSubmatch(said)
	if match == nil {
		return false
	}
	major, majorErr := strconv.Atoi(string(match[1]))
	minor, minorErr := strconv.Atoi(string(match[2]))
	if majorErr != nil || minorErr != nil {
		return false
	}
	return major > oldestUsable[0] || major == oldestUsable[0] && minor >= oldestUsable[1]
}
