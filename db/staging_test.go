package db

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db/localpostgres"
)

// reading is a sync of which nothing is staged yet, nor known to be unchanged.
func (r *record) reading(c Connection) (s Sync, read StagedRead) {
	r.t.Helper()
	s, read = r.readingOn(c)
	require.Equal(r.t, StagedRead{Attempts: 1, inPlace: r.reload(c).AppliedSync == 0}, read)
	return s, read
}

// readingOn is a sync whose snapshot is being staged.
func (r *record) readingOn(c Connection) (s Sync, read StagedRead) {
	r.t.Helper()
	_, s = r.begin(c)
	return s, r.openStaging(c, s)
}

func (r *record) openStaging(c Connection, s Sync) StagedRead {
	r.t.Helper()
	read, err := r.OpenStaging(r.ctx, c.ID, s.Number)
	require.NoError(r.t, err)
	return read
}

func (r *record) staged() (n int) {
	return one[int](r, `
		SELECT (SELECT count(*) FROM staged_accounts)
			+ (SELECT count(*) FROM accounts JOIN connections c ON c.id = connection_id WHERE applied_number = 0)`)
}

// whereverStaged runs a test on a connection whose next snapshot is its first,
// and on one that has a record already.
func whereverStaged(t *testing.T, test func(t *testing.T, r *record, c Connection)) {
	t.Parallel()
	t.Run("the first snapshot", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		test(t, r, r.connect("acme"))
	})
	t.Run("a later one", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		c := r.connect("acme")
		r.sync(c, account("1", of(directory.DirectoryGroup)))
		test(t, r, c)
	})
}

func TestPageAndCursorAreStoredTogether(t *testing.T) {
	whereverStaged(t, func(t *testing.T, r *record, c Connection) {
		s, read := r.reading(c)

		first, err := r.storePage(c.ID, s.Number, read, directory.Page{Users: []directory.User{account("1"), account("2")}, Cursor: "a", Requests: 4})
		require.NoError(t, err)
		require.Equal(t, StagedRead{Cursor: "a", Pages: 1, Users: 2, Requests: 4, Attempts: 1, inPlace: read.inPlace}, first)
		before := r.dump()

		// The second of these users is staged already.
		_, err = r.storePage(c.ID, s.Number, first, directory.Page{Users: []directory.User{account("3"), account("1")}, Cursor: "b"})
		require.Equal(t, directory.Inconsistent, directory.CodeOf(err))
		require.Equal(t, before, r.dump())

		last, err := r.storePage(c.ID, s.Number, first, directory.Page{Cursor: "c", Requests: 1, Summary: summary(nil)})
		require.NoError(t, err)
		require.Equal(t, StagedRead{Cursor: "c", Pages: 2, Users: 2, Requests: 5, Attempts: 1, inPlace: read.inPlace, Complete: true}, last)
		for range 2 {
			resumed, err := r.OpenStaging(r.ctx, c.ID, s.Number)
			require.NoError(t, err)
			require.Equal(t, last, resumed)
		}
	})
}

func TestPageIsStoredOnce(t *testing.T) {
	whereverStaged(t, func(t *testing.T, r *record, c Connection) {
		s, read := r.reading(c)
		stored := 0
		for _, err := range together(8, func(int) error {
			_, err := r.storePage(c.ID, s.Number, read, directory.Page{Users: []directory.User{account("1")}, Cursor: "a"})
			return err
		}) {
			if err == nil {
				stored++
				continue
			}
			require.ErrorIs(t, err, ErrStagingLost)
		}
		require.Equal(t, 1, stored)
		require.Equal(t, 1, r.staged())
	})
}

func TestReaderOfAnEarlierAttemptHasLostItsStaging(t *testing.T) {
	whereverStaged(t, func(t *testing.T, r *record, c Connection) {
		s, stale := r.reading(c)
		read, err := r.storePage(c.ID, s.Number, stale, directory.Page{Users: []directory.User{account("1")}, Cursor: "a", Requests: 2})
		require.NoError(t, err)
		before := r.dump()
		_, err = r.RestartStaging(r.ctx, c.ID, s.Number, stale)
		require.ErrorIs(t, err, ErrStagingLost, "somebody else has gone on")
		require.Equal(t, before, r.dump())

		again, err := r.RestartStaging(r.ctx, c.ID, s.Number, read)
		require.NoError(t, err)
		require.Equal(t, StagedRead{Requests: 2, Attempts: 2, inPlace: stale.inPlace}, again)
		require.Zero(t, r.staged())
		_, err = r.storePage(c.ID, s.Number, stale, directory.Page{Cursor: "a"})
		require.ErrorIs(t, err, ErrStagingLost)

		_, err = r.RestartStaging(r.ctx, c.ID, s.Number, read)
		require.ErrorIs(t, err, ErrStagingLost, "or has begun again")
		again, err = r.RestartStaging(r.ctx, c.ID, s.Number, again)
		require.NoError(t, err)
		require.Equal(t, 3, again.Attempts)
	})
}

