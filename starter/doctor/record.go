package doctor

import (
	"context"
	"os"
	"strings"
	"time"

	"jamf-access-review/db"
	"jamf-access-review/worker/settings"
)

// Names of the checks of the record.
const (
	checkPostgres    = "postgres"
	checkPostgresTLS = "postgres_tls"
	checkMigrations  = "migrations"
	checkKeyset      = "keyset"
	checkCredentials = "credentials"
	checkClock       = "clock"
)

func (e *examination) examineRecord(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	keyset, keysetErr := e.Settings.Keyset()
	if keysetErr == nil {
		e.keyset = keyset
	}
	e.examinePostgres(ctx)
	e.examineKeyset(keysetErr)
	e.examineCredentials(ctx)
}

func (e *examination) examinePostgres(ctx context.Context) {
	server, err := e.open(ctx)
	if err != nil {
		e.failWith(checkPostgres, err, "")
		e.skip(checkPostgres, checkPostgresTLS, checkMigrations, checkClock)
		return
	}
	e.ok(checkPostgres, "version %s at %s, as %s", server.Version, server.Address, server.Role)
	switch {
	case server.Encrypted:
		e.ok(checkPostgresTLS, "the connection uses TLS")
	case server.Local:
		e.ok(checkPostgresTLS, "no TLS, and none needed on this machine")
	default:
		e.warn(checkPostgresTLS, "set sslmode=verify-full in DATABASE_URL; PostgreSQL's `ssl` has to be on",
			"what is known of people goes to %s unencrypted", server.Address)
	}
	e.examineMigrations(ctx)
	e.examineClock(checkClock, "PostgreSQL", server.Ahead)
}

func (e *examination) open(ctx context.Context) (db.Server, error) {
	databaseURL, err := e.Settings.DatabaseURL()
	if err != nil {
		return db.Server{}, err
	}
	var options []db.Option
	if e.keyset != nil {
		options = append(options, db.WithKeyset(e.keyset))
	}
	if e.record, err = db.Open(ctx, databaseURL, options...); err != nil {
		return db.Server{}, err
	}
	return e.record.Server(ctx)
}

func (e *examination) examineMigrations(ctx context.Context) {
	pending, err := e.record.Pending(ctx)
	if err != nil {
		e.failWith(checkMigrations, err, "may the role read and make the table goose_db_version?")
		return
	}
	if pending > 0 {
		e.fail(checkMigrations, usage, "run `starter migrate`, or start a worker of this version",
			"migrations of this program that the database lacks: %d", pending)
		return
	}
	e.current = true
	newer, err := e.record.Newer(ctx)
	switch {
	case err != nil:
		e.failWith(checkMigrations, err, "may the role read the table goose_db_version?")
	case newer:
		e.warn(checkMigrations, "bring this program up to date", "the database has migrations of a newer program than this")
	default:
		e.ok(checkMigrations, "the schema is up to date")
	}
}

const (
	clockWarning = 5 * time.Second
	clockFailure = time.Minute
)

// examineClock judges how far another clock is ahead of this machine's.
func (e *examination) examineClock(name, whose string, ahead time.Duration) {
	const (
		remedy = "let all machines take their time from NTP"
		why    = "tokens are renewed too late or too early, and grace periods end at the wrong time"
	)
	off := ahead.Abs().Round(time.Second)
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	switch {
	case off > clockFailure:
		e.fail(name, unexpected, remedy, "%s's clock is %s %s this machine's: %s", whose, off, direction, why)
	case off > clockWarning:
		e.warn(name, remedy, "%s's clock is %s %s this machine's: %s", whose, off, direction, why)
	default:
		e.ok(name, "%s's and this machine's agree", whose)
	}
}

func (e *examination) examineKeyset(err error) {
	file := e.Settings.KeysetFile()
	if err != nil {
		e.fail(checkKeyset, usage, settings.KeysetRemedy, "%s", err)
		return
	}
	if file == "" {
		e.ok(checkKeyset, "in JAMF_ACCESS_KEYSET itself")
		return
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		e.failWith(checkKeyset, err, "may this program read the file's folder?")
	case info.Mode().Perm()&0o077 != 0:
		e.warn(checkKeyset, "chmod 600 "+file, "%s can be read by others than its owner (%s)", file, info.Mode().Perm())
	default:
		e.ok(checkKeyset, "%s", file)
	}
}

// examineCredentials opens the sealed credentials of every connection.
func (e *examination) examineCredentials(ctx context.Context) {
	switch {
	case e.keyset == nil:
		e.skip(checkKeyset, checkCredentials)
		return
	case e.record == nil:
		e.skip(checkPostgres, checkCredentials)
		return
	case !e.current:
		e.skip(checkMigrations, checkCredentials)
		return
	}
	sealed, unopened, err := e.record.CheckSeals(ctx)
	e.unopened = unopened
	switch {
	case err != nil:
		e.failWith(checkCredentials, err, "may the role read the table credentials?")
	case len(unopened) > 0:
		e.fail(checkCredentials, usage,
			"set JAMF_ACCESS_KEYSET to the keyset that sealed them; if it is lost, `starter reconnect NAME --client-id ID` seals new credentials, and for a connection through Truto `starter reconnect NAME` with TRUTO_API_TOKEN",
			"the keyset does not open the credentials of %d of %d connections: %s", len(unopened), sealed, strings.Join(atMost(unopened, 5), ", "))
	default:
		e.ok(checkCredentials, "the keyset opens them all: %d", sealed)
	}
}
