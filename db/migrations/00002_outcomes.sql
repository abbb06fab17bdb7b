-- Outcomes are only ever added: a sync's accounts are judged again when a staff
-- roster is imported. The latest outcome of a monitor is the one that counts.
-- Workers of the version before this keep one outcome a sync and cannot write
-- this table; they are tried again until they are replaced.

-- +goose Up

ALTER TABLE outcomes
    DROP CONSTRAINT outcomes_pkey,
    ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY,
    ADD PRIMARY KEY (connection_id, code, id);

-- +goose Down

DELETE FROM outcomes o USING outcomes later
WHERE later.connection_id = o.connection_id AND later.code = o.code AND later.number = o.number AND later.id > o.id;
ALTER TABLE outcomes
    DROP CONSTRAINT outcomes_pkey,
    DROP COLUMN id,
    ADD PRIMARY KEY (connection_id, code, number);
