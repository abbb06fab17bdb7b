#!/bin/sh
# Makes a role and its databases for the record and for Temporal, so that
# neither can read the other's. PostgreSQL's image runs this once, when the
# data folder is empty.
set -eu

secrets="${SECRETS:-/run/secrets}"

# The passwords reach psql through the environment: as arguments they would be
# in the list of processes.
jamf_access="$(cat "$secrets/jamf_access_password")"
temporal="$(cat "$secrets/temporal_password")"
export jamf_access temporal

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv jamf_access jamf_access
\getenv temporal temporal
CREATE ROLE jamf_access LOGIN PASSWORD :'jamf_access';
CREATE ROLE temporal LOGIN PASSWORD :'temporal';
CREATE DATABASE jamf_access OWNER jamf_access;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
REVOKE ALL ON DATABASE postgres, jamf_access, temporal, temporal_visibility FROM PUBLIC;
SQL
