package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"

	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/webhook"
	"jamf-access-review/db"
	"jamf-access-review/starter/output"
	"jamf-access-review/worker/service"
	"jamf-access-review/workflows"
)

func newNotify(a *app) *cobra.Command {
	notify := &cobra.Command{
		Use:   "notify",
		Short: "Have what happens sent to a webhook",
		Long: `A subscription has signed webhooks sent when a connection of its organization is
in another state, when syncs begin to fail or go well again, when a sync is
held, and when a monitor's state is another. Slack's incoming webhooks show them
as text.`,
		Example: `  starter notify add slack --url-file slack-url.txt
  starter notify test slack`,
		Args: group,
		RunE: a.help,
	}
	notify.AddCommand(newNotifyAdd(a), newNotifyList(a), newNotifyTest(a), newNotifyDeliveries(a), newNotifyRemove(a))
	return notify
}

type notifyOptions struct {
	url, urlFile, secretFile, organization string
	withFindings                           bool
}

func newNotifyAdd(a *app) *cobra.Command {
	var o notifyOptions
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a subscription",
		Long: `Add has what happens from now on sent to a webhook, about all connections of an
organization.

A URL that is as good as a secret, as Slack's are, comes from --url-file ("-"
for standard input), from JAMF_ACCESS_NOTIFY_URL, or from a prompt.

Messages are signed by the scheme of Standard Webhooks. The secret comes from
--secret-file or JAMF_ACCESS_NOTIFY_SECRET, as "whsec_" and base64; otherwise
one is made and printed, once.

Messages name the connection and the monitor, and count accounts. With
--with-findings those of monitors also say whose accounts they are: e-mail
addresses and usernames of at most 50.`,
		Example: `  starter notify add siem --url https://hooks.acme.example/jamf \
    --secret-file secret.txt
  starter notify add slack --url-file slack-url.txt --org acme`,
		Args: one("the name of one subscription"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.notifyAdd(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "https:// address that takes the messages")
	f.StringVar(&o.urlFile, "url-file", "", `file of that address, "-" for standard input`)
	f.StringVar(&o.secretFile, "secret-file", "", `file of the signing secret, "-" for standard input`)
	f.StringVar(&o.organization, "org", "default", "organization whose connections it is told about")
	f.BoolVar(&o.withFindings, "with-findings", false, "send whose accounts do not pass, too")
	return cmd
}

func (a *app) notifyAdd(ctx context.Context, name string, o notifyOptions) error {
	n, made, err := a.newSubscription(ctx, name, o)
	if err != nil {
		return err
	}
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	if err := record.Subscribe(ctx, n); err != nil {
		if errors.Is(err, db.ErrAlreadyExists) {
			return &failure{Code: codeAlreadyExists, Message: err.Error(), Hint: "choose another name; `starter notify remove` frees this one"}
		}
		return err
	}
	if a.format == output.JSON {
		v := struct {
			subscriptionView
			Secret string `json:"secret,omitempty"` // only when it was made here
		}{subscriptionView: viewSubscription(db.Subscription{Name: n.Name, Organization: n.Organization, Server: n.Server, WithFindings: n.WithFindings})}
		if made {
			v.Secret = n.Webhook.Secret
		}
		return output.WriteJSON(a.out, v)
	}
	a.tell("%s is told about the connections of organization %s. `starter notify test %s` tries it.", name, n.Organization, name)
	if made {
		a.tell("Signing secret, shown this once: %s", n.Webhook.Secret)
	}
	return nil
}

// newSubscription also says whether its secret was made here.
func (a *app) newSubscription(ctx context.Context, name string, o notifyOptions) (n db.NewSubscription, made bool, err error) {
	if err := checkOrganization(o.organization); err != nil {
		return n, false, err
	}
	switch {
	case !validName.MatchString(name):
		return n, false, usagef("%q is no name for a subscription: letters, digits, dots, dashes and underscores, at most 63", name)
	case o.url != "" && o.urlFile != "":
		return n, false, usagef("--url and --url-file do not go together")
	case o.urlFile == "-" && o.secretFile == "-":
		return n, false, usagef("only one of --url-file and --secret-file is standard input")
	}
	if o.url == "" {
		if o.url, err = a.secret(ctx, webhookURL, o.urlFile); err != nil {
			return n, false, err
		}
	}
	u, err := webhook.ParseURL(o.url)
	if err != nil {
		return n, false, usagef("%s", err)
	}
	secret, made, err := a.signingSecret(ctx, o.secretFile)
	return db.NewSubscription{
		Name: name, Organization: o.organization, Server: httpclient.Server(u), WithFindings: o.withFindings,
		Webhook: db.Webhook{URL: u.String(), Secret: secret},
	}, made, err
}

func (a *app) signingSecret(ctx context.Context, file string) (secret string, made bool, err error) {
	if _, given := os.LookupEnv(signing.variable); !given && file == "" {
		return webhook.NewSecret(), true, nil
	}
	if secret, err = a.secret(ctx, signing, file); err != nil {
		return "", false, err
	}
	if err := webhook.CheckSecret(secret); err != nil {
		return "", false, &failure{Code: codeUsage, Message: err.Error(), Hint: "leave it out, and one is made and printed once"}
	}
	return secret, false, nil
}

func newNotifyRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a subscription; what it was not told yet is dropped",
		Example: `  starter notify remove slack`,
		Args:    one("the name of one subscription"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.notifyRemove(cmd.Context(), args[0]) },
	}
}

func (a *app) notifyRemove(ctx context.Context, name string) error {
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	routes, err := record.Unsubscribe(ctx, name)
	if err != nil {
		return unknownSubscription(err)
	}
	// One that waits for its next attempt would keep a new subscription of the
	// same name waiting, too.
	for _, r := range routes {
		err := t.CancelWorkflow(ctx, workflows.NotifyID(r), "")
		if _, ended := errors.AsType[*serviceerror.NotFound](err); err != nil && !ended {
			return err
		}
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, map[string]any{"subscription": name, "removed": true})
	}
	a.tell("Removed %s.", name)
	return nil
}

// unknownSubscription says where to look when there is none of a name.
func unknownSubscription(err error) error {
	if errors.Is(err, db.ErrNotFound) {
		return &failure{Code: codeNotFound, Message: err.Error(), Hint: "`starter notify list` shows what there is"}
	}
	return err
}

// deliverNotices starts the delivery of what a command itself left to be told.
// The command has done what it was to do; where Temporal does not answer, what
// waits is delivered with what is told next.
func (a *app) deliverNotices(ctx context.Context, routes []db.Route) {
	if len(routes) == 0 {
		return
	}
	t, err := a.temporal(ctx)
	for i := 0; err == nil && i < len(routes); i++ {
		_, err = service.Deliver(ctx, t, routes[i])
	}
	if err != nil {
		a.say("Notifications wait for the next sync: %s", err)
	}
}
