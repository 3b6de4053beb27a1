#!/usr/bin/env python3
"""Dead letters, as an operator meets them: seen, exported, sent again after the repair, dropped; with a daemon and without."""

import base64
import json
import os
import subprocess
import time

from lib import PROGRAM, Daemon, Kafka, Mosquitto, check, main, rule, wait_for


def dead(daemon, *words, status=0):
    """`topicrule dead`: its lines on standard output."""
    done = subprocess.run([PROGRAM, "dead", words[0], "-c", daemon.conf, *words[1:]], check=False, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    check(done.returncode == status, f"dead {' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()


def wait_letters(daemon, count):
    return wait_for(lambda: len(lines := dead(daemon, "list")) == count and lines, f"{count} letters", 120)


def small_topic(kafka):
    topic = f"dead.{os.getpid()}.{int(time.time())}"
    kafka.probe("topic", topic, "1", "max.message.bytes=1000")
    return topic


def text_of(number, size):
    return json.dumps({"n": number, "pad": "x" * size})


def a_record_too_large_is_sent_again_after_the_repair(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    topic = small_topic(kafka)
    daemon = Daemon(folder, broker, {
        "large": rule("SELECT * FROM 'n/+'", topic, kafka.servers, key="${topic()}", headers=[{"key": "h", "value": "${n}"}]),
    })
    if not os.path.exists(os.path.join(daemon.folder, "store.db")):
        dead(daemon, "list", status=2)  # there is no store yet, and none is made
        check(not os.path.exists(os.path.join(daemon.folder, "store.db")), "a store is made")
    daemon.start()
    cleanup.callback(lambda: daemon.kill())
    for number in range(1, 7):
        broker.publish("n/1", text_of(number, 5000 if number % 2 else 10))
    lines = wait_letters(daemon, 3)
    for line in lines:
        columns = line.split("\t")
        check(columns[2:6] == ["large", "0", topic, "MSG_SIZE_TOO_LARGE"] and columns[6].startswith(f"topic {topic}: "), f"list: {line}")
    check(kafka.numbers(topic) == {2: 1, 4: 1, 6: 1}, "the small ones arrive")

    ids = [line.split("\t")[0] for line in lines]
    shown = json.loads(dead(daemon, "show", ids[1])[0])
    check(shown["rule"] == "large" and shown["stream"] == topic and shown["code"] == "MSG_SIZE_TOO_LARGE", f"show: {shown}")
    check(shown["record"]["key"] == "n/1" and shown["record"]["headers"] == [["h", "3"]], f"show: {shown}")
    check(json.loads(shown["record"]["payload"])["n"] == 3, f"show: {shown}")
    dead(daemon, "show", "999", status=1)
    exported = [json.loads(line) for line in dead(daemon, "export", "--rule", "large")]
    check([json.loads(one["record"]["payload"])["n"] for one in exported] == [1, 3, 5], "export")
    check(dead(daemon, "list", "--code", "OTHER") == [] and dead(daemon, "list", "--before", "1d") == [], "filters")

    dead(daemon, "retry", status=2)  # which?
    kafka.probe("config", "max.message.bytes", "100000", topic)
    check(dead(daemon, "retry", ids[0]) == ["1 letter to be sent again"], "retry")  # the daemon runs
    wait_for(lambda: kafka.numbers(topic)[1], "the first letter in Kafka", 120)
    check(len(dead(daemon, "list")) == 2, "one is gone")
    dead(daemon, "retry", ids[0], status=1)

    daemon.stop()
    check(dead(daemon, "retry", ids[1]) == ["1 letter to be sent again"], "retry offline")
    check(dead(daemon, "purge", "--all") == ["1 letter dropped"], "purge offline")
    check(dead(daemon, "list") == [], "none is left")
    dead(daemon, "purge", "--all", status=1)
    daemon.start()
    wait_for(lambda: kafka.numbers(topic)[3], "the second letter in Kafka", 120)
    check(kafka.numbers(topic) == {1: 1, 2: 1, 3: 1, 4: 1, 6: 1}, "each once, and none that was dropped")
    check(json.loads(kafka.read(topic, "%k %h %s\\n")[-1].split(" ", 2)[2])["n"] == 3, "the last one")
    check(kafka.read(topic, "%k %h\\n")[-1] == "n/1 h=3", "with its key and its header")
    daemon.stop()


def a_message_without_a_record_stays_and_says_what_it_was(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    topic = kafka.topic("deadsql")
    daemon = Daemon(folder, broker, {"places": rule("SELECT * FROM 'p/+'", "${place}", kafka.servers)}).start()
    cleanup.callback(lambda: daemon.kill())
    broker.publish("p/1", json.dumps({"n": 1, "place": topic}))
    broker.publish("p/1", '{"n":2,"place":"no such name!"}')
    lines = wait_letters(daemon, 1)
    letter = json.loads(dead(daemon, "export")[0])
    check(letter["rule"] == "places" and letter["reason"], f"{letter}")
    payload = letter.get("message", letter.get("record", {}))["payload"]
    if isinstance(payload, dict):
        payload = base64.b64decode(payload["base64"])
    check(json.loads(payload)["n"] == 2, f"{letter}")
    check(lines[0].split("\t")[2] == "places", lines[0])
    check(dead(daemon, "purge", "--rule", "places") == ["1 letter dropped"], "purge while it runs")
    daemon.stop()


def what_waits_for_a_rule_that_is_gone_goes_to_another(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    topic = kafka.topic("renamed")
    unknown = f"later.{os.getpid()}.{int(time.time())}"
    daemon = Daemon(folder, broker, {"old": rule("SELECT * FROM 'n/+'", unknown, kafka.servers),
                                     "other": rule("SELECT * FROM 'o/+'", topic, kafka.servers)}).start()
    cleanup.callback(lambda: daemon.kill())
    for number in range(1, 6):
        broker.publish("n/1", text_of(number, 10))
    check(dead(daemon, "list", "--waiting") == [], "the rule is there")
    wait_for(lambda: len(dead(daemon, "list", "--waiting", "--rule", "old")) == 5, "five records that wait", 120)
    daemon.stop()
    rules = os.path.join(daemon.folder, "rules")
    os.rename(os.path.join(rules, "old.json"), os.path.join(rules, "new.json"))
    daemon.start()
    lines = dead(daemon, "list", "--waiting")
    check(len(lines) == 5 and lines[0].split("\t")[2] == "old", f"waiting: {lines}")
    check(dead(daemon, "purge", "--waiting", lines[0].split("\t")[0]) == ["1 record dropped"], "purge of one")
    kafka.probe("topic", unknown, "1")
    check(dead(daemon, "retry", "--waiting", "--to", "new") == ["4 records to be sent again"], "retry")
    wait_for(lambda: len(kafka.numbers(unknown)) == 4, "four records", 180)
    check(dict(kafka.numbers(unknown)) == {2: 1, 3: 1, 4: 1, 5: 1}, "each once")
    check([json.loads(line)["n"] for line in kafka.read(unknown)] == [2, 3, 4, 5], "in order")
    check(dead(daemon, "list", "--waiting") == [], "nothing waits any more")
    daemon.stop()


if __name__ == "__main__":
    main(a_record_too_large_is_sent_again_after_the_repair, a_message_without_a_record_stays_and_says_what_it_was,
         what_waits_for_a_rule_that_is_gone_goes_to_another)
