// Package directory is the one model of a user directory: what every source
// of accounts is read into, and how a source says what went wrong.
//
// A fact has three values wherever a source may be silent. Unknown is the
// zero value of each such type, so a fact nobody set never reads as good.
package directory

import (
	"context"
	"fmt"
	"time"
)

// Kind says what sort of access a User is.
type Kind string

const (
	// Account is a console account: somebody who logs in by name.
	Account Kind = "account"
	// APIClient is a non-human client that holds API roles.
	APIClient Kind = "api_client"
	// DirectoryGroup is a group of a directory service whose members log in
	// without having an account of their own.
	DirectoryGroup Kind = "directory_group"
	// EndUser is somebody a device belongs to. End users cannot administer
	// anything and are read with ScopeEveryone only.
	EndUser Kind = "end_user"
)

// Kinds lists every Kind in the order a directory is read.
func Kinds() []Kind { return []Kind{DirectoryGroup, APIClient, Account, EndUser} }

// Scope says how much of a directory is read.
type Scope string

const (
	// ScopeAdmins reads everything that can administer: all kinds but EndUser.
	ScopeAdmins Scope = "admins"
	// ScopeEveryone reads end users too.
	ScopeEveryone Scope = "everyone"
)

// Status says whether a User can log in.
type Status string

const (
	StatusUnknown  Status = "unknown"
	StatusActive   Status = "active"
	StatusInactive Status = "inactive"
)

// MFA says whether a second factor is asked of a User.
type MFA string

const (
	MFAUnknown  MFA = "unknown"
	MFAEnabled  MFA = "enabled"
	MFADisabled MFA = "disabled"
)

// Identity is what makes a User the same one from one read to the next. It
// never involves a name or an e-mail address, so that a change of either is a
// change and not one person leaving and another arriving.
type Identity struct {
	Kind Kind
	ID   string // the source's own id
}

// User is one entry of a directory. Lists are sets: sorted, without repeats.
type User struct {
	Identity
	Username string
	Email    string // "" when the source has none
	Name     string
	Status   Status
	MFA      MFA
	// Roles are the source's own words for what the user may do.
	Roles  []string
	Groups []string
	// AccessLevel is the source's own word for how far the roles reach.
	AccessLevel string
	// Site is the part of the installation the user is confined to, if any.
	Site string
	// FromDirectory says whether the user is kept in a directory service
	// rather than in the source itself; nil when the source does not say.
	FromDirectory *bool
	// Privileges are listed only where they are chosen one by one. Built-in
	// roles are named in Roles; their lists change with every upgrade.
	Privileges []string
}

// Limitation is something a sync cannot read and goes on without.
type Limitation struct {
	// Privilege is the one that is missing, by its exact name at the source;
	// "" when something else is in the way.
	Privilege string `json:"privilege"`
	Lost      string `json:"lost"` // what is not read
	// Reason says what else is in the way.
	Reason string `json:"reason,omitempty"`
}

func (l Limitation) String() string {
	if l.Privilege == "" {
		return l.Lost + " (" + l.Reason + ")"
	}
	return fmt.Sprintf("%s (privilege %q is missing)", l.Lost, l.Privilege)
}

// SingleSignOn is how people log in to the source. It proves nothing about a
// second factor.
type SingleSignOn struct {
	Enabled       bool   `json:"enabled"`
	BypassAllowed bool   `json:"bypass_allowed"`
	Type          string `json:"type"`
}

// Report is what a source says of itself and of what may be read from it.
type Report struct {
	Version      string        `json:"version"`
	Limitations  []Limitation  `json:"limitations"`
	SingleSignOn *SingleSignOn `json:"single_sign_on,omitempty"` // nil when unknown
}

// Cursor is a place in a directory to go on reading from; only the source
// that made it can read it. The empty Cursor is the beginning. A Cursor holds
// no secret and no person's data.
type Cursor string

// Page is a part of a directory.
type Page struct {
	Users []User
	// Cursor is where to go on once this page is safely stored.
	Cursor Cursor
	// Requests is how many HTTP requests were made since the page before.
	Requests int
	// Summary is set on the last page, and on no other.
	Summary *Summary
}

// Summary closes a complete read.
type Summary struct {
	Report
	// Totals is how many distinct users of each kind the source says it has,
	// for every kind that was read. A snapshot with another count is not
	// complete.
	Totals map[Kind]int
	// GroupsUnread says that groups could not be read: what accounts have from
	// them is unknown, and not gone.
	GroupsUnread bool
	// RolesUnread says that the privileges of API roles could not be read: those of
	// API clients are unknown, and not gone.
	RolesUnread bool
	// PrivilegesUnread says that those of accounts could not be, and SitesUnread
	// that the names of sites could not.
	PrivilegesUnread, SitesUnread bool
	// InternalGroups is how many groups of accounts the source keeps itself, which
	// are no entries of their own.
	InternalGroups int
	// LeftOut counts, by reason, what was read and does not belong to the
	// scope.
	LeftOut map[string]int
}

// Lookup is what came of asking for single users.
type Lookup struct {
	Present  int // how many of them still exist, as what they were
	Requests int // how many HTTP requests were made
}

// Source reads one directory. A Source is for one sync, and is closed after it;
// its methods are not called concurrently. Every error is an *Error, a context's, or
// what its TokenSource returned, as it is.
type Source interface {
	// Probe makes sure that the source is what it is said to be and that the
	// privileges a sync cannot do without are held. It reads no users. Beside
	// an error the report has what was found before it.
	Probe(ctx context.Context) (Report, error)

	// Read reads everything from a cursor to the end and hands it to emit
	// page by page, in order, never two at once. The last page has a Summary;
	// reading from that page's own cursor yields a last page again, without
	// users. Read stops at emit's first error and returns it as it is. A nil
	// error means that the last page was emitted.
	//
	// A user may be emitted twice only when the directory changed while it
	// was being read; that makes the read inconsistent.
	Read(ctx context.Context, from Cursor, emit func(Page) error) error

	// Lookup asks for single users by their ids. It tells a removed user from
	// one that slipped between two pages.
	Lookup(ctx context.Context, ids []Identity) (Lookup, error)

	// Close lets go of what is open to the source's server. Nothing is asked
	// afterwards.
	Close()
}

// Token is an access token. It must not be logged or leave the process
// unsealed.
type Token struct {
	Value string
	// RenewAt is when to ask for the next one, a little before this one
	// expires.
	RenewAt time.Time
	// Generation counts the tokens issued for a connection, so that two who
	// saw the same token rejected renew it once.
	Generation int64
	// Fresh marks a token that was asked for because the one before it was
	// rejected. A source that rejects a fresh token at its first use does so
	// for a reason that yet another token will not mend.
	Fresh bool
}

// TokenSource hands out the connection's current access token, renewing it
// when it has expired. It is asked before every request, from several
// goroutines at once.
type TokenSource interface {
	Token(ctx context.Context) (Token, error)
}
