package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
	"jamf-access-review/worker/service"
	"jamf-access-review/worker/settings"
)

// Exit statuses are part of the CLI's contract.
const (
	exitDone = iota
	exitUnexpected
	exitUsage
	exitCredentialsRejected
	exitMissingPrivilege
	exitUnreachable
	exitName
	exitMonitorsFailing
	exitHeld
	exitInconsistentSource
)

// Error codes of commands, beside those of sources (directory.Code). They are part
// of the contract.
const (
	codeUnexpected      = "unexpected"
	codeUsage           = "usage"
	codeNotFound        = "not_found"
	codeAlreadyExists   = "already_exists"
	codeMonitorsFailing = "monitors_failing"
	codeHeld            = db.CodeHeld
	codeInterrupted     = db.CodeInterrupted
)

var exitByCode = map[string]int{
	codeUsage:                             exitUsage,
	string(directory.CredentialsRejected): exitCredentialsRejected,
	string(directory.MissingPrivilege):    exitMissingPrivilege,
	string(directory.Unreachable):         exitUnreachable,
	codeNotFound:                          exitName,
	codeAlreadyExists:                     exitName,
	codeMonitorsFailing:                   exitMonitorsFailing,
	codeHeld:                              exitHeld,
	string(directory.Inconsistent):        exitInconsistentSource,
}

// failure is how a command failed: a code for programs, and for people what
// happened and what to do about it.
type failure struct {
	Code    string `json:"error"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	// reported says that the command's own output has told it already.
	reported bool
}

func (f *failure) Error() string { return f.Message }

func (f *failure) exit() int {
	if exit, ok := exitByCode[f.Code]; ok {
		return exit
	}
	return exitUnexpected
}

func usagef(format string, args ...any) *failure {
	return &failure{Code: codeUsage, Message: fmt.Sprintf(format, args...), Hint: "see --help"}
}

// stoppedWatching is the failure of a command that a person ended while a
// workflow was at work for a connection.
func stoppedWatching(connection, what string) *failure {
	return &failure{Code: codeUnexpected, Message: "stopped watching; " + what + " goes on",
		Hint: "`starter status " + connection + "` shows what becomes of it"}
}

// stopped puts the error of a command that a person ended in words: whatever was
// under way failed by that, unless it says so itself.
func stopped(err error) error {
	_, said := errors.AsType[*failure](err)
	_, cancelled := errors.AsType[*serviceerror.Canceled](err)
	_, ended := errors.AsType[*exec.ExitError](err) // a program that this one ran
	if said || !cancelled && !ended && !errors.Is(err, context.Canceled) {
		return err
	}
	return &failure{Code: codeUnexpected, Message: "stopped before it was done", Hint: "`starter list` shows how connections are"}
}

// lookForCause is what to do about what nobody expected.
const lookForCause = "`starter doctor` looks for the cause"

// failureOf puts any error in the CLI's words.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*db.UnavailableError](err); ok {
		f := &failure{Code: string(directory.Unreachable), Message: e.Error(),
			Hint: "start a local one with `starter dev`, or set DATABASE_URL to one that runs; TLS is asked for by sslmode and sslrootcert in it"}
		if e.Refused() {
			f.Hint = "check user, password and database in DATABASE_URL; TLS is asked for by sslmode and sslrootcert in it"
		}
		return f
	}
	if service.Refused(err) {
		f := &failure{Code: string(directory.Unreachable), Message: "Temporal refuses: " + err.Error(),
			Hint: "check TEMPORAL_NAMESPACE, and TEMPORAL_API_KEY or TEMPORAL_TLS…, which say who asks"}
		if e, ok := errors.AsType[*service.TemporalError](err); ok {
			f.Message = e.Error()
		}
		return f
	}
	if e, ok := errors.AsType[*service.TemporalError](err); ok {
		return &failure{Code: string(directory.Unreachable), Message: e.Error(),
			Hint: "start a local one with `starter dev`, or set TEMPORAL_ADDRESS to one that runs, and TEMPORAL_TLS… or TEMPORAL_API_KEY to what it demands"}
	}
	if errors.Is(err, settings.ErrNoDatabase) {
		return &failure{Code: codeUsage, Message: err.Error(),
			Hint: settings.DatabaseRemedy}
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		f := &failure{Code: contractCode(app.Type()), Message: app.Message(), Hint: advice("", app.Type())}
		if f.Code == activities.Disconnected {
			f.Code = codeNotFound
		}
		return f
	}
	switch {
	case errors.Is(err, db.ErrNotFound):
		return &failure{Code: codeNotFound, Message: err.Error(), Hint: "`starter list` shows what there is"}
	case errors.Is(err, db.ErrAlreadyExists):
		return &failure{Code: codeAlreadyExists, Message: err.Error(),
			Hint: "choose another name; `starter reconnect` gives it new credentials, `starter disconnect --erase` frees the name"}
	case errors.Is(err, db.ErrDisconnected):
		return &failure{Code: codeNotFound, Message: "the connection is disconnected", Hint: hints[activities.Disconnected]}
	case errors.Is(err, db.ErrDuplicateAddress):
		return &failure{Code: codeUsage, Message: err.Error(), Hint: "nothing was imported; an address belongs to one person only"}
	case errors.Is(err, db.ErrNoKeyset):
		return &failure{Code: codeUsage, Message: err.Error(), Hint: "`starter keys create FILE` makes one; `starter dev` and `demo` make one of their own"}
	case errors.Is(err, db.ErrNotOwner):
		return &failure{Code: codeUsage, Message: err.Error(), Hint: "set DATABASE_URL to that role's"}
	case errors.Is(err, db.ErrUnrestricted):
		return &failure{Code: codeUsage, Message: err.Error(), Hint: "make a role for the worker alone, and take from it, and from PUBLIC, what it does not need"}
	case db.IsDenied(err):
		return &failure{Code: codeUsage, Message: err.Error(),
			Hint: "`starter migrate --grant-to ROLE`, run as the owner of the schema, grants what commands need"}
	case db.IsLost(err):
		return &failure{Code: string(directory.Unreachable), Message: "PostgreSQL went away: " + err.Error(), Hint: "is it running? Then try again"}
	}
	_, unavailable := errors.AsType[*serviceerror.Unavailable](err)
	_, late := errors.AsType[*serviceerror.DeadlineExceeded](err)
	if unavailable || late {
		return &failure{Code: string(directory.Unreachable), Message: "Temporal does not answer: " + err.Error(),
			Hint: "is the one at TEMPORAL_ADDRESS running? `starter dev` starts a local one"}
	}
	return &failure{Code: codeUnexpected, Message: err.Error(), Hint: ""}
}
