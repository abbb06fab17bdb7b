package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"

	"jamf-access-review/db"
	"jamf-access-review/db/localpostgres"
	"jamf-access-review/db/localprocess"
	"jamf-access-review/starter/output"
	"jamf-access-review/starter/stack"
	"jamf-access-review/worker/settings"
	"jamf-access-review/workflows/localtemporal"
)

func newDev(a *app) *cobra.Command {
	var c stack.Config
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a local stack to connect a real Jamf Pro to",
		Long: `Dev starts PostgreSQL, Temporal with its UI, and a worker on this machine, and
stays up until Ctrl-C. Its data stays in JAMF_ACCESS_HOME (.local by default).
Every other command that is run in the same folder, or with the same
JAMF_ACCESS_HOME, finds it with no other setting.

The first start on a machine builds Temporal's own server, which takes a few
minutes once.`,
		Example: `  starter dev
  starter dev --ui-port 9000`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dev(cmd.Context(), c) },
	}
	addPorts(cmd.Flags(), &c)
	return cmd
}

func addPorts(f *pflag.FlagSet, c *stack.Config) {
	f.IntVar(&c.TemporalPort, "temporal-port", 7233, "port of Temporal on loopback, 0 for any that is free")
	f.IntVar(&c.UIPort, "ui-port", 8233, "port of Temporal's UI on loopback, 0 for any that is free")
	f.IntVar(&c.PostgresPort, "postgres-port", 15432, "port of PostgreSQL on loopback, 0 for any that is free")
}

// checkPorts refuses ports, by their flags, that nobody may have or that two would
// have.
func checkPorts(ports map[string]int) error {
	flags := map[int]string{}
	for _, flag := range slices.Sorted(maps.Keys(ports)) {
		port := ports[flag]
		if port == 0 {
			continue
		}
		if !localprocess.MayListen(port) {
			return usagef("--%s %d is not between 1024 and 65535", flag, port)
		}
		if other, taken := flags[port]; taken {
			return usagef("--%s and --%s are both %d", other, flag, port)
		}
		flags[port] = flag
	}
	return nil
}

func portsOf(c stack.Config) map[string]int {
	return map[string]int{"temporal-port": c.TemporalPort, "ui-port": c.UIPort, "postgres-port": c.PostgresPort}
}

func (a *app) dev(ctx context.Context, c stack.Config) error {
	if err := checkPorts(portsOf(c)); err != nil {
		return err
	}
	s, err := settings.Load()
	if err != nil {
		return err
	}
	st, err := a.startStack(ctx, s, c)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		if err := output.WriteJSON(a.out, devView{st.TemporalAddress, st.UIAddress, s.Home}); err != nil {
			return errors.Join(err, st.Stop())
		}
	} else {
		a.tell(devIsUp, st.UIAddress, s.Home)
	}
	a.say("\nCtrl-C ends it; the data stays.")
	return a.stayUp(ctx, st)
}

// devView is what dev prints as JSON.
type devView struct {
	Temporal   string `json:"temporal"`
	TemporalUI string `json:"temporal_ui"`
	Home       string `json:"home"`
}

const devIsUp = `
The local stack is up.

  Temporal UI   %s
  Data and logs %s

In another terminal, in this folder:

  go run ./starter connect NAME --jamf-url https://NAME.jamfcloud.com --client-id ID
  go run ./starter staff import staff.csv`

// startStack starts the local stack, saying what it does.
func (a *app) startStack(ctx context.Context, s settings.Settings, c stack.Config) (*stack.Stack, error) {
	c.Progress = func(what string) { a.say("  %s", what) }
	a.say("Starting the local stack in %s", s.Home)
	st, err := stack.Start(ctx, s, c)
	if taken, ok := errors.AsType[*localpostgres.PortInUseError](err); ok {
		return nil, portTaken(taken.Port, taken.Purpose)
	}
	if used, ok := errors.AsType[*localprocess.InUseError](err); ok {
		return nil, &failure{Code: codeUsage, Message: used.Error(), Hint: "it is another demo or dev; one beside it needs a home of its own: JAMF_ACCESS_HOME=DIR"}
	}
	return st, err
}

// useStack makes the app use the stack it has started, whatever the environment
// says of others.
func (a *app) useStack(ctx context.Context, st *stack.Stack) (err error) {
	if a.openRecord, err = db.Open(ctx, st.DatabaseURL, db.WithKeyset(st.Keyset)); err != nil {
		return err
	}
	a.openTemporal, err = dial(ctx, client.Options{HostPort: st.TemporalAddress})
	return err
}

func portTaken(port int, purpose string) *failure {
	flags := map[string]string{
		"PostgreSQL":                "--postgres-port",
		localtemporal.PurposeServer: "--temporal-port",
		localtemporal.PurposeUI:     "--ui-port",
		purposeSimulation:           "--jamf-port",
	}
	return &failure{Code: codeUsage,
		Message: fmt.Sprintf("port %d, wanted for %s, is taken by another program", port, purpose),
		Hint:    fmt.Sprintf("stop that program (another demo or dev?), or choose another port with %s", flags[purpose])}
}

// stayUp waits for Ctrl-C, or for a part of the stack to end, and stops it.
func (a *app) stayUp(ctx context.Context, st *stack.Stack) error {
	err := st.Wait(ctx)
	a.say("\nStopping")
	return errors.Join(err, st.Stop())
}
