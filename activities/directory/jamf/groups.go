package jamf

import (
	"cmp"
	"context"
	"slices"

	"jamf-access-review/activities/directory"
)

// accountGroup is a group of console accounts, or of a directory service.
type accountGroup struct {
	id         string
	name       string
	access     string
	role       string
	site       text
	siteName   text
	directory  bool
	members    []groupMember // a set
	privileges []string
}

// groupMember is a member of a group in either API.
type groupMember struct {
	ID       text `json:"id"`
	Username text `json:"username"` // newer
	Name     text `json:"name"`     // Classic
}

// memberSet returns a set: Jamf Pro lists in another order from read to read.
func memberSet(list []groupMember) []groupMember {
	slices.SortFunc(list, func(a, b groupMember) int {
		return cmp.Or(compareIDs(string(a.ID), string(b.ID)), cmp.Compare(a.Username+a.Name, b.Username+b.Name))
	})
	return slices.Compact(list)
}

// groupRow is a group in the newer API.
type groupRow struct {
	ID               text          `json:"id"`
	Name             text          `json:"name"`
	AccessLevel      text          `json:"accessLevel"`
	PrivilegeLevel   text          `json:"privilegeLevel"`
	SiteID           text          `json:"siteId"`
	LDAPServerID     text          `json:"ldapServerId"`
	DirectoryGroupID text          `json:"directoryGroupId"`
	Members          []groupMember `json:"members"`
	Privileges       []text        `json:"privileges"`
}

func (r groupRow) key() text { return r.ID }

func (r groupRow) group() accountGroup {
	return accountGroup{
		id:         string(r.ID),
		name:       string(r.Name),
		access:     accessLevel(r.AccessLevel),
		role:       roleName(r.PrivilegeLevel),
		site:       r.SiteID,
		directory:  !isNone(r.LDAPServerID) || !isNone(r.DirectoryGroupID),
		members:    memberSet(r.Members),
		privileges: set(words(r.Privileges)),
	}
}

// classicGroupDetail is a group in the Classic API.
type classicGroupDetail struct {
	Group struct {
		ID           text              `json:"id"`
		Name         text              `json:"name"`
		AccessLevel  text              `json:"access_level"`
		PrivilegeSet text              `json:"privilege_set"`
		Site         classicReference  `json:"site"`
		LDAPServer   classicReference  `json:"ldap_server"`
		Members      []groupMember     `json:"members"`
		Privileges   map[string][]text `json:"privileges"`
	} `json:"group"`
}

func (d classicGroupDetail) key() text { return d.Group.ID }

func (d classicGroupDetail) group() accountGroup {
	g := d.Group
	return accountGroup{
		id:         string(g.ID),
		name:       string(g.Name),
		access:     accessLevel(g.AccessLevel),
		role:       roleName(g.PrivilegeSet),
		site:       g.Site.ID,
		siteName:   g.Site.Name,
		directory:  !isNone(g.LDAPServer.ID),
		members:    memberSet(g.Members),
		privileges: classicPrivileges(g.Privileges),
	}
}

func (g accountGroup) user(sites siteNames) directory.User {
	user := directory.User{
		Identity:      directory.Identity{Kind: directory.DirectoryGroup, ID: g.id},
		Username:      g.name,
		Name:          g.name,
		Status:        directory.StatusActive,
		MFA:           directory.MFAUnknown,
		Roles:         set([]string{g.role}),
		AccessLevel:   g.access,
		Site:          sites.name(g.site, g.siteName),
		FromDirectory: new(true),
	}
	if g.role == roleCustom {
		user.Privileges = g.privileges
	}
	return user
}

// accountGroups are all groups, in the order of their ids.
type accountGroups struct {
	list    []accountGroup
	classic bool // which API they are from
	reread  bool // whether the empty ones were asked for again

	// index is made of list when it is first needed.
	index *membership
}

// directoryGroups are the groups that are access by themselves: nobody in
// them needs an account.
func (g *accountGroups) directoryGroups(sites siteNames) []directory.User {
	users := []directory.User{}
	for _, group := range g.list {
		if group.directory {
			users = append(users, group.user(sites))
		}
	}
	return users
}

