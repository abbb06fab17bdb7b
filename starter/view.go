package main

import (
	"encoding/json"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// What commands print as JSON. Keys are part of the CLI's contract: more may
// be added, none is renamed.

type syncView struct {
	Number     int        `json:"number"`
	Trigger    string     `json:"trigger"`
	Outcome    string     `json:"outcome"`
	Error      string     `json:"error"`
	Reason     string     `json:"reason"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Accounts   int        `json:"accounts"`
	Added      int        `json:"added"`
	Changed    int        `json:"changed"`
	Removed    int        `json:"removed"`
	Requests   int        `json:"requests"`
}

func viewSync(s db.Sync) syncView {
	return syncView{
		Number: s.Number, Trigger: string(s.Trigger), Outcome: string(s.Outcome), Error: contractCode(s.Error), Reason: s.Reason,
		StartedAt: seconds(s.StartedAt), FinishedAt: optionalSeconds(s.FinishedAt),
		Accounts: s.Accounts, Added: s.Added, Changed: s.Changed, Removed: s.Removed, Requests: s.Requests,
	}
}

type monitorState struct {
	Code   string `json:"code"`
	State  string `json:"state"`
	Reason string `json:"reason"`
}

// syncedView is what connect and resync print.
type syncedView struct {
	Connection    string         `json:"connection"`
	State         string         `json:"state"`
	Source        string         `json:"source"`
	SourceVersion string         `json:"source_version"`
	Sync          syncView       `json:"sync"`
	Monitors      []monitorState `json:"monitors"`
	// How it failed, where the sync was not applied.
	Error   string `json:"error,omitempty"`
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

type statusView struct {
	Connection   string     `json:"connection"`
	Organization string     `json:"organization"`
	State        string     `json:"state"`
	Reason       string     `json:"reason"`
	NextSyncAt   *time.Time `json:"next_sync_at"`
	LastSync     *syncView  `json:"last_sync"`
	// AppliedSync is the number of the sync that is on record, 0 before the first.
	AppliedSync   int                     `json:"applied_sync"`
	Scope         string                  `json:"scope"`
	Every         string                  `json:"every"`
	Source        string                  `json:"source"`
	SourceVersion string                  `json:"source_version"`
	URL           string                  `json:"url"`
	Limitations   []directory.Limitation  `json:"limitations"`
	SingleSignOn  *directory.SingleSignOn `json:"single_sign_on"`
	Doing         string                  `json:"doing"`
	Monitors      []monitorState          `json:"monitors"`
	// Attention is what it needs a person for: "" or reconnect, cancelled,
	// held, late, failed or monitors.
	Attention string `json:"attention"`
	// remedy is what that person is to do.
	remedy string
}

type userView struct {
	ID          string     `json:"id"`
	Kind        string     `json:"kind"`
	Username    string     `json:"username"`
	Email       string     `json:"email"`
	Name        string     `json:"name"`
	Status      string     `json:"status"`
	MFA         string     `json:"mfa"`
	Roles       []string   `json:"roles"`
	Groups      []string   `json:"groups"`
	AccessLevel string     `json:"access_level"`
	Site        string     `json:"site"`
	Directory   *bool      `json:"directory"`
	RemovedAt   *time.Time `json:"removed_at"`
	Privileges  []string   `json:"privileges"`
}

func viewUser(a db.Account) userView {
	return userView{
		ID: a.ID, Kind: string(a.Kind), Username: a.Username, Email: a.Email, Name: a.Name,
		Status: string(a.Status), MFA: string(a.MFA), Roles: list(a.Roles), Groups: list(a.Groups),
		AccessLevel: a.AccessLevel, Site: a.Site, Directory: a.FromDirectory, RemovedAt: optionalSeconds(a.RemovedAt), Privileges: list(a.Privileges),
	}
}

type changeView struct {
	Sync     int             `json:"sync"`
	At       time.Time       `json:"at"`
	Kind     string          `json:"kind"`
	ID       string          `json:"id"`
	Username string          `json:"username"`
	Change   string          `json:"change"`
	Before   json.RawMessage `json:"before"`
	After    json.RawMessage `json:"after"`
}

func viewChange(c db.Change) changeView {
	return changeView{Sync: c.Sync, At: seconds(c.At), Kind: c.Kind, ID: c.ID, Username: c.Username, Change: c.Change, Before: c.Before, After: c.After}
}

type monitorView struct {
	Code        string        `json:"code"`
	State       string        `json:"state"`
	Sync        int           `json:"sync"`
	ReadSince   time.Time     `json:"read_since"`
	EvaluatedAt time.Time     `json:"evaluated_at"`
	RosterAt    *time.Time    `json:"roster_imported_at"`
	Counts      countsView    `json:"counts"`
	Reason      string        `json:"reason"`
	Findings    []findingView `json:"findings"`
}

type countsView struct {
	Passing      int `json:"passing"`
	Due          int `json:"due"`
	Failing      int `json:"failing"`
	NotEvaluable int `json:"not_evaluable"`
	Excepted     int `json:"excepted"`
}

type findingView struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`
	Username string     `json:"username"`
	Email    string     `json:"email"`
	Person   string     `json:"person"`
	State    string     `json:"state"`
	Reason   string     `json:"reason"`
	Since    time.Time  `json:"since"`
	DueAt    *time.Time `json:"due_at"`
}

func viewMonitors(monitors []db.Monitor, findings []db.Finding) []monitorView {
	byCode := map[string][]findingView{}
	for _, f := range findings {
		byCode[f.Code] = append(byCode[f.Code], findingView{
			ID: f.ID, Kind: f.Kind, Username: f.Username, Email: f.Email, Person: f.Person,
			State: string(f.State), Reason: f.Reason, Since: seconds(f.Since), DueAt: optionalSeconds(f.DueAt),
		})
	}
	views := []monitorView{}
	for _, m := range monitors {
		views = append(views, monitorView{
			Code: m.Code, State: string(m.State), Sync: m.Sync, Reason: m.Reason,
			ReadSince: seconds(m.ReadSince), EvaluatedAt: seconds(m.EvaluatedAt), RosterAt: optionalSeconds(m.RosterAt),
			Counts:   countsView{m.Passing, m.Due, m.Failing, m.NotEvaluable, m.Excepted},
			Findings: list(byCode[m.Code]),
		})
	}
	return views
}

type pastOutcomeView struct {
	Code        string     `json:"code"`
	State       string     `json:"state"`
	Sync        int        `json:"sync"`
	EvaluatedAt time.Time  `json:"evaluated_at"`
	RosterAt    *time.Time `json:"roster_imported_at"`
	Counts      countsView `json:"counts"`
	Reason      string     `json:"reason"`
}

func viewPastOutcome(o db.PastOutcome) pastOutcomeView {
	return pastOutcomeView{
		Code: o.Code, State: string(o.State), Sync: o.Sync, EvaluatedAt: seconds(o.EvaluatedAt), RosterAt: optionalSeconds(o.RosterAt),
		Counts: countsView{o.Passing, o.Due, o.Failing, o.NotEvaluable, o.Excepted}, Reason: o.Reason,
	}
}

func statesOf(monitors []db.Monitor) []monitorState {
	states := []monitorState{}
	for _, m := range monitors {
		states = append(states, monitorState{m.Code, string(m.State), m.Reason})
	}
	return states
}

type personView struct {
	Email    string     `json:"email"`
	Name     string     `json:"name"`
	ExitedAt *time.Time `json:"exited_at"`
	Aliases  []string   `json:"aliases"`
}

func viewPerson(p db.Person) personView {
	return personView{Email: p.Email, Name: p.Name, ExitedAt: optionalSeconds(p.ExitedAt), Aliases: list(p.Aliases)}
}

// seconds is a time as it is shown: in UTC, without fractions.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// optionalSeconds is seconds of a time that there may not be.
func optionalSeconds(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(seconds(*t))
}

// viewStatus puts what is to be known of a connection in the CLI's words.
func viewStatus(o db.Overview) statusView {
	v := statusView{
		Connection: o.Name, Organization: o.Organization, State: string(o.State), Reason: o.Reason,
		Scope: string(o.Scope), Every: short(o.Every), Source: o.Source, SourceVersion: o.Report.Version, URL: o.BaseURL,
		AppliedSync: o.AppliedSync, Limitations: list(o.Report.Limitations), SingleSignOn: o.Report.SingleSignOn,
		NextSyncAt: optionalSeconds(o.NextSyncAt), Monitors: statesOf(o.Monitors), Attention: string(o.Attention), remedy: o.Remedy(),
	}
	if late := o.Late(time.Now()); late > 0 {
		v.Reason = joined(v.Reason, "its next sync is "+round(late)+" late: `starter doctor "+o.Name+"` says why")
	}
	if o.LastSync != nil {
		last := viewSync(*o.LastSync)
		v.LastSync = &last
	}
	return v
}
