package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// noAnswer is the code of a request that no answer came to.
const noAnswer = "none"

// Requests counts the requests to a sort of source.
func (m *Metrics) Requests(source string) httpclient.Observer { return requests{m, source} }

type requests struct {
	metrics *Metrics
	source  string
}

// Answered implements httpclient.Observer. A server may answer with any number;
// only those that mean something are counted apart.
func (r requests) Answered(status int) {
	code := "other"
	switch {
	case status == 0:
		code = noAnswer
	case http.StatusText(status) != "":
		code = strconv.Itoa(status)
	}
	r.metrics.requests.WithLabelValues(r.source, code).Inc()
}

// Waits implements httpclient.Observer.
func (r requests) Waits(d time.Duration) { r.metrics.wait(r.source, d) }

func (m *Metrics) wait(source string, d time.Duration) {
	m.waits.WithLabelValues(source).Inc()
	m.waited.WithLabelValues(source).Add(d.Seconds())
}

// Provider counts what a provider of a sort of source is asked for: tokens,
// and the users that its sources read. A source that is too busy to go on is
// left alone for as long as it says, and that counts as a wait.
func (m *Metrics) Provider(source string, p directory.Provider) directory.Provider {
	return provider{p, m, source}
}

type provider struct {
	directory.Provider
	metrics *Metrics
	source  string
}

func (p provider) RequestToken(ctx context.Context, s directory.Settings, c directory.Credentials) (directory.Token, error) {
	token, err := p.Provider.RequestToken(ctx, s, c)
	return token, p.tokenAsked(err)
}

func (p provider) RefreshToken(ctx context.Context, s directory.Settings, c directory.Credentials) (directory.Token, error) {
	token, err := p.Provider.RefreshToken(ctx, s, c)
	return token, p.tokenAsked(err)
}

func (p provider) tokenAsked(err error) error {
	code := string(directory.CodeOf(err).General())
	if err != nil && code == "" {
		code = "interrupted"
	}
	p.metrics.tokens.WithLabelValues(p.source, code).Inc()
	return p.asked(err)
}

func (p provider) asked(err error) error {
	if e := directory.AsError(err); e != nil && e.Code == directory.Busy {
		p.metrics.wait(p.source, e.RetryAfter)
	}
	return err
}

func (p provider) Open(s directory.Settings, tokens directory.TokenSource) (directory.Source, error) {
	opened, err := p.Provider.Open(s, tokens)
	if err != nil {
		return nil, err
	}
	return source{opened, p}, nil
}

type source struct {
	directory.Source
	provider provider
}

func (s source) Probe(ctx context.Context) (directory.Report, error) {
	report, err := s.Source.Probe(ctx)
	return report, s.provider.asked(err)
}

func (s source) Read(ctx context.Context, from directory.Cursor, emit func(directory.Page) error) error {
	read := s.provider.metrics.users.WithLabelValues(s.provider.source)
	return s.provider.asked(s.Source.Read(ctx, from, func(page directory.Page) error {
		read.Add(float64(len(page.Users)))
		return emit(page)
	}))
}

func (s source) Lookup(ctx context.Context, ids []directory.Identity) (directory.Lookup, error) {
	found, err := s.Source.Lookup(ctx, ids)
	return found, s.provider.asked(err)
}
