#!/bin/bash
# fixture - one real Kafka for all tests of a run: fixture.sh start|stop DIR. Tests find it by DIR/env, and skip without it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$2

for program in java openssl krb5kdc kdb5_util kadmin.local setsid mosquitto kcat; do
    PATH="$PATH:/usr/sbin:/sbin" command -v $program >/dev/null || {
        echo "no Kafka here: $program is not installed (tools/setup --test)"
        exit 0
    }
done
case $1 in
start)
    mkdir -p "$dir"
    # The probe is linked with the librdkafka that the program has.
    for found in "${XDG_CACHE_HOME:-$HOME/.cache}"/topicrule/librdkafka-*/lib/pkgconfig; do
        PKG_CONFIG_PATH=${PKG_CONFIG_PATH:+$PKG_CONFIG_PATH:}$found
    done
    export PKG_CONFIG_PATH
    exec "$here/kafka-testbed.sh" start "$dir"
    ;;
stop) [ ! -e "$dir/.kafka-testbed" ] || exec "$here/kafka-testbed.sh" stop "$dir" ;;
esac
