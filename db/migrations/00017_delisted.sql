-- Who had an exit and is no longer listed on a roster is remembered beside those who
-- are: whose an address is is looked for once. Workers of the version before this look
-- for a table that is gone, and are tried again until they are replaced.

-- +goose Up

ALTER TABLE person_addresses ADD COLUMN delisted boolean NOT NULL DEFAULT false;
INSERT INTO person_addresses (organization_id, address, person, exited_at, delisted)
SELECT organization_id, address, person, exited_at, true FROM departures
ON CONFLICT DO NOTHING;
DROP TABLE departures;

-- +goose Down

CREATE TABLE departures (
    organization_id bigint      NOT NULL REFERENCES organizations ON DELETE CASCADE,
    address         text        NOT NULL,
    person          text        NOT NULL,
    exited_at       timestamptz NOT NULL,
    PRIMARY KEY (organization_id, address)
);
INSERT INTO departures (organization_id, address, person, exited_at)
SELECT organization_id, address, person, exited_at FROM person_addresses WHERE delisted;
DELETE FROM person_addresses WHERE delisted;
ALTER TABLE person_addresses DROP COLUMN delisted;
