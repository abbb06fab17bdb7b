package truto

import (
	"slices"
	"strings"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// user returns a row as the model has it. Its kind follows from the scope.
func (r *row) user(kind directory.Kind) directory.User {
	return directory.User{
		Identity: directory.Identity{Kind: kind, ID: string(r.ID)},
		Username: string(r.Username),
		Email:    r.email(),
		Name:     r.fullName(),
		Status:   status(r.Status),
		MFA:      secondFactor(r.TwoFactor),
		Roles:    names(r.Roles, roleName),
		Groups:   names(r.Groups, plainName),
	}
}

// email is the primary address, or the first where none is said to be.
func (r *row) email() string {
	first := ""
	for _, m := range r.Emails {
		address := strings.TrimSpace(string(m.Email))
		if address != "" && m.Primary == "true" {
			return address
		}
		if first == "" {
			first = address
		}
	}
	return first
}

func (r *row) fullName() string {
	if r.Name != "" {
		return string(r.Name)
	}
	return strings.TrimSpace(string(r.FirstName) + " " + string(r.LastName))
}

// isDeleted reports whether the user is only remembered.
func (r *row) isDeleted() bool { return strings.EqualFold(string(r.Status), "deleted") }

// status knows Truto's words and those of Jamf Pro, which Truto hands on where
// it does not map them. An invitation that is open may be taken up at any time,
// so that somebody invited is not known to be kept out.
func status(word httpclient.Text) directory.Status {
	switch strings.ToLower(string(word)) {
	case "active", "enabled":
		return directory.StatusActive
	case "inactive", "disabled":
		return directory.StatusInactive
	}
	return directory.StatusUnknown
}

func secondFactor(word httpclient.Text) directory.MFA {
	switch strings.ToLower(string(word)) {
	case "true":
		return directory.MFAEnabled
	case "false":
		return directory.MFADisabled
	}
	return directory.MFAUnknown
}

// roleName returns the word that Jamf Pro's own pages have for a role; other
// words are kept.
func roleName(role reference) string {
	switch normalized(role) {
	case "administrator":
		return directory.Administrator
	case "auditor":
		return "Auditor"
	case "enrollment", "enrollment only":
		return "Enrollment Only"
	case "custom":
		return "Custom"
	}
	return plainName(role)
}

// normalized is the name of a role by which it is recognised.
func normalized(role reference) string {
	return strings.TrimSpace(strings.ToLower(strings.NewReplacer("_", " ", "-", " ").Replace(string(role.Name))))
}

// plainName names what has no name by its id, so that it does not vanish.
func plainName(r reference) string {
	switch {
	case r.Name != "":
		return string(r.Name)
	case r.ID != "":
		return "id " + string(r.ID)
	}
	return ""
}

// names returns a set; nil when it is empty.
func names(list []reference, name func(reference) string) []string {
	var all []string
	for _, r := range list {
		if n := name(r); n != "" {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
