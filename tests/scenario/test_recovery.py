#!/usr/bin/env python3
"""The daemon through what happens to topics, rights and clusters, as docs/design.md section 3 has it: it recovers without a
restart, nothing is lost, and only a bad record fails."""

import base64
import json
import os
import socket
import threading
import time

from lib import Cluster, Daemon, Kafka, Mosquitto, check, main, rule


def log_of(daemon):
    with open(daemon.process.log, encoding="utf-8", errors="replace") as file:
        return file.read()


def first_records_are_sent_at_once(daemon, broker, kafka, topic):
    """A producer's first record waits half a second for its id; ours has it before a message is read."""
    daemon.start().stop()
    broker.publisher("p/1").start(5, 100).wait()
    before = len(log_of(daemon))
    daemon.start()
    lost, _ = kafka.wait_numbers(topic, 5)
    check(lost == 0, f"{lost} lost")
    said = log_of(daemon)[before:]
    check(said.index("rule phoenix: connected") < said.index("connected to mqtt://"), "it reads before it can deliver")
    check("are not safe after" not in said, "the first records are held")


def a_bad_record_goes_to_the_error_action(broker, kafka, topic, errors):
    """A compacted topic takes no record without a key; number 150 has none, and shares its batch with others."""
    broker.publisher("c/1").start(300, 100000).wait()
    kafka.wait_lines(topic, 299)
    report = json.loads(kafka.wait_lines(errors, 1)[0])
    check(json.loads(base64.b64decode(report["base64OriginalPayload"]))["n"] == 150, f"reported: {report}")
    check("INVALID_RECORD" in report["failures"][0]["errorMessage"], f"reported: {report}")
    check(set(kafka.numbers(topic)) == set(range(1, 301)) - {150}, "others fail with it")
    check(len(kafka.read(errors)) == 1, "others are reported with it")


def a_right_that_is_taken_away_and_given_back(daemon, broker, kafka, topic):
    load = broker.publisher("r/1")
    load.start(20, 1000).wait()
    check(kafka.wait_numbers(topic, 20)[0] == 0, "it may write at first")
    kafka.probe("acl", "User:nobody", topic, "ALL", "ALLOW")  # a topic is open to everybody, or to those it names
    load.start(40, 1000).wait()
    daemon.process.wait_said("we have no right to write to the topic")
    kafka.probe("acl", "User:bob", topic, "ALL", "ALLOW")
    lost, _ = kafka.wait_numbers(topic, 40)
    check(lost == 0, f"{lost} lost")


def topics_and_rights_come_and_go(folder, cleanup):
    kafka = Kafka(folder)
    phoenix, errors, mine = kafka.topic("phoenix"), kafka.topic("errors"), kafka.topic("mine")
    compacted = f"compacted.{os.getpid()}.daemon"
    kafka.probe("topic", compacted, "1", "cleanup.policy=compact")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.plain.username": "bob",
             "sasl.plain.password": kafka.env["KT_PASSWORD2"]}
    daemon = Daemon(folder, broker, {
        "phoenix": rule("SELECT * FROM 'p/+'", phoenix, kafka.servers),
        "compacted": rule("SELECT * FROM 'c/+'", compacted, kafka.servers, errors, key="${CASE n WHEN 150 THEN NULL ELSE n END}",
                          properties={"linger.ms": "200"}),
        "mine": rule("SELECT * FROM 'r/+'", mine, kafka.env["KT_SASLPLAIN"], properties=login)}, more="delivery: {hold: 30s}")
    cleanup.callback(daemon.kill)
    first_records_are_sent_at_once(daemon, broker, kafka, phoenix)
    known = time.monotonic()
    a_bad_record_goes_to_the_error_action(broker, kafka, compacted, errors)
    a_right_that_is_taken_away_and_given_back(daemon, broker, kafka, mine)

    # A topic known for more than the 30 s in which librdkafka would forgive.
    time.sleep(max(0, known + 32 - time.monotonic()))
    kafka.testbed("tool", "org.apache.kafka.tools.TopicCommand", "--delete", "--topic", phoenix)
    broker.publisher("p/1").start(50, 1000).wait()
    time.sleep(10)
    kafka.probe("topic", phoenix, "1")
    lost, _ = kafka.wait_numbers(phoenix, 50)
    check(lost == 0, f"{lost} lost over a topic that was created again")
    daemon.stop()


class Forwarder:
    """A name that leads to `target`."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.name = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.forward, daemon=True).start()

    def forward(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            try:
                host, port = self.target.split(":")
                far = socket.create_connection((host, int(port)))
            except OSError:
                near.close()
                continue
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def a_cluster_replaced_behind_its_name_is_found(folder, cleanup):
    first, second = Kafka(folder), Cluster(folder, cleanup, "second", 1)
    topic = first.topic("moved")
    second.probe("topic", topic, "1")
    name = Forwarder(first.servers)
    cleanup.callback(name.listener.close)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, {"moved": rule("SELECT * FROM 'm/+'", topic, name.name)}).start()
    cleanup.callback(daemon.kill)
    load = broker.publisher("m/1")
    load.start(10, 1000).wait()
    check(first.wait_numbers(topic, 10)[0] == 0, "the first cluster gets the first ones")
    name.target = second.servers
    first.testbed("kill")
    cleanup.callback(lambda: first.testbed("restart"))
    load.start(30, 1000).wait()
    check(sorted(json.loads(line)["n"] for line in second.wait_lines(topic, 20, 120)) == list(range(11, 31)),
          "the new cluster has what came later, once")
    daemon.stop()


main(topics_and_rights_come_and_go, a_cluster_replaced_behind_its_name_is_found)
