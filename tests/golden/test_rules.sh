#!/bin/bash
# Whole rules as a user meets them: `check`, `eval --rule`, `test`, and a daemon that cannot start.
set -uo pipefail
cd "$(dirname "$0")/program" || exit 1
# shellcheck source=tests/golden/lib.sh
. ../lib.sh
examples=../../../rules/examples

# ---- check
try 0 'aws_kafka_action: ok, 1 action, topic some/topic' 'written in plain text' check aws_kafka_action.json
says '^clean_readings: ok, 1 action, topic plant/\+/temp' check $examples
try 2 '' '^error: broken.json: sql: 1:44: expected a topic filter' check broken.json
try 2 '' 'no-such-folder' check no-such-folder
try 2 'bytes: ok, 1 action, topic raw/#' '^error: broken.json' check bytes.yaml broken.json

mkdir "$scratch/rules"
cp bytes.yaml "$scratch/rules/"
printf 'mqtt: {url: "mqtt://broker:1883"}\nrules: rules\n' >"$scratch/good.yaml"
try 0 'bytes: ok, 1 action, topic raw/#' 'PLAINTEXT: records cross the network readable' check -c "$scratch/good.yaml"
try 2 '' 'ssl.truststore: 14:31: secret "kafka_client_truststore": there is no backend' check -c "$scratch/good.yaml" aws_kafka_action.json
printf 'mqtt: {ulr: "mqtt://broker:1883"}\nrules: rules\n' >"$scratch/typo.yaml"
try 2 '' "ulr.*url" check -c "$scratch/typo.yaml"
try 2 '' 'topicrule.yaml' check -c /no/such/topicrule.yaml
# A rule that relies on what a subscriber is not told is warned of, until the configuration says where it comes from.
printf "sql: SELECT clientid() AS c FROM 'a/+'\nactions:\n  - kafka: {topic: t, clientProperties: {bootstrap.servers: 'k:9092', security.protocol: PLAINTEXT}}\n" \
    >"$scratch/rules/who.yaml"
try 0 $'bytes: ok, 1 action, topic raw/#\nwho: ok, 1 action, topic a/+' "clientid\(\) will be 'n/a'" check -c "$scratch/good.yaml"
printf 'identity: {client_id: {topic_level: 2}}\n' >>"$scratch/good.yaml"
"$TOPICRULE" check -c "$scratch/good.yaml" 2>&1 | grep -q 'clientid()' && {
    echo "FAIL: identity.client_id is set, and there is still a warning"
    failed=$((failed + 1))
}
# So is one that computes ids of secrets, until the configuration allows some.
printf "sql: SELECT get_secret(topic(2), 'SecretString', '') AS s FROM 'a/+'\nactions:\n  - kafka: {topic: t, clientProperties: {bootstrap.servers: 'k:9092', security.protocol: PLAINTEXT}}\n" \
    >"$scratch/rules/who.yaml"
try 0 $'bytes: ok, 1 action, topic raw/#\nwho: ok, 1 action, topic a/+' 'secrets.allow names no such ids' check -c "$scratch/good.yaml"
printf 'secrets: {allow: ["*"]}\n' >>"$scratch/good.yaml"
"$TOPICRULE" check -c "$scratch/good.yaml" 2>&1 | grep -q 'secrets.allow' && {
    echo "FAIL: secrets.allow is set, and there is still a warning"
    failed=$((failed + 1))
}
printf "sql: SELECT * FROM 'a/+'\nactions:\n  - kafka: {topic: 't.\${get_secret(\"a\", \"SecretString\", \"\")}', clientProperties: {bootstrap.servers: 'k:9092', security.protocol: PLAINTEXT}}\n" \
    >"$scratch/rules/who.yaml"
