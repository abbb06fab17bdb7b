package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

const (
	// completionTimeout is how long a person who pressed Tab is kept waiting.
	completionTimeout = 3 * time.Second
	// completions is how many names are offered at once.
	completions = 100
)

// completed has the shell complete the arguments of a command and of those
// below it: the names of connections, or of subscriptions, where its usage says
// NAME, files where it says FILE, and nothing elsewhere.
func (a *app) completed(cmd *cobra.Command) {
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	switch {
	case cmd.Name() == "connect", cmd.Name() == "add": // whose name is a new one
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	case strings.HasPrefix(strings.TrimPrefix(arguments, "["), "NAME"):
		cmd.ValidArgsFunction = a.completeName(connectionNames)
		if cmd.Parent().Name() == "notify" {
			cmd.ValidArgsFunction = a.completeName(subscriptionNames)
		}
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

// completeName completes a name. Whatever keeps it from that, it says nothing:
// somebody is typing.
func (a *app) completeName(names func(ctx context.Context, record *db.DB, begun string) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		record, err := a.record(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, err := names(ctx, record, begun)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func connectionNames(ctx context.Context, record *db.DB, begun string) ([]string, error) {
	return record.ConnectionNames(ctx, begun, completions)
}

func subscriptionNames(ctx context.Context, record *db.DB, begun string) (names []string, err error) {
	subscriptions, err := record.Subscriptions(ctx)
	for _, s := range subscriptions {
		if strings.HasPrefix(s.Name, begun) && len(names) < completions {
			names = append(names, s.Name)
		}
	}
	return names, err
}
