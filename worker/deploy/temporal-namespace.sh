#!/bin/sh
# Makes the namespace that TEMPORAL_NAMESPACE names, unless it is there.
set -eu

if temporal operator namespace describe >/dev/null 2>&1; then
	exit 0
fi
# Every run of AccessSync is one sync; a month of them can be looked back at in
# the UI. The record itself is in PostgreSQL and is kept.
temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 720h
