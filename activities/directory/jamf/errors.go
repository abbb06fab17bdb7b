package jamf

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// notThereError is a 404: an older server that does not know the endpoint, or
// something that no longer exists. It never leaves the package.
type notThereError struct{ url string }

func (e *notThereError) Error() string { return e.url + " answered HTTP 404" }

func isNotThere(err error) bool {
	_, ok := errors.AsType[*notThereError](err)
	return ok
}

// outward gives errors that never leave the package their meaning. A 404 that
// nothing else could explain says that there is no Jamf Pro at the address, and an
// answer that no Jamf Pro could give contradicts the others.
func outward(err error) error {
	if absent, ok := errors.AsType[*absentError](err); ok {
		return inconsistent("%s", absent.reason)
	}
	if missing, ok := errors.AsType[*notThereError](err); ok {
		return directory.Errorf(directory.Unreachable,
			"%s answered HTTP 404: this does not look like a Jamf Pro of version 10.49 or newer; check the host and the path", missing.url)
	}
	return err
}

func notJamf(resp *httpclient.Response) *directory.Error {
	return directory.Errorf(directory.Unreachable, "%s does not look like a Jamf Pro: it answered %s", resp.URL, resp.Describe())
}

func inconsistent(format string, args ...any) *directory.Error {
	return directory.Errorf(directory.Inconsistent, format, args...)
}

// missingPrivilege names the endpoint's privilege, which the answer does not.
func missingPrivilege(ep endpoint) *directory.Error {
	return &directory.Error{
		Code:      directory.MissingPrivilege,
		Message:   fmt.Sprintf("the API client's role lacks the privilege %q; add it to the role, and rotate the client's secret if that alone does not help", ep.privilege),
		Privilege: ep.privilege,
	}
}

// refusal turns an answer other than 200, 401 and 404 into an error.
func refusal(ep endpoint, resp *httpclient.Response) error {
	switch {
	case resp.Status == http.StatusForbidden && ep.privilege != "" && (ep.isClassic() || !resp.IsHTML()):
		return missingPrivilege(ep)
	case resp.Status == http.StatusForbidden:
		return directory.Errorf(directory.Unreachable, "%s answered %s: something in front of Jamf Pro, such as a firewall or an allow list, keeps requests out", resp.URL, resp.Describe())
	case resp.Status >= 500:
		return directory.Errorf(directory.Busy, "%s answered %s", resp.URL, resp.Describe())
	default:
		return inconsistent("%s answered %s", resp.URL, resp.Describe())
	}
}

// unauthorized decides what a 401 means. The newer API says 403 where a
// privilege is missing, so its 401 is about the token. The Classic API says
// 401 for both, and INVALID_TOKEN where it is about the token. A token that is
// not fresh is renewed whatever it was; a fresh one is at fault only where it
// has been good before. For privileges that is judged endpoint by endpoint: a
// token that read one part of the Classic API may lack the privilege for
// another, and renewing it for that would never end.
func (a *api) unauthorized(ep endpoint, token directory.Token, resp *httpclient.Response) error {
	aboutToken := !ep.isClassic() || bytes.Contains(resp.Body, []byte("INVALID_TOKEN"))
	switch {
	case !token.Fresh, aboutToken && a.accepted(token, ep.isClassic()), !aboutToken && a.answered(token, ep):
		return &directory.Error{
			Code:       directory.TokenRejected,
			Message:    resp.URL + " no longer accepts the access token",
			Generation: token.Generation,
		}
	case !aboutToken && ep.privilege != "":
		return missingPrivilege(ep)
	default:
		return directory.Errorf(directory.CredentialsRejected,
			"%s rejects an access token that was only just issued: check that the API client is enabled and has an API role", resp.URL)
	}
}
