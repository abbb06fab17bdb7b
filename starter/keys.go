package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
	"jamf-access-review/worker/settings"
)

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
			Args:    one("the name of one file"),
			RunE:    func(_ *cobra.Command, args []string) error { return a.createKeys(args[0]) },
		},
		&cobra.Command{
			Use:   "rotate",
			Short: "Seal everything with a new key",
			Long: `Rotate adds a key to the keyset's file and seals all credentials with it.
Running workers read the file again when they meet a seal of the new key, and
use it from then on; where they have a copy of the file, replace the copy. The
older keys stay in it, for what workers seal until then.`,
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
	err = keyset.Create(file)
	if errors.Is(err, fs.ErrExist) {
		return &failure{Code: codeAlreadyExists, Message: file + " exists", Hint: "it is left as it is; `starter keys rotate` adds a key to it"}
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &failure{Code: codeUsage, Message: e.Error(), Hint: "name a file in a folder that exists, and that you may write to"}
	}
	if err != nil {
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
		return &failure{Code: codeUsage, Message: "the keyset is in the environment, where it cannot be replaced",
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
	record, err := a.record(ctx, db.WithKeyset(rotated))
	if err != nil {
		return err
	}
	a.say("Sealing all credentials with the new key")
	resealed, err := record.Reseal(ctx, func() error { return rotated.Replace(file) })
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, map[string]int{"resealed": resealed})
	}
	a.tell("Added a key to %s. All secrets, of connections and of subscriptions, are sealed with it: %d.", file, resealed)
	return nil
}
