# shellcheck shell=bash
# What the tests of the program share. $TOPICRULE is the program; $failed counts.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

err_is() { # PATTERN: standard error holds it; an empty pattern: there is none
    if [ -z "$1" ]; then [ ! -s "$scratch/err" ]; else grep -Eq -- "$1" "$scratch/err"; fi
}
# try STATUS STDOUT STDERR-PATTERN ARGUMENT...: run the program; STDOUT exactly, standard error as err_is has it.
try() {
    local want_status=$1 want_out=$2 want_err=$3 status
    shift 3
    "$TOPICRULE" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    status=$?
    if [ $status != "$want_status" ] || [ "$(cat "$scratch/out")" != "$want_out" ] || ! err_is "$want_err"; then
        echo "FAIL topicrule $*"
        echo "  want status $want_status, '$want_out', /$want_err/"
        echo "  got  status $status, '$(cat "$scratch/out")', '$(cat "$scratch/err")'"
        failed=$((failed + 1))
    fi
}
# says PATTERN ARGUMENT...: status 0, and standard output holds the pattern.
says() {
    local pattern=$1
    shift
    if ! "$TOPICRULE" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || ! grep -Eq -- "$pattern" "$scratch/out"; then
        echo "FAIL topicrule $*"
        echo "  want /$pattern/"
        echo "  got  '$(head -c 2000 "$scratch/out")', '$(cat "$scratch/err")'"
        failed=$((failed + 1))
    fi
}
the_end() {
    echo "$failed failed"
    [ "$failed" = 0 ]
}
