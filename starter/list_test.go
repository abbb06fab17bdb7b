package main_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type listedDoc struct {
	statusDoc
	Attention string `json:"attention"`
}

func TestListBeginsWithWhatNeedsAPerson(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	w.mustStartWorker(t)
	require.Contains(t, w.cli(t).ok("list").stdout, "No connections yet")
	fine, held, rejected, late, failing := w.setup(t), w.setup(t), w.setup(t), w.setup(t), w.setup(t)
	for _, s := range []*subject{fine, held, rejected, late, failing} {
		s.connect("--every", "24h")
	}
	held.jamf.DisableAccount(held.ada)
	held.failResync(8, "held")
	rejected.loseCredentials()
	w.exec(t, `UPDATE connections SET next_sync_at = now() - interval '1 hour' WHERE name = $1`, late.name)
	require.Contains(t, late.status().Reason, "1h late")
	w.exec(t, `UPDATE connections SET state_reason = 'failed' WHERE name = $1`, late.name)
	require.Regexp(t, "failed; .* 1h late", late.status().Reason)
	failing.ok("staff", "import", file(t, "email,name,exited_at\n"+email("ada")+",Canary,2026-01-01\n"), "--org", failing.org)
	failing.resync()

	c := w.cli(t)
	raw := ask[[]map[string]any](c, "list")
	require.Subset(t, keysOf(raw[0]), statusKeys)
	var names, attention []string
	for _, doc := range ask[[]listedDoc](c, "list") {
		names, attention = append(names, doc.Connection), append(attention, doc.Attention)
	}
	require.Equal(t, []string{rejected.name, held.name, late.name, failing.name, fine.name}, names)
	require.Equal(t, []string{"reconnect", "held", "late", "monitors", ""}, attention)
	require.Equal(t, ask[[]statusDoc](c, "list")[1].LastSync, held.status().LastSync, "as status has it")

	table := oneLine(c.ok("list").stdout)
	for _, s := range []string{"starter reconnect", "held: starter status", "1h late", "starter monitors", "failing", "not_evaluable", "starter staff import"} {
		require.Contains(t, table, s)
	}
	c.requireNarrow("list")
	require.Len(t, ask[[]listedDoc](c, "list", "--limit", "2"), 2)
	require.Contains(t, c.ok("list", "--limit", "2").stderr, "and 3 more")
	c.refuse(2, "usage", "list", "--limit", "-1")
}

// A connection whose workflow does not run says so without asking Temporal,
// which would be asked about each.
func TestListSaysWhatToDoAboutAWorkflowThatSomebodyEnded(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	w.mustStartWorker(t)
	cancelled, terminated, connecting, begun, paused := w.setup(t), w.setup(t), w.setup(t), w.setup(t), w.setup(t)
	for _, s := range []*subject{cancelled, terminated, connecting, begun, paused} {
		s.connect("--every", "24h")
	}
	paused.ok("pause", paused.name)
	cancelled.cancelWorkflow()
	require.NoError(t, w.client.TerminateWorkflow(t.Context(), terminated.workflow(), "", "a test"))
	w.exec(t, `UPDATE connections SET next_sync_at = now() - interval '10 minutes' WHERE name = $1`, terminated.name)
	w.exec(t, `UPDATE connections SET state = 'connecting', next_sync_at = NULL, created_at = now() - interval '2 hours' WHERE name = $1`, connecting.name)
	w.exec(t, `UPDATE connections SET state = 'connecting', next_sync_at = NULL, created_at = now(), name = 'begun' WHERE name = $1`, begun.name)

	what := map[string]string{}
	for _, doc := range ask[[]listedDoc](w.cli(t).with("TEMPORAL_ADDRESS=127.0.0.1:1"), "list") {
		what[doc.Connection] = doc.Attention
	}
	require.Equal(t, map[string]string{
		cancelled.name: "cancelled", terminated.name: "late", connecting.name: "late", "begun": "", paused.name: "",
	}, what)
	table := oneLine(w.cli(t).ok("list").stdout)
	for _, todo := range []string{"cancelled: starter", "10m late: starter", "1h late: starter"} {
		require.Contains(t, table, todo)
	}

	require.Contains(t, cancelled.status().Reason, "`starter resume "+cancelled.name+"`")
	require.Contains(t, connecting.status().Reason, "`starter disconnect "+connecting.name+"`")
	require.Contains(t, connecting.doctor(6, connecting.name).only(t, "failing", "workflow").Remedy, "starter disconnect")
	require.Empty(t, ask[statusDoc](begun.cli, "status", "begun").Reason)
	require.Contains(t, begun.doctor(0, "begun").in("warning"), "workflow", "nobody ended it")
	cancelled.ok("resume", cancelled.name)
	require.Equal(t, "active", cancelled.status().State)
	require.NotEmpty(t, cancelled.status().Doing)
}

// oneLine is text without the breaks in it.
func oneLine(text string) string {
	return regexp.MustCompile(`\s+`).ReplaceAllString(strings.TrimSpace(text), " ")
}
