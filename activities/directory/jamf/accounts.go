package jamf

import "jamf-access-review/activities/directory"

// accountRow is an account in the newer API, which lists no privileges.
type accountRow struct {
	ID             text `json:"id"`
	Username       text `json:"username"`
	RealName       text `json:"realname"`
	Email          text `json:"email"`
	LDAPServerID   text `json:"ldapServerId"`
	SiteID         text `json:"siteId"`
	AccessLevel    text `json:"accessLevel"`
	PrivilegeLevel text `json:"privilegeLevel"`
	AccountStatus  text `json:"accountStatus"`
	AccountType    text `json:"accountType"`
}

func (r accountRow) key() text { return r.ID }

func (r accountRow) user(sites siteNames) directory.User {
	user := directory.User{
		Identity:      directory.Identity{Kind: directory.Account, ID: string(r.ID)},
		Username:      string(r.Username),
		Email:         email(r.Email, ""),
		Name:          string(r.RealName),
		Status:        accountStatus(r.AccountStatus),
		MFA:           directory.MFAUnknown,
		AccessLevel:   accessLevel(r.AccessLevel),
		Site:          sites.name(r.SiteID, ""),
		FromDirectory: fromDirectory(r.LDAPServerID, r.AccountType),
	}
	if user.AccessLevel != groupAccess {
		user.Roles = set([]string{roleName(r.PrivilegeLevel)})
	}
	return user
}

// classicAccountDetail is an account in the Classic API. Its own groups are
// left out: they name one group of several.
type classicAccountDetail struct {
	Account struct {
		ID            text              `json:"id"`
		Name          text              `json:"name"`
		FullName      text              `json:"full_name"`
		Email         text              `json:"email"`
		EmailAddress  text              `json:"email_address"`
		DirectoryUser flag              `json:"directory_user"`
		LDAPServer    *classicReference `json:"ldap_server"`
		Enabled       text              `json:"enabled"`
		AccessLevel   text              `json:"access_level"`
		PrivilegeSet  text              `json:"privilege_set"`
		Site          classicReference  `json:"site"`
		Privileges    map[string][]text `json:"privileges"`
	} `json:"account"`
}

// classicReference points to something by id, and names it.
type classicReference struct {
	ID   text `json:"id"`
	Name text `json:"name"`
}

func (d classicAccountDetail) key() text { return d.Account.ID }

func (d classicAccountDetail) user(sites siteNames) directory.User {
	a := d.Account
	user := directory.User{
		Identity:      directory.Identity{Kind: directory.Account, ID: string(a.ID)},
		Username:      string(a.Name),
		Email:         email(a.Email, a.EmailAddress),
		Name:          string(a.FullName),
		Status:        accountStatus(a.Enabled),
		MFA:           directory.MFAUnknown,
		AccessLevel:   accessLevel(a.AccessLevel),
		Site:          sites.name(a.Site.ID, a.Site.Name),
		FromDirectory: a.DirectoryUser.value,
	}
	if a.LDAPServer != nil && !isNone(a.LDAPServer.ID) {
		user.FromDirectory = new(true)
	}
	if user.AccessLevel == groupAccess {
		return user
	}
	user.Roles = set([]string{roleName(a.PrivilegeSet)})
	if roleName(a.PrivilegeSet) == roleCustom {
		user.Privileges = classicPrivileges(a.Privileges)
	}
	return user
}

// classicPrivileges joins the lists of the Classic API, of which each server
// has its own choice.
func classicPrivileges(lists map[string][]text) []string {
	var all []string
	for _, list := range lists {
		all = append(all, words(list)...)
	}
	return set(all)
}
