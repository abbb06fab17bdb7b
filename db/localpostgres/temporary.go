package localpostgres

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"jamf-access-review/db/localprocess"
)

const (
	temporaryPattern = "jamf-access-postgres-*"
	abandonedAfter   = 10 * time.Minute
)

func makeTemporaryDir() (string, error) {
	removeAbandoned()
	dir, err := os.MkdirTemp("", temporaryPattern)
	if err != nil {
		return "", fmt.Errorf("cannot make a temporary folder for PostgreSQL's data: %w", err)
	}
	return dir, os.Chmod(dir, 0o755)
}

// A program that was killed leaves its temporary data behind. It is nobody's once
// its lock is free; the age spares a folder whose owner is about to lock it. What
// cannot be removed belongs to somebody else or is left for the next time.
func removeAbandoned() {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), temporaryPattern))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < abandonedAfter {
			continue
		}
		lock, err := localprocess.Acquire(filepath.Join(dir, lockName))
		if err != nil {
			continue
		}
		_ = os.RemoveAll(dir)
		lock.Release()
	}
}
