# shellcheck shell=bash
# steps.sh - sourced by the scripts: quiet steps with progress, which goes to standard error; the project's files.

# say TEXT...: one line to the person who runs the script.
say() { printf '%s\n' "$*" >&2; }

# die TEXT...: the last line, and the end.
die() { say "$@"; exit 1; }

# files [PATTERN [PATTERN]]: the tracked and the new files of the project, each ended by a NUL; in an unpacked archive, all but build/.
files() {
    git ls-files -zco --exclude-standard -- "$@" 2>/dev/null && return
    find . \( -path ./build -o -path ./.git \) -prune -o -type f \( -name "${1:-*}" -o -name "${2:-${1:-*}}" \) -print0
}

# step TEXT LOG COMMAND [ARG...]: run COMMAND, its output to the file LOG alone. Prints TEXT, and the seconds it took.
# On a terminal the last line of LOG is shown meanwhile. A failure prints the errors in LOG, or its end. Returns COMMAND's
# status.
step() {
    local text=$1 log=$2 began=$SECONDS status=0 ticker=
    shift 2
    mkdir -p "$(dirname "$log")"
    printf '%s ... ' "$text" >&2
    if [ -t 2 ]; then
        (while sleep 1; do
            printf '\r\033[K%s ... %.*s' "$text" $((${COLUMNS:-80} - ${#text} - 6)) "$(tail -n 1 "$log" 2>/dev/null | tr -cd '[:print:]')" >&2
        done) &
        ticker=$!
    fi
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null
        wait "$ticker" 2>/dev/null
        printf '\r\033[K%s ... ' "$text" >&2
    fi
    if [ $status = 0 ]; then
        say "$((SECONDS - began)) s"
    else
        say "failed after $((SECONDS - began)) s (all of it: $log)"
        { grep -E '(error|undefined reference|FAILED): ' "$log" | sort -u || tail -n 25 "$log"; } | head -n 25 | sed 's/^/    /' >&2
    fi
    return $status
}
