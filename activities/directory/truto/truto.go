// Package truto reads who has access to a Jamf Pro through Truto's unified
// API, for companies that keep their integrations there.
//
// The connection to the Jamf Pro is Truto's: it is an integrated account, and
// an API token of the company's is what asks in its name. So there are two who
// can say no, and every refusal is told apart: Truto refusing the API token is
// the operator's affair and says nothing about the connection; Jamf Pro
// refusing Truto is the connection's.
package truto

import (
	"sync/atomic"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

const (
	// DefaultBaseURL is where Truto is unless a region or a test says
	// otherwise.
	DefaultBaseURL = "https://api.truto.one"

	pageSize = 100
	// parallel is how many users one read asks for at once.
	parallel = 5
	// atOnce is how many requests are under way for all integrated accounts:
	// they share one host, and none may wait long for another.
	atOnce = 5 * parallel
)

// source implements directory.Source.
type source struct {
	api
	scope    directory.Scope
	tokens   directory.TokenSource
	pageSize int
	parallel int
	// good is the generation of the token that last read users, never when
	// none has.
	good atomic.Int64
}

const never = -1

func newSource(cfg Config, client *httpclient.Client, settings directory.Settings, tokens directory.TokenSource) *source {
	s := &source{
		api:      api{http: client, account: settings.Account},
		scope:    settings.Scope,
		tokens:   tokens,
		pageSize: cfg.PageSize,
		parallel: cfg.Parallel,
	}
	s.good.Store(never)
	return s
}

// Close implements directory.Source.
func (s *source) Close() { s.http.Close() }
