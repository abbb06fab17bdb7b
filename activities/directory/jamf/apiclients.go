package jamf

import (
	"context"
	"fmt"

	"jamf-access-review/activities/directory"
)

// clientRow is an API integration: a client that is nobody's account.
type clientRow struct {
	ID          text   `json:"id"`
	DisplayName text   `json:"displayName"`
	ClientID    text   `json:"clientId"`
	Enabled     flag   `json:"enabled"`
	Roles       []text `json:"authorizationScopes"`
}

func (r clientRow) key() text { return r.ID }

func (r clientRow) user(privileges map[string][]string) directory.User {
	user := directory.User{
		Identity: directory.Identity{Kind: directory.APIClient, ID: string(r.ID)},
		Username: string(r.ClientID),
		Name:     string(r.DisplayName),
		Status:   clientStatus(r.Enabled),
		MFA:      directory.MFAUnknown,
		Roles:    set(words(r.Roles)),
	}
	var all []string
	for _, role := range user.Roles {
		all = append(all, privileges[role]...)
	}
	user.Privileges = set(all)
	return user
}

// roleRow is an API role.
type roleRow struct {
	ID          text   `json:"id"`
	DisplayName text   `json:"displayName"`
	Privileges  []text `json:"privileges"`
}

func (r roleRow) key() text { return r.ID }

// absentError is an answer that only a server without API clients could give,
// to one who has logged in as such a client.
type absentError struct{ reason string }

func (e *absentError) Error() string { return e.reason }

// present makes an absentError of the answer of a list of API clients or of
// their roles that is not there, or empty. Taken for the truth, it would have
// all of them removed.
func present(ep endpoint, entries int, err error) error {
	const whoAsks = "although this connection logs in to it as an API client: something in front of Jamf Pro, such as a firewall, may answer for it"
	switch {
	case isNotThere(err):
		return &absentError{fmt.Sprintf("HTTP 404 was answered for %s, %s", ep.path, whoAsks)}
	case err == nil && entries == 0:
		return &absentError{fmt.Sprintf("%s is empty, %s", ep.path, whoAsks)}
	}
	return err
}

// loadClients reads all API clients.
func (s *source) loadClients(ctx context.Context) ([]clientRow, error) {
	clients, err := readList[clientRow](ctx, s, clientsEndpoint, "API clients")
	if err = present(clientsEndpoint, len(clients), err); err != nil {
		return nil, err
	}
	return clients, nil
}

// loadRoles reads the privileges of all API roles, by the name that clients
// know them by.
func (s *source) loadRoles(ctx context.Context) (map[string][]string, error) {
	roles, err := readList[roleRow](ctx, s, rolesEndpoint, "API roles")
	if err = present(rolesEndpoint, len(roles), err); err != nil {
		return nil, err
	}
	privileges := map[string][]string{}
	for _, role := range roles {
		name := string(role.DisplayName)
		privileges[name] = append(privileges[name], words(role.Privileges)...)
	}
	return privileges, nil
}
