-- How a source has failed since a page was last stored, in whichever attempt,
-- and how far it was asked for those that its list left out, so that neither is
-- begun again with the next attempt. Workers of the version before this do not
-- know these columns, and begin again.

-- +goose Up

ALTER TABLE staged_reads
    -- How often it could not be reached, and how long it was waited for while
    -- it was busy.
    ADD COLUMN unreachable       integer NOT NULL DEFAULT 0,
    ADD COLUMN busy_seconds      bigint  NOT NULL DEFAULT 0,
    -- The last of the missing that it was asked for, and in which of attempts:
    -- for another one it says nothing.
    ADD COLUMN confirmed_attempt integer NOT NULL DEFAULT 0,
    ADD COLUMN confirmed_kind    text    NOT NULL DEFAULT '',
    ADD COLUMN confirmed_id      text    NOT NULL DEFAULT '',
    -- Why the snapshot is to be held, where that was known before the source
    -- was asked for all of the missing.
    ADD COLUMN held              text    NOT NULL DEFAULT '';

-- +goose Down

ALTER TABLE staged_reads
    DROP COLUMN unreachable, DROP COLUMN busy_seconds,
    DROP COLUMN confirmed_attempt, DROP COLUMN confirmed_kind, DROP COLUMN confirmed_id,
    DROP COLUMN held;
