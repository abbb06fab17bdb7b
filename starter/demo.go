package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/db"
	"jamf-access-review/starter/output"
	"jamf-access-review/starter/stack"
	"jamf-access-review/worker/settings"
	"jamf-access-review/workflows"
)

// demoFindings is how many findings of each monitor the demo shows.
const demoFindings = 5

// demoState is what a second demo has to do as the first did.
type demoState struct {
	Accounts int `json:"accounts"`
	// Ports of the simulated sources, by what --via calls them.
	Ports map[string]int `json:"ports"`
}

func newDemo(a *app) *cobra.Command {
	var c stack.Config
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show everything on this machine, with a simulated Jamf Pro",
		Long: `Demo starts PostgreSQL, Temporal with its UI, a worker, and a simulated Jamf Pro
with a staff roster in which some people have left. It connects them, prints
what a person would look at, and where, and stays up until Ctrl-C. Nobody in it
exists, and its roster is that of an organization of its own.

Its data stays in JAMF_ACCESS_HOME (.local by default), and a second demo goes
on with it; after a disconnect, or with another --jamf-port, it begins anew. The
first start on a machine builds Temporal's own server, which takes a few minutes
once.`,
		Example: `  starter demo
  starter demo --via truto
  starter demo --accounts 2000 --exit`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), c, o) },
	}
	addPorts(cmd.Flags(), &c)
	cmd.Flags().StringVar(&o.via, "via", "jamf", "jamf, or truto for a simulated Truto instead")
	cmd.Flags().IntVar(&o.port, "jamf-port", 0, "port of the simulated source on loopback, 0 for the one it had or any that is free")
	cmd.Flags().IntVar(&o.accounts, "accounts", 0, "how many accounts it has (25 at first, then as before)")
	cmd.Flags().BoolVar(&o.exit, "exit", false, "end once everything was shown")
	return cmd
}

type demoOptions struct {
	via            string
	port, accounts int
	exit           bool
}

func (a *app) demo(ctx context.Context, c stack.Config, o demoOptions) error {
	simulate, ok := simulations[o.via]
	if !ok {
		return usagef("--via is jamf or truto, not %q", o.via)
	}
	if o.accounts < 0 {
		return usagef("--accounts is not negative")
	}
	ports := portsOf(c)
	ports["jamf-port"] = o.port
	if err := checkPorts(ports); err != nil {
		return err
	}
	s, err := settings.Load()
	if err != nil {
		return err
	}
	state, err := loadDemo(s.Home, o)
	if err != nil {
		return err
	}
	simulated, err := simulate(state.Accounts, state.Ports[o.via])
	if err != nil {
		return err
	}
	defer simulated.stop()
	st, err := a.startStack(ctx, s, c)
	if err != nil {
		return err
	}
	// Only now is there no other demo in this folder, whose settings they would be.
	state.Ports[o.via] = simulated.port
	if err := saveDemo(s.Home, state); err != nil {
		return errors.Join(err, st.Stop())
	}
	if err := a.showDemo(ctx, st, simulated, o.exit); err != nil {
		return errors.Join(err, st.Stop())
	}
	if o.exit {
		return st.Stop()
	}
	a.say("\nCtrl-C ends it; the data stays in %s.", s.Home)
	return a.stayUp(ctx, st)
}

func loadDemo(home string, o demoOptions) (demoState, error) {
	state := demoState{Accounts: 25, Ports: map[string]int{}}
	content, err := os.ReadFile(demoFile(home))
	if err == nil {
		err = json.Unmarshal(content, &state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return state, fmt.Errorf("read the last demo's settings: %w", err)
	}
	if o.accounts > 0 {
		state.Accounts = o.accounts
	}
	if o.port > 0 {
		state.Ports[o.via] = o.port
	}
	return state, nil
}

func demoFile(home string) string { return filepath.Join(home, "demo.json") }

func saveDemo(home string, state demoState) error {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	content, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return os.WriteFile(demoFile(home), content, 0o600)
}

// showDemo connects the simulated Jamf Pro, or syncs it when it is connected
// already, and prints what a person would look at.
func (a *app) showDemo(ctx context.Context, st *stack.Stack, simulated *simulation, exit bool) error {
	if err := a.useStack(ctx, st); err != nil {
		return err
	}
	// In JSON there is one document, and that is at the end.
	out := a.out
	if a.format == output.JSON {
		a.out = io.Discard
	}
	err := a.syncDemo(ctx, simulated)
	a.out = out
	if err != nil {
		// What has told of it was discarded.
		if f, ok := errors.AsType[*failure](err); ok {
			f.reported = f.reported && a.format != output.JSON
		}
		return err
	}
	views, err := a.monitorViews(ctx, simulated.Name)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, demoView{
			Connection: simulated.Name, Monitors: views, TemporalUI: demoPage(st, simulated), SourceURL: simulated.BaseURL,
		})
	}
	a.tell("\nWho can administer it\n")
	if err := a.users(ctx, simulated.Name, false); err != nil {
		return err
	}
	a.tell("\nWhat the monitors say\n")
	if err := a.printMonitors(views, demoFindings); err != nil {
		return err
	}
	a.tell(whereToLook, demoPage(st, simulated), simulated.what, simulated.BaseURL, simulated.credentials)
	if exit {
		a.tell("\nAll of this ends now: to look around, `go run ./starter demo` without --exit.")
		return nil
	}
	a.tell(whatToTry, simulated.Name, simulated.Organization)
	return nil
}

