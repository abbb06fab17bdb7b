package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
)

func TestAFailureAfterTheDocumentIsNoSecondOne(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	answer := &output.Answer{Writer: &stdout}
	a := &app{out: answer, err: &stderr, format: output.JSON}
	require.NoError(t, output.WriteJSON(a.out, devView{Temporal: "127.0.0.1:7233"}))
	document := stdout.String()
	a.report(&failure{Code: codeUnexpected, Message: "Temporal ended"}, answer.Begun)
	require.Equal(t, document, stdout.String())
	require.Equal(t, "Error: Temporal ended\n", stderr.String())
}

// A table that is cut off is no evidence.
func TestAnAnswerThatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"--version"}, {"--help", "-o", "json"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		require.NoError(t, err)
		var stderr bytes.Buffer
		require.Equal(t, exitUnexpected, run(t.Context(), args, strings.NewReader(""), full, &stderr), "%v", args)
		require.Contains(t, stderr.String(), "could not be written")
		require.NoError(t, full.Close())
	}
}

func TestAWorkflowThatIsCancelledWhileItIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := failureOf(failureAt(db.Connection{Name: "acme"}, temporal.NewCanceledError()))
	require.Contains(t, f.Message, "acme was cancelled")
	require.Contains(t, f.Hint, "starter resume acme")
}
