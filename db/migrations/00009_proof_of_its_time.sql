-- What an outcome proves ends with time: an interval that was made longer after
-- a sync does not make that sync younger, and somebody whose exit is to come
-- does not pass for ever. People are joined with accounts without a detour: an
-- address says whose it is and when they leave. It is only written with its
-- roster, under the lock of that, so nothing is looked up for every row.
-- Workers of the version before this know person_addresses otherwise, and are
-- tried again until they are replaced.

-- +goose Up

-- In the order in which syncs and imports take these tables.
ALTER TABLE syncs
    -- The interval at the time of the sync; not known of earlier ones.
    ADD COLUMN every_seconds bigint CHECK (every_seconds > 0),
    -- When the reading began of what is staged, or was applied; not known of
    -- earlier ones.
    ADD COLUMN read_since timestamptz;

ALTER TABLE person_addresses ADD COLUMN person text, ADD COLUMN exited_at timestamptz;
UPDATE person_addresses a SET person = p.email, exited_at = p.exited_at FROM people p WHERE p.id = a.person_id;
ALTER TABLE person_addresses
    ALTER COLUMN person SET NOT NULL,
    DROP COLUMN person_id;
ALTER TABLE people DROP COLUMN id;

-- The earliest exit that is still to come of those who pass.
ALTER TABLE outcomes ADD COLUMN next_exit_at timestamptz;

-- +goose Down

ALTER TABLE people ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
ALTER TABLE person_addresses
    ADD COLUMN person_id bigint REFERENCES people ON DELETE CASCADE;
UPDATE person_addresses a SET person_id = p.id FROM people p WHERE p.organization_id = a.organization_id AND p.email = a.person;
ALTER TABLE person_addresses ALTER COLUMN person_id SET NOT NULL, DROP COLUMN person, DROP COLUMN exited_at;
CREATE INDEX ON person_addresses (person_id);

ALTER TABLE outcomes DROP COLUMN next_exit_at;
ALTER TABLE syncs DROP COLUMN every_seconds, DROP COLUMN read_since;
