package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"jamf-access-review/starter/doctor"
	"jamf-access-review/starter/output"
	"jamf-access-review/worker/settings"
)

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Look for what is wrong, and say what to do about it",
		Long: `Doctor looks at Temporal, its namespace, search attributes and workers, at
PostgreSQL and its migrations, at the keyset and at the clocks. With the name of
a connection it also looks at its workflow and its last sync, and at its source:
name, certificate, address, credentials, version and each privilege. The source
is looked at from this machine, which is not always where the workers are.

It makes every check, whatever the others find, and changes nothing. What cannot
be looked at because something else fails is "skipped".

The exit status is 0 unless a check fails; warnings are no failures. Otherwise
it is that of the first check that fails.`,
		Example: `  starter doctor
  starter doctor acme
  starter doctor acme -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("doctor takes the name of one connection, or none")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.doctor(cmd.Context(), cmp.Or(args...))
		},
	}
}

func (a *app) doctor(ctx context.Context, name string) error {
	s, err := settings.Load()
	if err != nil {
		return err
	}
	checks := doctor.Doctor{
		Settings: s, Temporal: a.temporal,
		Progress: func(what string) { a.say("  %s", what) },
	}.Examine(ctx, name)
	if ctx.Err() != nil {
		return &failure{Code: codeUnexpected, Message: "stopped before every check was made", Hint: "nothing was changed"}
	}
	v := doctorView{Healthy: true, Checks: []checkView{}}
	var first *failure
	failing := 0
	for _, check := range checks {
		line, failed := viewCheck(check)
		v.Checks = append(v.Checks, line)
		if failed != nil {
			failing++
			first = cmp.Or(first, failed)
		}
	}
	v.Healthy = first == nil
	if err := a.printDoctor(v); err != nil || first == nil {
		return err
	}
	return &failure{Code: first.Code, Message: fmt.Sprintf("checks that fail: %d of %d", failing, len(checks)),
		Hint: "what to do is said below each", reported: a.format == output.JSON}
}

// doctorView is what doctor prints as JSON.
type doctorView struct {
	Healthy bool        `json:"healthy"`
	Checks  []checkView `json:"checks"`
}

type checkView struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Error   string `json:"error"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

// viewCheck puts a check in the CLI's words, and returns the failure that it
// is, if it is one.
func viewCheck(c doctor.Check) (checkView, *failure) {
	v := checkView{Name: c.Name, State: string(c.State), Error: contractCode(c.Code), Message: c.Message, Remedy: c.Remedy}
	if c.State != doctor.Failing {
		return v, nil
	}
	failed := &failure{Code: contractCode(c.Code), Message: c.Message, Hint: advice(c.Source, c.Code)}
	if c.Err != nil {
		failed = failureOf(c.Err)
	}
	v.Error, v.Message, v.Remedy = failed.Code, failed.Message, cmp.Or(c.Remedy, failed.Hint)
	return v, failed
}

func (a *app) printDoctor(v doctorView) error {
	if a.format == output.JSON {
		return output.WriteJSON(a.out, v)
	}
	var lines [][]string
	for _, c := range v.Checks {
		lines = append(lines, []string{c.State, c.Name, c.Message})
		if c.Remedy != "" && c.State != string(doctor.Skipped) {
			lines = append(lines, []string{"", "", "What to do: " + c.Remedy})
		}
	}
	return output.WriteTable(a.out, []output.Column{output.Col("State", 7), output.Col("What", 17), output.Col("Finding", 54)},
		rows(lines, func(line []string) []string { return line }))
}
