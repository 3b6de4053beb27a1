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
    exec "$here/kafka-testbed.sh" start "$dir"
    ;;
stop) [ ! -e "$dir/.kafka-testbed" ] || exec "$here/kafka-testbed.sh" stop "$dir" ;;
esac
