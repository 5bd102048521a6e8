#!/bin/sh
# Drops root before redis-server, as the official image does.
set -eu
case "${1:-redis-server}" in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis:redis {} +
    # Debian's default is to listen on loopback only.
    exec setpriv --reuid redis --regid redis --init-groups "$@" --bind '*' -::* --protected-mode no
fi
exec "$@"