const whereToLook = `
Where to look
  This connection in Temporal's UI
    %[1]s
  %[2]s
    %[3]s (%[4]s)`

const whatToTry = `
What to try, in another terminal in this folder
  go run ./starter status %[1]s --watch
  go run ./starter doctor %[1]s
  go run ./starter resync %[1]s
  go run ./starter changes %[1]s
  go run ./starter monitors %[1]s --check
  go run ./starter staff list --org %[2]s
  go run ./starter pause %[1]s`

// demoView is what demo prints as JSON.
type demoView struct {
	Connection string        `json:"connection"`
	Monitors   []monitorView `json:"monitors"`
	TemporalUI string        `json:"temporal_ui"`
	SourceURL  string        `json:"source_url"`
}

// demoPage is the address of the demo's runs in Temporal's UI.
func demoPage(st *stack.Stack, simulated *simulation) string {
	query := url.QueryEscape(fmt.Sprintf("WorkflowId=%q", workflows.AccessSyncID(simulated.Name)))
	return st.UIAddress + "/namespaces/default/workflows?query=" + query
}

// syncDemo imports the roster, and connects the simulated source or syncs it.
// What the last demo left goes on where it can, and is connected anew where it
// was disconnected, the source is at another address, or an earlier version had
// it in another organization. A real source's connection of that name is left
// alone.
func (a *app) syncDemo(ctx context.Context, simulated *simulation) error {
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	c, err := record.Connection(ctx, simulated.Name)
	known := !errors.Is(err, db.ErrNotFound)
	if known && err != nil {
		return err
	}
	if known && !onThisMachine(c) {
		return &failure{Code: codeAlreadyExists, Message: fmt.Sprintf("the connection %q in this home is none of a demo: it is to %s", c.Name, c.BaseURL),
			Hint: "give the demo a home of its own: JAMF_ACCESS_HOME=DIR starter demo"}
	}
	if _, err := record.ImportRoster(ctx, simulated.Organization, simulated.roster(time.Now()), true); err != nil {
		return err
	}
	if _, err := record.JudgeByRoster(ctx, simulated.Organization, nil); err != nil {
		return err
	}
	if !known {
		return a.connectDemo(ctx, record, simulated.NewConnection)
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	connecting, err := running(ctx, t, workflows.ConnectJamfID(c.Name))
	switch {
	case err != nil:
		return err
	case c.BaseURL != simulated.BaseURL, c.Organization != simulated.Organization, c.State == db.Disconnected, c.State == db.Connecting && !connecting:
		if err := a.disconnect(ctx, c.Name, true); err != nil {
			return err
		}
		return a.connectDemo(ctx, record, simulated.NewConnection)
	case c.State == db.Connecting:
		return a.awaitConnect(ctx, t, c, t.GetWorkflow(ctx, workflows.ConnectJamfID(c.Name), ""))
	}
	return a.resync(ctx, simulated.Name, false, workflows.ResyncRequest{AcceptRemovals: true})
}

// onThisMachine says whether a connection may be a demo's: a real source is
// elsewhere.
func onThisMachine(c db.Connection) bool {
	u, err := url.Parse(c.BaseURL)
	return err == nil && httpclient.IsLoopback(u.Hostname())
}

func (a *app) connectDemo(ctx context.Context, record *db.DB, n db.NewConnection) error {
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	c, err := record.CreateConnection(ctx, n)
	if err != nil {
		return err
	}
	return a.runConnect(ctx, record, t, c)
}
