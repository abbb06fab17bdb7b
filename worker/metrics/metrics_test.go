package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

func newMetrics(t *testing.T) *Metrics {
	t.Helper()
	m, err := New(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return m
}

func (m *Metrics) page() string {
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	return answer.Body.String()
}

func (m *Metrics) requirePage(t *testing.T, want string) {
	t.Helper()
	page := m.page()
	for line := range strings.Lines(want) {
		require.Contains(t, page, "\n"+line)
	}
}

// scripted is a record, and a source, that answers as a test says.
type scripted struct {
	directory.Source
	totals func() (db.Totals, error)
	err    error
	page   directory.Page
}

func (s *scripted) Totals(context.Context) (db.Totals, error) { return s.totals() }

func (s *scripted) RequestToken(context.Context, directory.Settings, directory.Credentials) (directory.Token, error) {
	return directory.Token{}, s.err
}

func (s *scripted) RefreshToken(context.Context, directory.Settings, directory.Credentials) (directory.Token, error) {
	return directory.Token{}, s.err
}

func (s *scripted) Open(directory.Settings, directory.TokenSource) (directory.Source, error) {
	return s, nil
}

func (s *scripted) Probe(context.Context) (directory.Report, error) {
	return directory.Report{}, s.err
}

func (s *scripted) Read(_ context.Context, _ directory.Cursor, emit func(directory.Page) error) error {
	if err := emit(s.page); err != nil {
		return err
	}
	return s.err
}

func (s *scripted) Lookup(context.Context, []directory.Identity) (directory.Lookup, error) {
	return directory.Lookup{Present: 1}, s.err
}

func TestSyncsAreCountedFromZero(t *testing.T) {
	t.Parallel()
	m := newMetrics(t)
	m.requirePage(t, `jamf_access_syncs_total{error="unreachable",outcome="failed",source="jamf_pro"} 0
jamf_access_syncs_total{error="",outcome="applied",source="truto"} 0
`)
	started := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	m.SyncEnded(db.EndedSync{Source: directory.JamfPro, Sync: db.Sync{Outcome: db.Failed, Error: "unreachable", StartedAt: started, FinishedAt: new(started.Add(7 * time.Second))}})
	m.requirePage(t, `jamf_access_syncs_total{error="unreachable",outcome="failed",source="jamf_pro"} 1
jamf_access_syncs_total{error="",outcome="applied",source="truto"} 0
jamf_access_sync_duration_seconds_sum{outcome="failed",source="jamf_pro"} 7
jamf_access_sync_duration_seconds_count{outcome="failed",source="jamf_pro"} 1
`)
}

func TestTokensUsersAndWaitsOfASourceAreCounted(t *testing.T) {
	t.Parallel()
	m := newMetrics(t)
	busy := directory.Errorf(directory.Busy, "it is busy")
	busy.RetryAfter = 90 * time.Second
	s := &scripted{page: directory.Page{Users: make([]directory.User, 3)}}
	p := m.Provider(directory.Truto, s)
	source, err := p.Open(directory.Settings{}, nil)
	require.NoError(t, err)
	read := func(directory.Page) error { return nil }
	for _, err := range []error{nil, busy, directory.Errorf(directory.CredentialsRejected, "no"), context.Canceled} {
		s.err = err
		_, got := p.RequestToken(t.Context(), directory.Settings{}, directory.Credentials{})
		require.Equal(t, err, got)
		_, got = p.RefreshToken(t.Context(), directory.Settings{}, directory.Credentials{})
		require.Equal(t, err, got)
		_, got = source.Probe(t.Context())
		require.Equal(t, err, got)
		require.Equal(t, err, source.Read(t.Context(), "", read))
		_, got = source.Lookup(t.Context(), nil)
		require.Equal(t, err, got)
	}
	m.requirePage(t, `jamf_access_token_requests_total{error="",source="truto"} 2
jamf_access_token_requests_total{error="busy",source="truto"} 2
jamf_access_token_requests_total{error="credentials_rejected",source="truto"} 2
jamf_access_token_requests_total{error="interrupted",source="truto"} 2
jamf_access_users_read_total{source="truto"} 12
jamf_access_users_read_total{source="jamf_pro"} 0
jamf_access_source_waits_total{source="truto"} 5
jamf_access_source_wait_seconds_total{source="truto"} 450
`)
}

// A server answers with what it likes, and each number would be a metric.
func TestOnlyStatusesThatMeanSomethingAreCountedApart(t *testing.T) {
	t.Parallel()
	m := newMetrics(t)
	before := testutil.CollectAndCount(m.requests)
	for status := range 1000 {
		m.Requests(directory.JamfPro).Answered(status)
	}
	require.Less(t, testutil.CollectAndCount(m.requests)-before, 70)
	m.requirePage(t, `jamf_access_source_requests_total{code="404",source="jamf_pro"} 1
jamf_access_source_requests_total{code="none",source="jamf_pro"} 1
`)
}

func TestARecordThatCannotBeReadLeavesTheRestOfThePage(t *testing.T) {
	t.Parallel()
	m := newMetrics(t)
	failing := true
	m.WatchRecord(&scripted{totals: func() (db.Totals, error) {
		if failing {
			return db.Totals{}, errors.New("it is down")
		}
		return db.Totals{
			Connections: []db.ConnectionsIn{{Source: directory.JamfPro, State: db.Active, Count: 7, Stale: 2, Held: 1, OldestAge: time.Hour}},
			Monitors:    []db.MonitorsIn{{Code: db.UserMFAEnabled, State: db.Failing, Count: 3}},
		}, nil
	}})
	m.requirePage(t, "jamf_access_record_up 0\njamf_access_users_read_total{source=\"truto\"} 0\n")
	require.NotContains(t, m.page(), "jamf_access_connections")
	failing = false
	m.requirePage(t, `jamf_access_record_up 1
jamf_access_connections{source="jamf_pro",state="active"} 7
jamf_access_connections_stale{source="jamf_pro",state="active"} 2
jamf_access_connections_held{source="jamf_pro",state="active"} 1
jamf_access_applied_sync_oldest_age_seconds{source="jamf_pro",state="active"} 3600
jamf_access_monitors{monitor="JAMF_USER_MFA_ENABLED",state="failing"} 3
`)
}

func TestALargeRecordIsNotReadForEveryPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		c := &recordCollector{record: &scripted{totals: func() (db.Totals, error) {
			reads++
			<-time.After(3 * time.Second)
			return db.Totals{}, nil
		}}}
		for _, step := range []struct {
			after time.Duration
			reads int
		}{{0, 1}, {0, 1}, {29 * time.Second, 1}, {time.Second, 2}} {
			<-time.After(step.after)
			_, err := c.totals()
			require.NoError(t, err)
			require.Equal(t, step.reads, reads)
		}
	})
}
