#!/bin/bash
# The program as a user meets it: what each command prints, where, and with which exit status.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/golden/lib.sh
. ./lib.sh
all="SELECT * FROM 'a/+'"

# ---- words
says '^usage: topicrule COMMAND' --help
try 2 '' '^usage: topicrule COMMAND'
try 2 '' "unknown command 'chekc'; did you mean 'check'\?" chekc
try 2 '' "unknown command 'x'" x
says '^usage: topicrule eval' help eval
try 2 '' "unknown command 'evil'; did you mean 'eval'\?" help evil
for command in run check eval test demo functions version; do
    says "^usage: topicrule $command" $command --help
    says "^usage: topicrule $command" $command -h
    try 2 '' "unknown option '--no-such'" $command --no-such
    try 2 '' "unknown option '-Z'" $command -Z
done
try 2 '' "unknown option '--payload-fil3=x'; did you mean '--payload-file'\?" eval --payload-fil3=x
try 2 '' '--topic needs a value' eval --topic
try 2 '' "'extra' is not expected here" version extra
says '^topicrule [0-9]+\.[0-9]+' version
says '^topicrule [0-9]+\.[0-9]+' --version
says '^librdkafka 2\.' version
says '^OpenSSL 3\.' version
says "^substring	2-3	2015-10-08	" functions
says "^aws_lambda	[^	]*	refused	" functions

# ---- eval: a statement
try 0 '{"celsius":61}' '' eval --topic plant/7/temp --payload '{"temp":61}' --sql "SELECT temp AS celsius FROM 'plant/+/temp' WHERE temp > 50"
try 1 '' 'WHERE is not true' eval --topic plant/7/temp --payload '{"temp":41}' --sql "SELECT temp AS celsius FROM 'plant/+/temp' WHERE temp > 50"
try 1 '' "does not take 'b/1'" eval --topic b/1 --sql "$all"
try 2 '' '^error: 1:[0-9]+: ' eval --topic a/1 --sql "SELECT FROM 'a/+'"
try 2 '' '^ +\^' eval --topic a/1 --sql "SELECT FROM 'a/+'"
try 2 '' 'one of --sql and --rule is needed' eval --topic a/1
try 2 '' 'one of --sql and --rule is needed' eval --topic a/1 --sql "$all" --rule x
try 2 '' '--topic is needed' eval --sql "$all"
try 2 '' "no SQL version '2017'" eval --topic a/1 --sql "$all" --sql-version 2017
try 0 '{"r":"device-7"}' '' eval -t a/1 -s "SELECT clientid() AS r FROM 'a/+'" -i device-7
try 0 '{"r":"n/a"}' '' eval -t a/1 -s "SELECT clientid() AS r FROM 'a/+'"
try 0 '{"r":5}' '' eval -t a/1 -s "SELECT a AS r FROM 'a/+'" -p '{"a":5.0}'
try 0 '{"r":5.0}' '' eval -t a/1 -s "SELECT a AS r FROM 'a/+'" -p '{"a":5.0}' --sql-version 2015-10-08
try 0 '{"r":"rest/1"}' '' eval -t '$aws/rules/any/rest/1' -s "SELECT topic() AS r FROM 'rest/+'"
try 0 'plain text' '' eval -t a/1 -s "$all" -p 'plain text'
try 0 '{}' '' eval -t a/1 -s "SELECT a FROM 'a/+'"
try 2 '' 'contradict' eval -t a/1 -s "$all" -p x -f y
try 2 '' 'no-such-file: No such file' eval -t a/1 -s "$all" -f no-such-file
try 2 '' '--user-property should be NAME=VALUE' eval -t a/1 -s "$all" -u x
try 0 '' 'FIELD|MEMBER|CONST' eval --explain -s "SELECT a + 1 AS b FROM 'a/+'"

# Bytes in, the same bytes out: no newline behind what is no text.
printf '\000\001\377' >"$scratch/bytes"
"$TOPICRULE" eval -t a/1 -s "$all" -f "$scratch/bytes" >"$scratch/out" 2>"$scratch/err"
cmp "$scratch/bytes" "$scratch/out" || failed=$((failed + 1))
[ "$(printf '{"a":1}' | "$TOPICRULE" eval -t a/1 -s "$all" -f -)" = '{"a":1}' ] || {
    echo "FAIL eval -f -"
    failed=$((failed + 1))
}
# A full disk is not success.
if [ -w /dev/full ] && "$TOPICRULE" version >/dev/full 2>/dev/null; then
    echo "FAIL version >/dev/full"
    failed=$((failed + 1))
fi

the_end
