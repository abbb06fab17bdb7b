-- Notifications: who is told what happens, and the outbox of what they are
-- told. Only adds tables.

-- +goose Up

CREATE TABLE subscriptions (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint      NOT NULL REFERENCES organizations,
    name            text        NOT NULL UNIQUE,
    -- Where the webhook is, without its path: that may be as good as a secret.
    server          text        NOT NULL,
    -- The whole URL and the secret that signs.
    sealed          bytea       NOT NULL,
    with_findings   boolean     NOT NULL,
    created_at      timestamptz NOT NULL
);
CREATE INDEX ON subscriptions (organization_id);

-- What is to be delivered, in this order for each connection, and for a while
-- what was. Nothing in it is about a person.
CREATE TABLE notices (
    number          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid        NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    subscription_id bigint      NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    connection_id   bigint      REFERENCES connections ON DELETE CASCADE, -- none for a test
    kind            text        NOT NULL CHECK (kind IN ('connection.state', 'sync.held', 'monitor.state', 'test')),
    details         jsonb       NOT NULL,
    created_at      timestamptz NOT NULL,
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'given_up')),
    ended_at        timestamptz,
    attempts        integer     NOT NULL DEFAULT 0,
    attempted_at    timestamptz,
    -- Why the last attempt failed; '' when it did not.
    error           text        NOT NULL DEFAULT ''
);
CREATE INDEX ON notices (connection_id, subscription_id, number) WHERE state = 'pending';
CREATE INDEX ON notices (connection_id);
CREATE INDEX ON notices (subscription_id, number);

-- +goose Down

DROP TABLE notices, subscriptions;
