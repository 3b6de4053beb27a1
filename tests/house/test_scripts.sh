#!/bin/bash
# Every script of the project is clean under shellcheck.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/steps.sh
command -v shellcheck >/dev/null || {
    echo "SKIP: shellcheck is not installed (tools/setup --test)"
    exit 77
}
scripts=()
while IFS= read -r -d '' file; do
    read -r -n 100 first <"$file" 2>/dev/null || true
    case "$file:${first:-}" in
    *:'#!'*/bash* | *:'#!'*/sh* | *.sh:*) scripts+=("$file") ;;
    esac
done < <(files)
[ ${#scripts[@]} -gt 5 ] || {
    echo "found only ${#scripts[@]} scripts: looked in the wrong place?"
    exit 1
}
shellcheck -x -S warning "${scripts[@]}"
echo "${#scripts[@]} scripts are clean"
