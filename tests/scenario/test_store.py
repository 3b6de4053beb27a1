#!/usr/bin/env python3
"""Kafka is away for long: what was acknowledged waits on our disk, and the MQTT broker may forget it."""

import contextlib
import json
import os
import shutil
import sqlite3
import time

from lib import Daemon, Kafka, Mosquitto, check, main, rule, wait_for


def waiting(daemon):
    """Rows in the store of a daemon, running or not."""
    with contextlib.closing(sqlite3.connect(f"file:{daemon.folder}/store.db?mode=ro", uri=True)) as store:
        return store.execute("SELECT count(*) FROM spool").fetchone()[0]


def wait_waiting(daemon, count):
    def condition():
        check(daemon.process.runs(), f"the daemon ended:\n{daemon.text()}")
        return waiting(daemon) == count

    wait_for(condition, f"{count} rows in the store", 120)


def in_order(kafka, topic):
    numbers = [json.loads(line)["n"] for line in kafka.read(topic)]
    first = list(dict.fromkeys(numbers))
    return first == sorted(first)


def the_broker_forgets_and_the_daemon_is_killed(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("spool")
    broker = Mosquitto(folder).start()
    daemon = Daemon(folder, broker, {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)}).start()
    cleanup.callback(lambda: daemon.kill())
    publisher = broker.publisher("n/1").start(1000, 2000)
    publisher.wait()
    check(kafka.wait_numbers(topic, 1000) == (0, 0), "not all of the first arrive")
    kafka.testbed("kill")
    try:
        publisher.run(5000, 2000)
        check(not publisher.error, publisher.error)
        wait_waiting(daemon, 4000)
        check(os.stat(os.path.join(daemon.folder, "store.db")).st_mode & 0o777 == 0o600, "others may read the store")
        daemon.kill()
        broker.stop()
        shutil.rmtree(os.path.join(folder, "mosquitto"))
        os.makedirs(os.path.join(folder, "mosquitto"))
        broker.start()
        cleanup.callback(broker.stop)
        daemon.start()  # Kafka is still away
        publisher.run(6000, 2000)
        wait_waiting(daemon, 5000)
    finally:
        kafka.testbed("restart")
    lost, duplicates = kafka.wait_numbers(topic, 6000)
    print(f"     Kafka away, daemon killed, broker without memory: {lost} lost, {duplicates} duplicates")
    check(lost == 0, f"{lost} lost:\n{daemon.text()}")
    check(in_order(kafka, topic), "not in order")
    wait_waiting(daemon, 0)
    daemon.stop()


def a_topic_that_does_not_exist_waits_alone(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("known")
    unknown = f"unknown.{os.getpid()}.{int(time.time())}"
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    rules = {"known": rule("SELECT * FROM 'n/+'", topic, kafka.servers),
             "unknown": rule("SELECT * FROM 'u/+'", unknown, kafka.servers)}
    daemon = Daemon(folder, broker, rules).start()
    cleanup.callback(lambda: daemon.kill())
    broker.publisher("u/1").start(500, 5000).wait()
    broker.publisher("n/1").start(5000, 5000).wait()
    lost, duplicates = kafka.wait_numbers(topic, 5000)
    check((lost, duplicates) == (0, 0), f"beside an unknown topic {lost} lost, {duplicates} duplicates")
    wait_waiting(daemon, 500)
    made = kafka.topic("made")
    daemon.stop()
    with open(os.path.join(daemon.folder, "rules", "unknown.json"), "w", encoding="utf-8") as file:
        json.dump(rule("SELECT * FROM 'u/+'", made, kafka.servers), file)
    daemon.start()
    broker.publisher("u/1").start(100, 1000).wait()
    check(kafka.wait_numbers(made, 100)[0] == 0, "the corrected rule does not deliver")
    check(waiting(daemon) == 500, "what waits for the unknown topic is gone")
    daemon.stop()


main(the_broker_forgets_and_the_daemon_is_killed, a_topic_that_does_not_exist_waits_alone)
