#!/bin/bash
# hardened.sh PROGRAM - is what is shipped hardened? PIE, full RELRO, no executable stack, stack protector, fortified calls.
# Run by tools/test on the release build; not a ctest test, because the builds for tests are not hardened.
set -euo pipefail
program=$1
failed=0
headers=$(LC_ALL=C readelf -hlW "$program")
dynamic=$(LC_ALL=C readelf -dW "$program")
symbols=$(LC_ALL=C readelf -sW --dyn-syms "$program")

has() { # WHAT TEXT PATTERN
    if grep -qE "$3" <<<"$2"; then
        echo "ok: $1"
    else
        echo "not ok: $1"
        failed=1
    fi
}
has "position independent" "$headers" 'Type: +DYN'
has "relocations read-only" "$headers" 'GNU_RELRO'
has "bound at start" "$dynamic" 'BIND_NOW|FLAGS.* NOW'
has "stack not executable" "$headers" 'GNU_STACK.* RW +0x'
has "stack protector" "$symbols" '__stack_chk_fail'
has "fortified calls" "$symbols" '__(snprintf|vsnprintf|memcpy|fprintf|read)_chk'
has "no search path for libraries" "x$(grep -cE 'RPATH|RUNPATH' <<<"$dynamic")" 'x0'
exit $failed
