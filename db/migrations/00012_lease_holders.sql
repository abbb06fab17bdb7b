-- Who holds a lease: a connection has several readers where a worker was away
-- and another has gone on. Only adds a column; workers of the version before
-- this do not know it, and free what others of their connection hold.

-- +goose Up

ALTER TABLE source_leases ADD COLUMN holder uuid NOT NULL DEFAULT gen_random_uuid();

-- +goose Down

ALTER TABLE source_leases DROP COLUMN holder;
