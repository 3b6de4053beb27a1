#!/usr/bin/env python3
"""Rules and configuration are read anew by a daemon that runs: nothing is lost or sent twice, and a mistake changes nothing."""

import json
import os
import signal
import subprocess

from lib import PROGRAM, Daemon, Kafka, Mosquitto, check, main, rule, wait_for

ADMIN = "admin: {listen: 'unix:admin.sock'}\n"


def write(daemon, name, document):
    """Beside its place first, as an editor would: the daemon may read at any time."""
    path = os.path.join(daemon.folder, "rules", f"{name}.json")
    with open(path + "~", "w", encoding="utf-8") as file:
        file.write(document if isinstance(document, str) else json.dumps(document, indent=2))
    os.rename(path + "~", path)


def reload(daemon, status=0):
    done = subprocess.run([PROGRAM, "reload", "-c", daemon.conf], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    check(done.returncode == status, f"reload: status {done.returncode}\n{done.stdout}{done.stderr}\n{daemon.text()}")
    return done.stdout + done.stderr


def status_of(daemon):
    done = subprocess.run([PROGRAM, "status", "--json", "-c", daemon.conf], check=False, capture_output=True, text=True)
    return json.loads(done.stdout)


def sums_close(daemon):
    """begun + recovered = what became of it."""
    told = status_of(daemon)
    count, store = told["counters"], told["store"]
    ends = sum(count[name] for name in ("delivered", "error_action", "dead", "dropped", "abandoned"))
    return count["begun"] + count["recovered"] == ends + told["in_flight"] + store["rows"]


def connections(broker, name):
    return len([line for line in broker.process.lines("New client connected from") if f" as {name} " in line])


def started(folder, cleanup, rules, more="", name="topicrule"):
    broker = Mosquitto(folder, "log_type all\n").start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, rules, more=ADMIN + more, name=name).start()
    cleanup.callback(lambda: daemon.kill())
    return broker, daemon


def other_rules_under_load(folder, cleanup):
    kafka = Kafka(folder)
    one, two = kafka.topic("reload.one"), kafka.topic("reload.two")
    broker, daemon = started(folder, cleanup, {"one": rule("SELECT *, 0 AS edition FROM 'n/+'", one, kafka.servers)})
    publisher = broker.publisher("n/1").start(30000, 3000)
    for edition in range(1, 9):
        wait_for(lambda: publisher.acknowledged >= edition * 3000, "some messages", 120)
        write(daemon, "one", rule(f"SELECT *, {edition} AS edition FROM 'n/+'", one, kafka.servers))
        if edition == 3:  # overlaps the other, which so far shared an identifier with all that overlap none
            write(daemon, "two", rule("SELECT *, 'two' AS who FROM '#' WHERE n > 0", two, kafka.servers))
        if edition == 6:
            os.unlink(os.path.join(daemon.folder, "rules", "two.json"))
        if edition % 2:
            check("reloaded: " in reload(daemon), "what came of it")
        else:
            before = len(daemon.process.lines("reloaded: "))
            os.kill(daemon.process.child.pid, signal.SIGHUP)
            wait_for(lambda: len(daemon.process.lines("reloaded: ")) > before, "a reload by SIGHUP", 60)
    publisher.wait()
    check(kafka.wait_numbers(one, 30000) == (0, 0), f"lost or twice: {kafka.wait_numbers(one, 30000)}")
    records = [json.loads(line) for line in kafka.read(one)]
    check([record["n"] for record in records] == list(range(1, 30001)), "out of order")
    editions = [record["edition"] for record in records]
    # On a slow machine the last reloads may come after the last message.
    check(editions == sorted(editions) and set(editions) == set(range(editions[-1] + 1)) and editions[-1] >= 4, f"editions {sorted(set(editions))}")
    seen = sorted(kafka.numbers(two).items())
    check(seen and seen == [(n, 1) for n in range(seen[0][0], seen[-1][0] + 1)], "the second rule has holes or duplicates")
    check(connections(broker, "topicrule") == 1, "the connection to the broker is not kept")
    wait_for(lambda: sums_close(daemon), f"sums that close: {status_of(daemon)}", 30)
    check(status_of(daemon)["counters"]["received"] >= 30000, "counters start again")
    daemon.stop()


def another_filter_each_time(folder, cleanup):
    """They all take what is published, so nothing may fall between two of them."""
    kafka = Kafka(folder)
    one, two = kafka.topic("reload.filter"), kafka.topic("reload.all")
    broker, daemon = started(folder, cleanup, {"one": rule("SELECT * FROM 'n/+'", one, kafka.servers)})
    publisher, changes = broker.publisher("n/1").start(30000, 3000), 0
    while publisher.runs():
        changes += 1
        write(daemon, "one", rule(f"SELECT * FROM '{('n/+', 'n/#', '+/1')[changes % 3]}'", one, kafka.servers))
        if changes == 4:
            write(daemon, "two", rule("SELECT * FROM '#'", two, kafka.servers))
        reload(daemon)
    publisher.wait()
    lost, duplicates = kafka.wait_numbers(one, 30000)
    check(lost == 0, f"{lost} lost in {changes} changes")
    check(duplicates <= 10 * changes, f"{duplicates} duplicates in {changes} changes: more than the first that comes for two filters")
    first = list(dict.fromkeys(json.loads(line)["n"] for line in kafka.read(one)))
    check(first == sorted(first), "out of order")
    print(f"     {changes} changes, {duplicates} duplicates")
    daemon.stop()


