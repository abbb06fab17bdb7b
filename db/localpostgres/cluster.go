package localpostgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// createCluster makes the data folder aside and moves it into place when it is
// complete, so that data that is there is always whole.
func createCluster(ctx context.Context, config Config, place *place, binaries *binaries) error {
	config.progress("creating the PostgreSQL %s data in %s", binaries.version, place.dir)
	work, err := newWorkDir(place)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	password, err := place.writePassword()
	if err != nil {
		return err
	}
	passwordCopy := filepath.Join(work, passwordName)
	if err := place.writeForAccount(passwordCopy, password); err != nil {
		return err
	}
	fresh := filepath.Join(work, dataName)
	if err := runInitdb(ctx, config, place, binaries, fresh, passwordCopy); err != nil {
		return err
	}
	if err := os.Rename(fresh, place.dataDir()); err != nil {
		return err
	}
	return place.link()
}

// A start that was interrupted may have left a folder like it behind.
func newWorkDir(place *place) (string, error) {
	const pattern = "creating-*"
	old, err := filepath.Glob(filepath.Join(place.home, pattern))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	work, err := os.MkdirTemp(place.home, pattern)
	if err != nil {
		return "", err
	}
	return work, place.account.own(work)
}

func (p *place) writeForAccount(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return p.account.own(path)
}

// Names of locales differ between systems; the first one that exists is used. All
// sort by code point or nearly so, and the queries do not rely on more.
func runInitdb(ctx context.Context, config Config, place *place, binaries *binaries, dataDir, passwordFile string) error {
	var said []byte
	var err error
	for _, locale := range []string{"C.UTF-8", "en_US.UTF-8", "C"} {
		arguments := []string{
			"-D", dataDir, "-U", superuser, "--pwfile", passwordFile,
			"-A", "scram-sha-256", "-E", "UTF8", "--locale", locale, "--data-checksums",
		}
		if !config.Durable {
			arguments = append(arguments, "--no-sync")
		}
		initdb := place.account.prepare(exec.CommandContext(ctx, binaries.program("initdb"), arguments...), "/")
		said, err = initdb.CombinedOutput()
		if err == nil {
			return nil
		}
		if !strings.Contains(string(said), "invalid locale") {
			break
		}
	}
	return fmt.Errorf("cannot create the PostgreSQL data in %s: initdb: %w\n%s", place.dir, err, said)
}
