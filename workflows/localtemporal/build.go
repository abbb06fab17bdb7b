package localtemporal

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"jamf-access-review/db/localprocess"
)

const (
	pinnedVersion = "1.5.1"
	programModule = "github.com/temporalio/cli"
	linkerFlags   = "-s -w -X " + programModule + "/temporalcli.Version=" + pinnedVersion
	reportEvery   = 5 * time.Second
	quotedBytes   = 2000
)

// The module files of the program, which keep its dependencies out of ours.
var (
	//go:embed temporal.mod
	moduleFile []byte
	//go:embed temporal.sum
	sumFile []byte
)

// buildProgram returns the program built from the pinned source, building it if
// nobody has yet. Programs that want it at the same time wait for one another.
func buildProgram(ctx context.Context, config Config) (string, error) {
	cache := config.BuildCache
	if cache == "" {
		found, err := localprocess.CacheDir()
		if err != nil {
			return "", err
		}
		cache = found
	}
	dir := filepath.Join(cache, programKey())
	program := filepath.Join(dir, "temporal")
	if isProgram(program) {
		return program, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the folder to build Temporal's server in: %w", err)
	}
	lock, err := localprocess.AcquireWithin(ctx, filepath.Join(dir, "lock"), func(locked *localprocess.LockedError) {
		config.progress("waiting for process %d, which is building Temporal's server", locked.PID)
	})
	if err != nil {
		return "", err
	}
	defer lock.Release()
	if isProgram(program) {
		return program, nil
	}
	return program, buildInto(ctx, config, cache, dir, program)
}

// Everything that decides what is built is part of the folder's name.
func programKey() string {
	sum := sha256.Sum256(bytes.Join([][]byte{moduleFile, sumFile, []byte(linkerFlags)}, nil))
	return fmt.Sprintf("temporal-cli-v%s-%s-%s-%s-%s", pinnedVersion,
		strings.ReplaceAll(runtime.Version(), " ", "-"), runtime.GOOS, runtime.GOARCH, hex.EncodeToString(sum[:6]))
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o100 != 0
}

// buildInto builds aside and renames, so that a program that is there is whole.
func buildInto(ctx context.Context, config Config, cache, dir, program string) error {
	goTool, err := findGo()
	if err != nil {
		return err
	}
	work, err := newModule(dir)
	if err != nil {
		return fmt.Errorf("cannot prepare the build of Temporal's server: %w", err)
	}
	defer os.RemoveAll(work)
	built := filepath.Join(work, "temporal")
	cmd := exec.CommandContext(ctx, goTool, "build", "-mod=readonly", "-trimpath", "-buildvcs=false",
		"-ldflags", linkerFlags, "-o", built, programModule+"/cmd/temporal")
	cmd.Dir = work
	cmd.Env = buildEnvironment(cache)
	if err := runReporting(cmd, config); err != nil {
		return err
	}
	return os.Rename(built, program)
}

func findGo() (string, error) {
	path, err := exec.LookPath("go")
	if err == nil {
		return path, nil
	}
	const usual = "/usr/local/go/bin/go"
	if isProgram(usual) {
		return usual, nil
	}
	return "", errors.New("Temporal's server has to be built, and there is no go on PATH: put Go's bin folder on PATH, or install the temporal program, version 1.7.0 or newer")
}

// A build that was interrupted may have left its folder behind.
func newModule(dir string) (string, error) {
	const pattern = "building-*"
	old, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return "", err
	}
	for _, leftover := range old {
		if err := os.RemoveAll(leftover); err != nil {
			return "", err
		}
	}
	work, err := os.MkdirTemp(dir, pattern)
	if err != nil {
		return "", err
	}
	return work, errors.Join(
		os.WriteFile(filepath.Join(work, "go.mod"), moduleFile, 0o600),
		os.WriteFile(filepath.Join(work, "go.sum"), sumFile, 0o600),
	)
}

// The build must not depend on what the caller set for building something else.
// Go needs folders for its caches even where the user has no usable home.
func buildEnvironment(cache string) []string {
	environment := append(os.Environ(),
		"GOFLAGS=", "GOWORK=off", "GO111MODULE=on", "CGO_ENABLED=0",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if !localprocess.HasCache() && os.Getenv("GOCACHE") == "" {
		environment = append(environment, "GOCACHE="+filepath.Join(cache, "go-build"))
	}
	if !localprocess.HasCache() && os.Getenv("GOPATH") == "" && os.Getenv("GOMODCACHE") == "" {
		environment = append(environment, "GOPATH="+filepath.Join(cache, "go"))
	}
	return environment
}

func runReporting(cmd *exec.Cmd, config Config) error {
	var said bytes.Buffer
	cmd.Stdout = &said
	cmd.Stderr = &said
	endWithChildren(cmd)
	begun := time.Now()
	config.progress("building Temporal's server, once, about three minutes")
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot build Temporal's server: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	report := time.NewTicker(reportEvery)
	defer report.Stop()
	for {
		select {
		case <-report.C:
			config.progress("building Temporal's server, once, about three minutes: %d s so far", int(time.Since(begun).Seconds()))
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("cannot build Temporal's server: %w\n%s", err, tail(said.Bytes()))
			}
			return nil
		}
	}
}

// Go runs compilers as children; they end with it when the build is given up.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	cmd.WaitDelay = 5 * time.Second
}

func tail(text []byte) []byte {
	if len(text) > quotedBytes {
		return text[len(text)-quotedBytes:]
	}
	return text
}
