#!/usr/bin/env python3
"""The same promise, kept by the program itself: `topicrule run` between a scripted broker and a Kafka that can be stopped.

$TOPICRULE is the program, $CLUSTER librdkafka's mock cluster in a process of its own (tests/bench/cluster.c), which does not
answer while it is stopped. What each answer of Kafka means is for test_ack.py.
"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import tempfile
import time

import enginelib
from broker import Broker, Failed, SUBSCRIBE, make_certificates, numbered

PROGRAM = os.path.abspath(os.environ.get("TOPICRULE", "build/dev/topicrule"))
CLUSTER = os.path.abspath(os.environ.get("CLUSTER", "build/dev/tests/contract_cluster"))


class Kafka:
    def __init__(self, cleanup):
        self.child = subprocess.Popen([CLUSTER, "readings", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # pylint: disable=consider-using-with
        cleanup.callback(self.end)
        self.servers = self.child.stdout.readline().strip()

    def stopped(self):
        """All threads: the signal stops them only when the one that takes it has run."""
        tasks = f"/proc/{self.child.pid}/task"
        states = []
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/stat", encoding="ascii", errors="replace") as file:
                states.append(file.read().rsplit(")", 1)[1].split()[0])
        return all(state == "T" for state in states)

    def hold(self):
        self.child.send_signal(signal.SIGSTOP)
        while not self.stopped():
            time.sleep(0.01)

    def release(self):
        self.child.send_signal(signal.SIGCONT)

    def count(self):
        self.child.stdin.write("count\n")
        self.child.stdin.flush()
        return int(self.child.stdout.readline())

    def end(self):
        self.child.kill()
        self.child.wait()


def count_rows(path):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        return store.execute("SELECT count(*) FROM spool").fetchone()[0]


class Stage:
    """Nothing goes to the disk for as long as a script lasts, unless `hold` is short."""

    def __init__(self, cleanup, tls=False, connect=True, hold="60s"):
        self.folder = folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="topicrule-"))
        if tls:
            make_certificates(folder)
        self.kafka = Kafka(cleanup)
        self.broker = Broker((f"{folder}/server.pem", f"{folder}/server.key") if tls else None)
        cleanup.callback(self.broker.close)
        os.mkdir(f"{folder}/rules")
        properties = {"bootstrap.servers": self.kafka.servers, "security.protocol": "PLAINTEXT", "acks": "all"}
        with open(f"{folder}/rules/heat.json", "w", encoding="utf-8") as file:
            json.dump({"sql": "SELECT n FROM 'plant/#'", "awsIotSqlVersion": "2016-03-23",
                       "actions": [{"kafka": {"topic": "readings", "clientProperties": properties}}]}, file)
        with open(f"{folder}/topicrule.yaml", "w", encoding="utf-8") as file:
            file.write(f"mqtt:\n  url: mqtt{'s' if tls else ''}://localhost:{self.broker.port}\n  keepalive: 5s\n"
                       + (f"  tls: {{ca_file: {folder}/ca.pem}}\n" if tls else "") + f"rules: rules\ndelivery: {{hold: {hold}}}\n")
        self.log = f"{folder}/log"
        self.start()
        cleanup.push(self.end)
        self.link = self.broker.accept(60)
        if connect:
            self.link.connack()
            self.link.subscribes()
            self.warm_up()

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.child = subprocess.Popen([PROGRAM, "run", "-c", f"{self.folder}/topicrule.yaml"], stderr=log)  # pylint: disable=consider-using-with

    def warm_up(self):
        """One record all the way: the producer has its id, and Kafka can be stopped."""
        self.link.send(numbered(self.link, 1000, 1000))
        self.link.pubacks([1000], 60)
        self.kafka.hold()

    def end(self, failed, *_):
        self.kafka.release()
        self.broker.close()
        if self.child.poll() is None:
            self.child.terminate()
        try:
            status = self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            status = self.child.wait()
        with open(self.log, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if failed:
            print(text[-4000:], flush=True)
        elif status != 0 or "Sanitizer" in text or "runtime error" in text:
            raise Failed(f"the daemon ended with {status}:\n{text[-4000:]}")


def waits_for_kafka(cleanup, tls=False):
    stage = Stage(cleanup, tls)
    stage.link.send(numbered(stage.link, 1, 5))
    stage.link.quiet(2)
    stage.kafka.release()
    stage.link.pubacks(range(1, 6), 60)
    assert stage.kafka.count() == 6


def waits_for_kafka_over_tls(cleanup):
    waits_for_kafka(cleanup, True)


def resumed_session_waits(cleanup, tls=False):
    stage = Stage(cleanup, tls, connect=False)
    stage.kafka.hold()
    link = stage.link
    link.send(link.connack_bytes(session=True) + numbered(link, 1, 3))
    found = link.packet(2)
    assert not found or found[0] == SUBSCRIBE, found
    link.quiet(1)
    stage.kafka.release()
    if not found:
        link.expect(SUBSCRIBE, 60)
    link.pubacks([1, 2, 3], 60)


def resumed_session_waits_over_tls(cleanup):
    resumed_session_waits(cleanup, True)


def reconnect_waits(cleanup, tls=False):
    stage = Stage(cleanup, tls)
    stage.link.send(numbered(stage.link, 1, 3))
    stage.link.quiet(1)
    stage.link.close()
    link = stage.broker.accept()
    link.connack(session=True)
    link.subscribes()
    link.send(numbered(link, 1, 3, dup=True))
    link.quiet(1)
    stage.kafka.release()
    link.pubacks([1, 2, 3], 60)
    assert stage.kafka.count() == 4


def reconnect_waits_over_tls(cleanup):
    reconnect_waits(cleanup, True)


def sigterm_settles_first(cleanup, tls=False):
    stage = Stage(cleanup, tls)
    stage.link.send(numbered(stage.link, 1, 3))
    stage.link.quiet(1)
    stage.child.terminate()
    stage.link.quiet(1)
    stage.kafka.release()
    stage.link.pubacks([1, 2, 3], 60)
    stage.link.wait_closed()
    stage.link.close()
    assert stage.child.wait(60) == 0


def sigterm_settles_first_over_tls(cleanup):
    sigterm_settles_first(cleanup, True)


def pings_while_holding(cleanup, tls=False):
    stage = Stage(cleanup, tls)
    stage.link.send(numbered(stage.link, 1, 2))
    end = time.monotonic() + 60
    while stage.link.pings < 2:
        stage.link.quiet(1)
        assert time.monotonic() < end, "no PINGREQ"
    stage.kafka.release()
    stage.link.pubacks([1, 2], 60)


def pings_while_holding_over_tls(cleanup):
    pings_while_holding(cleanup, True)


def what_is_on_the_disk_is_acknowledged(cleanup):
    stage = Stage(cleanup, hold="200ms")
    stage.link.send(numbered(stage.link, 1, 5))
    stage.link.pubacks(range(1, 6), 60)  # Kafka is still stopped
    rows = count_rows(f"{stage.folder}/store.db")
    assert rows == 5, f"{rows} rows"
    stage.child.kill()
    stage.child.wait()
    stage.link.wait_closed()
    stage.kafka.release()
    stage.start()
    link = stage.broker.accept(60)
    link.connack(session=True)
    link.subscribes()
    end = time.monotonic() + 60
    while stage.kafka.count() < 6 or count_rows(f"{stage.folder}/store.db") > 0:
        assert time.monotonic() < end, f"{stage.kafka.count()} in Kafka"
        time.sleep(0.1)
    assert 6 <= stage.kafka.count() <= 11  # the killed producer may have sent the five


def change_rules(stage, name, topic_filter):
    """Another file in the place of the one there is."""
    with open(f"{stage.folder}/rules/heat.json", encoding="utf-8") as file:
        document = json.load(file)
    document["sql"] = f"SELECT n FROM '{topic_filter}'"
    with open(f"{stage.folder}/rules/{name}~", "w", encoding="utf-8") as file:
        json.dump(document, file)
    os.rename(f"{stage.folder}/rules/{name}~", f"{stage.folder}/rules/{name}.json")


def said(stage, text):
    with open(stage.log, encoding="utf-8", errors="replace") as file:
        return text in file.read()


def a_reload_keeps_the_connection(cleanup):
    stage = Stage(cleanup)
    stage.kafka.release()
    change_rules(stage, "heat", "plant/#")
    change_rules(stage, "more", "farm/+")
    stage.child.send_signal(signal.SIGHUP)
    filters = [name for subscribe in stage.link.subscribes() for name, _ in subscribe.filters]
    assert sorted(filters) == ["farm/+", "plant/#"], filters
    stage.link.send(numbered(stage.link, 1, 3))
    stage.link.pubacks([1, 2, 3], 60)
    assert stage.kafka.count() == 4
    os.unlink(f"{stage.folder}/rules/heat.json")
    stage.child.send_signal(signal.SIGHUP)
    filters = [name for subscribe in stage.link.subscribes() for name, _ in subscribe.filters]
    assert filters == ["farm/+"], filters
    assert stage.link.unsubscribe() == ["plant/#"]  # only now: nothing may fall between two filters
    stage.link.unsuback()
    stage.link.send(numbered(stage.link, 4, 4))  # what the broker had queued for it
    stage.link.pubacks([4], 60)
    assert stage.kafka.count() == 4


def a_reload_waits_for_what_was_read(cleanup):
    stage = Stage(cleanup)
    stage.link.send(numbered(stage.link, 1, 3))
    stage.link.quiet(1)
    stage.child.send_signal(signal.SIGHUP)
    stage.link.quiet(2)
    stage.kafka.release()
    stage.link.pubacks([1, 2, 3], 60)
    stage.link.subscribes()
    stage.link.send(numbered(stage.link, 4, 4))
    stage.link.pubacks([4], 60)
    assert stage.kafka.count() == 5


def a_reload_gives_up_what_is_not_safe(cleanup):
    stage = Stage(cleanup)
    stage.link.send(numbered(stage.link, 1, 3))
    stage.link.quiet(1)
    stage.child.send_signal(signal.SIGHUP)
    stage.link.wait_closed(90)  # without an acknowledgement
    link = stage.broker.accept(60)
    link.connack(session=True)
    link.subscribes()
    link.send(numbered(link, 1, 3, dup=True))
    link.quiet(1)
    stage.kafka.release()
    link.pubacks([1, 2, 3], 60)
    assert 4 <= stage.kafka.count() <= 7  # the first three were in Kafka's hands


def a_reload_that_is_refused_changes_nothing(cleanup):
    stage = Stage(cleanup)
    change_rules(stage, "more", "farm/#/x")
    stage.child.send_signal(signal.SIGHUP)
    end = time.monotonic() + 60
    while not said(stage, "the former rules run on"):
        assert time.monotonic() < end, "no refusal in the log"
        time.sleep(0.1)
    stage.link.send(numbered(stage.link, 1, 3))
    stage.link.quiet(1)
    stage.kafka.release()
    stage.link.pubacks([1, 2, 3], 60)
    assert stage.kafka.count() == 4


def a_reload_while_the_broker_is_away(cleanup):
    stage = Stage(cleanup)
    stage.kafka.release()
    stage.link.close()
    change_rules(stage, "more", "farm/+")
    stage.child.send_signal(signal.SIGHUP)
    end = time.monotonic() + 60
    while not said(stage, "reloaded: 2 rules"):
        assert time.monotonic() < end, "no reload"
        time.sleep(0.1)
    link = stage.broker.accept(60)
    while True:  # attempts that nobody took are still in line
        with contextlib.suppress(Failed, ConnectionError):
            link.connack(session=True)
            filters = [name for subscribe in link.subscribes() for name, _ in subscribe.filters]
            break
        link = stage.broker.accept(60)
    assert sorted(filters) == ["farm/+", "plant/#"], filters


if __name__ == "__main__":
    enginelib.main(globals())