sed -i 's/^secrets: {/&backends: {store: {type: aws, region: eu-west-1}}, /' "$scratch/good.yaml"
HOME=/nonexistent try 0 $'bytes: ok, 1 action, topic raw/#\nwho: ok, 1 action, topic a/+' 'a topic with a secret in it' check -c "$scratch/good.yaml"
# A secret of a backend that is not there: check says so as run would, and asks nobody.
secret() { # SQL PASSWORD: a rule with such secrets
    printf "sql: %s\nactions:\n  - kafka:\n      topic: t\n      clientProperties:\n        bootstrap.servers: 'k:9092'\n        security.protocol: SASL_SSL\n        sasl.mechanism: PLAIN\n        sasl.plain.username: u\n        sasl.plain.password: \"%s\"\n" \
        "$1" "$2" >"$scratch/rules/who.yaml"
}
nowhere() { # PATTERN: what check says of it
    try 2 'bytes: ok, 1 action, topic raw/#' "$1" check -c "$scratch/where.yaml"
}
printf 'mqtt: {url: "mqtt://broker:1883"}\nrules: rules\n' >"$scratch/where.yaml"
secret "SELECT * FROM 'a/+'" "\${get_secret('kafka', 'SecretString', 'password')}"
nowhere '^error: [^ ]*rules/who.yaml: actions\[0\].kafka.clientProperties.sasl.plain.password: 10:[0-9]+: secret "kafka": there is no backend; configure one under secrets.backends'
printf 'secrets: {default: vault, backends: {vault: {type: vault, address: "http://127.0.0.1:1", auth.method: token, auth.token: canary}}}\n' >>"$scratch/where.yaml"
try 0 $'bytes: ok, 1 action, topic raw/#\nwho: ok, 1 action, topic a/+' 'PLAINTEXT' check -c "$scratch/where.yaml"
secret "SELECT get_secret('valt:a', 'SecretString', '') AS s FROM 'a/+'" "\${get_secret('files:kafka', 'SecretString', '')}"
nowhere '^error: [^ ]*rules/who.yaml: sql: secret "valt:a": there is no secrets backend "valt": did you mean "vault"\?'
nowhere '^error: .*sasl.plain.password: 10:[0-9]+: secret "files:kafka": there is no secrets backend "files"; configure it under secrets.backends'
secret "SELECT * FROM 'a/+'" "\${get_secret('kafka', 'SecretString', 'password')}"
try 0 $'bytes: ok, 1 action, topic raw/#\nwho: ok, 1 action, topic a/+' "sasl.plain.password: 10:[0-9]+: get_secret: \"password\" is no role's ARN" check -c "$scratch/where.yaml"
secret "SELECT * FROM 'a/+'" "\${get_secret('kafka', 'SecretString', '')}"
sed -i "s/topic: t/&\n      key: \"\${get_secret('k', 'SecretBinary', 'm', '')}\"/" "$scratch/rules/who.yaml"
nowhere "^error: [^ ]*who.yaml: actions\\[0\\].kafka.key: secret \"k\": 'SecretBinary' takes no key"
rm "$scratch/rules/who.yaml"
printf 'mqtt: {url: "mqtts://broker:8883", tls: {ca_file: ca.pem}}\nrules: rules\n' >"$scratch/tls.yaml"
try 2 'bytes: ok, 1 action, topic raw/#' '^error: [^ ]*tls.yaml: mqtt.tls.ca_file: 1:[0-9]+: [^ ]*/ca.pem: No such file' check -c "$scratch/tls.yaml"
printf 'secrets: {backends: {v: {type: vault, address: "https://vault:8200", ca_file: ca.pem, auth: {method: token, token: canary}}}}\n' >>"$scratch/tls.yaml"
try 2 'bytes: ok, 1 action, topic raw/#' '^error: [^ ]*tls.yaml: secrets.backends.v.ca_file: 3:[0-9]+: [^ ]*/ca.pem: No such file' check -c "$scratch/tls.yaml"
touch "$scratch/ca.pem"
try 0 'bytes: ok, 1 action, topic raw/#' 'PLAINTEXT' check -c "$scratch/tls.yaml"
printf 'mqtt: {url: "mqtt://broker:1883", username: u, password: "${get_secret(\x27m\x27, \x27SecretString\x27, \x27\x27)}"}\nrules: rules\n' >"$scratch/where.yaml"
nowhere '^error: [^ ]*where.yaml: mqtt.password: 1:[0-9]+: secret "m": there is no backend'
# A backend of AWS: its options are checked, its place is shown, nothing is contacted.
aws() { # OPTIONS: a configuration with such a backend
    printf 'mqtt: {url: "mqtt://broker:1883"}\nrules: rules\nsecrets:\n  backends:\n    store: {type: aws%s}\n' "$1" >"$scratch/aws.yaml"
}
unset AWS_REGION AWS_DEFAULT_REGION AWS_PROFILE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE
aws ', region: eu-west-1, profile: rules, assume_role: true, external_id: ours'
HOME=/nonexistent try 0 'bytes: ok, 1 action, topic raw/#' 'PLAINTEXT' check -c "$scratch/aws.yaml"
aws ''
HOME=/nonexistent try 2 'bytes: ok, 1 action, topic raw/#' 'aws.yaml: 5:5: secrets backend "store": region is needed' check -c "$scratch/aws.yaml"
aws ', region: eu-west-1, regoin: x'
HOME=/nonexistent try 2 'bytes: ok, 1 action, topic raw/#' 'aws.yaml: 5:[0-9]+: secrets backend "store": a backend of type aws has no option "regoin": did you mean "region"' check -c "$scratch/aws.yaml"
aws ', region: eu-west-1, endpoint: "http://elsewhere"'
HOME=/nonexistent try 2 'bytes: ok, 1 action, topic raw/#' 'aws.yaml: 5:[0-9]+: secrets backend "store": endpoint: http:// would send' check -c "$scratch/aws.yaml"
# A topic that no record can have is found in the constant parts of a template.
part() { # FIELDS
    printf "sql: SELECT * FROM 'a/+'\nactions:\n  - kafka: {%s, clientProperties: {bootstrap.servers: 'k:9092', security.protocol: PLAINTEXT}}\n" "$1" >"$scratch/part.yaml"
}
part "topic: 'plant/\${x}'"
try 2 '' "part.yaml: actions\[0\].kafka.topic: 3:20: 'plant/' cannot stand in a Kafka topic: letters, digits, '.', '_' and '-' are allowed" check "$scratch/part.yaml"
part "topic: '\${x}.my topic.\${y}'"
try 2 '' "'.my topic.' cannot stand in a Kafka topic" check "$scratch/part.yaml"
part "topic: t, partition: 'p\${x}'"
try 2 '' "kafka.partition: 3:[0-9]+: 'p' cannot stand in a partition: digits alone can" check "$scratch/part.yaml"
part "topic: t, key: '\${get_secret(1)}'"
try 0 'part: ok, 1 action, topic a/+' 'warning: [^ ]*part.yaml: actions\[0\].kafka.key: 3:[0-9]+: .*always Undefined' check "$scratch/part.yaml"
part "topic: '\${topic()}'"
try 0 'part: ok, 1 action, topic a/+' "warning: [^ ]*part.yaml: actions\[0\].kafka.topic: 3:20: topic\(\) is the whole MQTT topic, and its '/' cannot stand in a topic" check "$scratch/part.yaml"
part "topic: '\${x}.y-\${z}', partition: '1\${x}', key: 'a/\${x}'"
try 0 'part: ok, 1 action, topic a/+' 'PLAINTEXT' check "$scratch/part.yaml"
# A file that is overlooked is told of, one that was put aside is not.
mkdir "$scratch/beside" "$scratch/beside/folder"
cp bytes.yaml "$scratch/beside/"
cp bytes.yaml "$scratch/beside/bytes"
cp bytes.yaml "$scratch/beside/heat.YAML"
cp bytes.yaml "$scratch/beside/cold.yaml.off"
try 0 'bytes: ok, 1 action, topic raw/#' 'warning: [^ ]*beside/heat.YAML: not read: the name' check "$scratch/beside"
try 0 'bytes: ok, 1 action, topic raw/#' 'warning: [^ ]*beside/bytes: not read: the name' check "$scratch/beside"
[ "$("$TOPICRULE" check "$scratch/beside" 2>&1 | grep -c 'not read')" = 2 ] || {
    echo "FAIL: other files are told of too"
    failed=$((failed + 1))
}
printf '{"sql": "SELECT * FROM %sa/b%s", "ruleDisabled": true, "actions": []}' "'" "'" >"$scratch/beside/bytes.yaml"
printf 'mqtt: {url: "mqtt://broker:1883"}\nrules: beside\n' >"$scratch/off.yaml"
try 0 'bytes: ok, disabled, 0 actions, topic a/b' 'every rule here is disabled: there is nothing to run' check -c "$scratch/off.yaml"
mkdir "$scratch/none"
printf 'mqtt: {url: "mqtt://broker:1883"}\nrules: none\n' >"$scratch/empty.yaml"
try 0 '' 'no rules here' check -c "$scratch/empty.yaml"

