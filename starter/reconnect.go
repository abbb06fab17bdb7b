package main

import (
	"context"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/workflows"
)

func newReconnect(a *app) *cobra.Command {
	var clientID, secretFile string
	cmd := &cobra.Command{
		Use:   "reconnect NAME",
		Short: "Give a connection new credentials",
		Long: `Reconnect offers new credentials to a connection. They are kept only when Jamf
accepts them; the connection then goes on at once, with a sync. Without
--client-id the client id stays and only the secret is new.

The client secret is read as with connect.`,
		Example: `  starter reconnect acme
  starter reconnect acme --client-id 1f2e… --client-secret-file secret.txt`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.reconnect(cmd.Context(), args[0], clientID, secretFile)
		},
	}
	cmd.Flags().StringVar(&clientID, "client-id", "", "id of the API client; as it was when left out")
	cmd.Flags().StringVar(&secretFile, "client-secret-file", "", `file of the client secret, "-" for standard input`)
	return cmd
}

func (a *app) reconnect(ctx context.Context, name, clientID, secretFile string) error {
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	if c.State == db.Connecting {
		return stillConnecting(name)
	}
	if clientID == "" {
		current, err := record.Credentials(ctx, c.ID)
		if c.State == db.Disconnected {
			return usagef("%s is disconnected and its client id was destroyed: pass --client-id", name)
		}
		if err != nil {
			return err
		}
		clientID = current.ClientID
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	secret, err := a.clientSecret(secretFile)
	if err != nil {
		return err
	}
	offer, err := record.OfferCredentials(ctx, c.ID, directory.Credentials{ClientID: clientID, ClientSecret: secret})
	if err != nil {
		return err
	}
	a.say("Reconnecting %s", name)
	following := a.follow(ctx, t, workflows.AccessSyncID(name))
	result, err := update(ctx, t, c, workflows.ReconnectMessage, workflows.ReconnectRequest{Offer: offer})
	following.stop()
	if err != nil {
		return err
	}
	return a.showSynced(ctx, name, result.Number)
}
