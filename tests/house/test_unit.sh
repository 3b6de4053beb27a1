#!/bin/bash
# The systemd unit is valid, and its sandbox leaves at most 1.3 of 10 exposed.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v systemd-analyze >/dev/null || {
    echo "SKIP: systemd-analyze is not installed (tools/setup --test)"
    exit 77
}
unit=packaging/topicrule.service
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The program and the manual need not be installed for this.
sed -e 's|^\(Exec[A-Za-z]*\)=/usr/bin/topicrule|\1=/bin/true|' -e '/^Documentation=/d' $unit >"$scratch/topicrule.service"
systemd-analyze verify "$scratch/topicrule.service" 2>"$scratch/log" || true
if grep 'topicrule' "$scratch/log"; then
    exit 1
fi

exposure=$(systemd-analyze security --offline=true --no-pager $unit | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p')
echo "exposure: ${exposure:-unknown}"
awk -v exposure="$exposure" 'BEGIN { exit !(exposure != "" && exposure <= 1.3) }' </dev/null
