package db

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// ErrDuplicateAddress is returned for a roster with an address of two people.
var ErrDuplicateAddress = errors.New("two people on the staff roster have the same e-mail address or alias")

// Person is somebody on the staff roster.
type Person struct {
	Email   string
	Name    string
	Aliases []string
	// ExitedAt is when the person leaves or left; nil while employed.
	ExitedAt *time.Time
}

// Roster is the staff of an organization.
type Roster struct {
	ImportedAt time.Time
	People     []Person
}

// ImportRoster makes the people given the whole roster of an organization, in one
// transaction: those not among them are no longer on it. Outcomes by another roster
// prove nothing until JudgeByRoster. An address that two people have, without regard
// to case, is ErrDuplicateAddress, and a roster by which many are employed again a
// *ReturnedError, unless that is accepted; the roster then stays as it was. A second
// time imports the same again.
func (d *DB) ImportRoster(ctx context.Context, organization string, people []Person, acceptReturns bool) (RosterChange, error) {
	var change RosterChange
	encoded, err := jsonbPeople(people)
	if err != nil {
		return change, err
	}
	err = d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		org, err := organizationID(ctx, tx, organization)
		if err != nil {
			return err
		}
		if err := beginRoster(ctx, tx, org, now); err != nil {
			return err
		}
		if err := setBased(ctx, tx); err != nil {
			return err
		}
		if err := replacePeople(ctx, tx, org, encoded); err != nil {
			return err
		}
		if change, err = compareRoster(ctx, tx, org, now); err != nil {
			return err
		}
		for _, r := range change.Returns {
			if !acceptReturns && DefaultHold().stops(r.Returned, r.HadExit) {
				return &ReturnedError{r}
			}
		}
		return replaceAddresses(ctx, tx, org, now)
	})
	if isUniqueViolation(err) {
		err = ErrDuplicateAddress
	}
	return change, err
}

// beginRoster says when a roster is imported, and makes others wait for it.
func beginRoster(ctx context.Context, tx *sqlx.Tx, org int64, now time.Time) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO rosters (organization_id, imported_at) VALUES ($1, $2)
		ON CONFLICT (organization_id) DO UPDATE SET imported_at = excluded.imported_at`, org, now)
	return err
}

func replacePeople(ctx context.Context, tx *sqlx.Tx, org int64, encoded sql.NullString) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM people WHERE organization_id = $1`, org); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO people (organization_id, email, name, aliases, exited_at)
		SELECT $1, email, name, aliases, exited_at
		FROM jsonb_to_recordset($2) AS r (email text, name text, aliases text[], exited_at timestamptz)`, org, encoded)
	return err
}

func jsonbPeople(people []Person) (sql.NullString, error) {
	type row struct {
		Email    string     `json:"email"`
		Name     string     `json:"name"`
		Aliases  []string   `json:"aliases"`
		ExitedAt *time.Time `json:"exited_at"`
	}
	rows := make([]row, len(people))
	for i, p := range people {
		rows[i] = row{p.Email, p.Name, nonNil(p.Aliases), p.ExitedAt}
	}
	return jsonb(rows)
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// Roster returns the roster of an organization, or ErrNotFound when none was
// imported.
func (d *DB) Roster(ctx context.Context, organization string) (Roster, error) {
	var r Roster
	err := d.sql.GetContext(ctx, &r.ImportedAt, `
		SELECT imported_at FROM rosters JOIN organizations o ON o.id = organization_id WHERE o.name = $1`, organization)
	if err != nil {
		return Roster{}, notFound(err, "a staff roster of organization "+organization)
	}
	var rows []struct {
		Email    string         `db:"email"`
		Name     string         `db:"name"`
		Aliases  pq.StringArray `db:"aliases"`
		ExitedAt *time.Time     `db:"exited_at"`
	}
	if err := d.sql.SelectContext(ctx, &rows, `
		SELECT email, p.name, aliases, exited_at FROM people p JOIN organizations o ON o.id = organization_id
		WHERE o.name = $1 ORDER BY lower(email)`, organization); err != nil {
		return Roster{}, err
	}
	for _, row := range rows {
		r.People = append(r.People, Person{Email: row.Email, Name: row.Name, Aliases: row.Aliases, ExitedAt: row.ExitedAt})
	}
	return r, nil
}
