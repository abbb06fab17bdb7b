-- Accounts in blocks, as end users are: a directory that nobody changed is read
-- and neither staged nor compared one by one. Blocks of accounts are numbered
-- below those of end users, since accounts are read first. And ids are compared
-- byte by byte, in whatever locale the database is: which is faster, and stays
-- the same when the system's locales change. Rewrites accounts. Workers of the
-- version before this would leave these blocks as they were, and may not write:
-- a column has another name for them, and they are tried again until they are
-- replaced.

-- +goose Up

-- In the order in which syncs and imports take these tables.
ALTER TABLE staged_reads RENAME COLUMN block TO highest_block;
ALTER TABLE staged_reads ALTER COLUMN highest_block SET DEFAULT -9223372036854775808;

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

-- +goose Down

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

ALTER TABLE staged_reads ALTER COLUMN highest_block SET DEFAULT -1;
ALTER TABLE staged_reads RENAME COLUMN highest_block TO block;
