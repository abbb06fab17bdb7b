package truto

import "jamf-access-review/activities/directory"

// Why a user that was read does not belong to a snapshot.
const (
	leftOutDeleted = "users that are deleted"
	leftOutNoRole  = "users without any role or group"
	leftOutNoAdmin = "users whose roles are not administrative"
)

// place returns the kind that a row is of within the scope, or why it is left
// out. Truto has one list for those who administer and those who do not, and
// roles are all that tells them apart: whoever may be able to administer
// counts as an account.
func (r *row) place(scope directory.Scope) (kind directory.Kind, leftOut string) {
	reason := r.notAdministrative()
	switch {
	case r.isDeleted():
		return "", leftOutDeleted
	case reason == "":
		return directory.Account, ""
	case scope == directory.ScopeEveryone:
		return directory.EndUser, ""
	}
	return "", reason
}

// notAdministrative says why a user certainly cannot administer; "" for
// whoever can, and for whoever may. Where roles are not told nobody is ruled
// out, and an empty list of roles rules out nobody who is in a group, or whose
// groups are not told: Jamf Pro has accounts whose only roles are those of their
// groups.
func (r *row) notAdministrative() string {
	switch {
	case r.Roles == nil:
		return ""
	case len(r.Roles) > 0:
		for _, role := range r.Roles {
			if isAdministrative(role) {
				return ""
			}
		}
		return leftOutNoAdmin
	case r.Groups == nil || len(r.Groups) > 0:
		return ""
	}
	return leftOutNoRole
}

// isAdministrative takes every role for one of Jamf Pro's console, where alone Jamf
// Pro has roles, but for what can only be a word for those who are not let in there.
func isAdministrative(role reference) bool {
	switch normalized(role) {
	case "user", "end user", "enduser":
		return false
	}
	return true
}
