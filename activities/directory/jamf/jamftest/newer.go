package jamftest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// routes are the endpoints of both APIs. An endpoint that an access review
// must not call is not among them.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	get := func(path, privilege string, answer handler) {
		mux.Handle("GET "+path, s.authorized(privilege, answer))
	}
	mux.HandleFunc("POST /api/v1/oauth/token", s.token)
	mux.HandleFunc("POST /api/oauth/token", s.token)
	get("/api/v1/jamf-pro-version", "", s.version)
	get("/api/v3/sso", "Read SSO Settings", s.ssoSettings)
	get("/api/v1/sites", "Read Sites", s.siteList)
	get("/api/v1/accounts", "Read Accounts", list(&s.accounts, s.accountRow))
	get("/api/v1/accounts/{id}", "Read Accounts", one(&s.accounts, s.accountRow))
	get("/api/v1/account-groups", "Read Account Groups", list(&s.groups, s.groupRow))
	get("/api/v1/account-groups/{id}", "Read Account Groups", one(&s.groups, s.groupRow))
	get("/api/v1/api-integrations", "Read API Integrations", list(&s.clients, clientRow))
	get("/api/v1/api-integrations/{id}", "Read API Integrations", one(&s.clients, clientRow))
	get("/api/v1/api-roles", "Read API Roles", list(&s.roles, s.roleRow))
	get("/api/v1/users", "Read User", s.endUserList)
	get("/api/v1/users/{id}", "Read User", s.endUser)
	s.classicRoutes(get)
	return mux
}

func (s *Server) version(_ *http.Request) answer {
	return found(map[string]string{"version": s.release.Version})
}

func (s *Server) ssoSettings(_ *http.Request) answer {
	return found(map[string]any{
		"ssoEnabled":        s.sso.Enabled,
		"ssoBypassAllowed":  s.sso.BypassAllowed,
		"configurationType": orDefault(s.sso.Type, "SAML"),
	})
}

func (s *Server) siteList(_ *http.Request) answer {
	sites := []map[string]string{}
	for _, site := range s.sites.all() {
		sites = append(sites, map[string]string{"id": strconv.Itoa(site.ID), "name": site.Name})
	}
	return found(sites)
}

// listed is a row with what it may be sorted by.
type listed struct {
	name string
	body func() map[string]any
}

// list answers a page of rows, by name unless the ids are asked for. Their
// bodies are made only when they are on the page.
func list[T any](t *table[T], row func(T) listed) handler {
	return func(r *http.Request) answer {
		from, size, ok := pageOf(r, 0)
		if !ok {
			return badPage()
		}
		ids := t.ids
		switch field, direction, _ := strings.Cut(r.URL.Query().Get("sort"), ":"); {
		case field != "id":
			ids = slices.Clone(ids)
			slices.SortStableFunc(ids, func(a, b int) int { return cmp.Compare(row(t.rows[a]).name, row(t.rows[b]).name) })
		case direction == "desc":
			ids = slices.Clone(ids)
			slices.Reverse(ids)
		}
		results := []map[string]any{}
		for _, id := range ids[min(from, len(ids)):min(from+size, len(ids))] {
			results = append(results, row(t.rows[id]).body())
		}
		return found(map[string]any{"totalCount": len(ids), "results": results})
	}
}

// pageOf reads which rows are asked for.
func pageOf(r *http.Request, maxSize int) (from, size int, ok bool) {
	page, pageErr := strconv.Atoi(orDefault(r.URL.Query().Get("page"), "0"))
	size, sizeErr := strconv.Atoi(orDefault(r.URL.Query().Get("page-size"), "100"))
	ok = pageErr == nil && sizeErr == nil && page >= 0 && size > 0 && (maxSize == 0 || size <= maxSize)
	return page * size, size, ok
}

func one[T any](t *table[T], row func(T) listed) handler {
	return func(r *http.Request) answer {
		it, ok := t.rows[idOf(r)]
		if !ok {
			return notFound()
		}
		return found(row(it).body())
	}
}

// idOf is the id in a request's path; -1, which nothing has, when it is none.
func idOf(r *http.Request) int {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return -1
	}
	return id
}

