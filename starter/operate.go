package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

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
			return &failure{Code: "not_found", Message: err.Error(), Hint: fmt.Sprintf("make it first, as in CREATE ROLE %s LOGIN PASSWORD '…'", grantTo)}
		} else if err != nil {
			return err
		}
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, migrateView{applied, grantTo})
	}
	a.tell("Applied %d migrations; the schema is up to date.", applied)
	if grantTo != "" {
		a.tell("Role %s may do what the worker needs, and no more.", grantTo)
	}
	return nil
}

type migrateView struct {
	Applied   int    `json:"applied"`
	GrantedTo string `json:"granted_to,omitempty"`
}

func newKeys(a *app) *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Make and rotate the keys that seal credentials",
		Long: `Credentials are sealed with a keyset, which is a file (JAMF_ACCESS_KEYSET) and
never in the database. Whoever has both can read the credentials; without the
keyset they are lost.`,
		Example: `  starter keys create /run/secrets/keyset.json
  starter keys rotate`,
		Args: group,
		RunE: a.help,
	}
	keys.AddCommand(
		&cobra.Command{
			Use:     "create FILE",
			Short:   "Make a keyset in a new file",
			Example: `  starter keys create /run/secrets/keyset.json`,
			Args: func(_ *cobra.Command, args []string) error {
				if len(args) != 1 {
					return usagef("create takes the name of one file")
				}
				return nil
			},
			RunE: func(_ *cobra.Command, args []string) error { return a.createKeys(args[0]) },
		},
		&cobra.Command{
			Use:   "rotate",
			Short: "Seal everything with a new key",
			Long: `Rotate adds a key to the keyset's file and seals all credentials with it. Running
workers read the file again when they meet a seal of the new key, and use it from
then on; where they have a copy of the file, replace the copy. The older keys
stay in it, for what workers seal until then.`,
			Example: `  starter keys rotate`,
			Args:    noArgs,
			RunE:    func(cmd *cobra.Command, _ []string) error { return a.rotateKeys(cmd.Context()) },
		},
	)
	return keys
}

func (a *app) createKeys(file string) error {
	keyset, err := db.NewKeyset()
	if err != nil {
		return err
	}
	if err := keyset.Create(file); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return &failure{Code: "already_exists", Message: file + " exists", Hint: "it is left as it is; `starter keys rotate` adds a key to it"}
		}
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, map[string]string{"keyset": file})
	}
	a.tell("Made %s. Keep a copy where the database's backups are not.", file)
	return nil
}

func (a *app) rotateKeys(ctx context.Context) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	file := s.KeysetFile()
	if file == "" {
		return &failure{Code: "usage", Message: "the keyset is in the environment, where it cannot be replaced",
			Hint: "put it in a file to rotate it, and set JAMF_ACCESS_KEYSET to the file's name, for the workers too"}
	}
	keyset, err := s.Keyset()
	if err != nil {
		return unusableKeyset(err)
	}
	rotated, err := keyset.Rotated()
	if err != nil {
		return err
	}
	// The file is replaced once there is a record to seal.
	record, err := a.record(ctx, db.WithKeyset(rotated))
	if err != nil {
		return err
	}
	if err := rotated.Replace(file); err != nil {
		return err
	}
	a.say("Sealing all credentials with the new key")
	resealed, err := record.Reseal(ctx)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, map[string]int{"resealed": resealed})
	}
	a.tell("Added a key to %s. The secrets of %d connections and subscriptions are sealed with it.", file, resealed)
	return nil
}
