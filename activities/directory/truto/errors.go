package truto

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// refusal is an answer in which Truto says no. It never leaves the package.
type refusal struct {
	url    string
	status int
	said   string   // in words, without the body
	remote bool     // it is Jamf Pro that says no
	scopes []string // what is missing, with a remote 403
}

func (r *refusal) Error() string { return r.url + " answered " + r.said }

func asRefusal(err error) *refusal {
	r, _ := errors.AsType[*refusal](err)
	return r
}

// isNotThere reports whether err is a 404 in Truto's own words: of something
// that no longer exists, or of a path that it does not have.
func isNotThere(err error) bool {
	r := asRefusal(err)
	return r != nil && r.status == http.StatusNotFound
}

// refused reads an answer that is no success. What is not in Truto's words
// comes from something in front of it, or from something else altogether.
func refused(resp *httpclient.Response) error {
	var body struct {
		Remote  httpclient.Text `json:"truto_is_remote_error"`
		Insight struct {
			Forbidden struct {
				Value struct {
					Scopes []httpclient.Text `json:"missing_scopes"`
				} `json:"value"`
			} `json:"forbidden_error"`
		} `json:"truto_error_insight"`
	}
	isObject := strings.HasPrefix(strings.TrimSpace(string(resp.Body)), "{") && json.Valid(resp.Body)
	switch {
	case isObject:
		// What does not decode is left out: a refusal is one in any case.
		_ = json.Unmarshal(resp.Body, &body)
		return &refusal{
			url: resp.URL, status: resp.Status, said: resp.Describe(),
			remote: body.Remote == "true", scopes: scopeNames(body.Insight.Forbidden.Value.Scopes),
		}
	case resp.Status >= http.StatusInternalServerError:
		return directory.Errorf(directory.Busy, "%s answered %s", resp.URL, resp.Describe())
	default:
		return notTruto("%s answered %s", resp.URL, resp.Describe())
	}
}

const maxScopes = 20

// scopeNames keeps what can be the name of a privilege: the words come from
// elsewhere and are shown.
func scopeNames(texts []httpclient.Text) []string {
	var names []string
	for _, t := range texts {
		name := strings.TrimSpace(string(t))
		if name != "" && len(name) <= 100 && httpclient.IsWord(name, " -_.:/") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names[:min(len(names), maxScopes)]
}

// outward turns a refusal that nothing else could make sense of into an error
// of the model.
func outward(err error) error {
	r := asRefusal(err)
	if r == nil {
		return err
	}
	switch {
	case r.status == http.StatusUnauthorized && r.remote:
		return reconnect("Jamf Pro rejects what Truto logs in with")
	case r.status == http.StatusUnauthorized:
		return ours("Truto does not accept the API token: it has to be one of the environment that the integrated account is in")
	case r.status == http.StatusForbidden && r.remote:
		return missingPrivilege(r.scopes)
	case r.status == http.StatusForbidden:
		return ours("Truto does not let the API token do this (%s): it needs access to the integrated account", r)
	case r.status == http.StatusNotFound:
		return unusable("%s: check the integrated account's id, that it is in the API token's environment, and that Truto offers users for it", r)
	case r.status == http.StatusServiceUnavailable:
		return blocked()
	case r.status >= http.StatusInternalServerError:
		return directory.Errorf(directory.Busy, "%s", r)
	default:
		return inconsistent("%s", r)
	}
}

func inconsistent(format string, args ...any) *directory.Error {
	return directory.Errorf(directory.Inconsistent, format, args...)
}

// notTruto returns an error for answers that are not in Truto's words.
func notTruto(format string, args ...any) *directory.Error {
	return directory.Errorf(directory.Unreachable, "this does not look like Truto: "+format, args...)
}

// ours returns an error about the API token, which is the operator's. Its code
// leaves the connection as it is: reconnecting would change nothing.
func ours(format string, args ...any) *directory.Error {
	return directory.Errorf(directory.APITokenRejected, format+"; the connection itself is not at fault", args...)
}

func unusable(format string, args ...any) *directory.Error {
	return directory.Errorf(directory.AccountUnusable, format, args...)
}

func blocked() *directory.Error {
	return directory.Errorf(directory.AccountBlocked, "the integrated account is blocked in Truto: until it is unblocked there nothing can be read through it")
}

// reconnect returns an error that a person mends with a link token.
func reconnect(why string) *directory.Error {
	return directory.Errorf(directory.NeedsReauth, "%s; a person has to authorise the integrated account again, with a link token", why)
}

func missingPrivilege(scopes []string) *directory.Error {
	if len(scopes) == 0 {
		return directory.Errorf(directory.MissingPrivilege,
			"Jamf Pro does not let Truto read its users, and does not say which privilege is missing; look at the role of the account or API client that Truto logs in with")
	}
	names := strings.Join(scopes, ", ")
	return &directory.Error{
		Code:      directory.MissingPrivilege,
		Message:   fmt.Sprintf("what Truto logs in to Jamf Pro with lacks: %s; add it to its role in Jamf Pro", names),
		Privilege: names,
	}
}

// rejected decides what a token that Jamf Pro rejected means. A refresh may
// mend it, unless this is the first use since one.
func (s *source) rejected(token directory.Token) *directory.Error {
	if token.Fresh && s.good.Load() != token.Generation {
		return reconnect("Jamf Pro rejects what Truto logs in with, also after a refresh")
	}
	return &directory.Error{
		Code:       directory.TokenRejected,
		Message:    "Jamf Pro no longer accepts what Truto logs in with",
		Generation: token.Generation,
	}
}