# ---- run, where it cannot start
try 2 '' 'no rule is left to run' run -c "$scratch/empty.yaml"
try 2 '' 'no-such.yaml' run -c "$scratch/no-such.yaml"
try 2 '' "'extra' is not expected here" run extra

# ---- eval --rule: one line an action, exact, without secrets
hot='{"temp":61,"machine":"m7","line":6,"unit":"C"}'
"$TOPICRULE" eval --rule heat.json --topic plant/7/temp --payload "$hot" >"$scratch/out" 2>"$scratch/err"
[ $? = 0 ] && [ "$(wc -l <"$scratch/out")" = 2 ] && [ ! -s "$scratch/err" ] || {
    echo "FAIL eval --rule: $(cat "$scratch/out" "$scratch/err")"
    failed=$((failed + 1))
}
for part in '^{"action":"kafka","topic":"alarms.7","key":"m7","partition":2,"headers":\[\["unit","C"\],\["limit","50"\]\],"timestamp":null,"value":{"celsius":61,"at":[0-9]*},"clientProperties":{"bootstrap.servers":"kafka:9092"' \
    '"sasl.plain.username":"gateway"' '"sasl.plain.password":"\*\*\*\*"' '^{"action":"kafka","topic":"second","key":null,"partition":null,"headers":\[\]'; do
    grep -q -- "$part" "$scratch/out" || {
        echo "FAIL eval --rule: no $part in $(cat "$scratch/out")"
        failed=$((failed + 1))
    }
