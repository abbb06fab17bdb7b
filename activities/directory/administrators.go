package directory

// Who fully administers a source: whoever has the role Administrator with the
// access level FullAccess; and where a source tells no access levels, whoever
// has a role with AdministrativeWord in its name, since all roles of that name
// may reach everything.
const (
	FullAccess         = "Full Access"
	Administrator      = "Administrator"
	AdministrativeWord = "admin" // in any case
)
