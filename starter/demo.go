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
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/db"
	"jamf-access-review/db/localprocess"
	"jamf-access-review/starter/output"
	"jamf-access-review/starter/stack"
	"jamf-access-review/worker/settings"
	"jamf-access-review/workflows"
)

const (
	demoConnection   = "demo"
	demoClientID     = "demo-client"
	demoClientSecret = "demo-secret"
	// demoFindings is how many findings of each monitor the demo shows.
	demoFindings         = 5
	purposeSimulatedJamf = "the simulated Jamf Pro"
)

// demoState is what a second demo has to do as the first did.
type demoState struct {
	Accounts int `json:"accounts"`
	JamfPort int `json:"jamf_port"`
}

func newDemo(a *app) *cobra.Command {
	var c stack.Config
	var asked demoState
	var exit bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show everything on this machine, with a simulated Jamf Pro",
		Long: `Demo starts PostgreSQL, Temporal with its UI, a worker, and a simulated Jamf Pro
with a staff roster in which some people have left. It connects them, prints
what a person would look at, and where, and stays up until Ctrl-C. Nobody in it
exists.

Its data stays in JAMF_ACCESS_HOME (.local by default), and a second demo goes
on with it. The first start on a machine builds Temporal's own server, which
takes a few minutes once.`,
		Example: `  starter demo
  starter demo --accounts 2000 --exit`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), c, asked, exit) },
	}
	addPorts(cmd.Flags(), &c)
	cmd.Flags().IntVar(&asked.JamfPort, "jamf-port", 0, "port of the simulated Jamf Pro on loopback, 0 for the one it had or any that is free")
	cmd.Flags().IntVar(&asked.Accounts, "accounts", 0, "how many accounts the simulated Jamf Pro has (25 at first, then as before)")
	cmd.Flags().BoolVar(&exit, "exit", false, "end once everything was shown")
	return cmd
}

func (a *app) demo(ctx context.Context, c stack.Config, asked demoState, exit bool) error {
	if asked.Accounts < 0 {
		return usagef("--accounts is not negative")
	}
	s, err := settings.Load()
	if err != nil {
		return err
	}
	state, err := loadDemo(s.Home, asked)
	if err != nil {
		return err
	}
	jamf, err := simulateJamf(s.Home, state)
	if err != nil {
		return err
	}
	defer jamf.stop()
	st, err := a.startStack(ctx, s, c)
	if err != nil {
		return err
	}
	if err := a.showDemo(ctx, st, jamf); err != nil {
		return errors.Join(err, st.Stop())
	}
	if exit {
		return st.Stop()
	}
	a.say("\nCtrl-C ends it; the data stays in %s.", s.Home)
	return a.stayUp(ctx, st)
}