done
if grep -q hunter2 "$scratch/out" "$scratch/err"; then
    echo "FAIL eval --rule shows a password"
    failed=$((failed + 1))
fi
try 1 '' 'WHERE is not true' eval --rule heat.json --topic plant/7/temp --payload '{"temp":50}'
try 1 '' "does not take 'plant/7/humidity'" eval --rule heat.json --topic plant/7/humidity --payload "$hot"
try 2 '' '^error: broken.json: sql: 1:44: expected a topic filter' eval --rule broken.json --topic a
try 2 '' 'no-such.json' eval --rule no-such.json --topic a
try 0 '' 'CONST' eval --rule heat.json --explain
# An action that cannot be carried out is an error; the others are shown all the same.
"$TOPICRULE" eval --rule heat.json --topic 'plant/a b/temp' --payload "$hot" >"$scratch/out" 2>"$scratch/err"
[ $? = 2 ] && grep -q '^{"action":"kafka","topic":"second"' "$scratch/out" && grep -q "heat.json: .*'alarms.a b' is no Kafka topic" "$scratch/err" || {
    echo "FAIL eval --rule with a bad topic: $(cat "$scratch/out" "$scratch/err")"
    failed=$((failed + 1))
}
printf '\000\377' >"$scratch/bytes"
says '"valueBase64":"AP8="' eval --rule bytes.yaml --topic raw/1 --payload-file "$scratch/bytes"
says '"value":"no json"' eval --rule bytes.yaml --topic raw/1 --payload 'no json'

# ---- test
try 0 '18 passed, 0 failed' '' test passing.jsonl
"$TOPICRULE" test failing.jsonl >"$scratch/out" 2>"$scratch/err"
[ $? = 1 ] && diff failing.want "$scratch/out" || failed=$((failed + 1))
try 2 '18 passed, 0 failed' 'no-such.jsonl: No such file' test no-such.jsonl passing.jsonl
try 2 '' 'which file' test
[ "$(cd / && "$TOPICRULE" test "$OLDPWD/passing.jsonl")" = '18 passed, 0 failed' ] || {
    echo "FAIL: a rule's path is relative to the case file"
    failed=$((failed + 1))
}
the_end
