package localpostgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"jamf-access-review/db/localprocess"
)

const (
	fetchedVersion = embeddedpostgres.V18
	reportEvery    = 5 * time.Second
)

var fetchedMajor, _, _ = strings.Cut(string(fetchedVersion), ".")

// fetch gets PostgreSQL's programs from the library's repository, or finds those
// that were fetched before.
func fetch(ctx context.Context, config Config, account *account) (*binaries, error) {
	cache, err := fetchCache(config, account)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(cache, "postgresql-"+string(fetchedVersion))
	lock, err := localprocess.AcquireWithin(ctx, root+".lock", func(locked *localprocess.LockedError) {
		config.progress("waiting for process %d, which is fetching PostgreSQL", locked.PID)
	})
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	bin := filepath.Join(root, "bin")
	if !hasPrograms(bin) {
		if err := fetchInto(ctx, config, root); err != nil {
			return nil, err
		}
	}
	return inspect(ctx, account, bin)
}

func fetchCache(config Config, account *account) (string, error) {
	if config.BinariesCache != "" {
		return config.BinariesCache, makeReachable(config.BinariesCache)
	}
	dir, err := localprocess.CacheDir()
	if err == nil && (account.credential == nil || account.reaches(dir)) {
		return dir, nil
	}
	if account.credential == nil {
		return "", err
	}
	return sharedHome, makeReachable(sharedHome)
}

// fetchInto puts the programs into root, whole or not at all.
func fetchInto(ctx context.Context, config Config, root string) error {
	config.progress("fetching PostgreSQL %s, once", fetchedVersion)
	work, err := os.MkdirTemp(filepath.Dir(root), "fetching-*")
	if err != nil {
		return err
	}
	fetched := make(chan error, 1)
	go func() {
		defer os.RemoveAll(work)
		fetched <- fetchVia(config, work, root)
	}()
	return awaitFetch(ctx, config, fetched)
}

// The library cannot be interrupted: when ctx ends, it is left to finish alone.
func awaitFetch(ctx context.Context, config Config, fetched <-chan error) error {
	begun := time.Now()
	report := time.NewTicker(reportEvery)
	defer report.Stop()
	for {
		select {
		case err := <-fetched:
			return err
		case <-ctx.Done():
			return fmt.Errorf("fetching PostgreSQL: %w", ctx.Err())
		case <-report.C:
			config.progress("fetching PostgreSQL %s, once: %d s so far", fetchedVersion, int(time.Since(begun).Seconds()))
		}
	}
}

func fetchVia(config Config, work, root string) error {
	extracted := filepath.Join(work, "extracted")
	libraryErr := extract(config, work, extracted)
	if !hasPrograms(filepath.Join(extracted, "bin")) {
		return fmt.Errorf("cannot fetch PostgreSQL: %w", libraryErr)
	}
	if err := openToOthers(extracted); err != nil {
		return err
	}
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	return os.Rename(extracted, root)
}

// The library extracts the programs and then starts a server. A data folder that
// claims to have been initialized but is empty makes it skip initdb, which root
// may not run, and makes the server end at once; only the programs are wanted, so
// its error counts only when they are missing.
func extract(config Config, work, extracted string) error {
	hollow := filepath.Join(work, "hollow")
	if err := os.Mkdir(hollow, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(hollow, "PG_VERSION"), []byte(fetchedMajor+"\n"), 0o600); err != nil {
		return err
	}
	ports, err := localprocess.FreePorts(1)
	if err != nil {
		return err
	}
	settings := embeddedpostgres.DefaultConfig().
		Version(fetchedVersion).
		Port(uint32(ports[0])).
		CachePath(filepath.Join(work, "archive")).
		RuntimePath(filepath.Join(work, "runtime")).
		BinariesPath(extracted).
		DataPath(hollow).
		Logger(io.Discard)
	if config.BinaryRepository != "" {
		settings = settings.BinaryRepositoryURL(config.BinaryRepository)
	}
	server := embeddedpostgres.NewDatabase(settings)
	err = server.Start()
	if err == nil {
		return errors.Join(errors.New("the fetched server started on an empty folder"), server.Stop())
	}
	return err
}

// The account may be another user than the one that fetched, whose umask decided
// the modes.
func openToOthers(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}
