package localpostgres

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ulikunitz/xz"
)

// repository serves an archive whose programs hand over to the installed ones, and
// counts how often it is asked for.
func repository(t *testing.T) (address string, asked *atomic.Int32) {
	t.Helper()
	archive := jar(t, installedPrograms(t))
	asked = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".jar") {
			http.NotFound(w, r)
			return
		}
		asked.Add(1)
		_, _ = w.Write(archive)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func installedPrograms(t *testing.T) map[string]string {
	t.Helper()
	dirs := installedDirs()
	if len(dirs) == 0 {
		t.Fatal("these tests need an installed PostgreSQL")
	}
	programs := make(map[string]string)
	for _, name := range []string{"initdb", "postgres", "pg_ctl"} {
		programs["bin/"+name] = "#!/bin/sh\nexec " + dirs[0] + "/" + name + " \"$@\"\n"
	}
	return programs
}

func jar(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var result bytes.Buffer
	container := zip.NewWriter(&result)
	member, err := container.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := xz.NewWriter(member)
	if err != nil {
		t.Fatal(err)
	}
	list := tar.NewWriter(compressed)
	for name, text := range files {
		if err := list.WriteHeader(&tar.Header{Name: name, Mode: 0o700, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := list.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, closer := range []interface{ Close() error }{list, compressed, container} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return result.Bytes()
}

func nothingInstalled() []string { return nil }

func TestFetchedOnceWhenNothingIsInstalled(t *testing.T) {
	address, asked := repository(t)
	config := Config{BinariesCache: reachableDir(t), BinaryRepository: address, search: nothingInstalled}
	for range 2 {
		server := start(t, config)
		run(t, server, "SELECT 1")
		stop(t, server)
	}
	if times := asked.Load(); times != 1 {
		t.Errorf("fetched %d times, want once", times)
	}
}

func TestNothingInstalledAndNothingToFetch(t *testing.T) {
	empty := httptest.NewServer(http.NotFoundHandler())
	defer empty.Close()
	config := Config{BinariesCache: reachableDir(t), BinaryRepository: empty.URL, search: nothingInstalled}
	_, err := Start(testContext(t), config)
	if err == nil || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("without any PostgreSQL: %v", err)
	}
}