def a_mistake_changes_nothing(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("reload.wrong")
    good = rule("SELECT * FROM 'n/+'", topic, kafka.servers)
    broker, daemon = started(folder, cleanup, {"good": good})

    def still_runs(number):
        broker.publish("n/1", json.dumps({"n": number}))
        wait_for(lambda: kafka.numbers(topic)[number] == 1, f"number {number}: the former rule", 60)

    write(daemon, "good", rule("SELECT * FROM 'n/+' WHERE", topic, kafka.servers))
    said = reload(daemon, status=2)
    check("rules/good.json" in said and "the former rules run on" in said, said)
    still_runs(1)
    write(daemon, "good", good)
    write(daemon, "other", "{")
    check("rules/other.json" in reload(daemon, status=2), "the other file is named")
    still_runs(2)
    write(daemon, "other", rule("SELECT * FROM 'm/+'", "t", kafka.servers,
                                properties={"sasl.mechanism": "PLAIN", "security.protocol": "SASL_PLAINTEXT", "sasl.username": "u",
                                            "sasl.password": "${get_secret('nowhere', 'SecretString', 'p', '')}"}))
    check("nowhere" in reload(daemon, status=2), "the secret is named")
    still_runs(3)
    os.unlink(os.path.join(daemon.folder, "rules", "other.json"))
    with open(daemon.conf, encoding="utf-8") as file:
        text = file.read()
    for number, (key, wrong) in enumerate((("mqtt.client_id", text.replace("client_id: topicrule", "client_id: other")), ("hold", text+ "delivery: {hold: x}\n"),
                                           ("nowhere", text.replace("rules: rules", "rules: nowhere"))), 4):
        with open(daemon.conf, "w", encoding="utf-8") as file:
            file.write(wrong)
        check(key in reload(daemon, status=2), f"{key} is named")
        still_runs(number)
    with open(daemon.conf, "w", encoding="utf-8") as file:
        file.write(text + "delivery: {hold: 100ms}\nlog: {level: debug}\n")
    reload(daemon)
    still_runs(7)
    check(connections(broker, "topicrule") == 1, "the connection to the broker is not kept")
    daemon.stop()
    reload(daemon, status=3)


def what_waits_goes_to_the_corrected_rule(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("reload.waits")
    broker, daemon = started(folder, cleanup, {"all": rule("SELECT * FROM 'n/+'", topic, "127.0.0.1:1")})
    publisher = broker.publisher("n/1").start(3000, 2000)
    publisher.wait()
    wait_for(lambda: status_of(daemon)["store"]["rows"] == 3000, "3,000 rows on the disk", 120)
    reload(daemon)  # the same rules: everything is still there, and counted once
    wait_for(lambda: status_of(daemon)["store"]["rows"] == 3000 and sums_close(daemon), "the same after a reload", 60)
    write(daemon, "all", rule("SELECT * FROM 'n/+'", topic, kafka.servers))
    reload(daemon)
    publisher.run(4000, 2000)
    check(kafka.wait_numbers(topic, 4000) == (0, 0), "lost or twice")
    check([json.loads(line)["n"] for line in kafka.read(topic)] == list(range(1, 4001)), "out of order")
    wait_for(lambda: status_of(daemon)["store"]["rows"] == 0 and sums_close(daemon), f"sums: {status_of(daemon)}", 60)
    daemon.stop()


def while_kafka_is_away(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("reload.away")
    broker, daemon = started(folder, cleanup, {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)})
    publisher = broker.publisher("n/1").start(9000, 1500)
    wait_for(lambda: publisher.acknowledged >= 1000, "some messages", 60)
    kafka.testbed("kill")
    try:
        for _ in range(3):
            wait_for(lambda: status_of(daemon)["store"]["rows"] > 0, "rows on the disk", 60)
            reload(daemon)
        publisher.wait()
    finally:
        kafka.testbed("restart")
    lost, duplicates = kafka.wait_numbers(topic, 9000)
    check(lost == 0, f"{lost} lost")
    check(duplicates <= 3000, f"{duplicates} duplicates, more than what was in Kafka's hands when it went")
    first = list(dict.fromkeys(json.loads(line)["n"] for line in kafka.read(topic)))
    check(first == sorted(first), "out of order")
    check(connections(broker, "topicrule") == 1, "the connection to the broker is not kept")
    wait_for(lambda: status_of(daemon)["store"]["rows"] == 0 and sums_close(daemon), f"sums: {status_of(daemon)}", 60)
    daemon.stop()


if __name__ == "__main__":
    main(other_rules_under_load, another_filter_each_time, a_mistake_changes_nothing, what_waits_goes_to_the_corrected_rule, while_kafka_is_away)