func TestNextSyncDropsWhatAnotherStaged(t *testing.T) {
	whereverStaged(t, func(t *testing.T, r *record, c Connection) {
		old, read := r.reading(c)
		read, err := r.storePage(c.ID, old.Number, read, directory.Page{Users: []directory.User{account("1")}, Cursor: "a"})
		require.NoError(t, err)
		r.reading(c)
		require.Zero(t, r.staged())

		_, err = r.storePage(c.ID, old.Number, read, directory.Page{Users: []directory.User{account("2")}, Cursor: "b"})
		require.ErrorIs(t, err, ErrStagingLost)
		_, err = r.RestartStaging(r.ctx, c.ID, old.Number, read)
		require.ErrorIs(t, err, ErrStagingLost)
		_, err = r.OpenStaging(r.ctx, c.ID, old.Number)
		require.ErrorIs(t, err, ErrStagingLost)
		require.Zero(t, r.staged())
	})
}

func TestConnectionsAreStagedApart(t *testing.T) {
	t.Parallel()
	r := setup(t)
	a, b := r.connect("a"), r.connect("b")
	key, _ := r.stage(a, summary([]directory.User{account("1")}), []directory.User{account("1")})
	r.sync(b, account("1"), account("2"))
	require.Equal(t, 1, r.apply(a, key).Accounts)
}

func TestIncompleteReadIsNoSnapshot(t *testing.T) {
	whereverStaged(t, func(t *testing.T, r *record, c Connection) {
		key, s := r.stage(c, nil, []directory.User{account("1")})
		require.ErrorIs(t, r.checkSnapshot(c, s), ErrStagingLost)
		_, err := r.MissingAccounts(r.ctx, c.ID, s.Number, 10)
		require.ErrorIs(t, err, ErrStagingLost)
		_, err = r.ApplySnapshot(r.ctx, c.ID, key, becomesActive)
		require.ErrorIs(t, err, ErrStagingLost)
		require.NotContains(t, r.accounts(c, false), "account/1")
	})
}

func TestUsersThatCannotBeStoredMakeTheReadInconsistent(t *testing.T) {
	whereverStaged(t, func(t *testing.T, r *record, c Connection) {
		s, read := r.reading(c)
		for what, edit := range map[string]func(*directory.User){
			"NUL":           func(u *directory.User) { u.Name = "a\x00b" },
			"invalid UTF-8": func(u *directory.User) { u.Roles = []string{"\xff"} },
			"no id":         func(u *directory.User) { u.ID = "" },
			"a long id":     func(u *directory.User) { u.ID = strings.Repeat("x", maxIDBytes+1) },
			"another kind":  of("printer"),
		} {
			_, err := r.storePage(c.ID, s.Number, read, directory.Page{Users: []directory.User{account("1", edit)}, Cursor: "a"})
			require.Equal(t, directory.Inconsistent, directory.CodeOf(err), what)
			require.NotContains(t, err.Error(), "User 1")
		}
		require.Zero(t, r.staged())
	})
}

func TestMissingAccountsArePagedAndOnlyOfKindsThatWereRead(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), account("2"), account("3"), account("4"), account("9"), account("5", of(directory.DirectoryGroup)))
	r.sync(c, account("1"), account("2"), account("3"), account("4"), account("5", of(directory.DirectoryGroup)))
	s, read := r.readingOn(c)
	_, err := r.storePage(c.ID, s.Number, read, directory.Page{
		Users: []directory.User{account("2")}, Summary: &directory.Summary{Totals: map[directory.Kind]int{directory.Account: 1}},
	})
	require.NoError(t, err)

	var ids []string
	missing, err := r.CheckSnapshot(r.ctx, c.ID, s.Number, 2)
	for ; len(missing) > 0; missing, err = r.MissingAccounts(r.ctx, c.ID, s.Number, 2) {
		for _, m := range missing {
			require.Equal(t, directory.Account, m.Kind)
			ids = append(ids, m.ID)
		}
		_, err := r.ConfirmMissing(r.ctx, c.ID, s.Number, r.openStaging(c, s), missing[len(missing)-1], 1)
		require.NoError(t, err)
	}
	require.NoError(t, err)
	require.Equal(t, []string{"1", "3", "4"}, ids)
}

func TestWhatWasConfirmedIsKeptForThisReadingOnly(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), account("2"))
	_, s := r.stage(c, summary([]directory.User{account("1")}), []directory.User{account("1")})
	staged := r.openStaging(c, s)
	gone := directory.Identity{Kind: directory.Account, ID: "2"}

	confirmed, err := r.ConfirmMissing(r.ctx, c.ID, s.Number, staged, gone, 3)
	require.NoError(t, err)
	require.Equal(t, []any{gone, staged.Pages + 1, staged.Requests + 3}, []any{r.confirmed(c, s), confirmed.Pages, confirmed.Requests})
	require.Equal(t, confirmed, r.openStaging(c, s))
	_, err = r.ConfirmMissing(r.ctx, c.ID, s.Number, staged, gone, 3)
	require.ErrorIs(t, err, ErrStagingLost, "somebody else has gone on")

	_, err = r.RestartStaging(r.ctx, c.ID, s.Number, confirmed)
	require.NoError(t, err)
	require.Zero(t, r.confirmed(c, s))
}

