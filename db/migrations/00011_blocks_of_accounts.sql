-- Accounts in blocks, as end users are: a directory that nobody changed is read
-- and neither staged nor compared one by one. Blocks of accounts are numbered
-- below those of end users, since accounts are read first. And ids are compared
-- byte by byte, in whatever locale the database is: which is faster, and stays
-- the same when the system's locales change. Rewrites accounts. Workers of the
-- version before this would leave these blocks as they were, and may not write:
-- a column has another name for them, and they are tried again until they are
-- replaced.

-- +goose Up

-- All at once, and in the order in which syncs and imports take them: whoever
-- has one and waits for another is waited for before anything is done.
LOCK TABLE staged_reads, staged_accounts, accounts, changes, findings;

ALTER TABLE staged_reads RENAME COLUMN block TO highest_block;
ALTER TABLE staged_reads ALTER COLUMN highest_block SET DEFAULT -9223372036854775808;

-- What comes after an id is another one now.
ALTER TABLE staged_reads RENAME COLUMN confirmed_id TO confirmed_source_id;
UPDATE staged_reads SET confirmed_attempt = 0;

-- The digest of an account whose groups were kept while they could not be read
-- may be that of the account without groups. The next read mends them all.
UPDATE accounts SET facts_digest = sha256(facts_digest)
WHERE kind = 'account' AND access_level = 'Group Access' AND (groups <> '{}' OR roles <> '{}');

ALTER TABLE staged_accounts DROP COLUMN block;
ALTER TABLE staged_accounts
    ALTER COLUMN kind TYPE text COLLATE "C", ALTER COLUMN source_id TYPE text COLLATE "C",
    ADD COLUMN block bigint GENERATED ALWAYS AS (
        CASE WHEN kind IN ('account', 'end_user') AND length(source_id) <= 18 AND translate(source_id, '0123456789', '') = ''
            THEN source_id::bigint / 128 - CASE kind WHEN 'account' THEN 7812500000000000 ELSE 0 END END
    ) STORED;

ALTER TABLE accounts DROP COLUMN block;
ALTER TABLE accounts
    ALTER COLUMN kind TYPE text COLLATE "C", ALTER COLUMN source_id TYPE text COLLATE "C",
    ADD COLUMN block bigint GENERATED ALWAYS AS (
        CASE WHEN kind IN ('account', 'end_user') AND length(source_id) <= 18 AND translate(source_id, '0123456789', '') = ''
            THEN source_id::bigint / 128 - CASE kind WHEN 'account' THEN 7812500000000000 ELSE 0 END END
    ) STORED;
CREATE INDEX ON accounts (connection_id, block);

ALTER TABLE changes ALTER COLUMN kind TYPE text COLLATE "C", ALTER COLUMN source_id TYPE text COLLATE "C";
ALTER TABLE findings ALTER COLUMN kind TYPE text COLLATE "C", ALTER COLUMN source_id TYPE text COLLATE "C";

INSERT INTO account_blocks (connection_id, block, users, digest)
SELECT connection_id, block, count(*),
    sha256(string_agg(convert_to(source_id, 'UTF8') || '\x00' || facts_digest, '' ORDER BY source_id))
FROM accounts WHERE kind = 'account' AND block IS NOT NULL AND removed_at IS NULL
GROUP BY connection_id, block;

ANALYZE accounts, changes, findings;

-- +goose Down

LOCK TABLE staged_reads, staged_accounts, accounts, changes, findings;

ALTER TABLE staged_reads ALTER COLUMN highest_block SET DEFAULT -1;
ALTER TABLE staged_reads RENAME COLUMN highest_block TO block;
ALTER TABLE staged_reads RENAME COLUMN confirmed_source_id TO confirmed_id;
UPDATE staged_reads SET confirmed_attempt = 0;

DELETE FROM account_blocks WHERE block < 0;
DELETE FROM staged_blocks WHERE block < 0;

ALTER TABLE staged_accounts DROP COLUMN block;
ALTER TABLE staged_accounts
    ALTER COLUMN kind TYPE text COLLATE "default", ALTER COLUMN source_id TYPE text COLLATE "default",
    ADD COLUMN block bigint GENERATED ALWAYS AS (
        CASE WHEN kind = 'end_user' AND length(source_id) <= 18 AND translate(source_id, '0123456789', '') = ''
            THEN source_id::bigint / 128 END
    ) STORED;

ALTER TABLE accounts DROP COLUMN block;
ALTER TABLE accounts
    ALTER COLUMN kind TYPE text COLLATE "default", ALTER COLUMN source_id TYPE text COLLATE "default",
    ADD COLUMN block bigint GENERATED ALWAYS AS (
        CASE WHEN kind = 'end_user' AND length(source_id) <= 18 AND translate(source_id, '0123456789', '') = ''
            THEN source_id::bigint / 128 END
    ) STORED;
CREATE INDEX ON accounts (connection_id, block);

ALTER TABLE findings ALTER COLUMN kind TYPE text COLLATE "default", ALTER COLUMN source_id TYPE text COLLATE "default";
ALTER TABLE changes ALTER COLUMN kind TYPE text COLLATE "default", ALTER COLUMN source_id TYPE text COLLATE "default";
