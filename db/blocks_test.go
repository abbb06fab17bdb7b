package db

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jamf-access-review/activities/directory"
)

func endUsers(ids ...int) []directory.User {
	users := make([]directory.User, len(ids))
	for i, id := range ids {
		users[i] = endUser(id)
	}
	return users
}

func upTo(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i + 1
	}
	return ids
}

// connectWithEndUsers connects, with so many end users on record.
func (r *record) connectWithEndUsers(n int) (Connection, []directory.User) {
	r.t.Helper()
	c, users := r.connectEveryone("acme"), endUsers(upTo(n)...)
	r.sync(c, users...)
	return c, users
}

// stageIn stages a complete snapshot in pages of a size. A reader reads so many
// pages and dies, the next goes on at what is stored and reads one more.
func (r *record) stageIn(c Connection, end directory.Summary, users []directory.User, size, pages int) (key string, s Sync) {
	r.t.Helper()
	key, s = r.begin(c)
	var list []directory.Page
	for chunk := range slices.Chunk(users, size) {
		list = append(list, directory.Page{Users: chunk, Requests: 1})
	}
	list = append(list, directory.Page{Summary: &end, Requests: 1})
	for {
		read := r.openStaging(c, s)
		for _, page := range list[read.Pages:min(read.Pages+pages, len(list))] {
			var err error
			read, err = r.StagePage(r.ctx, c.ID, s.Number, read, page)
			require.NoError(r.t, err)
		}
		if read.Complete {
			return key, s
		}
		pages++
	}
}

// blocks are the digests on record, and what they would be if they were made
// anew.
func (r *record) blocks(c Connection) (kept, made string) {
	const all = `SELECT coalesce(string_agg(block || ' ' || users || ' ' || encode(digest, 'hex'), ', ' ORDER BY block), '') FROM `
	kept = one[string](r, all+`account_blocks WHERE connection_id = $1`, c.ID)
	made = one[string](r, all+`(
		SELECT block, count(*) AS users,
			sha256(string_agg(convert_to(source_id, 'UTF8') || '\x00' || facts_digest, '' ORDER BY source_id)) AS digest
		FROM accounts WHERE connection_id = $1 AND block IS NOT NULL AND removed_at IS NULL GROUP BY block
	) b`, c.ID)
	return kept, made
}

func TestWhatNobodyChangedIsNotStaged(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectEveryone("acme")
	users := append([]directory.User{account("of a directory", of(directory.DirectoryGroup))}, numbered(1, 300)...)
	users = append(users, endUsers(upTo(1000)...)...)
	key, _ := r.stageIn(c, *summary(users), users, 300, 100)
	require.Equal(t, 1301, r.staged())
	require.Equal(t, 1301, r.apply(c, key).Added)

	// However the pages lie to the blocks.
	for _, size := range []int{1, 7, 128, 300, 1301} {
		key, s := r.stageIn(c, *summary(users), users, size, 10_000)
		require.Equal(t, 1, r.staged(), size)
		require.NoError(t, r.checkSnapshot(c, s))
		missing, err := r.MissingAccounts(r.ctx, c.ID, s.Number, 10)
		require.NoError(t, err)
		require.Empty(t, missing)
		s = r.apply(c, key)
		require.Equal(t, []int{1301, 0, 0, 0}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
	}

	users[200].Name, users[800].Name = "Changed", "Changed"
	key, _ = r.stageIn(c, *summary(users), users, 300, 100)
	require.Equal(t, 1+2*blockSize, r.staged())
	require.Equal(t, 2, r.apply(c, key).Changed)
}

// The block of a user is computed here and by PostgreSQL.
func TestBlocksAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectEveryone("acme")
	var users []directory.User
	for _, id := range []string{"0", "1", "127", "128", "007", "999999999999999999", "1000000000000000000", "-1", "+1", "1e3", "a", " 1", "１"} {
		u := endUser(0)
		u.ID = id
		users = append(users, u)
	}
	users = append(users, account("1"), account("128"))
	for range 3 {
		r.sync(c, users...)
	}
	for _, u := range users {
		want, ok := blockOf(&u)
		got := one[*int64](r, `SELECT block FROM accounts WHERE kind = $1 AND source_id = $2`, string(u.Kind), u.ID)
		require.Equal(t, ok, got != nil, u.ID)
		if ok {
			require.Equal(t, want, *got, u.ID)
		}
	}
}

