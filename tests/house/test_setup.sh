#!/bin/bash
# tools/setup on machines of our making: dpkg-query, apt-get, sudo and id are stubs that write down what they are asked.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/bin" "$scratch/cache"
failed=0

stub() { # NAME: its text on standard input
    { echo '#!/bin/bash'; cat; } >"$scratch/bin/$1"
    chmod +x "$scratch/bin/$1"
}
# All packages asked for are there, but for those in the file `missing`.
stub dpkg-query <<'STUB'
shift 3 2>/dev/null || exit 0
for package; do grep -qx "$package" "$STUBS/missing" || echo "$package installed"; done
STUB
stub apt-get <<'STUB'
echo "apt-get $*" >>"$STUBS/calls"
case "$*" in
*update) touch "$STUBS/lists" ;;
*install*) [ -e "$STUBS/lists" ] || exit 100; : >"$STUBS/missing" ;;
esac
STUB
stub sudo <<'STUB'
[ -e "$STUBS/sudo" ] || exit 1
case "$1" in -n) exit 0 ;; env) shift; while [[ "$1" == *=* ]]; do shift; done; exec "$@" ;; esac
echo "as root: $*" >>"$STUBS/calls"
[ "$1" != tee ] || cat >/dev/null
STUB
stub id <<'STUB'
echo 1000
STUB
# A librdkafka that is new enough, so that none is built.
built=$scratch/cache/topicrule/librdkafka-r$(sed -n 's/^recipe=\([0-9]*\).*/\1/p' tools/librdkafka)-99.0.0/lib/pkgconfig
mkdir -p "$built"
touch "$built/rdkafka-static.pc"

# setup_with MISSING... -- OPTION...: runs tools/setup; leaves its text in `said`, what it had done in `calls`.
setup_with() {
    : >"$scratch/missing"
    : >"$scratch/calls"
    while [ "$1" != -- ]; do
        echo "$1" >>"$scratch/missing"
        shift
    done
    shift
    PATH="$scratch/bin:$PATH" STUBS=$scratch XDG_CACHE_HOME=$scratch/cache KAFKA_TESTBED_CACHE=$scratch/kafka MVN=true \
        tools/setup "$@" >"$scratch/said" 2>&1 </dev/null
}
expect() { # WHAT, then a command that must succeed
    local what=$1
    shift
    if "$@"; then
        echo "ok: $what"
    else
        echo "not ok: $what"
        sed 's/^/    said: /' "$scratch/said"
        sed 's/^/    done: /' "$scratch/calls"
        failed=1
    fi
}
says() { grep -qE -- "$1" "$scratch/said"; }
calls() { grep -qE -- "$1" "$scratch/calls"; }

setup_with -- && status=0 || status=$?
expect "nothing missing: nothing said, nothing done" test "$status-$(cat "$scratch/said" "$scratch/calls")" = 0-

setup_with libyaml-dev cmake -- && status=0 || status=$?
expect "a plain user: fails" test $status = 1
expect "a plain user is told the exact command" says '^ *apt-get install --no-install-recommends cmake libyaml-dev$'
expect "a plain user: nothing is done" test ! -s "$scratch/calls"

touch "$scratch/sudo"
setup_with libyaml-dev cmake -- && status=0 || status=$?
expect "sudo: works" test $status = 0
expect "without lists, these are fetched first" test -e "$scratch/lists"
expect "only what is missing is installed" calls 'install --no-install-recommends cmake libyaml-dev$'
expect "no service, no policy" test -z "$(grep policy-rc.d "$scratch/calls")"

setup_with mosquitto -- && status=0 || status=$?
if [ ! -e /usr/sbin/policy-rc.d ]; then
    expect "a package with a service: it may not start" calls 'as root: tee /usr/sbin/policy-rc.d'
    expect "and what prevented it is removed" calls 'as root: rm -f /usr/sbin/policy-rc.d'
fi

setup_with clang -- && status=0 || status=$?
expect "what only tests need is not looked for" test "$status-$(cat "$scratch/said" "$scratch/calls")" = 0-

setup_with -- --everything && status=0 || status=$?
expect "an unknown option is refused" test $status = 1
expect "and named" says 'unknown option --everything'
exit $failed
