package jamftest

import (
	"fmt"
	"strings"
)

// Demo fills the server with n accounts of people who do not exist, and with
// the sites, groups and API clients they could have. The same n gives the
// same people.
func (s *Server) Demo(n int) {
	north, south := s.AddSite("Headquarters"), s.AddSite("Field Offices")
	var helpDesk, packagers []int
	for i := range n {
		account := demoAccount(i)
		if account.AccessLevel == SiteAccess {
			account.SiteID = []int{north, south}[i/2%2]
		}
		id := s.AddAccount(account)
		if account.AccessLevel == GroupAccess {
			helpDesk = append(helpDesk, id)
			if i%3 == 0 {
				packagers = append(packagers, id)
			}
		}
	}
	s.AddGroup(Group{Name: "Help Desk", PrivilegeSet: Auditor, Members: helpDesk})
	s.AddGroup(Group{Name: "Packagers", PrivilegeSet: Custom, Members: packagers, Privileges: []string{
		"Create Packages", "Read Packages", "Update Packages", "Create Policies", "Update Policies",
	}})
	s.AddGroup(Group{Name: "IT Administrators (Directory)", PrivilegeSet: Administrator, LDAPServerID: 1})

	s.AddRole(Role{DisplayName: "Inventory export", Privileges: []string{"Read Computers", "Read Mobile Devices"}})
	s.AddRole(Role{DisplayName: "Deployment", Privileges: []string{"Create Policies", "Update Policies", "Read Scripts", "Update Scripts"}})
	s.AddClient(Client{DisplayName: "Asset warehouse", ClientID: "demo-warehouse", Roles: []string{"Inventory export"}})
	s.AddClient(Client{DisplayName: "Build pipeline", ClientID: "demo-pipeline", Roles: []string{"Deployment", "Inventory export"}})
	s.AddClient(Client{DisplayName: "Retired importer", ClientID: "demo-importer", Roles: []string{"Deployment"}, Disabled: true})
	s.SetSSO(SSO{Enabled: true, BypassAllowed: true, Type: "SAML"})
}

// demoAccount is the i-th person. The first ten cover what there is to see:
// every role and level, a disabled account and one without an e-mail address.
func demoAccount(i int) Account {
	given := strings.Fields("Amara Bruno Chiara Dmitri Elif Farah Goran Hanna Ivo Jasmin Kofi Lena Milo Nadia Oskar Priya Quentin Rosa Sami Tove")
	family := strings.Fields("Abara Bellini Castell Dahl Eriksen Ferro Gruber Haddad Ilves Jansen Kovac Lindqvist Moreau Novak Okafor Pereira Quist Rossi Santos Tanaka Ueda Varga Weiss")
	first, last := given[i%len(given)], family[(i*7+i/len(given))%len(family)]
	username := strings.ToLower(first + "." + last)
	if round := i / (len(given) * len(family)); round > 0 {
		username = fmt.Sprintf("%s%d", username, round+1)
	}
	account := Account{
		Username: username,
		RealName: first + " " + last,
		Email:    username + "@example.com",
	}
	switch i % 10 {
	case 0:
		account.PrivilegeSet = Administrator
	case 1, 2:
		account.PrivilegeSet = Auditor
	case 3:
		account.PrivilegeSet = EnrollmentOnly
	case 4:
		account.PrivilegeSet = Custom
		account.Privileges = []string{"Read Computers", "Update Computers", "Read Accounts", "Update Accounts"}
	case 5:
		account.PrivilegeSet, account.Disabled = Auditor, true
	case 6:
		account.AccessLevel, account.PrivilegeSet = SiteAccess, Administrator
	case 7:
		account.AccessLevel = GroupAccess
	case 8:
		account.PrivilegeSet, account.LDAPServerID = Auditor, 1
	case 9:
		account.AccessLevel = GroupAccess
	}
	if i%17 == 2 {
		account.Email = ""
	}
	return account
}
