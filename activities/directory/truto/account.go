package truto

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// capabilities is what Truto says of an integrated account.
type capabilities struct {
	Integration named `json:"integration"`
	Account     struct {
		ID      httpclient.Text `json:"id"`
		Status  httpclient.Text `json:"status"`
		Blocked httpclient.Text `json:"is_blocked"`
	} `json:"account"`
}

// named is something with a name, or the name alone.
type named string

func (n *named) UnmarshalJSON(b []byte) error {
	var name httpclient.Text
	if b[0] != '{' {
		err := httpclient.Decode(b, &name)
		*n = named(name)
		return err
	}
	var whole struct {
		Name httpclient.Text `json:"name"`
	}
	err := httpclient.Decode(b, &whole)
	*n = named(whole.Name)
	return err
}

// Probe implements directory.Source. Truto does not say which Jamf Pro there
// is behind the integrated account.
func (s *source) Probe(ctx context.Context) (directory.Report, error) {
	_, err := s.inspect(ctx)
	if errors.Is(err, errNeedsReauth) {
		err = reconnect("Truto says that the integrated account needs to be authorised again")
	}
	return report(), outward(err)
}

// report is what Truto says, and does not say, of every Jamf Pro.
func report() directory.Report {
	const reason = "Truto does not tell them"
	return directory.Report{Limitations: []directory.Limitation{
		{Lost: "API clients", Reason: reason},
		{Lost: "groups of a directory service, whose members need no account", Reason: reason},
	}}
}

// checkAccount is Probe for a read, where a refresh may help.
func (s *source) checkAccount(ctx context.Context) error {
	token, err := s.inspect(ctx)
	if errors.Is(err, errNeedsReauth) {
		err = s.rejected(token)
	}
	return err
}

// stateError is a state of an integrated account that callers judge.
type stateError string

const errNeedsReauth stateError = "the integrated account needs to be authorised again"

func (e stateError) Error() string { return string(e) }

// inspect makes sure that the integrated account is there, is a Jamf, and is
// in a state to be read. It returns the token that it asked with.
func (s *source) inspect(ctx context.Context) (directory.Token, error) {
	var found capabilities
	token, err := s.get(ctx, request{
		path:  []string{"integrated-account", s.account, "capabilities"},
		query: url.Values{"type": {"unified"}, "resource": {"users"}},
	}, &found)
	switch e := directory.AsError(err); {
	case e != nil && e.Code == directory.Inconsistent:
		return token, notTruto("%s", e.Message)
	case err != nil:
		return token, err
	case found.Account.ID != "" && !strings.EqualFold(string(found.Account.ID), s.account):
		return token, inconsistent("Truto answered about another integrated account than the one asked for")
	case found.Integration == "":
		return token, notTruto("it does not say which integration the integrated account is of; it has to be Jamf")
	case !strings.Contains(strings.ToLower(string(found.Integration)), "jamf"):
		return token, unusable("the integrated account is of the integration %.60q and not of Jamf: give the id of a Jamf account", found.Integration)
	case found.Account.Blocked == "true":
		return token, blocked()
	}
	return token, inState(found.Account.Status)
}

// inState returns why an integrated account of a status cannot be read; nil
// for an active one. A status that is not known is no reason: what is read
// afterwards speaks for itself.
func inState(status httpclient.Text) error {
	switch strings.ToLower(string(status)) {
	case "needs_reauth":
		return errNeedsReauth
	case "validation_error":
		return directory.Errorf(directory.ValidationError, "Truto could not validate what it was given to log in to Jamf Pro with (validation_error): it has to be corrected there")
	case "post_install_error":
		return unusable("Truto could not finish setting up the integrated account (post_install_error): see its last error in Truto, and run its setup again")
	case "connecting":
		return directory.Errorf(directory.Busy, "the integrated account is still being connected: its link dialogue is not finished")
	}
	return nil
}
