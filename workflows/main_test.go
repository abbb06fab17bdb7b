package workflows

import (
	"context"
	"fmt"
	"os"
	"testing"

	"jamf-access-review/workflows/localtemporal"
)

var server *localtemporal.Server

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	ctx := context.Background()
	var err error
	server, err = localtemporal.Start(ctx, localtemporal.Config{
		UIPort:   localtemporal.NoUI,
		Progress: func(what string) { fmt.Fprintln(os.Stderr, what) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop(ctx)
	return m.Run()
}
