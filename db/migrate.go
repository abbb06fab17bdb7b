package db

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema up to date. Several may call it at once: an
// advisory lock lets one at a time through, and the others find nothing left
// to do. It returns how many migrations it applied, and ErrNotOwner where there
// is something to do and the role may not.
func (d *DB) Migrate(ctx context.Context) (int, error) {
	provider, err := d.migrations()
	if err != nil {
		return 0, err
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate the database: %w", ownersOnly(err))
	}
	return len(results), nil
}

// Pending reports how many migrations this program has that the database has
// not.
func (d *DB) Pending(ctx context.Context) (int, error) {
	provider, err := d.migrations()
	if err != nil {
		return 0, err
	}
	statuses, err := provider.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", ownersOnly(err))
	}
	pending := 0
	for _, s := range statuses {
		if s.State == goose.StatePending {
			pending++
		}
	}
	return pending, nil
}

func (d *DB) migrations() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, d.sql.DB, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
}
