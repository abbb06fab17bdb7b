package db

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

const (
	benchUsers = 1_000_000
	benchPage  = 2_000
)

func benchAccount(i int) directory.User {
	return account(fmt.Sprint(i), func(u *directory.User) {
		u.Groups, u.Privileges = []string{"Staff", "Helpdesk"}, []string{"Read Accounts"}
	})
}

func benchEndUser(i int) directory.User { return endUser(i) }

// measure reports how long a part of the benchmark took.
func measure(b *testing.B, what string, f func()) {
	b.Helper()
	began := time.Now()
	f()
	b.ReportMetric(time.Since(began).Seconds(), what+"-s")
}

// measureFastest is measure for what can be done again: PostgreSQL has work of
// its own after a million rows.
func measureFastest(b *testing.B, what string, f func()) {
	b.Helper()
	fastest := time.Duration(math.MaxInt64)
	for range 3 {
		began := time.Now()
		f()
		fastest = min(fastest, time.Since(began))
	}
	b.ReportMetric(fastest.Seconds(), what+"-s")
}

// BenchmarkMillion is one connection's life at a million users: its parts, and
// beside them the bare statements that no way of doing it can do without. It
// runs once: go test ./db -bench Million -benchtime 1x -run ^$
func BenchmarkMillion(b *testing.B) {
	for what, user := range map[string]func(int) directory.User{"accounts": benchAccount, "end users": benchEndUser} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				benchMillion(b, user)
			}
		})
	}
}

func benchMillion(b *testing.B, user func(int) directory.User) {
	r := setup(b)
	users := make([]directory.User, benchUsers)
	people := make([]Person, benchUsers)
	for i := range users {
		users[i] = user(i)
		people[i] = Person{Email: fmt.Sprintf("user%d@example.com", i*2)}
	}
	c := r.connectEveryone("acme")
	require.NoError(b, r.EnableMonitors(r.ctx, c.ID))
	measure(b, "roster", func() { require.NoError(b, r.ImportRoster(r.ctx, "default", people)) })
	measure(b, "bare-copy", func() { r.bareCopy(users) })

	var key string
	measure(b, "stage", func() { key, _ = r.stagePages(c, users) })
	measure(b, "first-apply", func() { r.apply(c, key) })
	r.exec(`ANALYZE`) // as PostgreSQL does by itself within a minute
	measureFastest(b, "evaluation", func() {
		require.NoError(b, r.inTx(r.ctx, func(tx *sqlx.Tx, now time.Time) error {
			if err := setBased(r.ctx, tx); err != nil {
				return err
			}
			return evaluateMonitors(r.ctx, tx, c.ID, 1, now)
		}))
	})
	for what, join := range map[string]string{
		"bare-join-by-email":              `LEFT JOIN person_addresses e ON e.address = lower(email)`,
		"bare-joins-by-email-and-by-name": `LEFT JOIN person_addresses e ON e.address = lower(email) LEFT JOIN person_addresses n ON n.address = lower(username)`,
	} {
		measureFastest(b, what, func() {
			require.NoError(b, r.inTx(r.ctx, func(tx *sqlx.Tx, _ time.Time) error {
				if err := setBased(r.ctx, tx); err != nil {
					return err
				}
				return tx.GetContext(r.ctx, new(int), `SELECT count(*) FROM accounts `+join)
			}))
		})
	}
	var s Sync
	measure(b, "stage-again", func() { key, s = r.stagePages(c, users) })
	measure(b, "check", func() { require.NoError(b, r.checkSnapshot(c, s)) })
	measure(b, "missing", func() {
		_, err := r.MissingAccounts(r.ctx, c.ID, s.Number, 100)
		require.NoError(b, err)
	})
	measure(b, "unchanged-apply", func() { r.apply(c, key) })

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
