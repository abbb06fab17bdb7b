package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory"
	"jamf-access-review/starter/output"
)

const (
	// completionTimeout is how long a person who pressed Tab is kept waiting.
	completionTimeout = 3 * time.Second
	// completions is how many names are offered at once.
	completions = 100
)

// completed has the shell complete the arguments of a command and of those
// below it: connection names where its usage says NAME, files where it says
// FILE, and nothing elsewhere.
func (a *app) completed(cmd *cobra.Command) {
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	switch {
	case cmd.Name() == "connect": // whose name is a new one
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	case strings.HasPrefix(strings.TrimPrefix(arguments, "["), "NAME"):
		cmd.ValidArgsFunction = a.completeName
	case strings.HasPrefix(arguments, "FILE"):
	default:
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for flag, values := range map[string][]string{
		"scope":  {string(directory.ScopeAdmins), string(directory.ScopeEveryone)},
		"via":    {"jamf", "truto"},
		"output": {string(output.Table), string(output.JSON)},
	} {
		if cmd.LocalFlags().Lookup(flag) != nil {
			// Only a flag that is not there is an error.
			_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	for _, below := range cmd.Commands() {
		a.completed(below)
	}
}

// completeName completes the name of a connection. Whatever keeps it from
// that, it says nothing: somebody is typing.
func (a *app) completeName(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	record, err := a.record(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := record.ConnectionNames(ctx, begun, completions)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
