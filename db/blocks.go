package db

import (
	"context"
	"crypto/sha256"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"jamf-access-review/activities/directory"
)

// From one sync to the next hardly any user changes, of whom there may be a
// million. So accounts and end users are compared in blocks of neighbouring ids,
// of which the record keeps digests: a block that reads as it is on record is
// noted in staged_blocks, and its users are neither staged nor compared one by
// one. A user of another kind, or whose id is no number, has no block.

// The schema knows these numbers, too.
const (
	// blockSize is how many ids a block has, and maxBlockDigits how many digits
	// they have at most.
	blockSize      = 128
	maxBlockDigits = 18
	// firstAccountBlock puts the blocks of accounts, which are read first, below
	// those of end users.
	firstAccountBlock = -1_000_000_000_000_000_000 / blockSize
	// noBlock is below every block.
	noBlock = math.MinInt64
)

// kindOfBlock is the SQL for the kind of the users in a block.
const kindOfBlock = `CASE WHEN block < 0 THEN 'account' ELSE 'end_user' END`

// blockOf returns the block that a user belongs to, as the schema computes it.
func blockOf(u *directory.User) (int64, bool) {
	var first int64
	switch u.Kind {
	case directory.Account:
		first = firstAccountBlock
	case directory.EndUser:
	default:
		return noBlock, false
	}
	if len(u.ID) > maxBlockDigits || strings.Trim(u.ID, "0123456789") != "" {
		return noBlock, false
	}
	id, err := strconv.ParseInt(u.ID, 10, 64)
	return first + id/blockSize, err == nil
}

// stagedUser is a user on the way to staging.
type stagedUser struct {
	*directory.User
	digest []byte // of the facts
}

// block is what is on record of one.
type block struct {
	Number int64  `db:"block"`
	Users  int    `db:"users"`
	Digest []byte `db:"digest"`
}

// blockDigest is equal for two sets of users whose ids and facts are equal,
// and for no others. blocksOf computes it, too.
func blockDigest(users []stagedUser) []byte {
	sorted := slices.Clone(users)
	slices.SortFunc(sorted, func(a, b stagedUser) int { return strings.Compare(a.ID, b.ID) })
	buf := make([]byte, 0, len(sorted)*(sha256.Size+16))
	for _, u := range sorted {
		buf = append(buf, u.ID...)
		buf = append(buf, 0)
		buf = append(buf, u.digest...)
	}
	sum := sha256.Sum256(buf)
	return sum[:]
}

// sieve keeps from being staged what is on record as it was read. It works
// where users come in order of their blocks; what comes later than its block
// is staged.
type sieve struct {
	onRecord map[int64]block
	// highest is the highest block that was come to.
	highest int64
	// open are the users of the highest block so far, the first of which are
	// staged. It is nil where others read the beginning of that block.
	open       []stagedUser
	openStaged int
}

// sifted is what is to be done with users that were read.
type sifted struct {
	// stage are those to stage.
	stage []stagedUser
	// unchanged are blocks as they are on record.
	unchanged []block
	// unstage are users of those blocks who were staged before.
	unstage []directory.Identity
	// late are blocks that seemed to be whole before more of their users came.
	late pq.Int64Array
}

// sift parts the users of a page. The users of the highest block stay open.
func (s *sieve) sift(users []directory.User, into *sifted) {
	for i := range users {
		u := stagedUser{User: &users[i], digest: factsDigest(&users[i])}
		number, ok := blockOf(u.User)
		switch {
		case !ok || len(s.onRecord) == 0:
			into.stage = append(into.stage, u)
		case number > s.highest:
			s.closeBlock(into)
			s.highest, s.open = number, append(make([]stagedUser, 0, blockSize), u)
		case number == s.highest && s.open != nil:
			s.open = append(s.open, u)
		default:
			into.late = append(into.late, number)
			into.stage = append(into.stage, u)
		}
	}
}

// closeBlock decides about the open block, whose users have all come.
func (s *sieve) closeBlock(into *sifted) {
	known, ok := s.onRecord[s.highest]
	if ok && len(s.open) > 0 && slices.Equal(blockDigest(s.open), known.Digest) {
		into.unchanged = append(into.unchanged, known)
		for _, u := range s.open[:s.openStaged] {
			into.unstage = append(into.unstage, u.Identity)
		}
	} else {
		s.stageOpen(into)
	}
	s.open, s.openStaged = nil, 0
}

