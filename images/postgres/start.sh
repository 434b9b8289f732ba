#!/bin/sh
# Start PostgreSQL; make its database first when the volume is new.
# The data is in a folder inside the volume, since PostgreSQL must own it and nobody else may read it.
set -eu

volume=/var/lib/postgresql/data
data=$volume/pgdata
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

if [ ! -d "$data" ]; then
    : "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD: the password of the database user}"
    new=$volume/pgdata.new
    rm -rf "$new"   # a first start that was cut off
    umask 077
    printf '%s\n' "$POSTGRES_PASSWORD" > "$volume/password"
    initdb --pgdata="$new" --username="$user" --pwfile="$volume/password" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8
    rm "$volume/password"
    echo "host all all all scram-sha-256" >> "$new/pg_hba.conf"
    if [ "$database" != postgres ]; then
        echo "CREATE DATABASE \"$database\";" | postgres --single -D "$new" postgres
    fi
    mv "$new" "$data"   # from here on the database is complete
fi

exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories='' -c logging_collector=off
