#!/bin/bash
# build - moto (a server that stands in for AWS; Apache-2.0) in a Python environment of its own, made once and kept in
# ~/.cache/topicrule. Prints the environment's folder; with --have it only looks. Ends with 77 and a line that says why
# where it cannot be had.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/topicrule
hash=$(sha256sum <"$here/requirements.txt" | cut -c1-12)
folder=$cache/moto-$hash

if [ ! -e "$folder/ready" ]; then
    [ "${1:-}" != --have ] || exit 1
    python3 -c 'import ensurepip' 2>/dev/null || {
        echo "no moto here: python3-venv is not installed (tools/setup --test)"
        exit 77
    }
    mkdir -p "$cache"
    rm -rf "$folder"
    { python3 -m venv "$folder" && nice "$folder/bin/pip" --quiet --disable-pip-version-check install \
        --requirement "$here/requirements.txt"; } >&2 || {
        echo "no moto here: its packages could not be fetched"
        exit 77
    }
    touch "$folder/ready"
fi
echo "$folder"
