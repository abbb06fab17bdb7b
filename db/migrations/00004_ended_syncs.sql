-- A sync that has ended is history, and stays as it ended whoever asks. The
-- other tables of history need no trigger: the worker's role is not granted to
-- change them (see Grant in package db).

-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION refuse_ended_sync() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'sync % of connection % has ended and is not changed any more', OLD.number, OLD.connection_id
        USING ERRCODE = 'restrict_violation';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER refuse_ended_sync BEFORE UPDATE ON syncs
    FOR EACH ROW WHEN (OLD.outcome <> 'running') EXECUTE FUNCTION refuse_ended_sync();

-- +goose Down

DROP TRIGGER refuse_ended_sync ON syncs;
DROP FUNCTION refuse_ended_sync;
