package activities_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/directory/jamf"
	"jamf-access-review/activities/directory/jamf/jamftest"
	"jamf-access-review/db"
)

// What a sync costs in requests and statements does not depend on how fast the
// machine is. A cost that grew shows here before it shows on a clock.

// costs of one sync.
type costs struct{ requests, statements int }

const accountsOnAPage = 100

func TestASyncCostsRequestsAndStatementsByThePage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		accounts int
		release  jamftest.Release
		requests int
		// statements at most: those of numbers, locks, checks, comparison,
		// monitors and state, and up to six for what is stored after ten
		// requests or a page that takes more.
		statements int
	}{
		// Version, sites, sign-on, groups, API clients, roles; accounts.
		"newer API, one page": {accounts: 10, release: jamftest.Modern(), requests: 6 + 1, statements: 54},
		// Twenty pages, the ends of nineteen of them, and what comes after the
		// last.
		"newer API, twenty pages": {accounts: 20 * accountsOnAPage, release: jamftest.Modern(), requests: 6 + 20 + 19 + 1, statements: 54 + 2*6},
		// One for each account, and the same whatever their number: what the
		// newer API would have, the lists of the older, and its three groups.
		"Classic API, one page":     {accounts: 10, release: jamftest.ClassicOnly(), requests: 10 + 13, statements: 62},
		"Classic API, twenty pages": {accounts: 20 * accountsOnAPage, release: jamftest.ClassicOnly(), requests: 20*accountsOnAPage + 13, statements: 62 + 19*6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := costsOf(t, test.accounts, test.release)
			require.Equal(t, test.requests, got.requests)
			require.LessOrEqual(t, got.statements, test.statements)
		})
	}
}

// costsOf is what a sync costs that finds nothing new.
func costsOf(t *testing.T, accounts int, release jamftest.Release) costs {
	t.Helper()
	proxy := newStatementProxy(t, postgres.URL(shared))
	p, err := newPlace(t.Context(), proxy.url)
	require.NoError(t, err)
	t.Cleanup(p.close)
	server := jamftest.New(jamftest.Config{Release: &release})
	server.Demo(accounts)
	p.activities.Providers[directory.JamfPro] = jamf.NewProvider(httpclient.Config{})
	c, err := p.connect(t.Context(), simulatedJamf{server}, directory.ScopeAdmins)
	require.NoError(t, err)
	sync := func(run string) costs {
		before, requests := proxy.statements.Load(), total(server.Requests())
		r := p.newRun(c.Name + run)
		_, err := r.fetch(c)
		require.NoError(t, err)
		result, err := r.recordOutcomes(c, false)
		require.NoError(t, err)
		require.Equal(t, db.Applied, result.Outcome)
		return costs{total(server.Requests()) - requests, int(proxy.statements.Load() - before)}
	}
	sync("-first")
	_, err = p.newRun(c.Name + "-monitors").enableMonitors(c)
	require.NoError(t, err)
	return sync("-second")
}

func total(requests map[string]int) int {
	n := 0
	for _, times := range requests {
		n += times
	}
	return n
}

// statementProxy stands before PostgreSQL and counts the statements that pass.
type statementProxy struct {
	url        string
	statements atomic.Int64
}

func newStatementProxy(t *testing.T, databaseURL string) *statementProxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	server := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	u.Host = listener.Addr().String()
	p := &statementProxy{url: u.String()}
	go func() {
		for {
			front, err := listener.Accept()
			if err != nil {
				return
			}
			go p.pass(front, server)
		}
	}()
	return p
}

func (p *statementProxy) pass(front net.Conn, server string) {
	defer front.Close()
	back, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer back.Close()
	go func() {
		defer front.Close()
		io.Copy(front, back)
	}()
	p.count(back, front)
}

// count passes a client's messages on. Each but the first begins with its
// type: Q is a statement as text, E executes a prepared one.
func (p *statementProxy) count(back io.Writer, front io.Reader) {
	for header := make([]byte, 4); ; header = make([]byte, 5) {
		if _, err := io.ReadFull(front, header); err != nil {
			return
		}
		if len(header) == 5 && (header[0] == 'Q' || header[0] == 'E') {
			p.statements.Add(1)
		}
		length := int64(binary.BigEndian.Uint32(header[len(header)-4:])) - 4
		if _, err := back.Write(header); err != nil {
			return
		}
		if _, err := io.CopyN(back, front, length); err != nil {
			return
		}
	}
}
