package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func newChanges(a *app) *cobra.Command {
	var since string
	var held bool
	cmd := &cobra.Command{
		Use:   "changes NAME",
		Short: "List what the syncs found different, oldest first",
		Long: `The changes of a sync appear all at once, with the time at which it finished.
Whoever polls asks since the "at" of the last change seen, which comes again,
and not since the last time of asking: a sync may just have been recording then.`,
		Example: `  starter changes acme
  starter changes acme --since 2026-11-01
  starter changes acme --since 7d -o json
  starter changes acme --held`,
		Args: named,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case held && since != "":
				return usagef("--held and --since do not go together")
			case held:
				return a.heldChanges(cmd.Context(), args[0])
			default:
				return a.changes(cmd.Context(), args[0], since)
			}
		},
	}
	cmd.Flags().BoolVar(&held, "held", false, "list what a held sync would take, and from whom, instead")
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
	return a.printChanges(record.Changes(ctx, c.ID, from), "Nothing has changed.")
}

func (a *app) heldChanges(ctx context.Context, name string) error {
	record, c, err := a.connection(ctx, name)
	if err != nil {
		return err
	}
	return a.printChanges(record.HeldChanges(ctx, c.ID), "Nothing is held.")
}

// printChanges prints changes, and where there are none, in a table, so much.
func (a *app) printChanges(changes iter.Seq2[db.Change, error], none string) error {
	if a.format == output.JSON {
		return output.StreamJSON(a.out, converted(changes, viewChange))
	}
	return a.printTable(none, []output.Column{output.Col("Sync", 5), output.Col("At", 20), output.Col("Who", 16), output.Col("Change", 8), output.Col("Before", 12), output.Col("After", 12)},
		converted(changes, func(c db.Change) []string {
			before, after := facts(c.Before), facts(c.After)
			// All of their facts differ; what they may do is enough for a table.
			switch c.Change {
			case "added":
				after = fact(c.After, "roles")
			case "removed":
				before = fact(c.Before, "roles")
			}
			return []string{fmt.Sprint(c.Sync), when(&c.At), fmt.Sprintf("%s (%s %s)", c.Username, c.Kind, c.ID), c.Change, before, after}
		}))
}

// facts is the before or after of a change in one line.
func facts(content json.RawMessage) string {
	var m map[string]any
	if err := json.Unmarshal(content, &m); err != nil {
		return string(content)
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s: %v", key, m[key]))
	}
	return strings.Join(parts, "; ")
}

// fact is one of the facts of a change, by its name.
func fact(content json.RawMessage, key string) string {
	var m map[string]any
	if err := json.Unmarshal(content, &m); err != nil || m[key] == nil {
		return ""
	}
	return fmt.Sprintf("%s: %v", key, m[key])
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
