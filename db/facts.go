package db

import (
	"slices"
	"strings"
	"unicode/utf8"

	"jamf-access-review/activities/directory"
)

// maxIDBytes bounds a source's ids: an index cannot hold more than about 2700
// bytes.
const maxIDBytes = 1024

// storable refuses users that PostgreSQL would refuse. Its refusal would read
// as a failure of the database, which is tried again for ever.
func storable(users []stagedUser) error {
	for _, u := range users {
		if !slices.Contains(directory.Kinds(), u.Kind) {
			return directory.Errorf(directory.Inconsistent, "a user is of the unknown kind %q", u.Kind)
		}
		if u.ID == "" || len(u.ID) > maxIDBytes {
			return directory.Errorf(directory.Inconsistent, "the id of a user of kind %s has %d bytes", u.Kind, len(u.ID))
		}
		if !storableText(u.ID, u.Username, u.Email, u.Name, u.AccessLevel, u.Site) ||
			!storableText(u.Roles...) || !storableText(u.Groups...) || !storableText(u.Privileges...) {
			return directory.Errorf(directory.Inconsistent, "a user of kind %s has a text that is not UTF-8 or has NUL bytes", u.Kind)
		}
	}
	return nil
}

func storableText(texts ...string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
			return false
		}
	}
	return true
}

// knownStatus makes unknown of every word that is not known, "" among them.
func knownStatus(s directory.Status) directory.Status {
	switch s {
	case directory.StatusActive, directory.StatusInactive:
		return s
	}
	return directory.StatusUnknown
}

// knownMFA makes unknown of every word that is not known, "" among them.
func knownMFA(m directory.MFA) directory.MFA {
	switch m {
	case directory.MFAEnabled, directory.MFADisabled:
		return m
	}
	return directory.MFAUnknown
}
