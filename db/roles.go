package db

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

var (
	// ErrNotOwner is returned for what only the owner of the schema may do.
	ErrNotOwner = errors.New("only the role that owns the database's schema may do that")
	// ErrUnrestricted is returned for a role that may do more than the worker
	// needs, whatever it is granted.
	ErrUnrestricted = errors.New("the role may do more than the worker needs")
)

// workerPrivileges is what the worker and the command line need of each table,
// and all that Grant gives them. History (changes, outcomes and syncs) is added
// to: nothing of it is deleted but by erasing its connection, which PostgreSQL
// does with the owner's rights, and a sync is changed only until it ends. Of an
// account that is changed a trigger adds the arrival to it.
var workerPrivileges = map[string][]string{
	"account_blocks":        {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"accounts":              {"SELECT", "INSERT", "UPDATE"},
	"changes":               {"SELECT", "INSERT"},
	"connections":           {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"credential_candidates": {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"credentials":           {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"findings":              {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"goose_db_version":      {"SELECT"},
	"held_changes":          {"SELECT", "INSERT", "DELETE"},
	"monitors":              {"SELECT", "INSERT"},
	"notices":               {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"organizations":         {"SELECT", "INSERT"},
	"outcomes":              {"SELECT", "INSERT"},
	"people":                {"SELECT", "INSERT", "DELETE"},
	"person_addresses":      {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"rosters":               {"SELECT", "INSERT", "UPDATE"},
	"source_leases":         {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"staged_accounts":       {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"staged_blocks":         {"SELECT", "INSERT", "DELETE"},
	"staged_reads":          {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"subscriptions":         {"SELECT", "INSERT", "UPDATE", "DELETE"},
	"syncs":                 {"SELECT", "INSERT", "UPDATE"},
}

// Grant gives a role what the worker and the command line need of the migrated
// schema, and takes from it whatever else it was granted there. A role that may
// do more all the same (a superuser, the owner) is ErrUnrestricted, and one that
// is not there ErrNotFound; then nothing changes. Twice is as good as once.
func (d *DB) Grant(ctx context.Context, role string) error {
	err := d.inTx(ctx, func(tx *sqlx.Tx, _ time.Time) error {
		// Two grants of one table at once would fail.
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtext('grant'))`); err != nil {
			return err
		}
		var schema string
		if err := tx.GetContext(ctx, &schema, `SELECT current_schema()`); err != nil {
			return err
		}
		schema, quoted := pq.QuoteIdentifier(schema), pq.QuoteIdentifier(role)
		statements := []string{
			fmt.Sprintf(`REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM %s`, schema, quoted),
			fmt.Sprintf(`GRANT USAGE ON SCHEMA %s TO %s`, schema, quoted),
		}
		for _, table := range slices.Sorted(maps.Keys(workerPrivileges)) {
			statements = append(statements, fmt.Sprintf(`GRANT %s ON %s.%s TO %s`,
				strings.Join(workerPrivileges[table], ", "), schema, table, quoted))
		}
		for _, statement := range statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return checkGranted(ctx, tx, role)
	})
	switch {
	case hasCode(err, "42704"):
		return fmt.Errorf("role %q: %w", role, ErrNotFound)
	case err != nil:
		return fmt.Errorf("grant to role %q: %w", role, ownersOnly(err))
	}
	return nil
}

// checkGranted returns ErrUnrestricted when a role may do more than it was
// granted, and ErrNotOwner when it may do less: PostgreSQL ignores the GRANT of
// whoever does not own a table.
func checkGranted(ctx context.Context, tx *sqlx.Tx, role string) error {
	var owns, creates bool
	if err := tx.QueryRowxContext(ctx, `
		SELECT bool_or(pg_has_role($1, tableowner, 'MEMBER')), has_schema_privilege($1, current_schema(), 'CREATE')
		FROM pg_tables WHERE schemaname = current_schema()`, role).Scan(&owns, &creates); err != nil {
		return err
	}
	may, err := privileges(ctx, tx, role)
	if err != nil {
		return err
	}
	more := beyond(may, workerPrivileges)
	switch {
	case owns:
		return fmt.Errorf("%w: it is a superuser, or owns the tables", ErrUnrestricted)
	case creates:
		return fmt.Errorf("%w: CREATE in the schema, which before version 15 PostgreSQL gives to PUBLIC", ErrUnrestricted)
	case len(more) > 0:
		return fmt.Errorf("%w: %s", ErrUnrestricted, strings.Join(more, ", "))
	case len(beyond(workerPrivileges, may)) > 0:
		return ErrNotOwner
	}
	return nil
}

// CheckPrivileges returns an error when the role that the record was opened
// with lacks what the worker needs: its tables are newer than its last Grant.
func (d *DB) CheckPrivileges(ctx context.Context) error {
	var role string
	if err := d.sql.GetContext(ctx, &role, `SELECT current_user`); err != nil {
		return err
	}
	may, err := privileges(ctx, d.sql, role)
	if err != nil {
		return err
	}
	if lacks := beyond(workerPrivileges, may); len(lacks) > 0 {
		return fmt.Errorf("role %q lacks %s on the database: run `starter migrate --grant-to %s` with the DATABASE_URL of the role that owns its schema",
			role, strings.Join(lacks, ", "), role)
	}
	return nil
}

// privileges returns what a role may do with each table of the schema, by what
// it was granted itself and as a member of others.
func privileges(ctx context.Context, q sqlx.QueryerContext, role string) (map[string][]string, error) {
	var rows []struct {
		Table     string `db:"tablename"`
		Privilege string `db:"privilege"`
	}
	err := sqlx.SelectContext(ctx, q, &rows, `
		SELECT tablename, privilege
		FROM pg_tables, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
		WHERE schemaname = current_schema() AND has_table_privilege($1, format('%I.%I', schemaname, tablename), privilege)`, role)
	may := map[string][]string{}
	for _, row := range rows {
		may[row.Table] = append(may[row.Table], row.Privilege)
	}
	return may, err
}

// beyond returns the privileges that are in one and not in another, in words.
func beyond(one, other map[string][]string) []string {
	var more []string
	for _, table := range slices.Sorted(maps.Keys(one)) {
		for _, privilege := range one[table] {
			if !slices.Contains(other[table], privilege) {
				more = append(more, privilege+" on "+table)
			}
		}
	}
	return more
}

// IsDenied says that an error is PostgreSQL's refusal of what a role may not do.
func IsDenied(err error) bool { return hasCode(err, "42501") }

// ownersOnly turns PostgreSQL's refusal of what the owner alone may do into
// ErrNotOwner.
func ownersOnly(err error) error {
	if IsDenied(err) {
		return ErrNotOwner
	}
	return err
}
