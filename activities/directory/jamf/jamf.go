// Package jamf reads who has access to a Jamf Pro.
//
// It reads the Jamf Pro API, and section by section the older Classic API
// where a server does not have the newer endpoint yet. Only a 404 leads there:
// any other refusal is reported, since the Classic API would hide it.
package jamf

import (
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

const (
	defaultPageSize     = 100
	defaultUserPageSize = 1000 // the most that Jamf Pro gives
	defaultParallel     = 5    // the most that Jamf asks its customers to use
)

// Config says which Jamf Pro is read, how far and how. The first three fields
// are required.
type Config struct {
	// HTTP is a client whose Base is an address from ParseBaseURL. Nobody else
	// uses it during the sync: its requests are counted as the sync's.
	HTTP  *httpclient.Client
	Scope directory.Scope
	// Tokens must be safe for concurrent use, and is asked before every
	// request.
	Tokens directory.TokenSource

	// PageSize is how many entries of an administrative list are asked for at
	// once: 100 by default.
	PageSize int
	// UserPageSize is PageSize for end users: 1000 by default.
	UserPageSize int
	// Parallel is how many requests are under way at once: 5 by default. The
	// client's Limiter may allow fewer.
	Parallel int
}

// New returns a Source over a Jamf Pro.
func New(cfg Config) directory.Source {
	return &source{
		api: api{
			http:   cfg.HTTP,
			tokens: cfg.Tokens,
			good:   map[string]int64{},
		},
		scope:        cfg.Scope,
		pageSize:     positive(cfg.PageSize, defaultPageSize),
		userPageSize: min(positive(cfg.UserPageSize, defaultUserPageSize), defaultUserPageSize),
		parallel:     positive(cfg.Parallel, defaultParallel),
	}
}

type source struct {
	api
	scope        directory.Scope
	pageSize     int
	userPageSize int
	parallel     int
}

// Close implements directory.Source.
func (s *source) Close() { s.http.Close() }

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}
