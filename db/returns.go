package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

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

// exitGroup is a group of people by the exit that they had.
type exitGroup string

const (
	past     exitGroup = "past"     // they are listed, and had left
	upcoming exitGroup = "upcoming" // they are listed, and were to leave
	delisted exitGroup = "delisted" // they had an exit, and are not listed
)

var exitWords = map[exitGroup]string{
	past: "people who had left", upcoming: "people who were to leave", delisted: "people who are not listed any more, and had an exit,",
}

// Returns is how many people of a group are employed again, or longer, by a roster.
type Returns struct {
	Group    exitGroup `db:"exit_group"`
	HadExit  int       `db:"had_exit"`
	Returned int       `db:"returned"`
}

// ReturnedError is returned for a roster by which so many of a group of people with
// an exit are employed again, or longer, that it is rather one without its exits. The
// groups are looked at one by one: among all who ever left, those who have left of
// late would be few.
type ReturnedError struct{ Returns }

func (e *ReturnedError) Error() string {
	return fmt.Sprintf("%d of %d %s are employed again, or longer", e.Returned, e.HadExit, exitWords[e.Group])
}

// following is the beginning of a query about the roster of an organization ($1) whose
// people are replaced and whose addresses are not yet. listed are the addresses of the
// one, known those of the other, and following are those of known who had an exit and
// are listed again, with when they leave now: under whichever of their addresses, since
// a file may know somebody by another one, and at the earliest, where several people
// have some. An address that is handed over to somebody who was known otherwise is no
// sign of them, and it is not certain where nobody knew whoever has it now.
const following = `
	WITH listed AS (
		SELECT DISTINCT lower(address) AS address, lower(email) AS email, email AS person, coalesce(exited_at, 'infinity') AS leaves_at
		FROM people, LATERAL unnest(email || aliases) AS address
		WHERE organization_id = $1 AND address <> ''
	), known AS (
		SELECT address, lower(person) AS person, exited_at, delisted FROM person_addresses WHERE organization_id = $1
	), following AS (
		SELECT DISTINCT ON (k.person) k.person, l.person AS listed_as, leaves_at, own.person IS NOT NULL AS certain
		FROM known k JOIN listed l USING (address) LEFT JOIN known own ON own.address = l.email
		WHERE k.exited_at IS NOT NULL AND (own.person IS NULL OR own.person = k.person)
		ORDER BY k.person, leaves_at, certain DESC, l.person
	)`

// compareRoster compares a roster whose people are replaced with the one whose
// addresses are on record.
func compareRoster(ctx context.Context, tx *sqlx.Tx, org int64, now time.Time) (RosterChange, error) {
	var change RosterChange
	if err := tx.GetContext(ctx, &change, `
		SELECT count(*) FILTER (WHERE was.person IS NULL) AS added, count(*) FILTER (WHERE email IS NULL) AS removed,
			count(*) FILTER (WHERE email IS NULL AND was.exited_at IS NOT NULL) AS removed_with_exit
		FROM (
			SELECT lower(email) AS person, email FROM people WHERE organization_id = $1
		) p FULL JOIN (
			SELECT DISTINCT lower(person) AS person, exited_at FROM person_addresses WHERE organization_id = $1 AND NOT delisted
		) was USING (person)`, org); err != nil {
		return change, err
	}
	err := tx.SelectContext(ctx, &change.Returns, following+`, departed AS (
			SELECT CASE WHEN delisted THEN 'delisted' WHEN exited_at <= $2 THEN 'past' ELSE 'upcoming' END AS exit_group,
				person, max(exited_at) AS exited_at
			FROM known WHERE exited_at IS NOT NULL GROUP BY 1, 2
		)
		SELECT exit_group, count(*) AS had_exit, count(*) FILTER (WHERE leaves_at > greatest(exited_at, $2)) AS returned
		FROM departed LEFT JOIN following USING (person) GROUP BY exit_group ORDER BY exit_group`, org, now)
	return change, err
}
