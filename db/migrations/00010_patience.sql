-- How a source has failed since a page was last stored, in whichever attempt, so
-- that it is not begun again with the next one. Workers of the version before
-- this do not know these columns, and leave them alone.

-- +goose Up

ALTER TABLE staged_reads
    -- How often it could not be reached, and how long it was waited for while
    -- it was busy.
    ADD COLUMN unreachable  integer NOT NULL DEFAULT 0,
    ADD COLUMN busy_seconds bigint  NOT NULL DEFAULT 0;

-- +goose Down

ALTER TABLE staged_reads DROP COLUMN unreachable, DROP COLUMN busy_seconds;
