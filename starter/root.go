package main

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"jamf-access-review/starter/output"
	"jamf-access-review/worker/service"
)

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "starter",
		Short: "Prove who can administer a Jamf Pro, and that those who left cannot",
		Long: `Jamf Access Review keeps an exact record of who can administer a Jamf Pro,
watches it with monitors, and shows evidence. It watches people's access, not
devices.

New here? "starter demo" shows everything on this machine. "starter dev" starts
a local stack; "starter connect" then connects a real Jamf Pro to it.`,
		Example: `  starter demo
  starter connect acme --jamf-url https://acme.jamfcloud.com --client-id 1f2e…
  starter resync acme
  starter monitors acme --check`,
		Version:       cmp.Or(service.Build(), "(devel)"),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          group,
		RunE:          a.help,
	}
	root.PersistentFlags().VarP(&a.format, "output", "o", "table or json")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%s", err) })
	root.AddGroup(
		&cobra.Group{ID: "start", Title: "Start:"},
		&cobra.Group{ID: "connections", Title: "Connections:"},
		&cobra.Group{ID: "record", Title: "The record:"},
		&cobra.Group{ID: "operate", Title: "Operate:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("start", newDemo(a), newDev(a))
	add("connections", newConnect(a), newReconnect(a), newDisconnect(a), newPause(a), newResume(a), newReschedule(a), newResync(a))
	add("record", newList(a), newStatus(a), newSyncs(a), newUsers(a), newChanges(a), newMonitors(a), newStaff(a))
	add("operate", newDoctor(a), newNotify(a), newMigrate(a), newKeys(a), newPrune(a))
	root.SetCompletionCommandGroupID("operate")
	if a.format == output.JSON {
		root.SetVersionTemplate(`{"version":"{{.Version}}"}` + "\n")
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = aCommand
		case "completion":
			c.Args, c.RunE = group, a.help
		}
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages ", "FlagUsagesWrapped 80 "))
	a.completed(root)
	a.helped(root)
	return root
}

// named is the argument check of commands about one connection.
func named(cmd *cobra.Command, args []string) error {
	return one("the name of one connection")(cmd, args)
}

// one is the argument check of commands that take one argument.
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s takes %s", cmd.Name(), what)
		}
		return nil
	}
}

// noArgs is the argument check of commands that take none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument %q", cmd.Name(), args[0])
	}
	return nil
}

// aCommand is the argument check of help.
func aCommand(help *cobra.Command, args []string) error {
	if _, rest, err := help.Root().Find(args); err != nil || len(rest) > 0 {
		return usagef("there is no command %q", strings.Join(args, " "))
	}
	return nil
}

// group is the argument check of commands that only have commands of their own.
func group(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s has no command %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// help is what a command does that only has commands of its own.
func (a *app) help(cmd *cobra.Command, _ []string) error {
	if a.format == output.JSON {
		return usagef("%s does nothing without one of its commands", cmd.CommandPath())
	}
	return cmd.Help()
}

// helpView is what --help and help print as JSON.
type helpView struct {
	Command string `json:"command"`
	Help    string `json:"help"`
}

// helped has help be one document where that is asked for.
func (a *app) helped(root *cobra.Command) {
	asText := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if a.format != output.JSON {
			asText(cmd, args)
			return
		}
		var text bytes.Buffer
		cmd.SetOut(&text)
		asText(cmd, args)
		output.WriteJSON(a.out, helpView{cmd.CommandPath(), text.String()})
	})
}
