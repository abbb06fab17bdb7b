package service

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/db"
	"jamf-access-review/workflows"
)

func TestLinesAboutAWorkflowNameItsConnection(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		log  func(*slog.Logger)
		want any
	}{
		"said of the logger": {func(l *slog.Logger) { l.With("WorkflowID", workflows.AccessSyncID("acme")).Info("x") }, "acme"},
		"said of the line":   {func(l *slog.Logger) { l.Info("x", "WorkflowID", workflows.ConnectJamfID("acme"), "y", 1) }, "acme"},
		"about a delivery": {func(l *slog.Logger) {
			l.Info("x", "WorkflowID", workflows.NotifyID(db.Route{Subscription: "hook", Connection: "acme"}))
		}, "acme"},
		"about a test":      {func(l *slog.Logger) { l.Info("x", "WorkflowID", workflows.NotifyID(db.Route{Subscription: "hook"})) }, nil},
		"of another sort":   {func(l *slog.Logger) { l.Info("x", "WorkflowID", "somebody-elses") }, nil},
		"about no workflow": {func(l *slog.Logger) { l.With("y", 1).Info("x") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			test.log(namingConnections(slog.New(slog.NewJSONHandler(&out, nil))))
			var line map[string]any
			require.NoError(t, json.Unmarshal(out.Bytes(), &line))
			require.Equal(t, test.want, line["connection"])
		})
	}
}
