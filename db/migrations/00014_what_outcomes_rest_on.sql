-- An outcome of the exit monitor says by which roster it was found: where another
-- has been imported since, and the accounts were not judged again, it proves
-- nothing. And whether groups could be read is kept, for who is judged says so.
-- Workers of the version before this do not say by which roster; what they find
-- proves nothing until a worker of this version finds it again. Of a snapshot that
-- is held it is kept how much it would take: who accepts it accepts as much. That a
-- workflow was cancelled is a fact, and no longer read out of a reason; what a
-- worker of the version before this records of one is not known as that, and its
-- reason says what to do. And offered credentials that the source rejects are
-- destroyed, and not the offer, which says why.

-- +goose Up

ALTER TABLE connections
    ADD COLUMN groups_unread boolean NOT NULL DEFAULT false,
    ADD COLUMN cancelled     boolean NOT NULL DEFAULT false;
UPDATE connections SET cancelled = true WHERE state_reason LIKE 'its workflow was cancelled; %';

ALTER TABLE credential_candidates
    ALTER COLUMN sealed DROP NOT NULL,
    ADD COLUMN rejection jsonb, -- why, once it was rejected
    ADD CHECK ((sealed IS NULL) = (rejection IS NOT NULL));

ALTER TABLE syncs ADD COLUMN would_take integer, ADD COLUMN would_take_humans integer, ADD COLUMN would_take_admins boolean;

ALTER TABLE outcomes ADD COLUMN roster_at timestamptz; -- its imported_at

UPDATE outcomes o SET roster_at = r.imported_at
FROM monitors m JOIN connections c ON c.id = m.connection_id JOIN rosters r ON r.organization_id = c.organization_id,
LATERAL (SELECT max(id) AS id FROM outcomes WHERE connection_id = m.connection_id AND code = m.code) latest
WHERE m.code = 'JAMF_ACCESS_REMOVED_ON_EXIT' AND o.connection_id = m.connection_id AND o.code = m.code
    AND o.id = latest.id AND o.evaluated_at >= r.imported_at;

-- +goose Down

ALTER TABLE outcomes DROP COLUMN roster_at;
ALTER TABLE syncs DROP COLUMN would_take, DROP COLUMN would_take_humans, DROP COLUMN would_take_admins;
DELETE FROM credential_candidates WHERE sealed IS NULL;
ALTER TABLE credential_candidates DROP COLUMN rejection, ALTER COLUMN sealed SET NOT NULL;
ALTER TABLE connections DROP COLUMN groups_unread, DROP COLUMN cancelled;
