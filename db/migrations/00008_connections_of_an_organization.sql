-- A staff roster that is imported counts for the connections of its
-- organization, and is to find them among a hundred thousand. Only adds an
-- index.

-- +goose Up

CREATE INDEX ON connections (organization_id);

-- +goose Down

DROP INDEX connections_organization_id_idx;
