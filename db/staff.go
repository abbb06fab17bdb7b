package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// RosterChange is what an import makes of the roster that was there before.
type RosterChange struct {
	Added   int `db:"added"`
	Removed int `db:"removed"`
	// RemovedWithExit is how many of those removed had an exit.
	RemovedWithExit int `db:"removed_with_exit"`
	// Returns are how many with an exit are employed again, or longer than it
	// said, of each group of them that there is.
	Returns []Returns
}

// Returned is how many with an exit are employed again, or longer.
func (c RosterChange) Returned() int {
	n := 0
	for _, r := range c.Returns {
		n += r.Returned
	}
	return n
}

// exits is a group of people by the exit that they had.
type exits string

const (
	past     exits = "past"     // they are listed, and had left
	upcoming exits = "upcoming" // they are listed, and were to leave
	delisted exits = "delisted" // they had an exit, and are not listed
)

var exitWords = map[exits]string{
	past: "people who had left", upcoming: "people who were to leave", delisted: "people who are not listed any more, and had an exit,",
}

// Returns is how many people of a group are employed again, or longer, by a roster.
type Returns struct {
	Exits    exits `db:"exits"`
	HadExit  int   `db:"had_exit"`
	Returned int   `db:"returned"`
}

// ReturnedError is returned for a roster by which so many of a group of people with
// an exit are employed again, or longer, that it is rather one without its exits. The
// groups are looked at one by one: among all who ever left, those who have left of
// late would be few.
type ReturnedError struct{ Returns }

func (e *ReturnedError) Error() string {
	return fmt.Sprintf("%d of %d %s are employed again, or longer", e.Returned, e.HadExit, exitWords[e.Exits])
}

// ImportRoster makes the people given the whole roster of an organization, in one
// transaction: those not among them are no longer on it. Outcomes by another roster
// prove nothing until JudgeByRoster. An address that two people have, without regard
// to case, is ErrDuplicateAddress, and a roster by which many are employed again a
// *ReturnedError, unless that is accepted; the roster then stays as it was. A second
// time imports the same again.
func (d *DB) ImportRoster(ctx context.Context, organization string, people []Person, acceptReturns bool) (RosterChange, error) {
	var change RosterChange
	roster, err := jsonbPeople(people)
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
		if change, err = compareRoster(ctx, tx, org, roster, now); err != nil {
			return err
		}
		for _, r := range change.Returns {
			if !acceptReturns && DefaultHold().stops(r.Returned, r.HadExit) {
				return &ReturnedError{r}
			}
		}
		if err := delist(ctx, tx, org, now); err != nil {
			return err
		}
		return replaceRoster(ctx, tx, org, roster)
	})
	if isUniqueViolation(err) {
		err = ErrDuplicateAddress
	}
	return change, err
}

// Judged is how many exit monitors were evaluated again by a roster, and how many
// others have to be synced first: their connections never were, or long ago.
type Judged struct{ Evaluated, Waiting int }

// JudgeByRoster evaluates the exit monitors of an organization again, by its roster
// and on what was last synced, each in a transaction of its own: no sync waits for
// more than its own connection's. report, if not nil, is told how far it has come.
// Each call adds outcomes; one that was broken off can be made again.
func (d *DB) JudgeByRoster(ctx context.Context, organization string, report func(done, all int)) (Judged, error) {
	var judged Judged
	var connections []int64
	if err := d.sql.SelectContext(ctx, &connections, `
		SELECT c.id FROM connections c JOIN organizations o ON o.id = organization_id
		WHERE o.name = $1 AND state <> 'disconnected' ORDER BY c.id`, organization); err != nil {
		return judged, err
	}
	for i, id := range connections {
		if report != nil {
			report(i, len(connections))
		}
		err := d.judgeExits(ctx, id, &judged)
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDisconnected) {
			return judged, err
		}
	}
	return judged, nil
}

func (d *DB) judgeExits(ctx context.Context, connectionID int64, judged *Judged) error {
	return d.inTx(ctx, func(tx *sqlx.Tx, now time.Time) error {
		connection, err := lockConnection(ctx, tx, connectionID)
		if err != nil {
			return err
		}
		var monitored bool
		if err := tx.GetContext(ctx, &monitored, `
			SELECT EXISTS (SELECT FROM monitors WHERE connection_id = $1 AND code = $2)`, connectionID, AccessRemovedOnExit); err != nil || !monitored {
			return err
		}
		if err := setBased(ctx, tx); err != nil {
			return err
		}
		evaluated, err := evaluateAgain(ctx, tx, connection, []string{AccessRemovedOnExit}, now)
		if err != nil {
			return fmt.Errorf("connection %q: %w", connection.Name, err)
		}
		if evaluated > 0 {
			judged.Evaluated++
		} else {
			judged.Waiting++
		}
		return nil
	})
}

