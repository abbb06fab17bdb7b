package main

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

// advice is what to do about a failed sync of a connection to a source.
func advice(source, code string) string {
	if hint, ok := atTruto[code]; ok && source == directory.Truto {
		return hint
	}
	return hints[code]
}

// contractCode is the code of the CLI's contract that a sync's code comes
// under.
func contractCode(code string) string { return string(directory.Code(code).General()) }

// adviceAtConnect is advice where connecting failed: nothing is left of the
// connection then, to reconnect or to sync.
func adviceAtConnect(source, code string) string {
	if source == directory.Truto && code == string(directory.CredentialsRejected) {
		code = string(directory.NeedsReauth)
	}
	if hint, ok := atConnect[code]; ok {
		return hint
	}
	return advice(source, code)
}

// failureAt puts the error of a connection's workflow in the CLI's words, with the
// advice for its source. Other errors stay as they are.
func failureAt(c db.Connection, err error) error {
	if temporal.IsCanceledError(err) {
		return &failure{Code: codeUnexpected, Message: "the workflow of " + c.Name + " was cancelled while it was waited for",
			Hint: "`starter resume " + c.Name + "` starts it again"}
	}
	return failureWith(advice, c.Source, err)
}

func failureWith(advice func(source, code string) string, source string, err error) error {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok {
		return err
	}
	f := failureOf(err)
	f.Hint = advice(source, app.Type())
	return f
}

// failureAtConnect is failureAt for ConnectJamf.
func failureAtConnect(c db.Connection, err error) error {
	switch {
	case temporal.IsCanceledError(err):
		return &failure{Code: codeUnexpected, Message: "connecting was cancelled; nothing is left of it", Hint: "connect again"}
	case temporal.IsTerminatedError(err):
		return &failure{Code: codeUnexpected, Message: "somebody terminated the workflow that connects",
			Hint: "`starter disconnect " + c.Name + "` frees the name; then connect again"}
	}
	return failureWith(adviceAtConnect, c.Source, err)
}

// failureOfSource is failureAt for an error of the source itself.
func failureOfSource(source string, err error) error {
	e := directory.AsError(err)
	if e == nil {
		return err
	}
	return &failure{Code: contractCode(string(e.Code)), Message: e.Message, Hint: advice(source, string(e.Code))}
}

// hints say what to do about a failed sync, by its code, atTruto where that is
// something else for a source that is read through Truto, and atConnect where
// it is when connecting.
var hints = map[string]string{
	string(directory.CredentialsRejected): "check the client id and the client secret in Jamf Pro under Settings > API roles and clients, and that the client is enabled",
	string(directory.MissingPrivilege):    "add the privilege to the API role in Jamf Pro under Settings > API roles and clients, then try again",
	string(directory.Unreachable):         "check the URL in a browser, and that this machine's worker may reach it",
	string(directory.Inconsistent):        "nothing was changed; try again, and if it stays so ask Jamf about the server",
	codeInterrupted:                       "try again: `starter resync NAME`",
	activities.Disconnected:               "`starter reconnect NAME` with new credentials connects it again: with --client-id, too, where Jamf Pro is read directly",
	activities.NotFound:                   "`starter list` shows what there is",
	codeUnexpected:                        lookForCause,

	string(directory.NeedsReauth):      "authorise the integrated account again: `starter reconnect NAME` prints a link token for Truto's dialogue, and the connection goes on by itself",
	string(directory.ValidationError):  "look at the integrated account's last error in Truto, and correct there what it logs in to Jamf Pro with; a connection goes on by itself",
	string(directory.APITokenRejected): "make an API token in Truto, in the environment of the integrated account, and set TRUTO_API_TOKEN to it; `starter reconnect NAME` gives it to a connection",
	string(directory.AccountBlocked):   "unblock the integrated account in Truto, then try again",
	string(directory.AccountUnusable):  "look the integrated account up in Truto: its id, that it is of Jamf, and that its setup is finished",
}

var atConnect = map[string]string{
	codeInterrupted:         "connect again",
	activities.Disconnected: "connect again",

	string(directory.NeedsReauth):      "authorise the integrated account again in Truto, then connect again",
	string(directory.ValidationError):  "look at the integrated account's last error in Truto, and correct there what it logs in to Jamf Pro with; then connect again",
	string(directory.APITokenRejected): "make an API token in Truto, in the environment of the integrated account, set TRUTO_API_TOKEN to it, and connect again",
}

var atTruto = map[string]string{
	string(directory.CredentialsRejected): "`starter reconnect NAME` prints a link token for Truto's dialogue, to authorise the integrated account again; the connection goes on by itself",
	string(directory.MissingPrivilege):    "add the privilege, in Jamf Pro, to the role of what Truto logs in with, then try again",
	string(directory.Unreachable):         "check --truto-url, whether Truto has trouble, and that this machine's worker may reach it",
	string(directory.Inconsistent):        "nothing was changed; try again, and if it stays so ask Truto about the integrated account",
}
