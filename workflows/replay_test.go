package workflows

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
)

// Histories in testdata/replay are of runs that earlier versions of this code
// have made, and that may still be under way where it is deployed. They are
// recorded from a commit that has landed, never from the change under test,
// which would replay itself whatever it did:
//
//	git worktree add ../landed main && cd ../landed
//	RECORD_HISTORIES=<folder> go test ./workflows
//
// A new recording is added beside the old ones, which stay for as long as a
// run of their time may be open.
func TestRecordedHistoriesReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/replay/*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			Register(replayer)
			logger := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(logger, file))
		})
	}
}
