-- An account is its own arrival for as long as nothing of it changes: most never
-- change, and what they were added with was written twice. Whatever changes one
-- first writes its arrival to the history, in the trigger, so that no update can
-- rewrite it. And the first snapshot of a connection is staged as accounts:
-- there are none on record that it could be compared with. What is being read
-- at this moment is read again. Workers of the version before this neither read
-- nor apply: columns have other names for them, and they are tried again until
-- they are replaced. Commands of the version before know no arrivals.

-- +goose Up

-- In the order in which syncs take them.
LOCK TABLE staged_reads, staged_accounts, staged_blocks, accounts;

-- What functions name is in this schema, whatever the caller's own or temporary
-- tables are called.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);
ALTER FUNCTION delete_record() SET search_path FROM CURRENT;
REVOKE EXECUTE ON FUNCTION delete_record() FROM PUBLIC; -- as a trigger of the caller's own tables

TRUNCATE staged_reads, staged_accounts, staged_blocks;

-- What an end user has none of, of whom there are most, is left out when they
-- are copied.
ALTER TABLE accounts
    ALTER COLUMN roles SET DEFAULT '{}', ALTER COLUMN groups SET DEFAULT '{}', ALTER COLUMN privileges SET DEFAULT '{}',
    ALTER COLUMN access_level SET DEFAULT '', ALTER COLUMN site SET DEFAULT '';
ALTER TABLE staged_accounts
    ALTER COLUMN roles SET DEFAULT '{}', ALTER COLUMN groups SET DEFAULT '{}', ALTER COLUMN privileges SET DEFAULT '{}',
    ALTER COLUMN access_level SET DEFAULT '', ALTER COLUMN site SET DEFAULT '';

-- The sync that added it, until its arrival is in changes.
ALTER TABLE accounts ADD COLUMN arrived_in integer;

-- +goose StatementBegin
-- Plans are kept in a session, and were made when tables were small.
CREATE FUNCTION record_arrival() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO changes (connection_id, number, kind, source_id, change, at, before, after)
    SELECT connection_id, number, OLD.kind, OLD.source_id, 'added', finished_at, '{}', jsonb_build_object(
        'mfa', OLD.mfa, 'name', OLD.name, 'site', OLD.site, 'email', OLD.email, 'roles', OLD.roles, 'groups', OLD.groups,
        'status', OLD.status, 'username', OLD.username, 'directory', OLD.directory, 'privileges', OLD.privileges,
        'access_level', OLD.access_level)
    FROM syncs WHERE connection_id = OLD.connection_id AND number = OLD.arrived_in;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no sync % of connection % has added an account', OLD.arrived_in, OLD.connection_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.arrived_in := NULL;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER record_arrival BEFORE UPDATE ON accounts
    FOR EACH ROW WHEN (OLD.arrived_in IS NOT NULL) EXECUTE FUNCTION record_arrival();

-- Which sync an arrival was is told by that sync.
-- +goose StatementBegin
CREATE FUNCTION keep_arrivals() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM connections WHERE id = OLD.connection_id)
        AND EXISTS (SELECT FROM accounts WHERE connection_id = OLD.connection_id AND arrived_in = OLD.number) THEN
        RAISE EXCEPTION 'sync % of connection % has added accounts that have not changed since', OLD.number, OLD.connection_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER keep_arrivals BEFORE DELETE ON syncs
    FOR EACH ROW WHEN (OLD.added > 0) EXECUTE FUNCTION keep_arrivals();

ALTER TABLE staged_reads RENAME COLUMN summary TO directory_summary;
-- Whether the snapshot is staged as accounts.
ALTER TABLE staged_reads ADD COLUMN in_place boolean NOT NULL;

-- What is staged goes with its read: when that ends, is begun again, or was lost
-- in a crash. What is staged as accounts goes with the owner's rights, since the
-- worker's role may delete no account, and only where no sync was ever applied.

-- +goose StatementBegin
CREATE FUNCTION clear_staging() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
    read staged_reads := coalesce(NEW, OLD);
BEGIN
    DELETE FROM staged_accounts WHERE connection_id = read.connection_id;
    DELETE FROM staged_blocks WHERE connection_id = read.connection_id;
    IF read.in_place AND NOT EXISTS (SELECT FROM syncs WHERE connection_id = read.connection_id AND outcome = 'applied') THEN
        DELETE FROM accounts WHERE connection_id = read.connection_id;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

REVOKE EXECUTE ON FUNCTION clear_staging() FROM PUBLIC; -- as above

CREATE TRIGGER clear_staging AFTER INSERT OR DELETE OR UPDATE OF attempts ON staged_reads
    FOR EACH ROW EXECUTE FUNCTION clear_staging();

-- +goose Down

LOCK TABLE staged_reads, staged_accounts, staged_blocks, accounts, changes;

DROP TRIGGER clear_staging ON staged_reads;
DROP FUNCTION clear_staging;
TRUNCATE staged_reads, staged_accounts, staged_blocks;
DELETE FROM accounts a WHERE NOT EXISTS (SELECT FROM syncs s WHERE s.connection_id = a.connection_id AND outcome = 'applied');
ALTER TABLE staged_reads DROP COLUMN in_place;
ALTER TABLE staged_reads RENAME COLUMN directory_summary TO summary;

DROP TRIGGER keep_arrivals ON syncs;
DROP FUNCTION keep_arrivals;

UPDATE accounts SET arrived_in = NULL WHERE arrived_in IS NOT NULL;
DROP TRIGGER record_arrival ON accounts;
DROP FUNCTION record_arrival;
ALTER TABLE accounts DROP COLUMN arrived_in;

GRANT EXECUTE ON FUNCTION delete_record() TO PUBLIC;

ALTER TABLE accounts
    ALTER COLUMN roles DROP DEFAULT, ALTER COLUMN groups DROP DEFAULT, ALTER COLUMN privileges DROP DEFAULT,
    ALTER COLUMN access_level DROP DEFAULT, ALTER COLUMN site DROP DEFAULT;
ALTER TABLE staged_accounts
    ALTER COLUMN roles DROP DEFAULT, ALTER COLUMN groups DROP DEFAULT, ALTER COLUMN privileges DROP DEFAULT,
    ALTER COLUMN access_level DROP DEFAULT, ALTER COLUMN site DROP DEFAULT;
