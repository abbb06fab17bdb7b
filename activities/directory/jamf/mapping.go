package jamf

import (
	"slices"
	"strings"

	"jamf-access-review/activities/directory"
)

// The words of the Classic API are the canonical ones, since they are what
// Jamf Pro's own pages show.
const (
	groupAccess = "Group Access"
	roleCustom  = "Custom"
)

// accessLevel returns the canonical word; an unknown word is kept.
func accessLevel(word text) string {
	switch word {
	case "FullAccess":
		return directory.FullAccess
	case "SiteAccess":
		return "Site Access"
	case "GroupBasedAccess", "GroupAccess":
		return groupAccess
	}
	return string(word)
}

// roleName returns the canonical word; an unknown word is kept.
func roleName(word text) string {
	switch word {
	case "ADMINISTRATOR":
		return directory.Administrator
	case "AUDITOR":
		return "Auditor"
	case "ENROLLMENT", "ENROLLMENT_ONLY":
		return "Enrollment Only"
	case "CUSTOM":
		return roleCustom
	}
	return string(word)
}

func accountStatus(word text) directory.Status {
	switch strings.ToLower(string(word)) {
	case "enabled":
		return directory.StatusActive
	case "disabled":
		return directory.StatusInactive
	}
	return directory.StatusUnknown
}

func clientStatus(enabled flag) directory.Status {
	switch {
	case enabled.value == nil:
		return directory.StatusUnknown
	case *enabled.value:
		return directory.StatusActive
	default:
		return directory.StatusInactive
	}
}

// isNone reports whether a reference points nowhere: Jamf Pro writes -1.
func isNone(id text) bool { return id == "" || id[0] == '-' }

// fromDirectory counts a federated account as kept elsewhere: its identity
// provider holds the identity and the password, not Jamf Pro.
func fromDirectory(server, accountType text) *bool {
	switch {
	case accountType == "FEDERATED":
		return new(true)
	case server == "":
		return nil
	default:
		return new(!isNone(server))
	}
}

func email(first, second text) string {
	if s := strings.TrimSpace(string(first)); s != "" {
		return s
	}
	return strings.TrimSpace(string(second))
}

// siteNames is the sites' names by id, as far as they may be read.
type siteNames map[string]string

func (n siteNames) name(id, given text) string {
	switch {
	case isNone(id):
		return ""
	case given != "":
		return string(given)
	case n[string(id)] != "":
		return n[string(id)]
	default:
		return "id " + string(id)
	}
}

// set returns words sorted, without repeats and empty ones; nil when none
// are left.
func set(words []string) []string {
	kept := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	if len(kept) == 0 {
		return nil
	}
	slices.Sort(kept)
	return slices.Compact(kept)
}

func words(texts []text) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = string(t)
	}
	return out
}
