package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"golang.org/x/term"

	"jamf-access-review/db"
	"jamf-access-review/starter/output"
	"jamf-access-review/worker/service"
	"jamf-access-review/worker/settings"
)

// app is what commands share: where they read and write, and the record and
// Temporal, each opened when first needed.
type app struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	format output.Format

	openRecord   *db.DB
	openTemporal client.Client
}

func (a *app) close() {
	if a.openTemporal != nil {
		a.openTemporal.Close()
	}
	if a.openRecord != nil {
		a.openRecord.Close()
	}
}

// say tells a person what is going on, on standard error.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// report shows how a command failed: as the one document on standard output, or,
// where one has begun there, on standard error.
func (a *app) report(f *failure, begun bool) {
	if a.format == output.JSON && !begun {
		output.WriteJSON(a.out, f)
		return
	}
	a.say("Error: %s", output.CleanLines(f.Message))
	if f.Hint != "" {
		a.say("  %s", f.Hint)
	}
}

// record opens the record. Its schema has to be up to date: a worker, `dev`
// and `migrate` see to that. Options are for a command that opens it first.
func (a *app) record(ctx context.Context, options ...db.Option) (*db.DB, error) {
	if a.openRecord != nil {
		return a.openRecord, nil
	}
	s, err := settings.Load()
	if err != nil {
		return nil, err
	}
	record, err := a.openWith(ctx, s, options...)
	if err != nil {
		return nil, err
	}
	pending, err := record.Pending(ctx)
	if err == nil && pending > 0 {
		err = &failure{Code: codeUsage, Message: "the database lacks " + counted(pending, "migration") + " of this program",
			Hint: "run `starter migrate` as the role that owns the schema, or start a worker of this version that does"}
	}
	if err == nil {
		err = refuseNewer(ctx, record)
	}
	if err != nil {
		record.Close()
		return nil, err
	}
	a.openRecord = record
	return record, nil
}

// refuseNewer refuses a database that a newer program has migrated: this one may
// read it wrongly.
func refuseNewer(ctx context.Context, record *db.DB) error {
	newer, err := record.Newer(ctx)
	if err == nil && newer {
		err = &failure{Code: codeUsage, Message: "the database was migrated by a newer version of this program", Hint: "use the `starter` of that version"}
	}
	return err
}

// openWith opens the record as it is. A keyset is used where there is one, or
// where one is named; what needs one says so.
func (a *app) openWith(ctx context.Context, s settings.Settings, more ...db.Option) (*db.DB, error) {
	databaseURL, err := s.DatabaseURL()
	if err != nil {
		return nil, err
	}
	var options []db.Option
	keyset, err := s.Keyset()
	switch {
	case err == nil:
		options = append(options, db.WithKeyset(keyset))
	case s.KeysetNamed() || !errors.Is(err, fs.ErrNotExist):
		return nil, unusableKeyset(err)
	}
	return db.Open(ctx, databaseURL, append(options, more...)...)
}

func unusableKeyset(err error) *failure {
	return &failure{Code: codeUsage, Message: err.Error(), Hint: settings.KeysetRemedy}
}

// temporal connects to Temporal.
func (a *app) temporal(ctx context.Context) (client.Client, error) {
	if a.openTemporal != nil {
		return a.openTemporal, nil
	}
	s, err := settings.Load()
	if err != nil {
		return nil, err
	}
	options, err := s.TemporalOptions()
	if err != nil {
		return nil, err
	}
	a.openTemporal, err = dial(ctx, options)
	return a.openTemporal, err
}

func dial(ctx context.Context, options client.Options) (client.Client, error) {
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, &service.TemporalError{Address: options.HostPort, Cause: err}
	}
	return c, nil
}

// terminal returns standard input when somebody is there to answer.
func (a *app) terminal() (*os.File, bool) {
	f, ok := a.in.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// prompt asks a person for one line. It reads no further than the line's end,
// since a secret may be next.
func (a *app) prompt(ctx context.Context, question string) (string, error) {
	fmt.Fprint(a.err, question)
	return typed(ctx, a, func() (string, error) {
		var line []byte
		next := make([]byte, 1)
		for {
			n, err := a.in.Read(next)
			if n == 1 && next[0] == '\n' {
				return strings.TrimSpace(string(line)), nil
			}
			if errors.Is(err, io.EOF) {
				return "", &failure{Code: codeUsage, Message: "stopped before it was answered", Hint: "nothing was changed"}
			}
			if err != nil {
				return "", err
			}
			line = append(line, next[:n]...)
		}
	})
}

// typed is what is read from standard input, unless ctx ends before. Such a read
// cannot be cancelled, so it is left behind.
func typed[T any](ctx context.Context, a *app, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := read()
		answers <- answer{value, err}
	}()
	select {
	case answer := <-answers:
		return answer.value, answer.err
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		var none T
		return none, &failure{Code: codeUnexpected, Message: "stopped before it was answered", Hint: "nothing was changed"}
	}
}

// connection finds a connection by name.
func (a *app) connection(ctx context.Context, name string) (*db.DB, db.Connection, error) {
	record, err := a.record(ctx)
	if err != nil {
		return nil, db.Connection{}, err
	}
	c, err := record.Connection(ctx, name)
	return record, c, err
}

// liveConnection finds a connection that has an AccessSync to talk to.
func (a *app) liveConnection(ctx context.Context, name string) (*db.DB, db.Connection, error) {
	record, c, err := a.connection(ctx, name)
	switch {
	case err != nil:
		return nil, c, err
	case c.State == db.Connecting:
		return nil, c, stillConnecting(name)
	case c.State == db.Disconnected:
		return nil, c, db.ErrDisconnected
	}
	return record, c, nil
}

func stillConnecting(name string) error {
	return &failure{Code: codeUsage, Message: name + " is still connecting", Hint: "`starter status " + name + "` shows how far it is"}
}

// done prints that something was done to a connection.
func (a *app) done(name string, state db.State, words string) error {
	if a.format == output.JSON {
		return output.WriteJSON(a.out, struct {
			Connection string `json:"connection"`
			State      string `json:"state"`
			Message    string `json:"message"`
		}{name, string(state), words})
	}
	a.tell("%s: %s", name, words)
	return nil
}
