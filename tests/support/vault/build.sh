#!/bin/bash
# build - the program vaultmini (the real core of HashiCorp Vault 1.14 in one small test server), made once and kept in
# ~/.cache/topicrule. Any Go from 1.19 on will do. Prints its path; with --have it only looks. Ends with 77 and a line that
# says why where it cannot be had.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/topicrule
hash=$(cat "$here"/{main.go,go.mod,go.sum,stubs.sh} | sha256sum | cut -c1-12)
program=$cache/vaultmini-$hash/vaultmini

if [ ! -x "$program" ]; then
    [ "${1:-}" != --have ] || exit 1
    go=${GO:-$(PATH="$PATH:/usr/local/go/bin" command -v go || true)}
    [ -n "$go" ] || {
        echo "no Vault here: Go is not installed (tools/setup --test)"
        exit 77
    }
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    cp "$here"/{main.go,go.mod,go.sum,stubs.sh} "$scratch"
    sh "$scratch/stubs.sh"
    (cd "$scratch" && nice "$go" build -mod=readonly -trimpath -buildvcs=false -ldflags='-s -w' -o vaultmini . >&2) || {
        echo "no Vault here: its modules could not be fetched or built"
        exit 77
    }
    mkdir -p "$(dirname "$program")"
    mv "$scratch/vaultmini" "$program"
fi
echo "$program"
