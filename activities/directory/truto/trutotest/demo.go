package trutotest

import (
	"fmt"
	"strings"
)

// Demo fills the account with n users who do not exist, in all the ways that
// Truto tells of users. The same n gives the same people.
func (a *Account) Demo(n int) {
	for i := range n {
		a.AddUser(demoUser(i))
	}
}

// demoUser is the i-th person. The first ten cover what there is to see: every
// role, each state and each answer about a second factor, and silence.
func demoUser(i int) User {
	given := strings.Fields("Amara Bruno Chiara Dmitri Elif Farah Goran Hanna Ivo Jasmin Kofi Lena Milo Nadia Oskar Priya Quentin Rosa Sami Tove")
	family := strings.Fields("Abara Bellini Castell Dahl Eriksen Ferro Gruber Haddad Ilves Jansen Kovac Lindqvist Moreau Novak Okafor Pereira Quist Rossi Santos Tanaka Ueda Varga Weiss")
	first, last := given[i%len(given)], family[(i*7+i/len(given))%len(family)]
	username := strings.ToLower(first + "." + last)
	if round := i / (len(given) * len(family)); round > 0 {
		username = fmt.Sprintf("%s%d", username, round+1)
	}
	u := User{
		Username: username, Name: first + " " + last, Status: "Enabled", MFA: new(true),
		Emails: []string{username + "@old.example.com", username + "@example.com"}, Primary: 1,
		Roles: []string{"Auditor"}, Groups: []string{},
	}
	switch i % 10 {
	case 0:
		u.Roles = []string{"Administrator"}
	case 1:
		u.Status, u.MFA = "active", new(false)
	case 2:
		u.Roles, u.MFA = []string{"Enrollment Only"}, nil
	case 3:
		u.Roles, u.Groups = []string{"Custom"}, []string{"Packagers"}
	case 4:
		u.Status = "Disabled"
	case 5:
		u.Roles, u.Groups = []string{}, []string{"Help Desk"} // a role through its group
	case 6:
		u.Roles = []string{} // nobody who administers
	case 7:
		u.Status = "invited"
	case 8:
		u.Roles = nil // not told
	case 9:
		u.Roles, u.Emails = []string{"User"}, []string{}
	}
	return u
}
