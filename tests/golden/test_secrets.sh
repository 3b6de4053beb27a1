#!/bin/bash
# A secret that changes, and one that goes, while the daemon runs: both are told, and no value is ever shown.
set -euo pipefail
program=${TOPICRULE:?is not set}
folder=$(mktemp -d)
daemon=
end() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT
umask 077
mkdir "$folder/secrets" "$folder/rules.d"
printf 'canary-one' >"$folder/secrets/a"
cat >"$folder/c.yaml" <<'YAML'
mqtt: {url: "mqtt://127.0.0.1:1"}
rules: rules.d
secrets: {backends: {files: {type: directory, path: secrets}}}
YAML
cat >"$folder/rules.d/r.yaml" <<'YAML'
sql: SELECT get_secret('a', 'SecretString', '') AS s FROM 'a/b'
awsIotSqlVersion: '2016-03-23'
actions: [{kafka: {topic: t, clientProperties: {bootstrap.servers: "127.0.0.1:1", security.protocol: PLAINTEXT}}}]
YAML

"$program" run -c "$folder/c.yaml" >"$folder/log" 2>&1 &
daemon=$!
said() { # TEXT: wait until the log has it
    for _ in $(seq 600); do
        grep -qF -- "$1" "$folder/log" && return
        kill -0 $daemon 2>/dev/null || break
        sleep 0.1
    done
    echo "never said: $1"
    cat "$folder/log"
    exit 1
}
said 127.0.0.1:1
sleep 1
printf 'canary-two' >"$folder/secrets/new" && mv "$folder/secrets/new" "$folder/secrets/a"
said '"a" in backend "files" has changed'
rm "$folder/secrets/a"
said '"a" in backend "files" can be used no longer'
if grep -q canary "$folder/log"; then
    echo "a secret is in the log"
    exit 1
fi