// beginRoster says when a roster is imported, and makes others wait for it.
func beginRoster(ctx context.Context, tx *sqlx.Tx, org int64, now time.Time) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO rosters (organization_id, imported_at) VALUES ($1, $2)
		ON CONFLICT (organization_id) DO UPDATE SET imported_at = excluded.imported_at`, org, now)
	return err
}

// listed is a roster ($2) as a table.
const listed = `listed AS MATERIALIZED (
		SELECT lower(email) AS email, aliases, coalesce(exited_at, 'infinity') AS exits
		FROM jsonb_to_recordset($2) AS r (email text, aliases text[], exited_at timestamptz)
	)`

// compareRoster compares a roster with the one on record. Whoever had an exit is known
// by every address: a file may list somebody under another one.
func compareRoster(ctx context.Context, tx *sqlx.Tx, org int64, roster sql.NullString, now time.Time) (RosterChange, error) {
	var change RosterChange
	if err := tx.GetContext(ctx, &change, `
		WITH `+listed+`
		SELECT
			(SELECT count(*) FROM listed WHERE email NOT IN (SELECT lower(email) FROM people WHERE organization_id = $1)) AS added,
			(SELECT count(*) FROM people WHERE organization_id = $1 AND lower(email) NOT IN (SELECT email FROM listed)) AS removed,
			(
				SELECT count(*) FROM people WHERE organization_id = $1 AND exited_at IS NOT NULL AND lower(email) NOT IN (SELECT email FROM listed)
			) AS removed_with_exit`, org, roster); err != nil {
		return change, err
	}
	err := tx.SelectContext(ctx, &change.Returns, `
		WITH `+listed+`, employed AS (
			SELECT lower(address) AS address, exits FROM listed, LATERAL unnest(email || aliases) AS address WHERE exits > $3
		), departed AS (
			SELECT CASE WHEN delisted THEN 'delisted' WHEN exited_at <= $3 THEN 'past' ELSE 'upcoming' END AS exits,
				address, lower(person) AS person, exited_at
			FROM person_addresses WHERE organization_id = $1 AND exited_at IS NOT NULL
		)
		SELECT d.exits, count(DISTINCT person) AS had_exit, count(DISTINCT person) FILTER (WHERE exited_at < e.exits) AS returned
		FROM departed d LEFT JOIN employed e USING (address) GROUP BY d.exits ORDER BY d.exits`, org, roster, now)
	return change, err
}

// departuresKept is how long after an exit it is remembered of somebody who is no
// longer listed.
const departuresKept = 400 * 24 * time.Hour

// delist forgets the addresses of a roster that is about to be replaced, but for those
// of people who had an exit.
func delist(ctx context.Context, tx *sqlx.Tx, org int64, now time.Time) error {
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM person_addresses WHERE organization_id = $1 AND (exited_at IS NULL OR exited_at <= $2)`,
		org, now.Add(-departuresKept)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		UPDATE person_addresses SET delisted = true WHERE organization_id = $1 AND NOT delisted`, org)
	return err
}

// replaceRoster replaces a roster that is delisted. Nobody has an exit any more whom
// it lists without: neither under an address that it lists, nor, where they have
// stayed, under any other.
func replaceRoster(ctx context.Context, tx *sqlx.Tx, org int64, roster sql.NullString) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM people WHERE organization_id = $1`, org); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO people (organization_id, email, name, aliases, exited_at)
		SELECT $1, email, name, aliases, exited_at
		FROM jsonb_to_recordset($2) AS r (email text, name text, aliases text[], exited_at timestamptz)`,
		org, roster); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		WITH again AS (
			SELECT a.address, a.person, coalesce(p.exited_at, 'infinity') > a.exited_at AS stayed
			FROM people p, LATERAL unnest(email || aliases) AS listed JOIN person_addresses a ON a.address = lower(listed)
			WHERE p.organization_id = $1 AND a.organization_id = $1
		)
		DELETE FROM person_addresses
		WHERE organization_id = $1 AND (address IN (SELECT address FROM again) OR person IN (SELECT person FROM again WHERE stayed))`,
		org); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO person_addresses (organization_id, address, person, exited_at)
		SELECT DISTINCT $1::bigint, lower(address), email, exited_at
		FROM people, LATERAL unnest(email || aliases) AS address
		WHERE organization_id = $1 AND address <> ''`, org)
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
