package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func newPrune(a *app) *cobra.Command {
	var olderThan string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "prune --older-than PERIOD",
		Short: "Remove what is older than a period and no evidence about it",
		Long: `Prune removes, of every connection, what is older than a period and no evidence
about the period needs:

  - accounts that were removed before it, with their changes
  - syncs that ended before it and found nothing that is kept, and their outcomes

Whoever has access, or had it at any moment of the period, keeps every change,
however old: since when and with what stays known. The sync that the record
speaks of, the one it spoke of when the period began, and the last one are kept.

The period is a number of days, weeks or years (400d, 60w, 2y), and at least a
year, since audits look back that far. To remove a connection's record entirely,
see "starter disconnect --erase". It is run as the role that owns the database's
schema; the worker's may not delete what has been recorded.`,
		Example: `  starter prune --older-than 400d --dry-run
  starter prune --older-than 3y -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.prune(cmd.Context(), olderThan, dryRun) },
	}
	cmd.Flags().StringVar(&olderThan, "older-than", "", "period that is kept: 400d, 60w, 2y")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count what would be removed, and remove nothing")
	return cmd
}

type prunedView struct {
	Connection string `json:"connection"`
	Accounts   int    `json:"accounts"`
	Changes    int    `json:"changes"`
	Syncs      int    `json:"syncs"`
	Outcomes   int    `json:"outcomes"`
}

func (a *app) prune(ctx context.Context, olderThan string, dryRun bool) error {
	keep, err := parsePeriod(olderThan)
	if err != nil {
		return err
	}
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	connections, err := record.Overviews(ctx)
	if err != nil {
		return err
	}
	views := []prunedView{}
	for _, c := range connections {
		p, err := record.Prune(ctx, c.ID, keep, dryRun)
		if errors.Is(err, db.ErrNotFound) {
			continue // it was erased meanwhile
		}
		if err != nil {
			return fmt.Errorf("prune %s: %w", c.Name, err)
		}
		views = append(views, prunedView{c.Name, p.Accounts, p.Changes, p.Syncs, p.Outcomes})
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, views)
	}
	if dryRun {
		a.say("This would be removed:")
	}
	return output.WriteTable(a.out, []output.Column{output.Col("Connection", 24), output.Col("Accounts", 9), output.Col("Changes", 9), output.Col("Syncs", 9), output.Col("Outcomes", 9)},
		rows(views, func(v prunedView) []string {
			return []string{v.Connection, strconv.Itoa(v.Accounts), strconv.Itoa(v.Changes), strconv.Itoa(v.Syncs), strconv.Itoa(v.Outcomes)}
		}))
}

var (
	periods    = regexp.MustCompile(`^(\d{1,4})([dwy])$`)
	daysInUnit = map[string]int{"d": 1, "w": 7, "y": 365}
)

// parsePeriod reads a number of days, weeks or years. More than a century is
// taken for one.
func parsePeriod(period string) (time.Duration, error) {
	parts := periods.FindStringSubmatch(period)
	if parts == nil {
		return 0, usagef("--older-than is a number of days, weeks or years, as in 400d, 60w or 2y, not %q", period)
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0, err
	}
	days := min(number*daysInUnit[parts[2]], 100*365)
	keep := time.Duration(days) * 24 * time.Hour
	if keep < db.MinKept {
		return 0, &failure{Code: codeUsage, Message: fmt.Sprintf("--older-than %s is too short", period),
			Hint: "audits look back at up to a year: 365d is the least"}
	}
	return keep, nil
}
