package jamf

import (
	"context"

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

// loadClients reads all API clients.
func (s *source) loadClients(ctx context.Context) ([]clientRow, error) {
	var clients []clientRow
	err := readPages(ctx, s, clientsEndpoint, &progress{Size: s.pageSize}, func(rows []clientRow) error {
		clients = append(clients, rows...)
		return atMost(len(clients), "API clients")
	})
	return clients, err
}

// loadRoles reads the privileges of all API roles, by the name that clients
// know them by.
func (s *source) loadRoles(ctx context.Context) (map[string][]string, error) {
	privileges := map[string][]string{}
	err := readPages(ctx, s, rolesEndpoint, &progress{Size: s.pageSize}, func(rows []roleRow) error {
		for _, row := range rows {
			name := string(row.DisplayName)
			privileges[name] = append(privileges[name], words(row.Privileges)...)
		}
		return atMost(len(privileges), "API roles")
	})
	return privileges, err
}