// Whatever happened between reading and applying: who goes has been asked for.
func TestNobodyIsRemovedWhomTheSourceWasNotAskedFor(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), account("2"), account("3"))
	users := []directory.User{account("1")}
	key, s := r.begin(c)
	staged, err := r.storePage(c.ID, s.Number, r.openStaging(c, s), directory.Page{Users: users, Cursor: "end", Summary: summary(users)})
	require.NoError(t, err)
	for _, confirmed := range []string{"2", "3"} {
		before := r.dump()
		_, err = r.ApplySnapshot(r.ctx, c.ID, key, becomesActive)
		require.ErrorIs(t, err, ErrStagingLost)
		require.Equal(t, before, r.dump())
		staged, err = r.ConfirmMissing(r.ctx, c.ID, s.Number, staged, directory.Identity{Kind: directory.Account, ID: confirmed}, 1)
		require.NoError(t, err)
	}
	require.Equal(t, 2, r.apply(c, key).Removed)
}

func TestTroubleAddsUpUntilAPageIsStored(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connect("acme")
	r.sync(c, account("1"), account("2"))
	s, read := r.readingOn(c)
	trouble := func(want Trouble) {
		t.Helper()
		for range 2 {
			require.NoError(t, r.AddTrouble(r.ctx, c.ID, s.Number, Trouble{Busy: time.Minute}))
		}
		require.NoError(t, r.AddTrouble(r.ctx, c.ID, s.Number, Trouble{Unreachable: 1}))
		require.Equal(t, want, r.openStaging(c, s).Trouble)
	}
	trouble(Trouble{Unreachable: 1, Busy: 2 * time.Minute})
	trouble(Trouble{Unreachable: 2, Busy: 4 * time.Minute})
	_, err := r.RestartStaging(r.ctx, c.ID, s.Number, read)
	require.NoError(t, err)
	read = r.openStaging(c, s)
	require.NotZero(t, read.Trouble, "to begin again is no progress")

	users := []directory.User{account("1")}
	read, err = r.storePage(c.ID, s.Number, read, directory.Page{Users: users, Cursor: "end", Summary: summary(users)})
	require.NoError(t, err)
	require.Zero(t, read.Trouble)
	trouble(Trouble{Unreachable: 1, Busy: 2 * time.Minute})
	read, err = r.ConfirmMissing(r.ctx, c.ID, s.Number, read, directory.Identity{Kind: directory.Account, ID: "2"}, 1)
	require.NoError(t, err)
	require.Zero(t, read.Trouble)
	trouble(Trouble{Unreachable: 1, Busy: 2 * time.Minute})

	require.ErrorIs(t, r.AddTrouble(r.ctx, c.ID, s.Number+1, Trouble{Unreachable: 1}), ErrStagingLost)
}

func startKept(t *testing.T, dir string) *localpostgres.Server {
	t.Helper()
	s, err := localpostgres.Start(context.Background(), localpostgres.Config{Dir: dir})
	require.NoError(t, err)
	return s
}

func TestStagingAfterTheServerWentDown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ first, crashes bool }{
		"stopped in a first snapshot": {first: true},
		"stopped in a later one":      {},
		"crashed in a first snapshot": {first: true, crashes: true},
		"crashed in a later one":      {crashes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "jamf-access-review-db-")
			require.NoError(t, err)
			require.NoError(t, os.Chmod(dir, 0o755))
			t.Cleanup(func() { os.RemoveAll(dir) })
			first := startKept(t, dir)
			require.NoError(t, createMigrated(t.Context(), first))
			r := setupAt(t, first.URL(migrated))
			c := r.connect("acme")
			if !test.first {
				r.sync(c, account("1", of(directory.DirectoryGroup)))
			}
			s, began := r.reading(c)
			read, err := r.storePage(c.ID, s.Number, began, directory.Page{Users: []directory.User{account("1")}, Cursor: "a", Requests: 2})
			require.NoError(t, err)
			r.connect("durable, and everything before it")

			if test.crashes {
				require.NoError(t, first.Kill())
			} else {
				require.NoError(t, first.Stop(t.Context()))
			}
			second := startKept(t, dir)
			t.Cleanup(func() { require.NoError(t, second.Stop(context.Background())) })
			r.url = second.URL(migrated)
			r.DB = r.openWith(WithKeyset(r.keyset))

			_, err = r.storePage(c.ID, s.Number, read, directory.Page{Users: []directory.User{account("2")}, Cursor: "b"})
			if test.crashes {
				require.ErrorIs(t, err, ErrStagingLost)
				require.Equal(t, test.first, r.staged() == 1, "accounts outlive a crash")
				require.Equal(t, began, r.openStaging(c, s))
				require.Zero(t, r.staged())
				return
			}
			require.NoError(t, err)
			require.Equal(t, 2, r.staged())
		})
	}
}