func TestAUserThatComesTwiceIsNoticedInAnUnchangedBlock(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]directory.User{
		"in its block":             endUser(200),
		"after it":                 endUser(7),
		"after it, with new facts": endUser(7, func(u *directory.User) { u.Name = "Changed" }),
	} {
		for where, pages := range map[string]int{"on its page": 1, "on another": 2, "much later": 2 * maxUnstoredRequests} {
			t.Run(name+" "+where, func(t *testing.T) {
				t.Parallel()
				r := setup(t)
				c, users := r.connectWithEndUsers(200)
				s, read := r.readingOn(c)
				var err error
				for chunk := range slices.Chunk(append(users, again), (len(users)+pages)/pages) {
					require.NoError(t, err)
					read, err = r.StagePage(r.ctx, c.ID, s.Number, read, directory.Page{Users: chunk, Requests: 1})
				}
				if err == nil {
					_, err = r.StagePage(r.ctx, c.ID, s.Number, read, directory.Page{Summary: summary(users)})
				}
				if err == nil {
					err = r.checkSnapshot(c, s)
				}
				require.Equal(t, directory.Inconsistent, directory.CodeOf(err))
			})
		}
	}
}

// What follows a block may belong to it all the same, where the source sorts
// ids as text.
func TestABlockGoesOnAfterOthers(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 3, 100} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectEveryone("acme")
			r.sync(c, endUsers(1, 1000)...)
			key, s := r.stageIn(c, *summary(endUsers(1, 1000, 2)), endUsers(1, 1000, 2), size, 100)
			require.NoError(t, r.checkSnapshot(c, s))
			s = r.apply(c, key)
			require.Equal(t, []int{3, 1, 0, 0}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
		})
	}
}

func TestPagesAreStoredAfterSoManyRequestsOrUsers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		users, requests, stored int
	}{
		"few of both":   {maxUnstoredUsers - 1, maxUnstoredRequests - 1, 0},
		"many users":    {maxUnstoredUsers, 1, 1},
		"many requests": {1, maxUnstoredRequests, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			c := r.connectEveryone("acme")
			s, read := r.readingOn(c)
			page := directory.Page{Users: endUsers(upTo(test.users)...), Requests: test.requests}
			_, err := r.StagePage(r.ctx, c.ID, s.Number, read, page)
			require.NoError(t, err)
			require.Equal(t, test.stored, r.openStaging(c, s).Pages)
		})
	}
}

// A reader that a source's error stops leaves what it has read.
func TestUnstoredPagesAreStored(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c, users := r.connectWithEndUsers(300)
	s, read := r.readingOn(c)
	var err error
	for chunk := range slices.Chunk(users[:200], 50) {
		read, err = r.StagePage(r.ctx, c.ID, s.Number, read, directory.Page{Users: chunk, Requests: 1, Cursor: "200"})
		require.NoError(t, err)
	}
	for range 2 {
		read, err = r.StoreRead(r.ctx, c.ID, s.Number, read)
		require.NoError(t, err)
		again := r.openStaging(c, s)
		require.Equal(t, []any{directory.Cursor("200"), 4, 200, 4}, []any{again.Cursor, again.Pages, again.Users, again.Requests})
	}
	read, err = r.StagePage(r.ctx, c.ID, s.Number, read, directory.Page{Users: users[200:], Requests: 1, Summary: summary(users)})
	require.NoError(t, err)
	require.Equal(t, 5, read.Pages)
	require.NoError(t, r.checkSnapshot(c, s))
	require.Zero(t, r.staged())
}

// Who goes on with a read in the middle of a block has not seen its beginning,
// and what follows may by itself look like the block on record.
func TestABlockIsNotTakenForUnchangedByItsSecondHalf(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c := r.connectEveryone("acme")
	r.sync(c, endUsers(5, 6, 7)...)
	key, s := r.begin(c)
	for i, users := range [][]directory.User{endUsers(1, 2), endUsers(5, 6, 7)} {
		page := directory.Page{Users: users, Requests: 1}
		if i == 1 {
			page.Summary = summary(endUsers(1, 2, 5, 6, 7))
		}
		_, err := r.storePage(c.ID, s.Number, r.openStaging(c, s), page)
		require.NoError(t, err)
	}
	require.NoError(t, r.checkSnapshot(c, s))
	s = r.apply(c, key)
	require.Equal(t, []int{5, 2, 0, 0}, []int{s.Accounts, s.Added, s.Changed, s.Removed})
	require.Len(t, r.accounts(c, false), 5)
}

