package main_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/activities/directory/truto/trutotest"
	"jamf-access-review/workflows"
)

// A directory, behind whichever source, and what happens to the people in it.
type source interface {
	// command is how to connect it.
	command(more ...string) (cli, []string)
	connect(more ...string) syncedDoc
	// again is how to reconnect it once it is disconnected.
	again() (cli, []string)
	add(who string) (id string)
	remove(id string)
	restore(id string)
	disable(id string)
	move(id, email string)
	promote(id string)
	endUser(who string)
	// fill adds many, and slip happens when their second page is asked for.
	fill(n int)
	slip(func())
	// What goes wrong with it, until it is whole again.
	empty()
	contradict()
	down()
	lack()
	whole()
	reject()
	mend(t *testing.T)
}

// Everything that is not HTTP or mapping is the same for all sources: these
// cases hold for each.
var sources = map[string]func(*testing.T) (*subject, source){
	"Jamf Pro": func(t *testing.T) (*subject, source) {
		s := setup(t)
		return s, &behindJamf{s}
	},
	"Truto": func(t *testing.T) (*subject, source) {
		s, truto := trutoSetup(t)
		return s, &behindTruto{s, truto}
	},
}

type behindJamf struct{ *subject }

func (b *behindJamf) command(more ...string) (cli, []string) {
	return b.withSecret(), b.connectArgs(more...)
}
func (b *behindJamf) again() (cli, []string) {
	return b.withSecret(), []string{"reconnect", b.name, "--client-id", b.clientID}
}
func (b *behindJamf) add(who string) string {
	return strconv.Itoa(b.addAccount(who, jamftest.Account{}))
}
func (b *behindJamf) remove(id string)  { b.jamf.RemoveAccount(number(b.t, id)) }
func (b *behindJamf) restore(id string) { b.jamf.RestoreAccount(number(b.t, id)) }
func (b *behindJamf) disable(id string) { b.jamf.DisableAccount(number(b.t, id)) }
func (b *behindJamf) move(id, email string) {
	b.jamf.UpdateAccount(number(b.t, id), func(a *jamftest.Account) { a.Email = email })
}
func (b *behindJamf) promote(id string) {
	b.jamf.UpdateAccount(number(b.t, id), func(a *jamftest.Account) { a.PrivilegeSet = jamftest.Administrator })
}
func (b *behindJamf) endUser(who string) {
	b.jamf.AddEndUser(jamftest.EndUser{Username: username(who), Email: email(who)})
}
func (b *behindJamf) fill(n int) { b.jamf.Demo(n) }
func (b *behindJamf) slip(f func()) {
	b.jamf.SetFault(doing(func(r *http.Request) bool {
		return r.URL.Path == "/api/v1/accounts" && r.URL.Query().Get("page") == "1"
	}, f))
}
func (b *behindJamf) empty() {
	b.jamf.SetFault(faults.On("/api/v1/accounts", jamftest.EmptyList()))
}
func (b *behindJamf) contradict() {
	b.jamf.SetFault(faults.On("/api/v1/accounts", jamftest.WrongTotal(2)))
}
func (b *behindJamf) down() { b.jamf.SetFault(faults.On("/", faults.Reset())) }
func (b *behindJamf) lack() { b.jamf.Revoke("Read Accounts") }
func (b *behindJamf) whole() {
	b.jamf.SetFault(nil)
	b.jamf.SetPrivileges(jamftest.Privileges()...)
}
func (b *behindJamf) reject() { b.rotate(); b.jamf.RevokeTokens() }
func (b *behindJamf) mend(*testing.T) {
	require.Zero(b.t, b.reconnectWith(b.rotate()).code)
}

func number(t *testing.T, id string) int {
	n, err := strconv.Atoi(id)
	require.NoError(t, err)
	return n
}

type behindTruto struct {
	*subject
	truto *trutotest.Server
}

