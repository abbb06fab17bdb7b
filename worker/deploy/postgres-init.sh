#!/bin/sh
# Makes the roles and databases of the record and of Temporal, so that neither
# can read the other's. jamf_access owns the record and migrates it; the worker
# and the CLI are jamf_access_worker, to which `starter migrate` grants what they
# need. PostgreSQL's image runs this once, when the data folder is empty. What is
# there already stays, so it can be run again.
set -eu

secrets="${SECRETS:-/run/secrets}"

# The passwords reach psql through the environment: as arguments they would be
# in the list of processes.
owner="$(cat "$secrets/jamf_access_password")"
worker="$(cat "$secrets/jamf_access_worker_password")"
temporal="$(cat "$secrets/temporal_password")"
export owner worker temporal

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv owner owner
\getenv worker worker
\getenv temporal temporal
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', name, password)
FROM (VALUES ('jamf_access', :'owner'), ('jamf_access_worker', :'worker'), ('temporal', :'temporal')) AS role (name, password)
WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('jamf_access', 'jamf_access'), ('temporal', 'temporal'), ('temporal_visibility', 'temporal')) AS database (name, owner)
WHERE name NOT IN (SELECT datname FROM pg_database) \gexec
REVOKE ALL ON DATABASE postgres, jamf_access, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE jamf_access TO jamf_access_worker;
SQL
