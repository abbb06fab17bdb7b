package main_test

import (
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
	connect(more ...string) syncedDoc
	add(who string) (id string)
	remove(id string)
	restore(id string)
	disable(id string)
	move(id, email string)
	promote(id string)
	empty()
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
func (b *behindJamf) empty() {
	b.jamf.SetFault(faults.On("/api/v1/accounts", jamftest.EmptyList()))
}
func (b *behindJamf) whole()  { b.jamf.SetFault(faults.Any()) }
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

func (b *behindTruto) connect(more ...string) syncedDoc { return b.connectViaTruto(more...) }
func (b *behindTruto) add(who string) string {
	return b.truto.AddUser(trutotest.User{
		Username: username(who), Emails: []string{email(who)}, Name: "Canary " + who, Status: "active", Roles: []string{"Auditor"},
	})
}
func (b *behindTruto) remove(id string)  { b.truto.RemoveUser(id) }
func (b *behindTruto) restore(id string) { b.truto.RestoreUser(id) }
func (b *behindTruto) disable(id string) {
	b.truto.UpdateUser(id, func(u *trutotest.User) { u.Status = "Disabled" })
}
func (b *behindTruto) move(id, email string) {
	b.truto.UpdateUser(id, func(u *trutotest.User) { u.Emails = []string{email} })
}
func (b *behindTruto) promote(id string) {
	b.truto.UpdateUser(id, func(u *trutotest.User) { u.Roles = []string{"Administrator"} })
}
func (b *behindTruto) empty()  { b.truto.SetFault(trutotest.OnList(trutotest.EmptyList())) }
func (b *behindTruto) whole()  { b.truto.SetFault(faults.Any()) }
func (b *behindTruto) reject() { b.truto.Reject(); b.truto.SetRefresh(trutotest.RefreshFails) }
func (b *behindTruto) mend(t *testing.T) {
	require.True(t, b.truto.Authorise(ask[map[string]string](b.cli, "reconnect", b.name)["link_token"]))
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
		"a disconnected connection keeps its record": func(t *testing.T, s *subject, _ source) {
			before := s.users()
			s.ok("disconnect", s.name)
			require.Equal(t, before, s.users())
			s.refuse(6, "not_found", "resync", s.name)
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