// stageOpen stages the open block as far as it has come, so that who goes on
// with the read need not know of it.
func (s *sieve) stageOpen(into *sifted) {
	into.stage = append(into.stage, s.open[s.openStaged:]...)
	s.openStaged = len(s.open)
}

// store writes down what was sifted, in this order: a block may become late
// after it was unchanged.
func (s *sifted) store(ctx context.Context, tx *sqlx.Tx, connectionID int64) error {
	if len(s.unstage) > 0 {
		var kinds, ids pq.StringArray
		for _, id := range s.unstage {
			kinds, ids = append(kinds, string(id.Kind)), append(ids, id.ID)
		}
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM staged_accounts
			WHERE connection_id = $1 AND (kind, source_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))`,
			connectionID, kinds, ids); err != nil {
			return err
		}
	}
	if len(s.unchanged) > 0 {
		var numbers, users pq.Int64Array
		for _, b := range s.unchanged {
			numbers, users = append(numbers, b.Number), append(users, int64(b.Users))
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO staged_blocks (connection_id, block, users) SELECT $1, * FROM unnest($2::bigint[], $3::int[])`,
			connectionID, numbers, users); err != nil {
			return err
		}
	}
	if len(s.late) > 0 {
		// What was left out is what is on record.
		if _, err := tx.ExecContext(ctx, `
			WITH late AS (
				DELETE FROM staged_blocks WHERE connection_id = $1 AND block = ANY($2) RETURNING block
			)
			INSERT INTO staged_accounts (connection_id, kind, source_id, `+factColumns+`)
			SELECT connection_id, kind, source_id, `+factColumns+`
			FROM accounts JOIN late USING (block) WHERE connection_id = $1 AND removed_at IS NULL`,
			connectionID, s.late); err != nil {
			return err
		}
	}
	return copyUsers(ctx, tx, connectionID, s.stage)
}

// sieveOf returns the sieve of a connection for a read that has come to a
// block.
func sieveOf(ctx context.Context, tx *sqlx.Tx, connectionID, highest int64) (sieve, error) {
	var blocks []block
	if err := tx.SelectContext(ctx, &blocks, `
		SELECT block, users, digest FROM account_blocks WHERE connection_id = $1`, connectionID); err != nil {
		return sieve{}, err
	}
	if len(blocks) == 0 {
		return sieve{}, nil
	}
	s := sieve{onRecord: make(map[int64]block, len(blocks)), highest: highest}
	for _, b := range blocks {
		s.onRecord[b.Number] = b
	}
	return s, nil
}

// changedBlocks is a query for the blocks ($1 is the connection) of which
// something is staged or on record and which are not known to be unchanged.
const changedBlocks = `
	SELECT block FROM staged_accounts WHERE connection_id = $1 AND block IS NOT NULL
	UNION
	SELECT block FROM account_blocks b WHERE connection_id = $1 AND NOT EXISTS (
		SELECT FROM staged_blocks s WHERE s.connection_id = $1 AND s.block = b.block)`

// blocksOf is the query for the blocks, as account_blocks has them, of the
// present accounts of the connection $1.
const blocksOf = `
	SELECT block, count(*) AS users,
		sha256(string_agg(convert_to(source_id, 'UTF8') || '\x00' || facts_digest, '' ORDER BY source_id)) AS digest
	FROM accounts WHERE connection_id = $1 AND block IS NOT NULL AND removed_at IS NULL`

// makeBlocks makes the digests of a connection that has none.
func makeBlocks(ctx context.Context, tx *sqlx.Tx, connectionID int64) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO account_blocks (connection_id, block, users, digest)
		SELECT $1, block, users, digest FROM (`+blocksOf+` GROUP BY block) b`, connectionID)
	return err
}

// refreshBlocks brings the digests of blocks up to date with their accounts.
func refreshBlocks(ctx context.Context, tx *sqlx.Tx, connectionID int64, blocks pq.Int64Array) error {
	if len(blocks) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		WITH present AS MATERIALIZED (`+blocksOf+` AND block = ANY($2) GROUP BY block), emptied AS (
			DELETE FROM account_blocks b
			WHERE connection_id = $1 AND block = ANY($2) AND NOT EXISTS (SELECT FROM present p WHERE p.block = b.block)
		)
		INSERT INTO account_blocks AS b (connection_id, block, users, digest)
		SELECT $1, block, users, digest FROM present
		ON CONFLICT (connection_id, block) DO UPDATE SET users = excluded.users, digest = excluded.digest
			WHERE (b.users, b.digest) IS DISTINCT FROM (excluded.users, excluded.digest)`,
		connectionID, blocks)
	return err
}
