-- A million accounts at once: foreign keys are looked up row by row, which took
-- longer than writing the rows. These rows are only written under the lock of
-- their connection. A trigger deletes them with it, with the owner's rights, as
-- foreign keys do: the worker's role may not delete history.

-- +goose Up

ALTER TABLE accounts DROP CONSTRAINT accounts_connection_id_fkey;
ALTER TABLE changes DROP CONSTRAINT changes_connection_id_number_fkey;
ALTER TABLE findings DROP CONSTRAINT findings_connection_id_code_fkey;

-- +goose StatementBegin
CREATE FUNCTION delete_record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM accounts WHERE connection_id = OLD.id;
    DELETE FROM changes WHERE connection_id = OLD.id;
    DELETE FROM findings WHERE connection_id = OLD.id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER delete_record AFTER DELETE ON connections FOR EACH ROW EXECUTE FUNCTION delete_record();

-- All changes of a sync have its time: the primary key finds them.
DROP INDEX changes_connection_id_at_idx;

-- Staging is filled and emptied all day.
ALTER TABLE staged_accounts SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_vacuum_insert_threshold = -1);

-- +goose Down

ALTER TABLE staged_accounts RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_cost_delay, autovacuum_vacuum_insert_threshold);

DROP TRIGGER delete_record ON connections;
DROP FUNCTION delete_record;

CREATE INDEX changes_connection_id_at_idx ON changes (connection_id, at);

ALTER TABLE findings ADD CONSTRAINT findings_connection_id_code_fkey
    FOREIGN KEY (connection_id, code) REFERENCES monitors ON DELETE CASCADE;
ALTER TABLE changes ADD CONSTRAINT changes_connection_id_number_fkey
    FOREIGN KEY (connection_id, number) REFERENCES syncs ON DELETE CASCADE;
ALTER TABLE accounts ADD CONSTRAINT accounts_connection_id_fkey
    FOREIGN KEY (connection_id) REFERENCES connections ON DELETE CASCADE;
