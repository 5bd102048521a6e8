#!/bin/sh
# First start: WordPress and a configuration that reads WORDPRESS_* go into the volume. What stands there already stays.
set -eu
case "${1:-}" in apache2*) ;; *) exec "$@" ;; esac
if [ ! -e index.php ] && [ ! -e wp-includes/version.php ]; then
    chown www-data:www-data .
    cp --archive --no-clobber /usr/src/wordpress/. .
fi
if [ ! -s wp-config.php ]; then
    # Each phrase of its own, and the file whole or not at all.
    while IFS= read -r line; do
        case "$line" in
            *'put your unique phrase here'*)
                phrase=$(head -c 1024 /dev/urandom | sha1sum | cut -d' ' -f1)
                line="${line%%put your unique phrase here*}$phrase${line#*put your unique phrase here}"
                ;;
        esac
        printf '%s\n' "$line"
    done < wp-config-docker.php > wp-config.new
    chown www-data:www-data wp-config.new
    mv wp-config.new wp-config.php
fi
exec "$@"
