-- End users in blocks of 128 neighbouring ids: a block that reads as it is on
-- record is not staged, and so a million that nobody changed are read and no
-- more. Package db computes a user's block as it is computed here. Rewrites
-- accounts. Workers of the version before this know nothing of blocks, and may
-- not write what blocks are made of: a column has another name for them, and
-- they are tried again until they are replaced.

-- +goose Up

ALTER TABLE accounts RENAME COLUMN facts_hash TO facts_digest;
ALTER TABLE staged_accounts RENAME COLUMN facts_hash TO facts_digest;

ALTER TABLE accounts ADD COLUMN block bigint GENERATED ALWAYS AS (
    CASE WHEN kind = 'end_user' AND length(source_id) <= 18 AND translate(source_id, '0123456789', '') = ''
        THEN source_id::bigint / 128 END
) STORED;
CREATE INDEX ON accounts (connection_id, block);

ALTER TABLE staged_accounts ADD COLUMN block bigint GENERATED ALWAYS AS (
    CASE WHEN kind = 'end_user' AND length(source_id) <= 18 AND translate(source_id, '0123456789', '') = ''
        THEN source_id::bigint / 128 END
) STORED;

-- What is on record of each block that has present accounts: how many, and a
-- digest of their ids and facts. Written with the accounts, and made of them.
CREATE TABLE account_blocks (
    connection_id bigint  NOT NULL REFERENCES connections ON DELETE CASCADE,
    block         bigint  NOT NULL,
    users         integer NOT NULL,
    digest        bytea   NOT NULL,
    PRIMARY KEY (connection_id, block)
);

INSERT INTO account_blocks (connection_id, block, users, digest)
SELECT connection_id, block, count(*),
    sha256(string_agg(convert_to(source_id, 'UTF8') || '\x00' || facts_digest, '' ORDER BY source_id COLLATE "C"))
FROM accounts WHERE block IS NOT NULL AND removed_at IS NULL
GROUP BY connection_id, block;

-- The blocks of a snapshot that are as they are on record. None of their users
-- is in staged_accounts.
CREATE UNLOGGED TABLE staged_blocks (
    connection_id bigint  NOT NULL,
    block         bigint  NOT NULL,
    users         integer NOT NULL,
    PRIMARY KEY (connection_id, block)
);

-- The highest block that the reading has come to: its users are whole for
-- nobody who goes on with it.
ALTER TABLE staged_reads ADD COLUMN block bigint NOT NULL DEFAULT -1;

-- +goose Down

ALTER TABLE staged_reads DROP COLUMN block;
DROP TABLE staged_blocks, account_blocks;
ALTER TABLE staged_accounts DROP COLUMN block;
ALTER TABLE accounts DROP COLUMN block;
ALTER TABLE staged_accounts RENAME COLUMN facts_digest TO facts_hash;
ALTER TABLE accounts RENAME COLUMN facts_digest TO facts_hash;
