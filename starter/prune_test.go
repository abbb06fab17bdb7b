package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPruneRemovesWhatIsOlderAndNoEvidence(t *testing.T) {
	t.Parallel()
	w := ownWorld(t)
	w.mustStartWorker(t)
	s := w.setup(t)
	s.connect()
	s.jamf.RemoveAccount(s.cleo)
	s.resync("--accept-removals")
	s.resync()
	s.resync()
	// Two years pass.
	w.execute(t, `ALTER TABLE syncs DISABLE TRIGGER USER`,
		`UPDATE syncs SET started_at = started_at - interval '2 years', finished_at = finished_at - interval '2 years'`,
		`UPDATE changes SET at = at - interval '2 years'`,
		`UPDATE accounts SET removed_at = removed_at - interval '2 years'`,
		`UPDATE outcomes SET evaluated_at = evaluated_at - interval '2 years'`,
		`ALTER TABLE syncs ENABLE TRIGGER USER`)
	users := s.users()

	want := []map[string]any{{"connection": s.name, "accounts": 1.0, "changes": 2.0, "syncs": 2.0, "outcomes": 4.0}}
	require.Equal(t, want, ask[[]map[string]any](s.cli, "prune", "--older-than", "400d", "--dry-run"))
	require.Len(t, s.syncs(), 4, "a dry run removes nothing")
	require.Contains(t, s.ok("prune", "--older-than", "57w", "--dry-run").stderr, "would be removed")
	require.Equal(t, want, ask[[]map[string]any](s.cli, "prune", "--older-than", "400d"))

	require.Empty(t, s.users("--removed"))
	require.Equal(t, users, s.users())
	require.Len(t, s.changes(), len(users), "since when each of them has access")
	require.Len(t, s.syncs(), 2)
	require.Equal(t, "applied", s.resync().Sync.Outcome)
}

func TestPrunePeriods(t *testing.T) {
	t.Parallel()
	c := shared.cli(t)
	for _, period := range []string{"", "400", "d", "-400d", "400h", "1.5y", "99999d", "364d", "51w", "0y"} {
		c.refuse(2, "usage", "prune", "--older-than", period)
	}
	for _, period := range []string{"365d", "53w", "2y", "9999y"} {
		c.ok("prune", "--older-than", period, "--dry-run")
	}
}
