package main

import (
	"context"
	"fmt"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

// showSynced prints what became of a sync, and returns the failure that its
// outcome is, if it is one.
func (a *app) showSynced(ctx context.Context, name string, number int) error {
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	c, err := record.Connection(ctx, name)
	if err != nil {
		return err
	}
	sync, err := record.SyncByNumber(ctx, c.ID, number)
	if err != nil {
		return err
	}
	monitors, err := record.Monitors(ctx, c.ID)
	if err != nil {
		return err
	}
	failed := syncFailure(c, sync)
	if a.format == output.JSON {
		v := syncedView{
			Connection: c.Name, State: string(c.State), Source: c.Source, SourceVersion: c.Report.Version,
			Sync: viewSync(sync), Monitors: statesOf(monitors),
		}
		if failed != nil {
			v.Error, v.Message, v.Hint = failed.Code, failed.Message, failed.Hint
			failed.reported = true
		}
		if err := output.WriteJSON(a.out, v); err != nil {
			return err
		}
	} else if failed == nil {
		a.printSynced(c, sync, monitors)
	}
	if failed != nil {
		return failed
	}
	return nil
}

func (a *app) printSynced(c db.Connection, sync db.Sync, monitors []db.Monitor) {
	fmt.Fprintf(a.out, "%s is %s. Sync %d: %s, %d added, %d changed, %d removed.\n",
		c.Name, c.State, sync.Number, counted(sync.Accounts, "account"), sync.Added, sync.Changed, sync.Removed)
	for _, reason := range reasons(sync.Reason) {
		fmt.Fprintf(a.out, "  %s\n", output.Clean(reason))
	}
	for _, m := range monitors {
		fmt.Fprintf(a.out, "  %-27s  %s\n", m.Code, m.State)
		if m.Reason != "" {
			fmt.Fprintf(a.out, "    %s\n", output.Clean(m.Reason))
		}
		if m.LacksRoster() {
			fmt.Fprintf(a.out, "    `starter staff import FILE.csv --org %q` imports one\n", c.Organization)
		}
	}
	for _, l := range c.Report.Limitations {
		fmt.Fprintf(a.out, "  Not read: %s\n", l)
	}
}

// syncFailure is the failure that a sync's outcome is, or nil.
func syncFailure(c db.Connection, s db.Sync) *failure {
	switch s.Outcome {
	case db.Applied:
		return nil
	case db.Held:
		return &failure{Code: codeHeld, Message: fmt.Sprintf("sync %d of %s is held: %s", s.Number, c.Name, s.Reason), Hint: db.AttentionHeld.Remedy(c.Name)}
	default:
		return &failure{
			Code: contractCode(s.Error), Message: fmt.Sprintf("sync %d of %s failed: %s", s.Number, c.Name, s.Reason),
			Hint: advice(c.Source, s.Error),
		}
	}
}