func (b *behindTruto) command(more ...string) (cli, []string) {
	return b.withToken(), b.viaTruto(more...)
}
func (b *behindTruto) again() (cli, []string) {
	return b.withToken(), []string{"reconnect", b.name}
}
func (b *behindTruto) connect(more ...string) syncedDoc { return b.connectViaTruto(more...) }
func (b *behindTruto) add(who string) string            { return addToTruto(b.truto, who, "Auditor") }
func (b *behindTruto) remove(id string)                 { b.truto.RemoveUser(id) }
func (b *behindTruto) restore(id string)                { b.truto.RestoreUser(id) }
func (b *behindTruto) disable(id string) {
	b.truto.UpdateUser(id, func(u *trutotest.User) { u.Status = "Disabled" })
}
func (b *behindTruto) move(id, email string) {
	b.truto.UpdateUser(id, func(u *trutotest.User) { u.Emails = []string{email} })
}
func (b *behindTruto) promote(id string) {
	b.truto.UpdateUser(id, func(u *trutotest.User) { u.Roles = []string{"Administrator"} })
}
func (b *behindTruto) endUser(who string) { addToTruto(b.truto, who, "User") }
func (b *behindTruto) fill(n int)         { b.truto.Demo(n) }
func (b *behindTruto) slip(f func()) {
	b.truto.SetFault(doing(func(r *http.Request) bool { return r.URL.Query().Get("next_cursor") != "" }, f))
}
func (b *behindTruto) empty() { b.truto.SetFault(trutotest.OnList(trutotest.EmptyList())) }
func (b *behindTruto) contradict() {
	b.truto.SetFault(trutotest.OnList(trutotest.Set("result_count", 1000)))
}
func (b *behindTruto) down() { b.truto.SetFault(faults.On("/", faults.Reset())) }
func (b *behindTruto) lack() { b.truto.Lack("Read Accounts") }
func (b *behindTruto) whole() {
	b.truto.SetFault(nil)
	b.truto.Lack()
}
func (b *behindTruto) reject() { b.truto.Reject(); b.truto.SetRefresh(trutotest.RefreshFails) }
func (b *behindTruto) mend(t *testing.T) {
	require.True(t, b.truto.Authorise(b.linkToken()))
	b.resync()
}

