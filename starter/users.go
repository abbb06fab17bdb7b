package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func newUsers(a *app) *cobra.Command {
	var removed bool
	cmd := &cobra.Command{
		Use:   "users NAME",
		Short: "List who has access",
		Example: `  starter users acme
  starter users acme --removed
  starter users acme -o json`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error { return a.users(cmd.Context(), args[0], removed) },
	}
	cmd.Flags().BoolVar(&removed, "removed", false, "list those that were removed instead")
	return cmd
}

func (a *app) users(ctx context.Context, name string, removed bool) error {
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	accounts := record.Accounts(ctx, c.ID, removed)
	if a.format == output.JSON {
		if c.AppliedSync == 0 {
			a.say("No sync of %s has been applied yet.", c.Name)
		}
		return output.StreamJSON(a.out, converted(accounts, viewUser))
	}
	none := ""
	if removed {
		none = "Nobody was removed."
	}
	if err := a.printTable(none, []output.Column{output.Col("Username", 14), output.Col("E-mail", 18), output.Col("Status", 8), output.Col("MFA", 8), output.Col("Access", 8), output.Col("Roles", 14)},
		converted(accounts, func(u db.Account) []string {
			email := u.Email
			if u.Kind != directory.Account {
				email = strings.TrimSpace(email + " (" + strings.ReplaceAll(string(u.Kind), "_", " ") + ")")
			}
			status := string(u.Status)
			if u.RemovedAt != nil {
				status = "removed " + ago(*u.RemovedAt)
			}
			return []string{u.Username, email, status, string(u.MFA), accessOf(u), strings.Join(u.Roles, ", ")}
		})); err != nil || removed {
		return err
	}
	return a.ofWhichSync(ctx, record, c)
}

// accessOf is the access level, and the site that it is limited to.
func accessOf(u db.Account) string {
	if u.Site == "" {
		return u.AccessLevel
	}
	return u.AccessLevel + " (" + u.Site + ")"
}

// ofWhichSync says which sync found the users, and what it did not read.
func (a *app) ofWhichSync(ctx context.Context, record *db.DB, c db.Connection) error {
	if c.AppliedSync == 0 {
		a.tell("No sync has been applied yet: `starter status %s`.", c.Name)
		return nil
	}
	sync, err := record.SyncByNumber(ctx, c.ID, c.AppliedSync)
	if err != nil {
		return err
	}
	a.tell("\nOf sync %d, at %s", sync.Number, when(sync.FinishedAt))
	for _, reason := range reasons(sync.Reason) {
		a.tell("%s", output.Clean(reason))
	}
	return nil
}
