#!/bin/bash
# cmake --install puts each file where the README says, and the unit names the program where it was put.
#   test_install.sh BUILD
set -euo pipefail
cd "$1"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' CMakeCache.txt)
failed=0

DESTDIR=$scratch "${CMAKE_COMMAND:-cmake}" --install . >"$scratch/log"
for file in "$prefix/bin/topicrule" "$prefix/lib/systemd/system/topicrule.service" "$prefix/share/doc/topicrule/README.md"; do
    [ -e "$scratch$file" ] || {
        echo "not ok: $file was not installed"
        failed=1
    }
done
[ -x "$scratch$prefix/bin/topicrule" ]
grep -q "^ExecStart=$prefix/bin/topicrule run " "$scratch$prefix/lib/systemd/system/topicrule.service" || {
    echo "not ok: the unit names another program"
    failed=1
}
configuration=$(find "$scratch" -path '*etc/topicrule/topicrule.yaml')
[ -d "$(dirname "$configuration")/rules.d" ]
echo "# mine" >>"$configuration"
DESTDIR=$scratch "${CMAKE_COMMAND:-cmake}" --install . >"$scratch/log"
grep -q "^# mine" "$configuration" || {
    echo "not ok: a configuration was overwritten"
    failed=1
}
exit $failed