// membership is the groups by their members, each in the order of the groups.
type membership struct {
	byName bool
	groups map[text][]*accountGroup
}

// membership indexes the groups for accounts of either API. Whether both number
// accounts alike is not certain, so across them members are known by name.
func (g *accountGroups) membership(accountsClassic bool) *membership {
	byName := g.classic != accountsClassic
	if g.index != nil && g.index.byName == byName {
		return g.index
	}
	g.index = &membership{byName: byName, groups: map[text][]*accountGroup{}}
	for i := range g.list {
		group := &g.list[i]
		for _, member := range group.members {
			key := member.ID
			if byName {
				key = member.Username + member.Name
			}
			g.index.groups[key] = append(g.index.groups[key], group)
		}
	}
	return g.index
}

// fill gives an account with Group Access the roles and names of its groups.
func (m *membership) fill(user *directory.User) {
	key := user.ID
	if m.byName {
		key = user.Username
	}
	var roles, names []string
	for _, group := range m.groups[text(key)] {
		roles = append(roles, group.role)
		names = append(names, group.name)
	}
	user.Roles, user.Groups = set(roles), set(names)
}

// loadGroups reads all groups, from the Classic API where the newer one does
// not have them yet.
func (s *source) loadGroups(ctx context.Context) (*accountGroups, error) {
	groups := &accountGroups{}
	rows, err := readList[groupRow](ctx, s, groupsEndpoint, "account groups")
	for _, row := range rows {
		groups.list = append(groups.list, row.group())
	}
	if isNotThere(err) {
		groups.classic = true
		err = readDetails(ctx, s, s.classicGroupIDs, classicGroup, &progress{}, func(details []classicGroupDetail) error {
			for _, detail := range details {
				groups.list = append(groups.list, detail.group())
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(groups.list, func(a, b accountGroup) int { return compareIDs(a.id, b.id) })
	return groups, nil
}

// fillGroups gives the accounts with Group Access among users their groups. A
// group's members are sometimes wrongly empty, and any account may be one of
// them: the groups without members are asked for by id, once in a read.
func (s *source) fillGroups(ctx context.Context, groups *accountGroups, users []directory.User, classic bool) error {
	if groups == nil {
		return nil
	}
	if !groups.fill(users, classic) || groups.reread {
		return nil
	}
	groups.reread = true
	if err := s.rereadEmpty(ctx, groups); err != nil {
		return err
	}
	groups.fill(users, classic)
	return nil
}

// groupless reports whether a user has access from groups, and is in none.
func groupless(user directory.User) bool {
	return user.Kind == directory.Account && user.AccessLevel == groupAccess && len(user.Groups) == 0
}

// fill reports whether any account has Group Access.
func (g *accountGroups) fill(users []directory.User, classic bool) bool {
	filled := false
	for i := range users {
		if users[i].Kind == directory.Account && users[i].AccessLevel == groupAccess {
			g.membership(classic).fill(&users[i])
			filled = true
		}
	}
	return filled
}

func (s *source) rereadEmpty(ctx context.Context, groups *accountGroups) error {
	var empty []int
	for i, group := range groups.list {
		if len(group.members) == 0 && !group.directory {
			empty = append(empty, i)
		}
	}
	groups.index = nil
	next := 0
	return inOrder(ctx, len(empty), s.parallel, func(ctx context.Context, i int) (*accountGroup, error) {
		return s.group(ctx, groups.list[empty[i]].id, groups.classic)
	}, func(group *accountGroup) error {
		if group != nil {
			groups.list[empty[next]].members = group.members
		}
		next++
		return nil
	})
}

// group reads one group; nil when it is gone.
func (s *source) group(ctx context.Context, id string, classic bool) (*accountGroup, error) {
	if classic {
		detail, err := readOne[classicGroupDetail](ctx, s, classicGroup, id)
		if detail == nil {
			return nil, err
		}
		return new(detail.group()), nil
	}
	row, err := readOne[groupRow](ctx, s, groupsEndpoint, id)
	if row == nil {
		return nil, err
	}
	return new(row.group()), nil
}
