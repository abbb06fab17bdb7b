package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
)

// codeUnexpected is the code of a problem that is no source's.
const codeUnexpected = "unexpected"

// problem is the typed error of an activity; its zero value is no problem.
type problem struct {
	code     string
	reason   string
	rejected activities.RejectedToken // with code token_rejected
}

// gone says that there is no connection to go on with.
func (p problem) gone() bool {
	return p.code == activities.NotFound || p.code == activities.Disconnected
}

func problemOf(err error) problem {
	if err == nil {
		return problem{}
	}
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	if !ok {
		return problem{code: codeUnexpected, reason: err.Error()}
	}
	p := problem{code: app.Type(), reason: app.Message()}
	if p.code == string(directory.TokenRejected) {
		if err := app.Details(&p.rejected); err != nil {
			return problem{code: codeUnexpected, reason: "a rejected token without its generation"}
		}
	}
	return p
}
