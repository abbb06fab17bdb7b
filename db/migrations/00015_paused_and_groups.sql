-- A connection that needs credentials may be paused as well, and is so once it has
-- them.
--
-- With single sign-on, whoever is in a group that Jamf Pro keeps itself may come
-- in without an account. How many such groups there are is known of the next sync
-- on.
--
-- Whoever had an exit and is no longer listed on a roster is remembered for a while:
-- a later roster may list them without it.

-- +goose Up

CREATE TABLE departures (
    organization_id bigint      NOT NULL REFERENCES organizations ON DELETE CASCADE,
    address         text        NOT NULL,
    person          text        NOT NULL,
    exited_at       timestamptz NOT NULL,
    PRIMARY KEY (organization_id, address)
);

ALTER TABLE connections
    ADD COLUMN paused boolean NOT NULL DEFAULT false,
    ADD COLUMN internal_groups integer NOT NULL DEFAULT 0;
UPDATE connections SET paused = true WHERE state = 'paused' AND NOT cancelled;

-- +goose Down

DROP TABLE departures;
ALTER TABLE connections DROP COLUMN paused, DROP COLUMN internal_groups;
