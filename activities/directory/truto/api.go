package truto

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// api asks one thing at a time in the name of one integrated account.
type api struct {
	http    *httpclient.Client
	account string
}

// request is one thing to ask.
type request struct {
	method     string   // GET when empty
	path       []string // segments, as they are before they are escaped
	id         string   // one more, which errors do not show: it may be somebody's name
	query      url.Values
	body       map[string]any
	repeatable bool // see httpclient.Request
}

// ask reads the answer into a value. What Truto refuses in its own words is a
// *refusal; other errors are a *directory.Error or a context's.
func (a api) ask(ctx context.Context, token directory.Token, r request, into any) error {
	u := a.http.Base()
	for _, segment := range r.path {
		u = u.JoinPath(url.PathEscape(segment))
	}
	var shown string
	if r.id != "" {
		u, shown = u.JoinPath(url.PathEscape(r.id)), httpclient.Redact(u)+"/{id}"
	}
	u.RawQuery = r.query.Encode()
	asked := httpclient.Request{Method: r.method, URL: u, Shown: shown, Repeatable: r.repeatable, Header: http.Header{
		"Accept":        {"application/json"},
		"Authorization": {"Bearer " + token.Value},
	}}
	if r.body != nil {
		asked.Body, _ = json.Marshal(r.body) // strings and booleans always encode
		asked.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(ctx, asked)
	if err != nil {
		return err
	}
	if resp.Status != http.StatusOK && resp.Status != http.StatusCreated {
		return refused(resp)
	}
	if resp.IsHTML() {
		return inconsistent("%s answered %s where JSON was due", resp.URL, resp.Describe())
	}
	if httpclient.Decode(resp.Body, into) != nil {
		return inconsistent("%s answered JSON that is not whole or of another shape than Truto's", resp.URL)
	}
	return nil
}

// get is ask with the connection's token, which it returns. A token that Jamf
// Pro rejected becomes an error that says what to do about it.
func (s *source) get(ctx context.Context, r request, into any) (directory.Token, error) {
	token, err := s.tokens.Token(ctx)
	if err != nil {
		return token, err
	}
	err = s.ask(ctx, token, r, into)
	if said := asRefusal(err); said != nil && said.status == http.StatusUnauthorized && said.remote {
		err = s.rejected(token)
	}
	return token, err
}

// users is get for what the unified API has below its users.
func (s *source) users(ctx context.Context, id string, query url.Values, into any) error {
	query.Set("integrated_account_id", s.account)
	query.Set("truto_ignore_remote_data", "true")
	token, err := s.get(ctx, request{path: []string{"unified", "user-directory", "users"}, id: id, query: query}, into)
	if err == nil {
		s.good.Store(token.Generation)
	}
	return err
}

// validID reports whether an id can be asked for. An e-mail address cannot, nor
// be part of an address that others write down.
func validID(id httpclient.Text) bool {
	return id != "" && id != "." && id != ".." && len(id) <= 200 && httpclient.IsWord(string(id), "-_.:=+~")
}