func TestEverySource(t *testing.T) {
	t.Parallel()
	for caseName, check := range map[string]func(*testing.T, *subject, source){
		"changes are recorded by the id of the account": func(t *testing.T, s *subject, d source) {
			dora := d.add("dora")
			s.resync()
			for _, change := range []struct {
				make  func()
				what  string
				after map[string]any
			}{
				{func() { d.disable(dora) }, "changed", map[string]any{"status": "inactive"}},
				{func() { d.move(dora, email("moved")) }, "changed", map[string]any{"email": email("moved")}},
				{func() { d.promote(dora) }, "changed", map[string]any{"roles": []any{"Administrator"}}},
				{func() { d.remove(dora) }, "removed", map[string]any{}},
				{func() { d.restore(dora) }, "restored", nil},
			} {
				change.make()
				changes := s.changesOf(s.resync().Sync.Number)
				require.Len(t, changes, 1)
				require.Equal(t, dora, changes[0].ID)
				require.Equal(t, change.what, changes[0].Change)
				if change.after != nil {
					require.Equal(t, change.after, changes[0].After)
				}
			}
		},
		"it syncs by itself, pauses and resumes": func(t *testing.T, s *subject, _ source) {
			s.ok("reschedule", s.name, "--every", "10s")
			await(t, "a scheduled sync", func() bool { return s.syncs()[0].Trigger == "schedule" })
			s.ok("pause", s.name)
			require.Equal(t, "paused", s.status().State)
			require.Equal(t, "resync", s.resync().Sync.Trigger)
			s.ok("resume", s.name)
			require.Equal(t, "active", s.status().State)
		},
		"a signal asks for a sync": func(t *testing.T, s *subject, _ source) {
			require.NoError(t, s.world.client.SignalWorkflow(t.Context(), workflows.AccessSyncID(s.name), "", workflows.ResyncMessage, nil))
			await(t, "the sync", func() bool { return len(s.syncs()) == 2 })
		},
		"an account is due when its person has left, and passes once it is gone": func(t *testing.T, s *subject, d source) {
			dora := d.add("dora")
			roster := "email,name,exited_at\n"
			for _, who := range []string{"ada", "bob", "cleo"} {
				roster += email(who) + ",Canary,\n"
			}
			s.ok("staff", "import", file(t, roster+email("dora")+",Canary,2026-01-01\n"), "--org", s.org)
			s.resync()
			require.Equal(t, "failing", s.monitor("JAMF_ACCESS_REMOVED_ON_EXIT").State)
			require.Equal(t, 7, s.run("monitors", s.name, "--check").code)
			d.remove(dora)
			s.resync()
			require.Equal(t, "passing", s.monitor("JAMF_ACCESS_REMOVED_ON_EXIT").State)
		},
		"nobody is removed on the word of an empty list": func(t *testing.T, s *subject, d source) {
			before := s.users()
			d.empty()
			s.failResync(9, "inconsistent_source")
			require.Equal(t, before, s.users())
			d.whole()
			require.Equal(t, "applied", s.resync().Sync.Outcome)
		},
		"a sync that fails changes nothing, and the next one heals": func(t *testing.T, s *subject, d source) {
			before, number := s.users(), 1
			for _, c := range []struct {
				spoil func()
				exit  int
				code  string
			}{
				{d.down, 5, "unreachable"}, {d.contradict, 9, "inconsistent_source"}, {d.lack, 4, "missing_privilege"},
			} {
				c.spoil()
				doc := s.failResync(c.exit, c.code)
				require.Equal(t, []string{"failed", c.code, "active"}, []string{doc.Sync.Outcome, doc.Error, doc.State})
				require.NotEmpty(t, doc.Hint)
				require.NotEmpty(t, s.status().Reason)
				require.Equal(t, before, s.users())
				d.whole()
				number += 2
				require.Equal(t, number, s.resync().Sync.Number)
				require.Empty(t, s.changesOf(number))
				require.Empty(t, s.status().Reason)
			}
		},
		"what is printed has the contract's keys": func(t *testing.T, s *subject, _ source) {
			synced := ask[map[string]any](s.cli, "resync", s.name)
			require.Subset(t, keysOf(synced), syncedKeys)
			require.Subset(t, keysOf(synced["sync"].(map[string]any)), syncKeys)
			require.Subset(t, keysOf(ask[map[string]any](s.cli, "status", s.name)), statusKeys)
			for command, keys := range map[string][]string{"syncs": syncKeys, "users": userKeys, "changes": changeKeys, "monitors": monitorKeys} {
				listed := ask[[]map[string]any](s.cli, command, s.name)
				require.NotEmpty(t, listed, command)
				for _, raw := range listed {
					require.Subset(t, keysOf(raw), keys)
					if findings, ok := raw["findings"].([]any); ok {
						require.NotEmpty(t, findings)
						require.Subset(t, keysOf(findings[0].(map[string]any)), findingKeys)
						require.Subset(t, keysOf(raw["counts"].(map[string]any)), countKeys)
					}
				}
			}
		},
		"who slips between two pages is not taken for removed": func(t *testing.T, s *subject, d source) {
			d.fill(250)
			s.resync()
			d.slip(func() {
				d.remove(s.idOf("cleo"))
				d.add("new")
			})
			doc := s.resync()
			require.Equal(t, []int{1, 1}, []int{doc.Sync.Added, doc.Sync.Removed})
			require.Equal(t, []string{username("cleo")}, usernames(s.users("--removed"), "account"))
		},
		"the only administrator is not lost without a word": func(t *testing.T, s *subject, d source) {
			d.remove(s.idOf("ada"))
			require.Contains(t, s.failResync(8, "held").Hint, "--accept-removals")
			require.Equal(t, 1, s.resync("--accept-removals").Sync.Removed)
		},
		"too many removals are held": func(t *testing.T, s *subject, d source) {
			var ids []string
			for _, who := range []string{"eve", "finn", "gwen", "hugo", "ines", "jon"} {
				ids = append(ids, d.add(who))
			}
			s.resync()
			for _, id := range ids {
				d.remove(id)
			}
			s.failResync(8, "held")
			require.Equal(t, 6, s.resync("--accept-removals").Sync.Removed)
		},
		"rejected credentials wait for a person, and then it goes on": func(t *testing.T, s *subject, d source) {
			d.reject()
			s.failResync(3, "credentials_rejected")
			require.Equal(t, "needs_reconnect", s.status().State)
			d.mend(t)
			require.Equal(t, "active", s.status().State)
		},
		"a disconnected connection keeps its record, and goes on with it": func(t *testing.T, s *subject, d source) {
			before := s.users()
			s.ok("disconnect", s.name)
			require.Zero(t, s.credentialsOnRecord())
			require.Equal(t, before, s.users())
			s.refuse(6, "not_found", "resync", s.name)
			as, args := d.again()
			doc := ask[syncedDoc](as, args...)
			require.Equal(t, []any{"active", 2, 0}, []any{doc.State, doc.Sync.Number, doc.Sync.Added})
		},
		"an erased connection leaves nothing, and its name": func(t *testing.T, s *subject, d source) {
			s.ok("disconnect", s.name, "--erase")
			s.refuse(6, "not_found", "users", s.name)
			require.Zero(t, s.credentialsOnRecord())
			require.Equal(t, 1, d.connect().Sync.Number)
		},
		"a name is taken once": func(t *testing.T, s *subject, d source) {
			as, args := d.command()
			as.refuse(6, "already_exists", args...)
			require.Equal(t, "applied", s.resync().Sync.Outcome)
		},
	} {
		for sourceName, make := range sources {
			t.Run(sourceName+": "+caseName, func(t *testing.T) {
				t.Parallel()
				s, d := make(t)
				d.connect()
				check(t, s, d)
			})
		}
	}
}