func loadDemo(home string, asked demoState) (demoState, error) {
	state := demoState{Accounts: 25}
	content, err := os.ReadFile(demoFile(home))
	if err == nil {
		err = json.Unmarshal(content, &state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return state, fmt.Errorf("read the last demo's settings: %w", err)
	}
	if asked.Accounts > 0 {
		state.Accounts = asked.Accounts
	}
	if asked.JamfPort > 0 {
		state.JamfPort = asked.JamfPort
	}
	return state, nil
}

func demoFile(home string) string { return filepath.Join(home, "demo.json") }

// simulatedJamf is the Jamf Pro of the demo.
type simulatedJamf struct {
	*jamftest.Server
	base string
	stop func() error
}

// simulateJamf serves the simulated Jamf Pro where the last demo did, since
// that is where its connection looks for it.
func simulateJamf(home string, state demoState) (*simulatedJamf, error) {
	if state.JamfPort != 0 {
		err := localprocess.CheckPort(state.JamfPort, purposeSimulatedJamf)
		if taken, ok := errors.AsType[*localprocess.PortInUseError](err); ok {
			return nil, portTaken(taken.Port, taken.Purpose)
		}
		if err != nil {
			return nil, err
		}
	}
	server := jamftest.New(jamftest.Config{ClientID: demoClientID, ClientSecret: demoClientSecret})
	server.Demo(state.Accounts)
	base, stop, err := server.Listen(localprocess.Address(state.JamfPort))
	if err != nil {
		return nil, err
	}
	if state.JamfPort, err = strconv.Atoi(base.Port()); err == nil {
		err = saveDemo(home, state)
	}
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return &simulatedJamf{Server: server, base: base.String(), stop: stop}, nil
}

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
func (a *app) showDemo(ctx context.Context, st *stack.Stack, jamf *simulatedJamf) error {
	if err := a.useStack(ctx, st); err != nil {
		return err
	}
	// In JSON there is one document, and that is at the end.
	out := a.out
	if a.format == output.JSON {
		a.out = io.Discard
	}
	err := a.syncDemo(ctx, jamf)
	a.out = out
	if err != nil {
		return err
	}
	views, err := a.monitorViews(ctx, demoConnection)
	if err != nil {
		return err
	}
	if a.format == output.JSON {
		return output.WriteJSON(a.out, demoView{
			Connection: demoConnection, Monitors: views, TemporalUI: demoPage(st), JamfURL: jamf.base,
		})
	}
	a.tell("\nWho can administer it\n")
	if err := a.users(ctx, demoConnection, false); err != nil {
		return err
	}
	a.tell("\nWhat the monitors say\n")
	if err := a.printMonitors(views, demoFindings); err != nil {
		return err
	}
	a.tell(whereToLook, demoPage(st), jamf.base, demoClientID, demoClientSecret)
	return nil
}

const whereToLook = `
Where to look
  This connection in Temporal's UI
    %s
  The simulated Jamf Pro
    %s (client id %s, client secret %s)

What to try, in another terminal in this folder
  go run ./starter status demo
  go run ./starter resync demo
  go run ./starter changes demo
  go run ./starter monitors demo --check; echo "exit status $?"
  go run ./starter pause demo`

// demoView is what demo prints as JSON.
type demoView struct {
	Connection string        `json:"connection"`
	Monitors   []monitorView `json:"monitors"`
	TemporalUI string        `json:"temporal_ui"`
	JamfURL    string        `json:"jamf_url"`
}

// demoPage is the address of the demo's runs in Temporal's UI.
func demoPage(st *stack.Stack) string {
	query := url.QueryEscape(fmt.Sprintf("WorkflowId=%q", workflows.AccessSyncID(demoConnection)))
	return st.UIAddress + "/namespaces/default/workflows?query=" + query
}

// syncDemo imports the roster, and connects the simulated Jamf Pro or syncs it.
func (a *app) syncDemo(ctx context.Context, jamf *simulatedJamf) error {
	record, err := a.record(ctx)
	if err != nil {
		return err
	}
	if err := record.ImportRoster(ctx, "default", demoRoster(jamf.Accounts(), time.Now())); err != nil {
		return err
	}
	_, err = record.Connection(ctx, demoConnection)
	if errors.Is(err, db.ErrNotFound) {
		return a.connectDemo(ctx, record, jamf.base)
	}
	if err != nil {
		return err
	}
	return a.resync(ctx, demoConnection, false, workflows.ResyncRequest{AcceptRemovals: true})
}

func (a *app) connectDemo(ctx context.Context, record *db.DB, base string) error {
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	c, err := record.CreateConnection(ctx, db.NewConnection{
		Name: demoConnection, Organization: "default", Source: directory.JamfPro, BaseURL: base,
		Scope: directory.ScopeAdmins, Every: 5 * time.Minute, ExitGrace: 24 * time.Hour,
		Credentials: directory.Credentials{ClientID: demoClientID, ClientSecret: demoClientSecret},
	})
	if err != nil {
		return err
	}
	return a.runConnect(ctx, record, t, c)
}

// demoRoster is the staff of the demo: most people are employed, one left an
// hour ago and one last month.
func demoRoster(accounts []jamftest.Account, now time.Time) []db.Person {
	hourAgo, monthAgo := now.Add(-time.Hour), now.AddDate(0, -1, 0)
	var people []db.Person
	for i, account := range accounts {
		p := db.Person{Email: account.Email, Name: account.RealName}
		if p.Email == "" {
			p.Email, p.Aliases = account.Username+"@example.com", []string{account.Username}
		}
		switch i % 25 {
		case 6:
			p.ExitedAt = &monthAgo
		case 8:
			p.ExitedAt = &hourAgo
		}
		people = append(people, p)
	}
	return people
}
