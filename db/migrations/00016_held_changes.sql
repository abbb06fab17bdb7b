-- Whom a held snapshot would take, for the person who is to accept it. It is of the
-- last one that was held, and may be incomplete.

-- +goose Up

CREATE TABLE held_changes (
    connection_id bigint      NOT NULL,
    number        integer     NOT NULL,
    kind          text        NOT NULL,
    source_id     text        NOT NULL,
    change        text        NOT NULL CHECK (change IN ('removed', 'changed')),
    at            timestamptz NOT NULL,
    before        jsonb       NOT NULL,
    after         jsonb       NOT NULL,
    PRIMARY KEY (connection_id, kind, source_id),
    FOREIGN KEY (connection_id, number) REFERENCES syncs ON DELETE CASCADE
);

-- +goose Down

DROP TABLE held_changes;
