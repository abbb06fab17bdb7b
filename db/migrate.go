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
// not. It changes nothing, not even in an empty database.
func (d *DB) Pending(ctx context.Context) (int, error) {
	provider, err := d.migrations()
	if err != nil {
		return 0, err
	}
	if begun, err := d.migrated(ctx); err != nil || !begun {
		return len(provider.ListSources()), err
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

// Newer reports whether the database has migrations that this program has not:
// a newer one has been at work. It changes nothing.
func (d *DB) Newer(ctx context.Context) (bool, error) {
	provider, err := d.migrations()
	if err != nil {
		return false, err
	}
	if begun, err := d.migrated(ctx); err != nil || !begun {
		return false, err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return false, fmt.Errorf("read the schema's version: %w", err)
	}
	return current > target, nil
}

// migrated says whether the database has ever been migrated. Otherwise to ask for
// its version would make a table.
func (d *DB) migrated(ctx context.Context) (begun bool, err error) {
	if err := d.sql.GetContext(ctx, &begun, `SELECT to_regclass('goose_db_version') IS NOT NULL`); err != nil {
		return false, fmt.Errorf("read the schema's version: %w", err)
	}
	return begun, nil
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
