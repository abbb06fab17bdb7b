package activities_test

import (
	"context"
	"flag"
	"log"
	"os"
	"testing"

	"jamf-access-review/db"
	"jamf-access-review/db/localpostgres"
)

// One server serves all tests. Those that look at one connection share a
// database; each worker of the model has one of its own.
const (
	migrated = "migrated"
	shared   = "shared"
)

var postgres *localpostgres.Server

func TestMain(m *testing.M) {
	flag.Parse()
	ctx := context.Background()
	var err error
	if postgres, err = localpostgres.Start(ctx, localpostgres.Config{}); err != nil {
		log.Fatal(err)
	}
	if err := createDatabases(ctx); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	if err := postgres.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

func createDatabases(ctx context.Context) error {
	url, err := postgres.CreateDatabase(ctx, migrated, "")
	if err != nil {
		return err
	}
	record, err := db.Open(ctx, url)
	if err != nil {
		return err
	}
	_, err = record.Migrate(ctx)
	record.Close()
	if err != nil {
		return err
	}
	_, err = postgres.CreateDatabase(ctx, shared, migrated)
	return err
}
