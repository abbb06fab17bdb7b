package jamftest

import (
	"net/http"
	"strings"
)

// classicRoutes are the endpoints of the Classic API.
func (s *Server) classicRoutes(get func(path, privilege string, answer handler)) {
	get("/JSSResource/accounts", "Read Accounts", s.classicAccounts)
	get("/JSSResource/accounts/userid/{id}", "Read Accounts", s.classicAccount)
	get("/JSSResource/accounts/groupid/{id}", "Read Accounts", s.classicGroup)
	get("/JSSResource/users", "Read User", s.classicUsers)
	get("/JSSResource/users/id/{id}", "Read User", s.classicUser)
	get("/JSSResource/sites", "Read Sites", s.classicSites)
}

func (s *Server) classicAccounts(_ *http.Request) answer {
	users, groups := []map[string]any{}, []map[string]any{}
	for _, a := range s.accounts.all() {
		users = append(users, map[string]any{"id": a.ID, "name": a.Username})
	}
	for _, g := range s.groups.all() {
		group := map[string]any{"id": g.ID, "name": g.Name}
		if g.SiteID != 0 {
			group["site"] = s.classicSite(g.SiteID)
		}
		groups = append(groups, group)
	}
	return found(map[string]any{"accounts": map[string]any{"users": users, "groups": groups}})
}

func (s *Server) classicAccount(r *http.Request) answer {
	a, ok := s.accounts.rows[idOf(r)]
	if !ok {
		return notFound()
	}
	enabled := "Enabled"
	if a.Disabled {
		enabled = "Disabled"
	}
	account := map[string]any{
		"id": a.ID, "name": a.Username, "directory_user": a.LDAPServerID != 0, "full_name": a.RealName,
		"email": a.Email, "email_address": a.Email, "password_sha256": strings.Repeat("5", 64),
		"enabled": enabled, "force_password_change": false,
		"access_level": a.AccessLevel, "privilege_set": a.PrivilegeSet,
		"privileges": s.classicPrivileges(a.PrivilegeSet, a.Privileges),
	}
	if a.LDAPServerID != 0 {
		account["ldap_server"] = map[string]any{"id": a.LDAPServerID, "name": "Directory"}
	}
	if a.SiteID != 0 {
		account["site"] = s.classicSite(a.SiteID)
	}
	// Of several groups an account of the Classic API names one.
	for _, g := range s.groups.all() {
		for _, member := range g.Members {
			if member == a.ID && a.AccessLevel == GroupAccess {
				account["groups"] = map[string]any{"group": map[string]any{"id": g.ID, "name": g.Name}}
			}
		}
	}
	return found(map[string]any{"account": account})
}

func (s *Server) classicGroup(r *http.Request) answer {
	g, ok := s.groups.rows[idOf(r)]
	if !ok {
		return notFound()
	}
	members := []map[string]any{}
	for _, id := range g.Members {
		if a, ok := s.accounts.rows[id]; ok {
			members = append(members, map[string]any{"id": id, "name": a.Username})
		}
	}
	group := map[string]any{
		"id": g.ID, "name": g.Name, "access_level": g.AccessLevel, "privilege_set": g.PrivilegeSet,
		"privileges": s.classicPrivileges(g.PrivilegeSet, g.Privileges), "members": rotated(s, members),
	}
	if g.LDAPServerID != 0 {
		group["ldap_server"] = map[string]any{"id": g.LDAPServerID, "name": "Directory"}
	}
	if g.SiteID != 0 {
		group["site"] = s.classicSite(g.SiteID)
	}
	return found(map[string]any{"group": group})
}

func (s *Server) classicSite(id int) map[string]any {
	return map[string]any{"id": id, "name": s.sites.rows[id].Name}
}

// classicPrivileges spreads privileges over the lists of the Classic API.
func (s *Server) classicPrivileges(set string, chosen []string) map[string][]string {
	lists := map[string][]string{"jss_objects": {}, "jss_settings": {}, "jss_actions": {}, "recon": {}, "casper_admin": {}}
	for _, privilege := range s.shuffled(privilegesOf(set, chosen)) {
		switch {
		case strings.HasSuffix(privilege, "Settings"):
			lists["jss_settings"] = append(lists["jss_settings"], privilege)
		case strings.HasPrefix(privilege, "Send"):
			lists["jss_actions"] = append(lists["jss_actions"], privilege)
		default:
			lists["jss_objects"] = append(lists["jss_objects"], privilege)
		}
	}
	return lists
}

func (s *Server) classicUsers(_ *http.Request) answer {
	users := []map[string]any{}
	for i := range s.endUsers.count() {
		u := s.endUsers.at(i)
		users = append(users, map[string]any{"id": u.ID, "name": u.Username})
	}
	return found(map[string]any{"users": users})
}

func (s *Server) classicUser(r *http.Request) answer {
	u, ok := s.endUsers.find(idOf(r))
	if !ok {
		return notFound()
	}
	return found(map[string]any{"user": map[string]any{
		"id": u.ID, "name": u.Username, "full_name": u.RealName, "email": u.Email, "email_address": u.Email,
	}})
}

func (s *Server) classicSites(_ *http.Request) answer {
	sites := []map[string]any{}
	for _, site := range s.sites.all() {
		sites = append(sites, map[string]any{"id": site.ID, "name": site.Name})
	}
	return found(map[string]any{"sites": sites})
}
