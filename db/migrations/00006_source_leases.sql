-- Who reads a source's server at this moment. UNLOGGED: a crash of PostgreSQL
-- ends every lease, and soon after what was read under it.

-- +goose Up

CREATE UNLOGGED TABLE source_leases (
    server        text        PRIMARY KEY,
    connection_id bigint      NOT NULL REFERENCES connections ON DELETE CASCADE,
    expires_at    timestamptz NOT NULL
);

-- +goose Down

DROP TABLE source_leases;
