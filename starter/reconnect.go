package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/directory/truto"
	"jamf-access-review/db"
	"jamf-access-review/starter/output"
	"jamf-access-review/workflows"
)

func newReconnect(a *app) *cobra.Command {
	var o reconnectOptions
	cmd := &cobra.Command{
		Use:   "reconnect NAME",
		Short: "Give a connection new credentials",
		Long: `Reconnect offers new credentials to a connection. They are kept only when Jamf
accepts them; the connection then goes on at once, with a sync. Without
--client-id the client id stays and only the secret is new; that of a
disconnected connection is destroyed, and has to be given.

The client secret is read as with connect.

A connection through Truto is authorised at Truto: reconnect prints a link token
for a person to do that with, and the connection then goes on by itself.`,
		Example: `  starter reconnect acme
  starter reconnect acme --client-id 1f2e… --client-secret-file secret.txt`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.reconnect(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().StringVar(&o.clientID, "client-id", "", "id of the API client; as it was when left out")
	cmd.Flags().StringVar(&o.secretFile, "client-secret-file", "", `file of the client secret, "-" for standard input`)
	cmd.Flags().StringVar(&o.tokenFile, "api-token-file", "", `file of a new API token of Truto's, "-" for standard input`)
	return cmd
}

type reconnectOptions struct{ clientID, secretFile, tokenFile string }

func (a *app) reconnect(ctx context.Context, name string, o reconnectOptions) error {
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	if c.State == db.Connecting {
		return stillConnecting(name)
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	switch {
	case c.Source == directory.Truto && (o.clientID != "" || o.secretFile != ""):
		return usagef("%s is read through Truto, which keeps what Jamf Pro is logged in to with: --client-id and --client-secret-file do not go with it", c.Name)
	case c.Source == directory.Truto:
		return a.reconnectTruto(ctx, record, t, c, o)
	case o.tokenFile != "":
		return usagef("%s is not read through Truto: --api-token-file does not go with it", c.Name)
	}
	return a.reconnectJamf(ctx, record, t, c, o)
}

func (a *app) reconnectJamf(ctx context.Context, record *db.DB, t client.Client, c db.Connection, o reconnectOptions) error {
	if o.clientID == "" {
		current, err := record.Credentials(ctx, c.ID)
		if c.State == db.Disconnected {
			return usagef("%s is disconnected and its client id was destroyed: pass --client-id", c.Name)
		}
		if err != nil {
			return err
		}
		o.clientID = current.ClientID
	}
	secret, err := a.secret(ctx, clientSecret, o.secretFile)
	if err != nil {
		return err
	}
	result, err := a.offer(ctx, record, t, c, directory.Credentials{ClientID: o.clientID, ClientSecret: secret})
	if err != nil {
		return err
	}
	return a.showSynced(ctx, c.Name, result.Number)
}

// offer offers credentials to a connection, and waits for its sync with them.
func (a *app) offer(ctx context.Context, record *db.DB, t client.Client, c db.Connection, credentials directory.Credentials) (activities.SyncResult, error) {
	offer, err := record.OfferCredentials(ctx, c.ID, credentials)
	if err != nil {
		return activities.SyncResult{}, err
	}
	a.say("Reconnecting %s", c.Name)
	following := a.follow(ctx, t, workflows.AccessSyncID(c.Name))
	result, err := update(ctx, t, c, workflows.ReconnectMessage, workflows.ReconnectRequest{Offer: offer})
	following.stop()
	if ctx.Err() != nil {
		err = stoppedWatching(c.Name, "a reconnect that has begun")
	}
	return result, err
}

// reconnectTruto goes on with what is at Truto already, or says how a person
// authorises the integrated account again. The connection goes on by itself
// after that: it looks at each interval, and at a resync.
func (a *app) reconnectTruto(ctx context.Context, record *db.DB, t client.Client, c db.Connection, o reconnectOptions) error {
	credentials, err := a.trutoCredentials(ctx, record, c, o)
	if err != nil {
		return err
	}
	result, err := a.offer(ctx, record, t, c, credentials)
	code := contractCode(result.Error)
	if err != nil {
		code = failureOf(err).Code
	}
	switch {
	case code == string(directory.CredentialsRejected):
		return a.showLinkToken(ctx, record, c, credentials)
	case err != nil:
		return err
	}
	return a.showSynced(ctx, c.Name, result.Number)
}

func (a *app) showLinkToken(ctx context.Context, record *db.DB, c db.Connection, credentials directory.Credentials) error {
	link, err := truto.NewProvider(httpclient.Config{}).LinkToken(ctx, directory.Settings{BaseURL: c.BaseURL, Account: c.Account}, credentials)
	if err != nil {
		return failureOfSource(c.Source, err)
	}
	if c, err = record.Connection(ctx, c.Name); err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, struct {
			Connection string `json:"connection"`
			State      string `json:"state"`
			LinkToken  string `json:"link_token"`
			Message    string `json:"message"`
		}{c.Name, string(c.State), link, linkAdvice})
	}
	a.tell("Link token: %s\n\n%s", link, linkAdvice)
	return nil
}

const linkAdvice = `Open Truto's link dialogue with this token and authorise the Jamf account again. It is good once, and for 7 days. The connection goes on by itself afterwards, at its next interval or with starter resync.`

// trutoCredentials are those of the connection, unless a new API token is
// given.
func (a *app) trutoCredentials(ctx context.Context, record *db.DB, c db.Connection, o reconnectOptions) (directory.Credentials, error) {
	_, given := os.LookupEnv(apiToken.variable)
	if !given && o.tokenFile == "" && c.State != db.Disconnected {
		return record.Credentials(ctx, c.ID)
	}
	token, err := a.secret(ctx, apiToken, o.tokenFile)
	return directory.Credentials{APIToken: token}, err
}