func (s *Server) accountRow(a Account) listed {
	return listed{a.Username, func() map[string]any {
		accountType := "DEFAULT"
		if a.Federated {
			accountType = "FEDERATED"
		}
		status := "Enabled"
		if a.Disabled {
			status = "Disabled"
		}
		return map[string]any{
			"id": strconv.Itoa(a.ID), "username": a.Username, "realname": a.RealName, "email": a.Email, "phone": "",
			"ldapServerId": noneIfZero(a.LDAPServerID), "distinguishedName": "", "siteId": noneIfZero(a.SiteID),
			"accessLevel": newerWord(a.AccessLevel), "privilegeLevel": newerWord(a.PrivilegeSet),
			"lastPasswordChange": nil, "changePasswordOnNextLogin": false, "failedLoginAttempts": 0,
			"accountStatus": status, "accountType": accountType,
		}
	}}
}

func (s *Server) groupRow(g Group) listed {
	return listed{g.Name, func() map[string]any {
		members := []map[string]any{}
		for _, id := range g.Members {
			if a, ok := s.accounts.rows[id]; ok {
				members = append(members, map[string]any{"id": strconv.Itoa(id), "username": a.Username, "realname": a.RealName, "email": a.Email})
			}
		}
		return map[string]any{
			"id": strconv.Itoa(g.ID), "name": g.Name,
			"accessLevel": newerWord(g.AccessLevel), "privilegeLevel": newerWord(g.PrivilegeSet),
			"siteId": strconv.Itoa(noneIfZero(g.SiteID)), "ldapServerId": strconv.Itoa(noneIfZero(g.LDAPServerID)),
			"directoryGroupId": "", "members": rotated(s, members), "privileges": s.shuffled(privilegesOf(g.PrivilegeSet, g.Privileges)),
		}
	}}
}

func clientRow(c Client) listed {
	return listed{c.DisplayName, func() map[string]any {
		return map[string]any{
			"id": c.ID, "displayName": c.DisplayName, "enabled": !c.Disabled, "authorizationScopes": slices.Clone(c.Roles),
			"accessTokenLifetimeSeconds": int(c.TokenLifetime.Seconds()), "appType": "CLIENT_CREDENTIALS", "clientId": c.ClientID,
		}
	}}
}

func (s *Server) roleRow(r Role) listed {
	return listed{r.DisplayName, func() map[string]any {
		return map[string]any{"id": strconv.Itoa(r.ID), "displayName": r.DisplayName, "privileges": s.shuffled(r.Privileges)}
	}}
}

// maxEndUserPage is the largest page of end users that Jamf Pro gives.
const maxEndUserPage = 1000

// endUserRow is typed, unlike the other rows: there may be a million.
type endUserRow struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	RealName string `json:"realname"`
	Email    string `json:"email"`
}

func newEndUserRow(u EndUser) endUserRow {
	return endUserRow{strconv.Itoa(u.ID), u.Username, u.RealName, u.Email}
}

func (s *Server) endUserList(r *http.Request) answer {
	from, size, ok := pageOf(r, maxEndUserPage)
	if !ok {
		return badPage()
	}
	total := s.endUsers.count()
	results := []endUserRow{}
	for i := min(from, total); i < min(from+size, total); i++ {
		results = append(results, newEndUserRow(s.endUsers.at(i)))
	}
	return found(map[string]any{
		"page": from / size, "pageSize": size, "totalCount": total, "totalPages": (total + size - 1) / size,
		"hasNext": from+size < total, "results": results,
	})
}

func (s *Server) endUser(r *http.Request) answer {
	u, ok := s.endUsers.find(idOf(r))
	if !ok {
		return notFound()
	}
	return found(newEndUserRow(u))
}

func newerWord(word string) string {
	switch word {
	case FullAccess:
		return "FullAccess"
	case SiteAccess:
		return "SiteAccess"
	case GroupAccess:
		return "GroupBasedAccess"
	case EnrollmentOnly:
		return "ENROLLMENT"
	case Administrator, Auditor, Custom:
		return strings.ToUpper(word)
	}
	return word
}

func noneIfZero(id int) int {
	if id == 0 {
		return -1
	}
	return id
}

// privilegesOf are those that were chosen, or what a built-in set holds.
func privilegesOf(set string, chosen []string) []string {
	if set == Custom {
		return chosen
	}
	return []string{"Read Computers", "Read Mobile Devices", "Read Policies", "Read Scripts"}
}

// shuffled returns privileges in another order each time, one of them twice,
// as Jamf Pro does.
func (s *Server) shuffled(privileges []string) []string {
	if len(privileges) == 0 {
		return []string{}
	}
	return append(rotated(s, privileges), privileges[0])
}

// rotated returns a list in another order each time.
func rotated[T any](s *Server, list []T) []T {
	if len(list) == 0 {
		return list
	}
	s.turn++
	turn := s.turn % len(list)
	return slices.Concat(list[turn:], list[:turn])
}
