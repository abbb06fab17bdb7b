-- The record: what is known of each connection, how it came to be known, and
-- what the monitors made of it. Safe to run on an empty database only.

-- +goose Up

CREATE TABLE organizations (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text   NOT NULL UNIQUE
);

CREATE TABLE connections (
    id                  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id     bigint      NOT NULL REFERENCES organizations,
    name                text        NOT NULL UNIQUE,
    source              text        NOT NULL,
    base_url            text        NOT NULL,
    account             text        NOT NULL,
    scope               text        NOT NULL CHECK (scope IN ('admins', 'everyone')),
    every_seconds       bigint      NOT NULL CHECK (every_seconds > 0),
    exit_grace_seconds  bigint      NOT NULL CHECK (exit_grace_seconds >= 0),
    hold_percent        integer     NOT NULL CHECK (hold_percent BETWEEN 0 AND 100),
    hold_count          integer     NOT NULL CHECK (hold_count >= 0),
    state               text        NOT NULL CHECK (state IN ('connecting', 'active', 'needs_reconnect', 'paused', 'disconnected')),
    state_reason        text        NOT NULL DEFAULT '',
    next_sync_at        timestamptz,
    created_at          timestamptz NOT NULL,
    -- The number last given out. Numbers are never given out twice.
    last_number         integer     NOT NULL DEFAULT 0,
    -- The sync that accounts and outcomes speak of; 0 before the first.
    applied_number      integer     NOT NULL DEFAULT 0,
    -- Groups that a later sync found empty, which it takes another to believe.
    doubted_groups      text[]      NOT NULL DEFAULT '{}',
    doubted_number      integer     NOT NULL DEFAULT 0,
    -- What the source said of itself at that sync.
    source_version      text        NOT NULL DEFAULT '',
    limitations         jsonb       NOT NULL DEFAULT '[]',
    single_sign_on      jsonb
);

CREATE TABLE credentials (
    connection_id    bigint PRIMARY KEY REFERENCES connections ON DELETE CASCADE,
    sealed           bytea  NOT NULL,
    -- The current access token. A generation outlives its token, so that a
    -- rejection of an old one is told from a rejection of this one.
    token_sealed     bytea,
    token_renew_at   timestamptz,
    token_fresh      boolean NOT NULL DEFAULT false,
    token_generation bigint  NOT NULL DEFAULT 0
);

-- Credentials offered by `reconnect` and not yet accepted by the source.
CREATE TABLE credential_candidates (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id bigint      NOT NULL REFERENCES connections ON DELETE CASCADE,
    sealed        bytea       NOT NULL,
    created_at    timestamptz NOT NULL
);
CREATE INDEX ON credential_candidates (connection_id);

CREATE TABLE syncs (
    connection_id bigint      NOT NULL REFERENCES connections ON DELETE CASCADE,
    number        integer     NOT NULL,
    -- Whose sync it is: asking again under the same key gives the same number.
    run_key       text        NOT NULL,
    trigger       text        NOT NULL CHECK (trigger IN ('connect', 'schedule', 'resync', 'reconnect')),
    outcome       text        NOT NULL CHECK (outcome IN ('running', 'applied', 'held', 'failed')),
    error         text        NOT NULL DEFAULT '',
    reason        text        NOT NULL DEFAULT '',
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz,
    accounts      integer     NOT NULL DEFAULT 0,
    added         integer     NOT NULL DEFAULT 0,
    changed       integer     NOT NULL DEFAULT 0,
    removed       integer     NOT NULL DEFAULT 0,
    requests      integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (connection_id, number),
    UNIQUE (connection_id, run_key)
);
-- A connection has one sync at a time.
CREATE UNIQUE INDEX ON syncs (connection_id) WHERE outcome = 'running';

-- The present and the removed accounts. There is no "last seen": an account
-- that is not removed was seen by the last applied sync.
CREATE TABLE accounts (
    connection_id bigint  NOT NULL REFERENCES connections ON DELETE CASCADE,
    kind          text    NOT NULL,
    source_id     text    NOT NULL,
    username      text    NOT NULL,
    email         text    NOT NULL,
    name          text    NOT NULL,
    status        text    NOT NULL CHECK (status IN ('active', 'inactive', 'unknown')),
    mfa           text    NOT NULL CHECK (mfa IN ('enabled', 'disabled', 'unknown')),
    roles         text[]  NOT NULL,
    groups        text[]  NOT NULL,
    access_level  text    NOT NULL,
    site          text    NOT NULL,
    directory     boolean,
    privileges    text[]  NOT NULL,
    facts_hash    bytea   NOT NULL,
    removed_at    timestamptz,
    PRIMARY KEY (connection_id, kind, source_id)
);

