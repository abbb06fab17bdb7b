// Package doctor looks at everything that a connection depends on, one thing
// after the other, and says of each what it found. It changes nothing, and one
// thing that is broken keeps it from nothing but what needs that thing.
package doctor

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/worker/settings"
)

// State is what became of a check.
type State string

const (
	OK State = "ok"
	// Warning: it works, and will not for long, or not as it should.
	Warning State = "warning"
	// Failing: it does not work.
	Failing State = "failing"
	// Skipped: it could not be looked at, because something else fails.
	Skipped State = "skipped"
)

// Check is one thing that was looked at.
type Check struct {
	Name  string
	State State
	// Message says what was found, and Remedy what to do about it.
	Message, Remedy string
	// Code is the code of a failing check in the CLI's contract, and Source the
	// source of the connection that it is about, if it is about one.
	Code, Source string
	// Err is why it fails, where it says Code and Message itself, and Remedy
	// if that is "".
	Err error
}

// Doctor knows where to look.
type Doctor struct {
	Settings settings.Settings
	// Temporal connects to Temporal.
	Temporal func(context.Context) (client.Client, error)
	// Progress is told what is being looked at.
	Progress func(string)
}

// stepTimeout bounds whatever waits for one answer.
const stepTimeout = 15 * time.Second

// Examine looks at everything, and at the connection of a name unless that is
// "". It looks from this machine, which is not always where the workers are.
func (d Doctor) Examine(ctx context.Context, connection string) []Check {
	e := &examination{Doctor: d, name: connection}
	defer e.close()
	d.Progress("looking at Temporal")
	e.examineTemporal(ctx)
	d.Progress("looking at PostgreSQL and the keyset")
	e.examineRecord(ctx)
	if connection != "" {
		d.Progress("looking at " + connection)
		e.examineConnection(ctx)
	}
	return e.checks
}

// examination is what has been found so far. What is nil could not be had.
type examination struct {
	Doctor
	name   string
	checks []Check

	temporal client.Client
	// namespace is set once it is known to exist.
	namespace string

	keyset *db.Keyset
	record *db.DB
	// current says that the record's schema is this program's.
	current bool
	// unopened are the connections whose credentials the keyset does not open.
	unopened []string

	connection db.Connection
}

func (e *examination) close() {
	if e.record != nil {
		e.record.Close()
	}
}

func (e *examination) ok(name, format string, args ...any) {
	e.checks = append(e.checks, Check{Name: name, State: OK, Message: fmt.Sprintf(format, args...)})
}

func (e *examination) warn(name, remedy, format string, args ...any) {
	e.checks = append(e.checks, Check{Name: name, State: Warning, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (e *examination) fail(name, code, remedy, format string, args ...any) {
	e.checks = append(e.checks, Check{Name: name, State: Failing, Code: code, Source: e.connection.Source, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

// failWith is fail for an error that says what it is. Without a remedy it says
// that too.
func (e *examination) failWith(name string, err error, remedy string) {
	if said := directory.AsError(err); said != nil {
		e.fail(name, string(said.Code), remedy, "%s", said.Message)
		return
	}
	e.checks = append(e.checks, Check{Name: name, State: Failing, Err: err, Remedy: remedy})
}

// skip adds checks that cannot be made for want of what another one found
// wrong.
func (e *examination) skip(wanting string, names ...string) {
	for _, name := range names {
		e.checks = append(e.checks, Check{
			Name: name, State: Skipped,
			Message: "not looked at, for want of " + wanting, Remedy: "mend " + wanting + " first",
		})
	}
}

// Codes of failing checks.
const (
	unexpected  = "unexpected"
	usage       = "usage"
	notFound    = "not_found"
	unreachable = string(directory.Unreachable)
)
