package db

import (
	"strings"

	"github.com/lib/pq"
)

// factColumns are the columns of accounts and staged_accounts that hold facts.
// Their names are the keys of a change's before and after.
const factColumns = `username, email, name, status, mfa, roles, groups, access_level, site, directory, privileges, facts_hash`

// notFacts are the columns that a change does not show.
var notFacts = pq.StringArray{"connection_id", "kind", "source_id", "facts_hash", "removed_at"}

// excluded prefixes columns for use in ON CONFLICT DO UPDATE.
func excluded(columns string) string {
	return "excluded." + strings.ReplaceAll(columns, ", ", ", excluded.")
}
