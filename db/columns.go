package db

import (
	"slices"
	"strings"
)

// facts are the columns of accounts and staged_accounts that a change shows.
// Their names are the keys of its before and after, and are in the order in
// which jsonb keeps its keys: it is made in half the time when it finds them
// sorted.
const facts = `mfa, name, site, email, roles, groups, status, username, directory, privileges, access_level`

// factColumns are what an account is written with.
const factColumns = facts + `, facts_digest`

// plainColumns and accessColumns are factColumns in two parts: what every user
// has, and what end users have none of, for which the schema has defaults.
const (
	plainColumns  = `username, email, name, status, mfa, facts_digest`
	accessColumns = `roles, groups, privileges, access_level, site, directory`
)

// without are columns but for some of them.
func without(columns, some string) string {
	left := slices.DeleteFunc(strings.Split(columns, ", "), func(column string) bool {
		return slices.Contains(strings.Split(some, ", "), column)
	})
	return strings.Join(left, ", ")
}

// prefixed puts a prefix before each of several columns.
func prefixed(prefix, columns string) string {
	return prefix + strings.ReplaceAll(columns, ", ", ", "+prefix)
}
