#!/bin/bash
# An include against the arrows fails the build; so does a foreign library. Tried in a scratch copy, one at a time, after
# the same copy was built without it: so a copy that cannot be built at all proves nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tools/steps.sh
top=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

files | tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$scratch"
cd "$scratch"
"${CMAKE_COMMAND:-cmake}" -G Ninja -S . -B build -DTOPICRULE_TESTS=OFF -DCMAKE_BUILD_TYPE=Debug >log 2>&1 || {
    tail log
    exit 1
}
build() { "${CMAKE_COMMAND:-cmake}" --build build --target "$@" >log 2>&1; }
build tr_base house || {
    echo "not ok: the unchanged copy does not build"
    tail -n 30 log
    exit 1
}

# refused WHAT TARGET FILE LINE EXPECTED: with LINE on top of FILE, building TARGET fails and says EXPECTED.
refused() {
    local what=$1 target=$2 file=$3 line=$4 expected=$5
    cp "$file" saved
    { echo "$line"; cat saved; } >"$file"
    if build "$target"; then
        echo "not ok: $what: it was built"
        failed=1
    elif ! grep -qE "$expected" log; then
        echo "not ok: $what: failed, but did not say: $expected"
        tail log
        failed=1
    else
        echo "ok: $what"
    fi
    mv saved "$file"
    touch "$file"
}

base=base/err.c
sql=$(find sql -maxdepth 1 -name '*.c' | sort | head -n 1)
kafka=$(find actions/kafka -maxdepth 1 -name '*.c' | sort | head -n 1)
rules=$(find rules -maxdepth 1 -name '*.c' | sort | head -n 1)
engine=$(find engine -maxdepth 1 -name '*.c' | sort | head -n 1)

# By the compiler, which does not find the header: it is not on the room's include path.
refused "base includes engine: the compiler does not find it" tr_base "$base" '#include "engine/engine.h"' 'engine/engine\.h: No such file|engine/engine\.h. file not found'
refused "actions/kafka includes sql: the compiler does not find it" tr_kafka "$kafka" '#include "sql/sql.h"' 'sql/sql\.h: No such file|sql/sql\.h. file not found'

# By the check that is part of every build.
refused "base includes engine" house "$base" '#include "engine/engine.h"' '^base/err\.c:1: base includes engine/engine\.h, an arrow'
refused "a path around the include folders" house "$base" '#include "../engine/include/engine/engine.h"' '^base/err\.c:1: '
refused "sql includes jansson" house "$sql" '#include <jansson.h>' "^$sql:1: sql includes jansson\.h"
refused "rules includes secrets" house "$rules" '#include "secrets/secrets.h"' "^$rules:1: rules includes secrets/secrets\.h, an arrow"
refused "engine names Kafka's library" house "$engine" '#include <librdkafka/rdkafka.h>' "^$engine:1: engine includes librdkafka/rdkafka\.h"
refused "base includes TLS" house "$base" '#  include <openssl/ssl.h>' '^base/err\.c:1: base includes openssl/ssl\.h'
refused "a library that nobody knows" house "$base" '#include <zmq.h>' '^base/err\.c:1: .*zmq\.h'
refused "sql links jansson" house sql/CMakeLists.txt 'link_libraries(PkgConfig::jansson)' '^sql/CMakeLists\.txt:1: sql links PkgConfig::jansson'
refused "sql links the engine" house sql/CMakeLists.txt 'link_libraries(tr_engine)' '^sql/CMakeLists\.txt:1: sql links tr_engine'

# What the rest of the house rules finds.
complains() {
    local what=$1 expected=$2
    if "$scratch/tools/check-house" >log; then
        echo "not ok: $what: not found"
        failed=1
    elif ! grep -qE "$expected" log; then
        echo "not ok: $what: did not say: $expected"
        cat log
        failed=1
    else
        echo "ok: $what"
    fi
}
yes '/* a line */' | head -n 601 >base/long.c || true
complains "a file too long" '^base/long\.c: 601 lines'
rm base/long.c
printf '/* TO%s: later */\n' DO >base/left.c
complains "a leftover" '^base/left\.c:1: left over'
rm base/left.c
mv base/README.md saved
complains "a room without a README" '^base/README\.md: is missing'
mv saved base/README.md
echo 'See [this](nowhere.md).' >>base/README.md
complains "a link that leads nowhere" '^base/README\.md:[0-9]+: names base/nowhere\.md'
cp "$top/base/README.md" base/README.md
sed -i 's/^build="/build="libzmq3-dev /' tools/setup
complains "a dependency without a reason" 'says nothing about `libzmq3-dev`'
cp "$top/tools/setup" tools/setup

exit $failed
