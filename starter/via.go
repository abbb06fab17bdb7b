package main

import (
	"context"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/jamf"
	"jamf-access-review/activities/directory/truto"
	"jamf-access-review/db"
)

const whatConnecting = `Connecting %s

  Monitors that will run at every sync
    JAMF_ACCESS_REMOVED_ON_EXIT  no person who has left has an active account
    JAMF_USER_MFA_ENABLED        every active human account has a second factor

%s
  Data that is read
    primary e-mail, username, full name, account status, roles and privileges,
    access level, site, groups, whether the account comes from a directory, and
    MFA status where the source tells it. No device is read, and nothing is
    written.

`

const jamfPrivileges = `  Privileges that the API role in Jamf Pro needs
    Read Accounts                required
    Read Account Groups          groups, and who is in them (Jamf Pro 11.27+)
    Read API Integrations        API clients
    Read API Roles               what API clients may do
    Read SSO Settings            how people log in
    Read Sites                   the names of sites
    Read User                    end users; required with --scope everyone
`

const trutoPrivileges = `  What Truto needs
    an integrated account of Jamf that is active, and an API token of its
    environment; the users pass through Truto on their way here
  Privileges that what Truto logs in to Jamf Pro with needs
    Read Accounts                required
`

// way is a way to a directory of users: what to show and what to ask for.
type way struct {
	privileges string
	target     func(context.Context, connectOptions) (db.NewConnection, error)
}

// ways are the ways there are, by what --via calls them.
func (a *app) ways() map[string]way {
	return map[string]way{
		"jamf":  {jamfPrivileges, a.jamfTarget},
		"truto": {trutoPrivileges, a.trutoTarget},
	}
}

func (a *app) jamfTarget(ctx context.Context, o connectOptions) (db.NewConnection, error) {
	url, err := a.required(ctx, "--jamf-url", "Jamf URL", o.url)
	if err != nil {
		return db.NewConnection{}, err
	}
	base, err := jamf.ParseBaseURL(url)
	if err != nil {
		return db.NewConnection{}, &failure{Code: codeUsage, Message: err.Error(), Hint: "a Jamf URL looks like https://acme.jamfcloud.com"}
	}
	clientID, err := a.required(ctx, "--client-id", "Client ID", o.clientID)
	if err != nil {
		return db.NewConnection{}, err
	}
	secret, err := a.secret(ctx, clientSecret, o.secretFile)
	return db.NewConnection{
		Source: directory.JamfPro, BaseURL: base.String(),
		Credentials: directory.Credentials{ClientID: clientID, ClientSecret: secret},
	}, err
}

func (a *app) trutoTarget(ctx context.Context, o connectOptions) (db.NewConnection, error) {
	base, err := truto.ParseBaseURL(o.trutoURL)
	if err != nil {
		return db.NewConnection{}, &failure{Code: codeUsage, Message: err.Error(), Hint: "left out, --truto-url is " + truto.DefaultBaseURL}
	}
	account, err := a.required(ctx, "--integrated-account", "Integrated account", o.account)
	if err != nil {
		return db.NewConnection{}, err
	}
	token, err := a.secret(ctx, apiToken, o.tokenFile)
	return db.NewConnection{
		Source: directory.Truto, BaseURL: base.String(), Account: account,
		Credentials: directory.Credentials{APIToken: token},
	}, err
}
