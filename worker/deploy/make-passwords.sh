#!/bin/sh
# Makes the passwords in the folder given, each in a file that only its reader
# can read. What is there already stays, so it can be run again.
#
#   postgres/   read by PostgreSQL (uid 70) when it makes the roles
#   temporal/   read by Temporal (uid 1000)
#   worker/     read by the worker and the CLI (uid 65532), with the keyset's folder
#   owner/      read by whoever migrates and prunes the record (uid 65532)
set -eu
umask 077
cd "$1"

folder() { # NAME OWNER
	mkdir -p "$1"
	chown "$2:$2" "$1"
	# Only what is inside is secret; a folder that cannot be listed is in the
	# way of every tool that walks the tree.
	chmod 755 "$1"
}

own() { # FILE OWNER
	chown "$2:$2" "$1.new"
	# lib/pq passes over a password file that others may read.
	chmod 400 "$1.new"
	mv "$1.new" "$1"
}

password() { # FILE OWNER
	if [ ! -s "$1" ]; then
		od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$1.new"
		own "$1" "$2"
		echo "made $1"
	fi
}

folder postgres 70
folder temporal 1000
folder worker 65532
folder worker/keyset 65532
folder owner 65532

password postgres/postgres 70
password postgres/jamf_access 70
password postgres/jamf_access_worker 70
password postgres/temporal 70

cat postgres/temporal >temporal/password.new
own temporal/password 1000

pgpass() { # FOLDER ROLE
	printf 'postgres:5432:jamf_access:%s:%s\n' "$2" "$(cat "postgres/$2")" >"$1/pgpass.new"
	own "$1/pgpass" 65532
}

pgpass owner jamf_access
pgpass worker jamf_access_worker
