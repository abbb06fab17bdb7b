package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
	"jamf-access-review/worker/settings"
)

func newMigrate(a *app) *cobra.Command {
	var grantTo string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: `Migrate applies the migrations that the database lacks. Several may run at once:
they take turns. A worker does the same when it starts, if its role may.

With --grant-to, it is run as the role that owns the schema, and the worker and
the other commands use another: that role is given what they need and no more.
It cannot change the schema, nor change or delete what has been recorded but by
"disconnect --erase". The role has to be there already. What is granted is the
same however often, and each new version of this program may grant anew.`,
		Example: `  starter migrate
  DATABASE_URL=postgres://owner@host/record starter migrate --grant-to worker`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.migrate(cmd.Context(), grantTo) },
	}
	cmd.Flags().StringVar(&grantTo, "grant-to", "", "role of the worker and the other commands")
	return cmd
}

func (a *app) migrate(ctx context.Context, grantTo string) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	record, err := a.openWith(ctx, s)
	if err != nil {
		return err
	}
	defer record.Close()
	a.say("Bringing the schema up to date")
	applied, err := record.Migrate(ctx)
	if err != nil {
		return err
	}
	if grantTo != "" {
		if err := record.Grant(ctx, grantTo); errors.Is(err, db.ErrNotFound) {
			return &failure{Code: codeNotFound, Message: err.Error(), Hint: fmt.Sprintf("make it first, as in CREATE ROLE %s LOGIN PASSWORD '…'", grantTo)}
		} else if err != nil {
			return err
		}
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, migrateView{applied, grantTo})
	}
	a.tell("Applied %s; the schema is up to date.", counted(applied, "migration"))
	if grantTo != "" {
		a.tell("Role %s may do what the worker needs, and no more.", grantTo)
	}
	return nil
}

type migrateView struct {
	Applied   int    `json:"applied"`
	GrantedTo string `json:"granted_to,omitempty"`
}
