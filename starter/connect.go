package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/truto"
	"jamf-access-review/db"
	"jamf-access-review/starter/doctor"
	"jamf-access-review/starter/output"
	"jamf-access-review/workflows"
)

type connectOptions struct {
	via          string
	url          string
	clientID     string
	secretFile   string
	trutoURL     string
	account      string
	tokenFile    string
	scope        string
	every        time.Duration
	exitGrace    time.Duration
	organization string
	hold         db.Hold
	confirmed    bool
}

func newConnect(a *app) *cobra.Command {
	var o connectOptions
	cmd := &cobra.Command{
		Use:   "connect NAME",
		Short: "Connect a Jamf Pro and sync it for the first time",
		Long: `Connect validates the OAuth 2.0 client credentials, syncs the users, enables the
monitors, and starts the recurring sync. Each step is shown as it happens; to
stop watching with Ctrl-C does not stop it.

The client secret comes from --client-secret-file ("-" for standard input), from
JAMF_CLIENT_SECRET, or from a prompt. It never is an argument, which others on
this machine could read.

With --via truto the users come through Truto's unified API:
--integrated-account names the Jamf there, and the API token comes from
--api-token-file, from TRUTO_API_TOKEN, or from a prompt.`,
		Example: `  starter connect acme --jamf-url https://acme.jamfcloud.com --client-id 1f2e…
  starter connect acme --jamf-url https://jamf.acme.example:8443 \
    --client-id 1f2e… --client-secret-file secret.txt --confirm-admin -o json
  starter connect acme --via truto --integrated-account 6f1b3a52-…`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error { return a.connect(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.via, "via", "jamf", "jamf, or truto to read through Truto's unified API")
	f.StringVar(&o.account, "integrated-account", "", "id of the integrated account, with --via truto")
	f.StringVar(&o.trutoURL, "truto-url", truto.DefaultBaseURL, "address of Truto's API, with --via truto")
	f.StringVar(&o.tokenFile, "api-token-file", "", `file of Truto's API token, "-" for standard input`)
	f.StringVar(&o.url, "jamf-url", "", "address of the Jamf Pro, as in https://acme.jamfcloud.com")
	f.StringVar(&o.clientID, "client-id", "", "id of the API client in Jamf Pro")
	f.StringVar(&o.secretFile, "client-secret-file", "", `file of the client secret, "-" for standard input`)
	f.StringVar(&o.scope, "scope", string(directory.ScopeAdmins), "admins, or everyone to read end users too")
	o.every, o.exitGrace = 6*time.Hour, 24*time.Hour
	f.Var((*duration)(&o.every), "every", "time between syncs, from 10s")
	f.Var((*duration)(&o.exitGrace), "exit-grace", "how long after leaving a person's account may stay active")
	f.StringVar(&o.organization, "org", "default", "organization whose staff roster applies")
	f.IntVar(&o.hold.Percent, "hold-percent", db.DefaultHold().Percent, "hold a sync that removes, deactivates or replaces a larger share of the accounts than this, and more of them than --hold-count")
	f.IntVar(&o.hold.Count, "hold-count", db.DefaultHold().Count, "hold a sync that removes, deactivates or replaces more accounts than this, and more than --hold-percent of them; one that does so to every full administrator is held as well")
	f.BoolVar(&o.confirmed, "confirm-admin", false, "confirm that you have admin access to this Jamf")
	return cmd
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// checkOrganization refuses what --org cannot be. Organizations may be called as
// companies are.
func checkOrganization(name string) error {
	if name == "" || name != strings.TrimSpace(name) || len(name) > 255 || strings.ContainsFunc(name, unicode.IsControl) {
		return usagef("--org %q is no name for an organization: one line, without space around it", name)
	}
	return nil
}

func (a *app) connect(ctx context.Context, name string, o connectOptions) error {
	if err := o.check(name); err != nil {
		return err
	}
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	if err := unclaimed(ctx, record, t, name); err != nil {
		return err
	}
	way := a.ways()[o.via]
	a.say(whatConnecting, name, way.privileges)
	a.noteInterval(o.every)
	if err := a.confirmAdmin(ctx, o.confirmed); err != nil {
		return err
	}
	n, err := way.target(ctx, o)
	if err != nil {
		return err
	}
	n.Name, n.Organization, n.Hold = name, o.organization, o.hold
	n.Scope, n.Every, n.ExitGrace = directory.Scope(o.scope), o.every, o.exitGrace
	c, err := a.create(ctx, record, t, n)
	if err != nil {
		return err
	}
	return a.runConnect(ctx, record, t, c)
}

func (o connectOptions) check(name string) error {
	switch {
	case !validName.MatchString(name):
		return usagef("%q is no name for a connection: letters, digits, dots, dashes and underscores, at most 63", name)
	case o.via != "jamf" && o.via != "truto":
		return usagef("--via is jamf or truto, not %q", o.via)
	case o.via == "truto" && (o.url != "" || o.clientID != "" || o.secretFile != ""):
		return usagef("--jamf-url, --client-id and --client-secret-file do not go with --via truto")
	case o.via == "jamf" && (o.account != "" || o.tokenFile != "" || o.trutoURL != truto.DefaultBaseURL):
		return usagef("--integrated-account, --api-token-file and --truto-url go with --via truto")
	case o.scope != string(directory.ScopeAdmins) && o.scope != string(directory.ScopeEveryone):
		return usagef("--scope is admins or everyone, not %q", o.scope)
	case o.every < workflows.MinInterval:
		return usagef("--every is at least %s", workflows.MinInterval)
	case o.exitGrace < 0:
		return usagef("--exit-grace is not negative")
	case o.hold.Percent < 0 || o.hold.Percent > 100 || o.hold.Count < 0 || o.hold == (db.Hold{}):
		return usagef("--hold-percent is from 0 to 100 and --hold-count not negative, and one of them is not 0")
	}
	return checkOrganization(o.organization)
}

func (a *app) confirmAdmin(ctx context.Context, confirmed bool) error {
	if confirmed {
		return nil
	}
	if _, ok := a.terminal(); !ok {
		return &failure{Code: codeUsage, Message: "not confirmed that you have admin access to this Jamf", Hint: "pass --confirm-admin"}
	}
	answer, err := a.prompt(ctx, "I have admin access to this Jamf [y/N]: ")
	if err != nil {
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return &failure{Code: codeUsage, Message: "not connected", Hint: "somebody with admin access to the Jamf has to connect it"}
	}
	return nil
}

// required asks for what a flag did not give, where somebody is there.
func (a *app) required(ctx context.Context, flag, what, value string) (string, error) {
	if value != "" {
		return value, nil
	}
	if _, ok := a.terminal(); !ok {
		return "", usagef("%s is required", flag)
	}
	answer, err := a.prompt(ctx, what+": ")
	if err != nil {
		return "", err
	}
	if answer == "" {
		return "", usagef("%s is required", flag)
	}
	return answer, nil
}

// unclaimed makes sure that a connection can have a name, before a person is
// asked for what it needs. It changes nothing.
func unclaimed(ctx context.Context, record *db.DB, t client.Client, name string) error {
	old, err := record.Connection(ctx, name)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if left, err := abandoned(ctx, t, old); left || err != nil {
		return err
	}
	return fmt.Errorf("connection %q: %w", name, db.ErrAlreadyExists)
}

// abandoned says whether a connection was left behind by a connect that died
// before its workflow began.
func abandoned(ctx context.Context, t client.Client, c db.Connection) (bool, error) {
	if c.State != db.Connecting || time.Since(c.CreatedAt) < doctor.Unbegun {
		return false, nil
	}
	busy, err := running(ctx, t, workflows.ConnectJamfID(c.Name))
	return !busy && err == nil, err
}

// create records the new connection. The name of an abandoned one is taken over.
func (a *app) create(ctx context.Context, record *db.DB, t client.Client, n db.NewConnection) (db.Connection, error) {
	c, err := record.CreateConnection(ctx, n)
	if !errors.Is(err, db.ErrAlreadyExists) {
		return c, err
	}
	old, findErr := record.Connection(ctx, n.Name)
	if findErr != nil {
		return c, err
	}
	if left, findErr := abandoned(ctx, t, old); !left {
		return c, errors.Join(err, findErr)
	}
	if err := record.EraseConnecting(ctx, old.ID); err != nil {
		return c, err
	}
	return record.CreateConnection(ctx, n)
}

// runConnect runs ConnectJamf and waits for it.
func (a *app) runConnect(ctx context.Context, record *db.DB, t client.Client, c db.Connection) error {
	run, err := startConnect(ctx, t, c)
	if err != nil {
		return errors.Join(err, record.EraseConnecting(ctx, c.ID))
	}
	return a.awaitConnect(ctx, t, c, run)
}

// awaitConnect waits for ConnectJamf, and prints what became of it.
func (a *app) awaitConnect(ctx context.Context, t client.Client, c db.Connection, run client.WorkflowRun) error {
	a.say("Connecting %s (%s)", c.Name, output.Clean(c.BaseURL))
	following := a.follow(ctx, t, run.GetID())
	var result workflows.ConnectJamfResult
	err := run.Get(ctx, &result)
	following.stop()
	if ctx.Err() != nil {
		return stoppedWatching(c.Name, "connecting")
	}
	if err != nil {
		return failureAtConnect(c, err)
	}
	following.says(workflows.StepDone)
	a.say("")
	return a.showSynced(ctx, c.Name, result.Sync.Number)
}
