package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
	"jamf-access-review/starter/roster"
)

func newStaff(a *app) *cobra.Command {
	staff := &cobra.Command{
		Use:   "staff",
		Short: "Import or list the staff roster",
		Example: `  starter staff import staff.csv
  starter staff list`,
		Args: group,
		RunE: a.help,
	}
	staff.AddCommand(newStaffImport(a), newStaffList(a))
	return staff
}

func newStaffImport(a *app) *cobra.Command {
	var organization string
	var acceptReturns bool
	cmd := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Replace the staff roster of an organization",
		Long: `Import replaces the whole roster: whoever is not in the file is not on it. The
first row names the columns:

  email      how people are matched with accounts, without regard to case
  name
  exited_at  RFC 3339 time or date (its beginning, in UTC); empty while employed
  aliases    optional; other e-mail addresses or usernames, separated by ";"

Nothing is imported when any row is wrong (the first ten are told), or when many
who had an exit are employed again, or longer: a file whose exits are missing
would make monitors pass. A roster older than 7 days proves nothing, so import
it regularly. The exit monitors of all connections of the organization are
evaluated again on what was last synced.`,
		Example: `  starter staff import staff.csv
  hr-export | starter staff import - --org acme`,
		Args: one("one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importStaff(cmd.Context(), args[0], organization, acceptReturns)
		},
	}
	cmd.Flags().BoolVar(&acceptReturns, "accept-returns", false, "import although many who had an exit are employed again, or longer")
	cmd.Flags().StringVar(&organization, "org", "default", "organization whose roster it is")
	return cmd
}

func (a *app) importStaff(ctx context.Context, file, organization string, acceptReturns bool) error {
	if err := checkOrganization(organization); err != nil {
		return err
	}
	people, err := a.readRoster(ctx, file)
	if err != nil {
		return err
	}
	if len(people) == 0 {
		return &failure{Code: codeUsage, Message: file + " lists nobody", Hint: "nothing was imported: the file is the whole roster of the organization"}
	}
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	a.say("Importing the roster of organization %s, people: %d", output.Clean(organization), len(people))
	change, err := record.ImportRoster(ctx, organization, people, acceptReturns)
	if e, ok := errors.AsType[*db.ReturnedError](err); ok {
		return &failure{Code: codeHeld, Message: file + ": " + e.Error(),
			Hint: "nothing was imported; where the exits are missing, mend the file; where it is right, import it with --accept-returns"}
	}
	if err != nil {
		return err
	}
	judged, err := record.JudgeByRoster(ctx, organization, a.everySoOften("  %d of %d connections are judged by it"))
	if err != nil {
		return fmt.Errorf("the roster is imported, and not all exit monitors were evaluated by it, which the next syncs do, or another import: %w", err)
	}
	routes, err := record.PendingRoutesOf(ctx, organization)
	if err != nil {
		return err
	}
	a.deliverNotices(ctx, routes)
	left := 0
	for _, p := range people {
		if p.ExitedAt != nil {
			left++
		}
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, map[string]any{
			"organization": organization, "people": len(people), "with_exit": left,
			"added": change.Added, "removed": change.Removed, "removed_with_exit": change.RemovedWithExit, "returned": change.Returned(),
			"judged": judged.Evaluated, "waiting": judged.Waiting,
		})
	}
	a.tell("Imported the roster of organization %s. People: %d, with an exit %d; new %d, no longer listed %d (with an exit %d); employed again, or longer %d.",
		organization, len(people), left, change.Added, change.Removed, change.RemovedWithExit, change.Returned())
	switch {
	case judged.Evaluated+judged.Waiting == 0:
		a.tell("No connection of this organization has the exit monitor: `starter connect NAME --org %q` makes one.", organization)
	case judged.Waiting == 0:
		a.tell("The exit monitors of %s were evaluated again: `starter list`.", counted(judged.Evaluated, "connection"))
	default:
		a.tell("The exit monitors of %s were evaluated again. Of those that have to be synced first there are %d, as `starter list` shows: by themselves, or with `starter resync`.",
			counted(judged.Evaluated, "connection"), judged.Waiting)
	}
	return nil
}

// everySoOften says how far something has come that can take long, and nothing of
// what does not.
func (a *app) everySoOften(words string) func(done, all int) {
	const often = 5 * time.Second
	last := time.Now()
	return func(done, all int) {
		if time.Since(last) >= often {
			last = time.Now()
			a.say(words, done, all)
		}
	}
}

func (a *app) readRoster(ctx context.Context, file string) ([]db.Person, error) {
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, &failure{Code: codeUsage, Message: err.Error(), Hint: "see `starter staff import --help` for what the file holds"}
		}
		defer f.Close()
		in = f
		if info, err := f.Stat(); err == nil && time.Since(info.ModTime()) > db.RosterMaxAge {
			a.say("Note: %s was last written %s; the roster counts as of now all the same.", file, ago(info.ModTime()))
		}
	}
	people, err := typed(ctx, a, func() ([]db.Person, error) { return roster.Read(in) })
	_, wrong := errors.AsType[*roster.Error](err)
	_, unreadable := errors.AsType[*fs.PathError](err)
	if wrong || unreadable {
		return nil, &failure{Code: codeUsage, Message: file + ": " + err.Error(), Hint: "nothing was imported; see `starter staff import --help`"}
	}
	return people, err
}

func newStaffList(a *app) *cobra.Command {
	var organization string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the staff roster of an organization",
		Example: `  starter staff list --org acme`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listStaff(cmd.Context(), organization) },
	}
	cmd.Flags().StringVar(&organization, "org", "default", "organization whose roster it is")
	return cmd
}

func (a *app) listStaff(ctx context.Context, organization string) error {
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	r, err := record.Roster(ctx, organization)
	if errors.Is(err, db.ErrNotFound) {
		return &failure{Code: codeNotFound, Message: err.Error(), Hint: fmt.Sprintf("`starter staff import FILE.csv --org %q` imports one", organization)}
	}
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, views(r.People, viewPerson))
	}
	a.tell("Imported at %s, %s.", when(&r.ImportedAt), ago(r.ImportedAt))
	return output.WriteTable(a.out, []output.Column{output.Col("E-mail", 26), output.Col("Name", 18), output.Col("Exited", 20), output.Col("Aliases", 12)},
		rows(r.People, func(p db.Person) []string {
			return []string{p.Email, p.Name, when(p.ExitedAt), strings.Join(p.Aliases, ", ")}
		}))
}
