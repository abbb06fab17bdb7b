package jamftest

import (
	"slices"
	"strings"
)

// Release says what a version of Jamf Pro has.
type Release struct {
	Version string
	// Without lists endpoints that the version does not have, by path, such
	// as "/api/v1/users".
	Without []string
}

// Modern has every endpoint.
func Modern() Release { return Release{Version: "11.27.0-t1700000000"} }

// BeforeAccountGroups has no newer endpoint for account groups.
func BeforeAccountGroups() Release {
	return Release{Version: "11.26.0-t1690000000", Without: []string{"/api/v1/account-groups"}}
}

// BeforeUsers has no newer endpoint for account groups and end users.
func BeforeUsers() Release {
	return Release{Version: "11.25.0-t1680000000", Without: []string{"/api/v1/account-groups", "/api/v1/users"}}
}

// ClassicOnly has accounts, groups and end users in the Classic API only, and
// no newer single sign-on settings and sites.
func ClassicOnly() Release {
	return Release{Version: "10.49.0-t1670000000", Without: []string{
		"/api/v1/accounts", "/api/v1/account-groups", "/api/v1/users", "/api/v1/sites", "/api/v3/sso",
	}}
}

// OldTokenPath is ClassicOnly with access tokens at their first address.
func OldTokenPath() Release {
	r := ClassicOnly()
	r.Without = append(r.Without, "/api/v1/oauth/token")
	return r
}

// SetRelease turns the server into another version.
func (s *Server) SetRelease(r Release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release = r
}

func (r Release) lacks(path string) bool {
	return slices.ContainsFunc(r.Without, func(p string) bool {
		return path == p || strings.HasPrefix(path, p+"/")
	})
}
