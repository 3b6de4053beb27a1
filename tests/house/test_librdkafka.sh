#!/bin/bash
# CMake refuses a librdkafka that is too old, or none, with a sentence that says what to do. pkg-config is shown a folder
# of our making first.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# configured VERSION: whether CMake takes a system librdkafka of that version, with an empty cache of our own builds.
configured() {
    rm -rf "$scratch/build"
    cat >"$scratch/rdkafka.pc" <<PC
Name: librdkafka
Description: a version number, no library
Version: $1
PC
    sed 's/rdkafka/rdkafka-static/' "$scratch/rdkafka.pc" >"$scratch/rdkafka-static.pc"
    XDG_CACHE_HOME=$scratch/cache CCACHE_DISABLE=1 PKG_CONFIG_PATH=$scratch:${PKG_CONFIG_PATH:-} \
        "${CMAKE_COMMAND:-cmake}" -G Ninja -S . -B "$scratch/build" -DTOPICRULE_TESTS=OFF >"$scratch/log" 2>&1
}

# The sentence, without CMake's line breaks.
said() { tr -s ' \n' ' ' <"$scratch/log"; }

for version in 2.0.2 2.8.0 2.12.9; do
    if configured $version; then
        echo "not ok: $version was accepted"
        failed=1
    elif ! said | grep -q "librdkafka 2.13.0 or later is needed. This system's is $version, .*Run tools/setup"; then
        echo "not ok: $version was refused without saying what to do"
        cat "$scratch/log"
        failed=1
    else
        echo "ok: $version is refused"
    fi
done
if configured 2.13.0; then
    echo "ok: 2.13.0 is accepted"
else
    echo "not ok: 2.13.0 was refused"
    tail -n 20 "$scratch/log"
    failed=1
fi
exit $failed
