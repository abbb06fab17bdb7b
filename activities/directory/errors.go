package directory

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies what went wrong at a source. General codes are part of the
// CLI's contract.
type Code string

const (
	// CredentialsRejected: the client id or secret is wrong, or the client is
	// disabled. Only a person can mend it.
	CredentialsRejected Code = "credentials_rejected"
	// TokenRejected: the access token is no longer accepted. A new one may be.
	TokenRejected Code = "token_rejected"
	// MissingPrivilege: the credentials are good but may not read what a sync
	// cannot do without.
	MissingPrivilege Code = "missing_privilege"
	// Unreachable: nothing answered there, or what did is not the source.
	Unreachable Code = "unreachable"
	// Busy: the source asked for patience or is out of order for a while.
	Busy Code = "busy"
	// Inconsistent: the answers contradict themselves or are not whole.
	Inconsistent Code = "inconsistent_source"
)

// Codes of sources that are read through somebody else. Each says more than the
// code of the contract that it comes under, so that people get the advice that
// fits. None of them mends itself, so nothing is tried again.
const (
	// NeedsReauth (CredentialsRejected): a person has to authorise the account
	// at the one in between again.
	NeedsReauth Code = "needs_reauth"
	// ValidationError (CredentialsRejected): the one in between could not
	// validate what it logs in with.
	ValidationError Code = "validation_error"
	// APITokenRejected (Unreachable): the one in between does not accept the
	// operator's own token, or not for this.
	APITokenRejected Code = "api_token_rejected"
	// AccountBlocked (Unreachable): the account is blocked at the one in
	// between.
	AccountBlocked Code = "account_blocked"
	// AccountUnusable (Unreachable): the account is not there, is of something
	// else, or was not set up completely.
	AccountUnusable Code = "account_unusable"
)

// General returns the code of the contract that c comes under: c itself if it
// is one.
func (c Code) General() Code {
	switch c {
	case NeedsReauth, ValidationError:
		return CredentialsRejected
	case APITokenRejected, AccountBlocked, AccountUnusable:
		return Unreachable
	}
	return c
}

// Error is a failure at a source. Its text may be shown, logged and kept in
// workflow histories: it never holds a secret, a person's data or a body.
type Error struct {
	Code Code
	// Message says what happened, to what, in words for a person.
	Message string
	// Privilege is the missing privilege, by its exact name at the source.
	Privilege string
	// RetryAfter is how long the source asked to be left alone; 0 when it
	// did not say.
	RetryAfter time.Duration
	// Waited is how long the source was waited for already, with Busy.
	Waited time.Duration
	// Generation is the generation of the rejected token, with TokenRejected.
	Generation int64
	// Cause is the underlying error, if any; it is not part of the text.
	Cause error
}

// Errorf returns an *Error of the code with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

func (e *Error) Unwrap() error { return e.Cause }

// AsError returns the *Error in err's tree, or nil.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return nil
}

// CodeOf returns the Code of the *Error in err's tree, or "".
func CodeOf(err error) Code {
	if e := AsError(err); e != nil {
		return e.Code
	}
	return ""
}
