package db

import (
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

const (
	benchAccounts = 1_000_000
	benchPage     = 2_000
)

func benchUsers() []directory.User {
	users := make([]directory.User, benchAccounts)
	for i := range users {
		users[i] = account(fmt.Sprint(i), func(u *directory.User) {
			u.Groups, u.Privileges = []string{"Staff", "Helpdesk"}, []string{"Read Accounts"}
		})
	}
	return users
}

// measure reports how long a part of the benchmark took.
func measure(b *testing.B, what string, f func()) {
	b.Helper()
	began := time.Now()
	f()
	b.ReportMetric(time.Since(began).Seconds(), what+"-s")
}

// BenchmarkMillionAccounts is one connection's life at a million accounts: its
// parts, and beside them the bare statements that no way of doing it can do
// without. It runs once: go test -bench Million -benchtime 1x -run ^$
func BenchmarkMillionAccounts(b *testing.B) {
	for b.Loop() {
		benchMillion(b)
	}
}

func benchMillion(b *testing.B) {
	r := setup(b)
	users := benchUsers()
	c := r.connectMonitored("acme")
	people := make([]Person, 100_000)
	for i := range people {
		people[i] = Person{Email: fmt.Sprintf("user%d@example.com", i*2)}
	}
	measure(b, "roster", func() { require.NoError(b, r.ImportRoster(r.ctx, "default", people)) })
	measure(b, "bare-copy", func() { r.bareCopy(users) })

	var key string
	measure(b, "stage", func() { key, _ = r.stagePages(c, users) })
	measure(b, "first-apply", func() { r.apply(c, key) })
	var s Sync
	measure(b, "stage-again", func() { key, s = r.stagePages(c, users) })
	measure(b, "check", func() { require.NoError(b, r.CheckSnapshot(r.ctx, c.ID, s.Number)) })
	measure(b, "missing", func() {
		_, err := r.MissingAccounts(r.ctx, c.ID, s.Number, directory.Identity{}, 100)
		require.NoError(b, err)
	})
	measure(b, "bare-join", func() {
		one[int](r, `SELECT count(*) FROM staged_accounts s JOIN accounts a USING (connection_id, kind, source_id) WHERE s.facts_digest <> a.facts_digest`)
	})
	measure(b, "unchanged-apply", func() { r.apply(c, key) })
	measure(b, "evaluation", func() { require.NoError(b, r.EnableMonitors(r.ctx, c.ID)) })

	users[7].Name = "Changed"
	key, _ = r.stagePages(c, users)
	measure(b, "one-changed-apply", func() { require.Equal(b, 1, r.apply(c, key).Changed) })
	measure(b, "erase", func() { require.NoError(b, r.Erase(r.ctx, c.ID)) })
}

// bareCopy copies into a table like the staging one, in one transaction.
func (r *record) bareCopy(users []directory.User) {
	r.t.Helper()
	var all sifted
	(&sieve{}).sift(users, &all)
	require.NoError(r.t, r.inTx(r.ctx, func(tx *sqlx.Tx, _ time.Time) error {
		if err := copyUsers(r.ctx, tx, -1, all.stage); err != nil {
			return err
		}
		_, err := tx.ExecContext(r.ctx, `TRUNCATE staged_accounts`)
		return err
	}))
}

func (r *record) stagePages(c Connection, users []directory.User) (key string, s Sync) {
	r.t.Helper()
	key, s = r.begin(c)
	read, err := r.OpenStaging(r.ctx, c.ID, s.Number)
	require.NoError(r.t, err)
	for at := 0; at < len(users); at += benchPage {
		page := directory.Page{Users: users[at : at+benchPage], Cursor: directory.Cursor(fmt.Sprint(at)), Requests: 1}
		if at+benchPage == len(users) {
			page.Summary = summary(users)
		}
		read, err = r.StagePage(r.ctx, c.ID, s.Number, read, page)
		require.NoError(r.t, err)
	}
	return key, s
}
