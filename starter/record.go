package main

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func newSyncs(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "syncs NAME",
		Short:   "List the syncs of a connection, newest first",
		Example: `  starter syncs acme --limit 100`,
		Args:    named,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.syncs(cmd.Context(), args[0], limit) },
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many to show")
	return cmd
}

func (a *app) syncs(ctx context.Context, name string, limit int) error {
	if limit < 1 {
		return usagef("--limit is at least 1")
	}
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	syncs, err := record.Syncs(ctx, c.ID, limit)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, views(syncs, viewSync))
	}
	return output.WriteTable(a.out, []output.Column{output.Col("Nr", 6), output.Col("Trigger", 9), output.Col("Outcome", 8), output.Col("Finished", 20), output.Col("Accts", 7), output.Col("+", 5), output.Col("~", 5), output.Col("-", 5), output.Col("Reason", 24)},
		rows(syncs, func(s db.Sync) []string {
			n := func(n int) string { return fmt.Sprint(n) }
			return []string{n(s.Number), string(s.Trigger), string(s.Outcome), when(s.FinishedAt), n(s.Accounts), n(s.Added), n(s.Changed), n(s.Removed), s.Reason}
		}))
}

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
		return output.StreamJSON(a.out, converted(accounts, viewUser))
	}
	listed := 0
	if err := output.WriteTable(a.out, []output.Column{output.Col("Username", 14), output.Col("E-mail", 18), output.Col("Status", 8), output.Col("MFA", 8), output.Col("Access", 8), output.Col("Roles", 14)},
		converted(accounts, func(u db.Account) []string {
			listed++
			email := u.Email
			if u.Kind != directory.Account {
				email = strings.TrimSpace(email + " (" + strings.ReplaceAll(string(u.Kind), "_", " ") + ")")
			}
			return []string{u.Username, email, string(u.Status), string(u.MFA), accessOf(u), strings.Join(u.Roles, ", ")}
		})); err != nil || listed > 0 {
		return err
	}
	return a.whyNobody(ctx, record, c, removed)
}

// accessOf is the access level, and the site that it is limited to.
func accessOf(u db.Account) string {
	if u.Site == "" {
		return u.AccessLevel
	}
	return u.AccessLevel + " (" + u.Site + ")"
}

// whyNobody says why there is nobody to list.
func (a *app) whyNobody(ctx context.Context, record *db.DB, c db.Connection, removed bool) error {
	switch {
	case removed:
		a.tell("Nobody was removed.")
		return nil
	case c.AppliedSync == 0:
		a.tell("No sync has been applied yet: `starter status %s`.", c.Name)
		return nil
	}
	sync, err := record.SyncByNumber(ctx, c.ID, c.AppliedSync)
	if err != nil {
		return err
	}
	for _, reason := range reasons(sync.Reason) {
		a.tell("%s", output.Clean(reason))
	}
	return nil
}

func newChanges(a *app) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "changes NAME",
		Short: "List what the syncs found different, oldest first",
		Example: `  starter changes acme
  starter changes acme --since 2026-11-01
  starter changes acme --since 7d -o json`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error { return a.changes(cmd.Context(), args[0], since) },
	}
	cmd.Flags().StringVar(&since, "since", "", "time (RFC 3339, or UTC), date, or duration back from now")
	return cmd
}

func (a *app) changes(ctx context.Context, name, since string) error {
	from, err := parseSince(since)
	if err != nil {
		return err
	}
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	changes := record.Changes(ctx, c.ID, from)
	if a.format == output.JSON {
		return output.StreamJSON(a.out, converted(changes, viewChange))
	}
	return output.WriteTable(a.out, []output.Column{output.Col("Sync", 5), output.Col("At", 20), output.Col("Who", 16), output.Col("Change", 8), output.Col("Before", 12), output.Col("After", 12)},
		converted(changes, func(c db.Change) []string {
			before, after := facts(c.Before), facts(c.After)
			// All of their facts differ; the name is enough for a table.
			switch c.Change {
			case "added":
				after = fact(c.After, "username")
			case "removed":
				before = fact(c.Before, "username")
			}
			return []string{fmt.Sprint(c.Sync), when(&c.At), c.Kind + " " + c.ID, c.Change, before, after}
		}))
}

func parseSince(since string) (time.Time, error) {
	if since == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, since); err == nil {
			return t, nil
		}
	}
	if d, err := parseDuration(since); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	return time.Time{}, usagef("--since %q is no RFC 3339 time, date or duration", since)
}

// converted applies f to what a query yields, as it comes.
func converted[T, U any](seq iter.Seq2[T, error], f func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		for v, err := range seq {
			if err != nil {
				var none U
				yield(none, err)
				return
			}
			if !yield(f(v), nil) {
				return
			}
		}
	}
}

// views are what a list's elements are in the CLI's words; an empty list stays
// one in JSON.
func views[T, U any](l []T, view func(T) U) []U {
	out := make([]U, len(l))
	for i, v := range l {
		out[i] = view(v)
	}
	return out
}

// rows is converted for a slice.
func rows[T, U any](l []T, f func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		for _, v := range l {
			if !yield(f(v), nil) {
				return
			}
		}
	}
}
