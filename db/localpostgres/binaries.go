package localpostgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const minimumMajor = 14

// binaries are the programs of one PostgreSQL installation.
type binaries struct {
	dir     string
	version string
}

func (b *binaries) program(name string) string { return filepath.Join(b.dir, name) }

// MajorVersionError says that the data was made by a major version of PostgreSQL
// that is not installed.
type MajorVersionError struct {
	Dir       string
	Data      string
	Installed []string
}

func (e *MajorVersionError) Error() string {
	return fmt.Sprintf("the PostgreSQL data was made by version %s, and this machine has %s (%s): install PostgreSQL %s, or move the data away to start afresh",
		e.Data, versionsInWords(e.Installed), e.Dir, e.Data)
}

func versionsInWords(versions []string) string {
	if len(versions) == 0 {
		return "no PostgreSQL"
	}
	return "version " + strings.Join(versions, ", ")
}

// findBinaries chooses an installation that the account can run, of the given
// major version unless that is empty. It fetches one when none is installed.
func findBinaries(ctx context.Context, config Config, account *account, major string) (*binaries, error) {
	var versions []string
	var rejected []error
	for _, dir := range config.installed() {
		found, err := inspect(ctx, account, dir)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			rejected = append(rejected, err)
			continue
		}
		if major == "" || found.version == major {
			return found, nil
		}
		versions = append(versions, found.version)
	}
	if major != "" && major != fetchedMajor {
		return nil, &MajorVersionError{Dir: config.Dir, Data: major, Installed: versions}
	}
	found, err := fetch(ctx, config, account)
	if err != nil {
		return nil, notFound(append(rejected, err))
	}
	return found, nil
}

func notFound(reasons []error) error {
	return fmt.Errorf("no PostgreSQL to run: install one (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql) and try again: %w", errors.Join(reasons...))
}

func (c Config) installed() []string {
	if c.search != nil {
		return c.search()
	}
	return installedDirs()
}

// installedDirs are the folders that hold the programs, those on PATH first and
// then the newest version of each kind of installation.
func installedDirs() []string {
	var dirs []string
	for _, name := range []string{"initdb", "postgres"} {
		if path, err := exec.LookPath(name); err == nil {
			dirs = append(dirs, resolvedDir(path))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/usr/lib/postgresql*/bin",
		"/usr/libexec/postgresql*",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/usr/local/pgsql/bin",
	} {
		dirs = append(dirs, newestFirst(pattern)...)
	}
	return withPrograms(dirs)
}

// A link such as /usr/local/bin/initdb has to be followed: initdb looks for
// postgres beside itself.
func resolvedDir(path string) string {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return filepath.Dir(path)
	}
	return filepath.Dir(resolved)
}

func newestFirst(pattern string) []string {
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return numberIn(b) - numberIn(a) })
	return dirs
}

var digits = regexp.MustCompile(`[0-9]+`)

func numberIn(path string) int {
	number, err := strconv.Atoi(digits.FindString(path))
	if err != nil {
		return 0
	}
	return number
}

func withPrograms(dirs []string) []string {
	var kept []string
	for _, dir := range dirs {
		if !slices.Contains(kept, dir) && hasPrograms(dir) {
			kept = append(kept, dir)
		}
	}
	return kept
}

func hasPrograms(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

var versionNumber = regexp.MustCompile(`\(PostgreSQL\) ([0-9]+)`)

// inspect runs the program as the account, which shows as well whether the account
// may.
func inspect(ctx context.Context, account *account, dir string) (*binaries, error) {
	program := filepath.Join(dir, "postgres")
	said, err := account.prepare(exec.CommandContext(ctx, program, "--version"), "/").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s cannot be run by %s: %w %s", program, account.name, err, said)
	}
	match := versionNumber.FindSubmatch(said)
	if match == nil {
		return nil, fmt.Errorf("%s does not say which version it is: %q", program, said)
	}
	version := string(match[1])
	if number, err := strconv.Atoi(version); err != nil || number < minimumMajor {
		return nil, fmt.Errorf("%s is version %s, and the oldest supported one is %d", program, version, minimumMajor)
	}
	return &binaries{dir: dir, version: version}, nil
}
