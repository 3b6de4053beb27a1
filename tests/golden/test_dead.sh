#!/bin/bash
# `topicrule dead` on no store, on something else, and asked wrongly. What it does to letters: tests/scenario/test_dead.py.
set -uo pipefail
cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/golden/lib.sh
. ./lib.sh
store=$scratch/store.db

says '^usage: topicrule dead list\|show' dead --help
try 2 '' "unknown option '--no-such'" dead list --no-such
try 2 '' 'list, show, export, retry or purge\?' dead
try 2 '' "there is no .dead lits.; did you mean .dead list.\?" dead lits -s "$store"
try 2 '' 'there is no store; a daemon makes it when it first runs' dead list -s "$store"
[ ! -e "$store" ] || { echo "FAIL a store was made"; failed=$((failed + 1)); }
try 2 '' "'soon' is no time: 2026-11-21" dead list -s "$store" --before soon
try 2 '' 'waiting with --store needs --rule' dead list -s "$store" --waiting
try 2 '' '--to goes with retry alone' dead purge -s "$store" --to other --all
yes 'not a database' | head -c 20000 >"$store"
try 2 '' 'this is no store of topicrule' dead list -s "$store"
printf 'mqtt: {url: "mqtt://127.0.0.1:1"}\nrules: rules\ndelivery: {store: {path: other.db}}\n' >"$scratch/conf.yaml"
try 2 '' "$scratch/other.db: there is no store" dead list -c "$scratch/conf.yaml"
try 2 '' 'No such file' dead list -c "$scratch/none.yaml"

the_end
