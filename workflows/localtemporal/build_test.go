package localtemporal

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeGo puts a go on PATH that records how it was run in the returned file and
// then runs the script's next lines, with the output file in $out.
func fakeGo(t *testing.T, script string) (record string) {
	t.Helper()
	dir := t.TempDir()
	record = filepath.Join(dir, "record")
	text := `#!/bin/sh
echo "GOFLAGS=$GOFLAGS GOWORK=$GOWORK GOOS=$GOOS GOCACHE=$GOCACHE GOPATH=$GOPATH" >> ` + record + `
while [ "$1" != -o ]; do shift; done
out=$2
` + script
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return record
}

func runsOf(t *testing.T, record string) []string {
	t.Helper()
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

const buildsStub = `test -f go.mod && test -f go.sum && printf '#!/bin/sh\n' > "$out" && chmod 755 "$out"
`

func TestCallersAtTheSameTimeBuildOnce(t *testing.T) {
	record := fakeGo(t, "sleep 1\n"+buildsStub)
	config := Config{BuildCache: t.TempDir()}
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			program, err := buildProgram(testContext(t), config)
			if err != nil || !isProgram(program) {
				t.Errorf("building: %q, %v", program, err)
			}
		})
	}
	callers.Wait()
	if runs := runsOf(t, record); len(runs) != 1 {
		t.Errorf("built %d times, want once", len(runs))
	}
}

func TestBuildIgnoresTheCallersGoSettings(t *testing.T) {
	record := fakeGo(t, buildsStub)
	t.Setenv("GOFLAGS", "-mod=vendor")
	t.Setenv("GOWORK", "/nowhere/go.work")
	t.Setenv("GOOS", "plan9")
	if _, err := buildProgram(testContext(t), Config{BuildCache: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if run := runsOf(t, record)[0]; !strings.HasPrefix(run, "GOFLAGS= GOWORK=off ") || strings.Contains(run, "plan9") {
		t.Errorf("go was run with %s", run)
	}
}

func TestBuildWithoutHome(t *testing.T) {
	for _, home := range []string{"", "/dev/null/home"} {
		t.Run("HOME="+home, func(t *testing.T) { testBuildWithHome(t, home) })
	}
}

func testBuildWithHome(t *testing.T, home string) {
	record := fakeGo(t, buildsStub)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Setenv("HOME", home)
	for _, name := range []string{"XDG_CACHE_HOME", "GOCACHE", "GOPATH", "GOMODCACHE"} {
		t.Setenv(name, "")
	}
	program, err := buildProgram(testContext(t), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(program, temporary) {
		t.Errorf("built as %s, want in %s", program, temporary)
	}
	if run := runsOf(t, record)[0]; strings.Count(run, "="+temporary) != 2 {
		t.Errorf("go was run with %s", run)
	}
}

func TestFailedBuildIsQuotedAndTriedAgain(t *testing.T) {
	fakeGo(t, "echo no network >&2\nexit 1\n")
	config := Config{BuildCache: t.TempDir()}
	if _, err := buildProgram(testContext(t), config); err == nil || !strings.Contains(err.Error(), "no network") {
		t.Errorf("a failing build: %v", err)
	}
	fakeGo(t, buildsStub)
	if _, err := buildProgram(testContext(t), config); err != nil {
		t.Errorf("the next build: %v", err)
	}
}

func TestProgramOnPath(t *testing.T) {
	for said, wanted := range map[string]bool{
		"temporal version 1.7.0 (Server 1.31.0, UI 2.48.1)":     true,
		"temporal version 1.12.3 (Server 1.40.0, UI 2.50.0)":    true,
		"temporal version 2.0.0 (Server 2.0.0, UI 3.0.0)":       true,
		"temporal version 1.6.2 (Server 1.30.2, UI 2.45.0)":     false,
		"temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)": false,
		"something else": false,
	} {
		path := filepath.Join(t.TempDir(), "temporal")
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+said+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if usable := newEnough(testContext(t), path); usable != wanted {
			t.Errorf("%q: usable %t, want %t", said, usable, wanted)
		}
	}
}
