package localprocess

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// CacheDir is this user's folder for programs that were built or fetched once.
// It is made if need be: in the user's cache folder, or, for a user without a
// home, in a folder under the temporary one that nobody else can write to.
func CacheDir() (string, error) {
	if dir, ok := userCacheDir(); ok {
		return dir, nil
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("jamf-access-review-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("cannot make a folder for programs: %w; set HOME or TMPDIR to a folder that this user can write to", err)
	}
	if err := ownedPrivately(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// HasCache tells whether this user has a cache folder of its own, which needs a home
// that exists and that it can write to.
func HasCache() bool {
	_, ok := userCacheDir()
	return ok
}

const writable = 2

func userCacheDir() (string, bool) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", false
	}
	dir := filepath.Join(base, "jamf-access-review")
	ok := os.MkdirAll(dir, 0o755) == nil && syscall.Access(dir, writable) == nil
	return dir, ok
}

// Programs are run from the folder, and anybody may create one of that name
// where temporary files go.
func ownedPrivately(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if known && int(owner.Uid) == os.Getuid() && info.IsDir() && info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return fmt.Errorf("%s is not a folder that only this user can write to: remove it, or set HOME to a folder of this user", dir)
}
