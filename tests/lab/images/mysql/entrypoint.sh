#!/bin/sh
# First start: a data directory, root's password and what else MYSQL_* ask for, made over the socket while the port is
# still closed. Then the server.
set -eu
case "${1:-mysqld}" in -*) set -- mysqld "$@" ;; esac
[ "${1:-mysqld}" = mysqld ] || exec "$@"
data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock

# value NAME: what the variable holds, or the file that the variable NAME_FILE names.
value() {
    eval "given=\${$1:-} file=\${$1_FILE:-}"
    if [ -n "$given" ] && [ -n "$file" ]; then echo "$1 and $1_FILE exclude each other" >&2; exit 1; fi
    if [ -n "$file" ]; then cat "$file"; else printf '%s' "$given"; fi
}
quoted() { printf '%s' "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g"; }

# What makes the users and the database. One connection runs it all, since root's password changes on the way.
statements() {
    root=$(quoted "$(value MYSQL_ROOT_PASSWORD)") host=$(value MYSQL_ROOT_HOST)
    database=$(value MYSQL_DATABASE) user=$(value MYSQL_USER) password=$(quoted "$(value MYSQL_PASSWORD)")
    [ -n "$root" ] || { echo 'MYSQL_ROOT_PASSWORD or MYSQL_ROOT_PASSWORD_FILE must be set' >&2; exit 1; }
    echo "ALTER USER root@localhost IDENTIFIED BY '$root';"
    # MariaDB makes these, without passwords; MySQL does not.
    echo "DROP USER IF EXISTS root@'127.0.0.1', root@'::1', root@'$(uname -n)';"
    if [ "${host:=%}" != localhost ]; then
        echo "CREATE USER root@'$host' IDENTIFIED BY '$root'; GRANT ALL ON *.* TO root@'$host' WITH GRANT OPTION;"
    fi
    [ -z "$database" ] || echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
    if [ -n "$user" ] && [ -n "$password" ]; then
        echo "CREATE USER '$user'@'%' IDENTIFIED BY '$password';"
        # An underscore in a GRANT stands for any letter.
        [ -z "$database" ] || echo "GRANT ALL ON \`$(echo "$database" | sed 's/_/\\_/g')\`.* TO '$user'@'%';"
    fi
}

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" /run/mysqld
    chown mysql:mysql "$data" /run/mysqld
    exec setpriv --reuid mysql --regid mysql --init-groups "$0" "$@"
fi
if [ ! -d "$data/mysql" ]; then
    wanted=$(statements)
    mariadb-install-db --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
    "$@" --skip-networking --socket="$socket" &
    server=$!
    until mariadb --user=root --socket="$socket" --execute='SELECT 1' >/dev/null 2>&1; do
        kill -0 "$server"
        sleep 0.2
    done
    printf '%s\n' "$wanted" | mariadb --user=root --socket="$socket"
    kill "$server"
    wait "$server"
fi
exec "$@"
