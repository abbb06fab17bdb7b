package main

import (
	"errors"
	"net/url"
	"strconv"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/activities/directory/truto/trutotest"
	"jamf-access-review/db"
	"jamf-access-review/db/localprocess"
)

const purposeSimulation = "the simulated source"

// simulation is a simulated source of the demo, and how to connect it. Its
// organization is its own: the home may be that of a real connection, whose
// roster the invented one must not replace.
type simulation struct {
	db.NewConnection
	what        string
	credentials string // in words
	people      []db.Person
	port        int
	stop        func() error
}

// simulations are those there are, by what --via calls them. A source is
// served where the last demo had it, since that is where its connection looks
// for it; port 0 is any that is free.
var simulations = map[string]func(accounts, port int) (*simulation, error){
	"jamf":  simulateJamf,
	"truto": simulateTruto,
}

func simulateJamf(accounts, port int) (*simulation, error) {
	const id, secret = "demo-client", "demo-secret"
	server := jamftest.New(jamftest.Config{ClientID: id, ClientSecret: secret})
	server.Demo(accounts)
	s := &simulation{
		what: "The simulated Jamf Pro", credentials: "client id " + id + ", client secret " + secret,
		NewConnection: db.NewConnection{
			Name: "demo", Organization: "demo", Source: directory.JamfPro,
			Credentials: directory.Credentials{ClientID: id, ClientSecret: secret},
		},
	}
	for _, account := range server.Accounts() {
		s.people = append(s.people, person(account.Email, account.RealName, account.Username))
	}
	return s, s.serve(server.Listen, port)
}

func simulateTruto(accounts, port int) (*simulation, error) {
	const token = "demo-token"
	server := trutotest.New(trutotest.Config{APIToken: token})
	server.Demo(accounts)
	s := &simulation{
		what: "The simulated Truto", credentials: "API token " + token,
		NewConnection: db.NewConnection{
			Name: "demo-truto", Organization: "truto", Source: directory.Truto, Account: trutotest.DefaultAccount,
			Credentials: directory.Credentials{APIToken: token},
		},
	}
	for _, user := range server.Users() {
		email := ""
		if len(user.Emails) > 0 {
			email = user.Emails[max(0, user.Primary)]
		}
		s.people = append(s.people, person(email, user.Name, user.Username))
	}
	return s, s.serve(server.Listen, port)
}

func (s *simulation) serve(listen func(string) (*url.URL, func() error, error), port int) error {
	if port != 0 {
		err := localprocess.CheckPort(port, purposeSimulation)
		if taken, ok := errors.AsType[*localprocess.PortInUseError](err); ok {
			return portTaken(taken.Port, taken.Purpose)
		}
		if err != nil {
			return err
		}
	}
	base, stop, err := listen(localprocess.Address(port))
	if err != nil {
		return err
	}
	s.stop = stop
	s.BaseURL, s.Scope = base.String(), directory.ScopeAdmins
	s.Every, s.ExitGrace = 5*time.Minute, 24*time.Hour
	s.port, err = strconv.Atoi(base.Port())
	return err
}

// person is on the roster by e-mail address, or by username where the account
// has none.
func person(email, name, username string) db.Person {
	if email == "" {
		return db.Person{Email: username + "@example.com", Name: name, Aliases: []string{username}}
	}
	return db.Person{Email: email, Name: name}
}

// roster is the staff: most people are employed, some left an hour ago and
// some last month.
func (s *simulation) roster(now time.Time) []db.Person {
	hourAgo, monthAgo := now.Add(-time.Hour), now.AddDate(0, -1, 0)
	for i := range s.people {
		switch i % 25 {
		case 3:
			s.people[i].ExitedAt = &monthAgo
		case 8:
			s.people[i].ExitedAt = &hourAgo
		}
	}
	return s.people
}
