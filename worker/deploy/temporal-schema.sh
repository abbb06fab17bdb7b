#!/bin/sh
# Brings the schema of Temporal's two databases up to date, before the server
# starts. The databases are there: see postgres-init.sh.
set -eu

SQL_PASSWORD="$(cat "${SECRETS:-/run/secrets}/temporal_own_password")"
export SQL_PASSWORD
schema="${SCHEMA:-/etc/temporal/schema}/postgresql/v12"

bring() { # DATABASE FOLDER
	temporal-sql-tool --database "$1" setup-schema --version 0.0
	temporal-sql-tool --database "$1" update-schema --schema-dir "$schema/$2/versioned"
}

bring temporal temporal
bring temporal_visibility visibility
