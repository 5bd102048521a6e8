#!/bin/sh
# First start: a cluster for POSTGRES_USER (postgres) with POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE. Then the server.
set -eu
case "${1:-postgres}" in -*) set -- postgres "$@" ;; esac
[ "$1" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown postgres:postgres "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    password=$(mktemp)
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then cat "$POSTGRES_PASSWORD_FILE" > "$password"
    else printf '%s' "${POSTGRES_PASSWORD:?POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be set}" > "$password"; fi
    initdb --username="$user" --pwfile="$password" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 >/dev/null
    rm -f "$password"
    printf 'host all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
    sed -i "s/^#*listen_addresses.*/listen_addresses = '*'/" "$PGDATA/postgresql.conf"
    if [ -n "${POSTGRES_DB:-}" ] && [ "$POSTGRES_DB" != postgres ]; then
        pg_ctl -w -o "-c listen_addresses=''" start >/dev/null
        createdb --username="$user" "$POSTGRES_DB"
        pg_ctl -w -m fast stop >/dev/null
    fi
fi
exec "$@"
