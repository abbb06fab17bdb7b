package localpostgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"jamf-access-review/db/localprocess"
)

const (
	dataName     = "data"
	lockName     = "lock"
	passwordName = "password"
	sharedHome   = "/var/lib/jamf-access-review"
)

// A place is where one server's files lie. The data, its password and the lock
// that keeps two servers apart share the folder home. That is dir itself, unless
// the account cannot reach dir: then dir/data is a symbolic link into home.
type place struct {
	dir     string
	home    string
	account *account
	lock    *localprocess.Lock
}

// openPlace finds or makes the place for dir, takes its lock, and ends a server
// that an earlier program left running there.
func openPlace(ctx context.Context, dir string) (*place, error) {
	if err := makeReachable(dir); err != nil {
		return nil, fmt.Errorf("cannot make the folder for PostgreSQL's data: %w", err)
	}
	account, err := chooseAccount(filepath.Join(dir, dataName))
	if err != nil {
		return nil, err
	}
	home, err := chooseHome(dir, account)
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, home: home, account: account}
	if err := p.takeLock(); err != nil {
		return nil, err
	}
	if err := p.stopOrphan(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// makeReachable opens a folder that it creates to other users, whatever the umask;
// the files in it have modes of their own.
func makeReachable(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

func chooseHome(dir string, account *account) (string, error) {
	target, err := os.Readlink(filepath.Join(dir, dataName))
	if err == nil {
		return filepath.Dir(target), nil
	}
	if account.credential == nil || account.reaches(dir) {
		return dir, nil
	}
	if _, err := os.Lstat(filepath.Join(dir, dataName)); err == nil {
		return "", fmt.Errorf("PostgreSQL's data in %s belongs to %s, who cannot reach it there: move it back, or open the folders above it (chmod o+x)", dir, account.name)
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(resolved))
	return filepath.Join(sharedHome, hex.EncodeToString(sum[:8])), nil
}

func (p *place) takeLock() error {
	if err := makeReachable(filepath.Dir(p.home)); err != nil {
		return err
	}
	if err := makeReachable(p.home); err != nil {
		return err
	}
	lock, err := localprocess.Acquire(filepath.Join(p.home, lockName))
	var locked *localprocess.LockedError
	if errors.As(err, &locked) {
		return &localprocess.InUseError{What: "PostgreSQL data", Dir: p.dir, PID: locked.PID}
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the PostgreSQL data in %s belongs to another user: run this as that user, or use another folder (%w)", p.dir, err)
	}
	if err != nil {
		return err
	}
	p.lock = lock
	return nil
}

// The lock is ours, so whoever started a server that still runs is dead.
func (p *place) stopOrphan(ctx context.Context) error {
	pidFile := filepath.Join(p.dataDir(), "postmaster.pid")
	orphan, err := localprocess.FindOrphan(pidFile)
	if err != nil || orphan == nil {
		return err
	}
	if orphan.Mentions("postgres", p.dataDir()) {
		return orphan.Stop(ctx, stopSteps())
	}
	if orphan.Mentions("postgres") {
		return fmt.Errorf("the PostgreSQL data in %s seems to be in use by process %d (%s): stop that one, or use another folder", p.dir, orphan.PID, orphan.Command)
	}
	return os.Remove(pidFile)
}

func (p *place) dataDir() string      { return filepath.Join(p.home, dataName) }
func (p *place) passwordFile() string { return filepath.Join(p.home, passwordName) }
func (p *place) moved() bool          { return p.home != p.dir }
func (p *place) close()               { p.lock.Release() }

// dataVersion is the major version that the data was made by, empty when there is
// none. Data in a home that dir does not link to was left by a dir that has been
// deleted, and its owner wants it no more.
func (p *place) dataVersion() (string, error) {
	if p.moved() {
		if _, err := os.Lstat(filepath.Join(p.dir, dataName)); errors.Is(err, fs.ErrNotExist) {
			return "", os.RemoveAll(p.dataDir())
		}
	}
	text, err := os.ReadFile(filepath.Join(p.dataDir(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", p.refuseForeignData()
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the version of the PostgreSQL data in %s: %w", p.dir, err)
	}
	return string(bytes.TrimSpace(text)), nil
}

func (p *place) refuseForeignData() error {
	entries, err := os.ReadDir(p.dataDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds files but no PostgreSQL data: remove it, or use another folder", p.dataDir())
	}
	return os.Remove(p.dataDir())
}

// The link is made last: only data that is complete is ever linked to.
func (p *place) link() error {
	if !p.moved() {
		return nil
	}
	link := filepath.Join(p.dir, dataName)
	if _, err := os.Lstat(link); err == nil {
		return nil
	}
	return os.Symlink(p.dataDir(), link)
}

func (p *place) readPassword() (string, error) {
	text, err := os.ReadFile(p.passwordFile())
	if err != nil {
		return "", fmt.Errorf("cannot read the password of the PostgreSQL data in %s: %w", p.dir, err)
	}
	return string(bytes.TrimSpace(text)), nil
}

func (p *place) writePassword() (string, error) {
	password := rand.Text()
	if err := os.Remove(p.passwordFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return password, os.WriteFile(p.passwordFile(), []byte(password+"\n"), 0o600)
}

// remove deletes everything, wherever it lies.
func (p *place) remove() error {
	return errors.Join(os.RemoveAll(p.home), os.RemoveAll(p.dir))
}