func TestBlocksGoOnAfterTheListWasReadAgain(t *testing.T) {
	t.Parallel()
	r := setup(t)
	c, users := r.connectWithEndUsers(300)
	s, read := r.readingOn(c)
	read, err := r.StagePage(r.ctx, c.ID, s.Number, read, directory.Page{Users: users[:200], Requests: 1})
	require.NoError(t, err)
	read, err = r.RestartStaging(r.ctx, c.ID, s.Number, read)
	require.NoError(t, err)
	_, err = r.StagePage(r.ctx, c.ID, s.Number, read, directory.Page{Users: users, Requests: 1, Summary: summary(users)})
	require.NoError(t, err)
	require.Zero(t, r.staged())
	require.NoError(t, r.checkSnapshot(c, s))
}

// Whatever was changed, in whatever order the source lists it and wherever its
// pages and readers end, a record that is kept by blocks is that of one which
// knows nothing of them: what is refused, what is held and what is written.
func TestBlocksMakeNoDifference(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 7))
			r := setup(t)
			c, plain := r.connectEveryone("acme"), r.connectEveryone("plain")
			at := map[directory.Identity]directory.User{}
			for range 8 {
				disturb(random, at)
				page := directory.Summary{GroupsUnread: random.IntN(4) == 0}
				var users []directory.User
				for _, u := range at {
					if page.GroupsUnread {
						u.Groups = nil
					}
					users = append(users, u)
				}
				slices.SortFunc(users, orders[random.IntN(len(orders))])
				page.Totals = summary(users).Totals
				page.Totals[directory.EndUser] += 0
				options := accepting
				options.AcceptRemovals = random.IntN(3) > 0

				r.exec(`UPDATE account_blocks SET digest = '' WHERE connection_id = $1`, plain.ID)
				key, s := r.stageIn(plain, page, users, 100, 100)
				require.Equal(t, len(users), r.staged())
				want, refused := r.checkAndApply(plain, key, s, options)
				key, s = r.stageIn(c, page, users, 1+random.IntN(200), 1+random.IntN(5))
				got, err := r.checkAndApply(c, key, s, options)
				require.Equal(t, fmt.Sprint(refused), fmt.Sprint(err))
				got.Requests = want.Requests
				require.Equal(t, want, got)
				require.Equal(t, r.accounts(plain, false), r.accounts(c, false))
				require.Equal(t, r.accounts(plain, true), r.accounts(c, true))
				require.Equal(t, r.changes(plain, s.Number), r.changes(c, s.Number))
				kept, made := r.blocks(c)
				require.Equal(t, made, kept)
			}
		})
	}
}

// disturb changes some users of a directory: few of them, or many.
func disturb(random *rand.Rand, at map[directory.Identity]directory.User) {
	for range random.IntN(4) * random.IntN(60) {
		u := endUser(random.IntN(700), func(u *directory.User) { u.Name = fmt.Sprint(random.IntN(3)) })
		switch random.IntN(4) {
		case 0:
			u = account(fmt.Sprint(random.IntN(400)), []func(*directory.User){
				func(*directory.User) {}, inactive,
				func(u *directory.User) { u.Roles = []string{"Auditor"} },
			}[random.IntN(3)])
		case 1:
			u = inGroups(fmt.Sprint(random.IntN(400)), [][]string{nil, {"A"}, {"B"}, {"A", "C"}}[random.IntN(4)]...)
		}
		if _, ok := at[u.Identity]; ok && random.IntN(3) == 0 {
			delete(at, u.Identity)
			continue
		}
		at[u.Identity] = u
	}
}

// checkAndApply applies a staged snapshot if it may be, and otherwise ends its
// sync and returns why.
func (r *record) checkAndApply(c Connection, key string, s Sync, options ApplyOptions) (Sync, error) {
	r.t.Helper()
	var ended EndedSync
	refused := r.checkSnapshot(c, s)
	if refused == nil {
		r.confirm(c, s)
		ended, refused = r.ApplySnapshot(r.ctx, c.ID, key, options)
	}
	if refused != nil {
		require.Equal(r.t, directory.Inconsistent, directory.CodeOf(refused))
		_, err := r.FailSync(r.ctx, c.ID, key, s.Trigger, "inconsistent_source", "", options.Becomes)
		require.NoError(r.t, err)
	}
	return ended.Sync, refused
}

var accepting = ApplyOptions{AcceptRemovals: true, Becomes: StateChange{State: Active}}

// orders are those in which a source may list its users.
var orders = []func(a, b directory.User) int{
	func(a, b directory.User) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), strings.Compare(a.ID, b.ID))
	},
	func(a, b directory.User) int { return strings.Compare(a.ID, b.ID) },
	func(a, b directory.User) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) },
}