CREATE TABLE changes (
    connection_id bigint      NOT NULL,
    number        integer     NOT NULL,
    kind          text        NOT NULL,
    source_id     text        NOT NULL,
    change        text        NOT NULL CHECK (change IN ('added', 'removed', 'changed', 'restored')),
    at            timestamptz NOT NULL,
    before        jsonb       NOT NULL,
    after         jsonb       NOT NULL,
    PRIMARY KEY (connection_id, number, kind, source_id),
    FOREIGN KEY (connection_id, number) REFERENCES syncs ON DELETE CASCADE
);
CREATE INDEX ON changes (connection_id, at);

-- Staging: the snapshot being read. UNLOGGED, and its cursor in a table of
-- the same sort, so that a crash of the server empties both together and the
-- read starts over.
CREATE UNLOGGED TABLE staged_reads (
    connection_id bigint  PRIMARY KEY,
    number        integer NOT NULL,
    -- Moves with every page, so that of two readers only one can store it.
    cursor        text    NOT NULL DEFAULT '',
    pages         integer NOT NULL DEFAULT 0,
    users         integer NOT NULL DEFAULT 0,
    requests      integer NOT NULL DEFAULT 0,
    -- How often the reading was begun, because the source contradicted itself.
    attempts      integer NOT NULL DEFAULT 1,
    -- Set once the source was read to its end.
    summary       jsonb,
    FOREIGN KEY (connection_id, number) REFERENCES syncs ON DELETE CASCADE
);

-- Without a foreign key, which would be looked up for every row: rows are
-- only added under the lock of their staged_reads row.
CREATE UNLOGGED TABLE staged_accounts (
    connection_id bigint  NOT NULL,
    kind          text    NOT NULL,
    source_id     text    NOT NULL,
    username      text    NOT NULL,
    email         text    NOT NULL,
    name          text    NOT NULL,
    status        text    NOT NULL,
    mfa           text    NOT NULL,
    roles         text[]  NOT NULL,
    groups        text[]  NOT NULL,
    access_level  text    NOT NULL,
    site          text    NOT NULL,
    directory     boolean,
    privileges    text[]  NOT NULL,
    facts_hash    bytea   NOT NULL,
    PRIMARY KEY (connection_id, kind, source_id)
);

CREATE TABLE rosters (
    organization_id bigint      PRIMARY KEY REFERENCES organizations,
    imported_at     timestamptz NOT NULL
);

CREATE TABLE people (
    organization_id bigint NOT NULL REFERENCES rosters,
    email           text   NOT NULL, -- as given; unique without regard to case
    name            text   NOT NULL,
    aliases         text[] NOT NULL,
    exited_at       timestamptz,
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
);
CREATE UNIQUE INDEX ON people (organization_id, lower(email));

-- Every way to know a person at a source, in lower case: e-mail and aliases.
CREATE TABLE person_addresses (
    organization_id bigint NOT NULL,
    address         text   NOT NULL,
    person_id       bigint NOT NULL REFERENCES people ON DELETE CASCADE,
    PRIMARY KEY (organization_id, address)
);
CREATE INDEX ON person_addresses (person_id);

CREATE TABLE monitors (
    connection_id bigint      NOT NULL REFERENCES connections ON DELETE CASCADE,
    code          text        NOT NULL,
    enabled_at    timestamptz NOT NULL,
    PRIMARY KEY (connection_id, code)
);

CREATE TABLE outcomes (
    connection_id bigint      NOT NULL,
    code          text        NOT NULL,
    number        integer     NOT NULL,
    state         text        NOT NULL CHECK (state IN ('passing', 'due', 'failing', 'not_evaluable')),
    reason        text        NOT NULL,
    evaluated_at  timestamptz NOT NULL,
    passing       integer     NOT NULL,
    due           integer     NOT NULL,
    failing       integer     NOT NULL,
    not_evaluable integer     NOT NULL,
    excepted      integer     NOT NULL,
    PRIMARY KEY (connection_id, code, number),
    FOREIGN KEY (connection_id, code) REFERENCES monitors ON DELETE CASCADE
);

-- The findings of the latest outcome, all but the passing.
CREATE TABLE findings (
    connection_id bigint      NOT NULL,
    code          text        NOT NULL,
    kind          text        NOT NULL,
    source_id     text        NOT NULL,
    person        text        NOT NULL,
    state         text        NOT NULL,
    reason        text        NOT NULL,
    since         timestamptz NOT NULL,
    due_at        timestamptz,
    PRIMARY KEY (connection_id, code, kind, source_id),
    FOREIGN KEY (connection_id, code) REFERENCES monitors ON DELETE CASCADE
);

-- +goose Down

DROP TABLE findings, outcomes, monitors, person_addresses, people, rosters,
    staged_accounts, staged_reads, changes, accounts, syncs,
    credential_candidates, credentials, connections, organizations;