func TestConnectingEverySource(t *testing.T) {
	t.Parallel()
	for caseName, check := range map[string]func(*testing.T, *subject, source){
		"it says what it does and what it found": func(t *testing.T, s *subject, d source) {
			as, args := d.command("-o", "json")
			r := as.ok(args...)
			t.Cleanup(func() { s.run("disconnect", s.name) })
			raw := document[map[string]any](t, r)
			require.Subset(t, keysOf(raw), syncedKeys)
			require.Subset(t, keysOf(raw["sync"].(map[string]any)), syncKeys)
			doc := document[syncedDoc](t, r)
			require.Equal(t, []any{"active", 1, "connect", "applied"}, []any{doc.State, doc.Sync.Number, doc.Sync.Trigger, doc.Sync.Outcome})
			require.Len(t, doc.Monitors, 2)
			for _, shown := range []string{
				"JAMF_ACCESS_REMOVED_ON_EXIT", "JAMF_USER_MFA_ENABLED", "Read Accounts", "primary e-mail, username, full name, account status",
				"validating the credentials and privileges", "reading the directory for the first time", "enabling the monitors", "connected",
			} {
				require.Contains(t, r.stderr, shown)
			}
			require.Equal(t, []string{username("ada"), username("bob"), username("cleo")}, usernames(s.users(), "account"))
			for _, u := range s.users() {
				if u.Username == username("ada") {
					require.Equal(t, []any{email("ada"), "Canary ada", "active", "unknown"}, []any{u.Email, u.Name, u.Status, u.MFA})
					require.Equal(t, []string{"Administrator"}, u.Roles)
				}
			}
			require.Equal(t, []string{"admins", "6h"}, []string{s.status().Scope, s.status().Every})
		},
		"with the scope everyone it finds end users too": func(t *testing.T, s *subject, d source) {
			d.endUser("uma")
			d.connect("--scope", "everyone")
			require.Equal(t, []string{username("uma")}, usernames(s.users(), "end_user"))
		},
		"where it fails the name stays free": func(t *testing.T, s *subject, d source) {
			for _, c := range []struct {
				spoil func()
				exit  int
				code  string
			}{
				{d.down, 5, "unreachable"}, {d.contradict, 9, "inconsistent_source"}, {d.lack, 4, "missing_privilege"},
			} {
				c.spoil()
				as, args := d.command()
				as.refuse(c.exit, c.code, args...)
				s.refuse(6, "not_found", "status", s.name)
				d.whole()
			}
			require.Equal(t, 1, d.connect().Sync.Number)
		},
		"it has to be confirmed": func(t *testing.T, s *subject, d source) {
			as, args := d.command()
			args = slices.DeleteFunc(args, func(arg string) bool { return arg == "--confirm-admin" })
			require.Contains(t, as.refuse(2, "usage", args...).Hint, "--confirm-admin")
		},
	} {
		for sourceName, make := range sources {
			t.Run(sourceName+": "+caseName, func(t *testing.T) {
				t.Parallel()
				s, d := make(t)
				check(t, s, d)
			})
		}
	}
}

// idOf is the id of somebody's account.
func (s *subject) idOf(who string) string {
	s.t.Helper()
	for _, u := range s.users() {
		if u.Username == username(who) {
			return u.ID
		}
	}
	require.FailNow(s.t, "no account of "+who)
	return ""
}
