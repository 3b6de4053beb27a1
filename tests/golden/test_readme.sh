#!/bin/bash
# What README.md shows is true: its rule and its configuration pass `check`, its statement prints what it says.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

block() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/d;p}" README.md; } # LANGUAGE: the one block in it

mkdir "$scratch/rules.d"
block json >"$scratch/rules.d/readme.json"
block yaml >"$scratch/topicrule.yaml"
said=$("$TOPICRULE" check -c "$scratch/topicrule.yaml" 2>"$scratch/err") || {
    cat "$scratch/err"
    exit 1
}
grep -q '^readme: ok, 1 action, topic plant/+/temp' <<<"$said" || {
    echo "check said: $said"
    exit 1
}

# The statement, without its prompt and joined, with the program of this build; then the line below it.
shown=$(sed -n '/topicrule eval /,/^{/p' README.md)
want=${shown##*$'\n'}
command=$(sed -e '$d' -e 's/^\$ //' -e "s|build/release/topicrule|$TOPICRULE|" <<<"$shown")
got=$(bash -c "$command")
[ "$got" = "$want" ] || {
    echo "README.md shows $want, the program printed $got"
    exit 1
}
