// Package roster reads a staff roster from CSV.
package roster

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"jamf-access-review/db"
)

// Error says what is wrong with a roster, and where.
type Error struct {
	Row    int    // as an editor counts lines; 1 is the header
	Column string // "" when the whole row is meant
	Reason string
}

func (e *Error) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("row %d: %s", e.Row, e.Reason)
	}
	return fmt.Sprintf("row %d, column %s: %s", e.Row, e.Column, e.Reason)
}

// maxErrors is how many rows that are wrong are told.
const maxErrors = 10

// columns that a roster has, in any order, and whether it must have them.
var columns = map[string]bool{"email": true, "name": true, "exited_at": true, "aliases": false}

// Read reads a whole roster. Its first row names the columns: email, name,
// exited_at (RFC 3339 or a date, which means its beginning in UTC; empty while
// employed) and optionally aliases, separated by ";". An address belongs to
// one person only, without regard to case. Every error of the content is an
// *Error, or several that are joined: one for each row that is wrong, of the first
// ten.
func Read(r io.Reader) ([]db.Person, error) {
	records := csv.NewReader(r)
	records.FieldsPerRecord = -1
	records.TrimLeadingSpace = true
	index, err := header(records)
	if err != nil {
		return nil, err
	}
	people := []db.Person{}
	seen := map[string]int{}
	var wrong []error
	for len(wrong) < maxErrors {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil { // what comes after cannot be told apart
			wrong = append(wrong, syntax(err))
			break
		}
		row, _ := records.FieldPos(0)
		if !slices.ContainsFunc(record, func(field string) bool { return strings.TrimSpace(field) != "" }) {
			continue // as spreadsheets leave behind
		}
		person, err := parse(record, index, row)
		if err == nil {
			err = claim(seen, person, row)
		}
		if err != nil {
			wrong = append(wrong, err)
		}
		people = append(people, person)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return people, nil
}

// claim notes in which row a person's addresses are, which no other may have.
func claim(seen map[string]int, p db.Person, row int) error {
	for i, address := range append([]string{p.Email}, p.Aliases...) {
		key := strings.ToLower(address)
		if other, ok := seen[key]; ok && other != row {
			column := "email"
			if i > 0 {
				column = "aliases"
			}
			return &Error{row, column, fmt.Sprintf("the same address is in row %d", other)}
		}
		seen[key] = row
	}
	return nil
}

func header(records *csv.Reader) (map[string]int, error) {
	first, err := records.Read()
	if errors.Is(err, io.EOF) {
		return nil, &Error{1, "", "the file is empty; its first row names the columns email, name, exited_at"}
	}
	if err != nil {
		return nil, syntax(err)
	}
	index := map[string]int{}
	for i, name := range first {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if _, known := columns[name]; !known {
			return nil, &Error{1, name, noColumn(name)}
		}
		if _, twice := index[name]; twice {
			return nil, &Error{1, name, "the column is there twice"}
		}
		index[name] = i
	}
	for name, must := range columns {
		if _, ok := index[name]; must && !ok {
			return nil, &Error{1, name, "the column is missing"}
		}
	}
	return index, nil
}

// noColumn says what is wrong with a name that is none of a column.
func noColumn(name string) string {
	switch {
	case !isText(name):
		return "it is not UTF-8 text: save the file as CSV in UTF-8"
	case strings.ContainsAny(name, ";\t"):
		return "no such column; separate columns with commas"
	}
	return "no such column; there are email, name, exited_at and aliases"
}

func parse(record []string, index map[string]int, row int) (db.Person, error) {
	if len(record) != len(index) {
		return db.Person{}, &Error{row, "", fmt.Sprintf("its fields are %d, and those of the header %d", len(record), len(index))}
	}
	field := func(column string) string {
		i, ok := index[column]
		if !ok {
			return ""
		}
		return strings.TrimSpace(record[i])
	}
	for column := range index {
		if value := field(column); !isText(value) {
			return db.Person{}, &Error{row, column, "it is not UTF-8 text"}
		}
	}
	p := db.Person{Email: field("email"), Name: field("name")}
	if !isAddress(p.Email) {
		return p, &Error{row, "email", fmt.Sprintf("%q is no e-mail address", p.Email)}
	}
	for alias := range strings.SplitSeq(field("aliases"), ";") {
		if alias = strings.TrimSpace(alias); alias != "" {
			p.Aliases = append(p.Aliases, alias)
		}
	}
	if exit := field("exited_at"); exit != "" {
		t, err := parseTime(exit)
		if err != nil {
			return p, &Error{row, "exited_at", fmt.Sprintf("%q is neither a date nor an RFC 3339 time", exit)}
		}
		p.ExitedAt = &t
	}
	return p, nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	return time.Parse(time.DateOnly, s)
}

func syntax(err error) error {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		return &Error{e.Line, "", e.Err.Error()}
	}
	return err
}
