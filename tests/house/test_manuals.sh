#!/bin/bash
# Each command has a manual page that reads without a warning and names every option that --help names.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v groff >/dev/null || { echo "SKIP: no groff"; exit 77; }
failed=0

for page in docs/man/*.1; do
    said=$(groff -mdoc -Tutf8 -ww -z "$page" 2>&1) || true
    [ -z "$said" ] || { echo "$page: $said"; failed=1; }
done
for name in $("$TOPICRULE" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    page=docs/man/topicrule-$name.1
    [ -f "$page" ] || { echo "$page: missing"; failed=1; continue; }
    grep -q "^\.Xr topicrule-$name 1" docs/man/topicrule.1 || { echo "docs/man/topicrule.1: no $name"; failed=1; }
    for option in $("$TOPICRULE" "$name" --help | sed -n 's/^ .*  *--\([a-z-]*\).*/\1/p'); do
        grep -q -- "Fl -$option\|, -$option" "$page" || { echo "$page: no --$option"; failed=1; }
    done
done
exit $failed
