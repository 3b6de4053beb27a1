#!/usr/bin/env python3
"""The Kafka action through what happens to clusters: refused records, topics and rights that come and go, changed passwords,
crashes, stops, a lost leader. Nothing is lost, and only bad records fail."""

import os
import subprocess
import time

from kafka_action import Action
from lib import TESTBED, Cluster, Kafka, check, main, wait_for


def plain(kafka, **more):
    return {"bootstrap.servers": kafka.servers, "security.protocol": "PLAINTEXT", "broker.address.family": "v4", **more}


def opened(cleanup, settings, again=False):
    action = Action(settings)
    cleanup.callback(action.kill)
    if again:
        action.tell("again", 0, "on")
    action.open().wait_ready()
    return action


def probe(kafka, *words):
    done = subprocess.run([kafka.env["KT_PROBE"], "-X", f"bootstrap.servers={kafka.servers}", "-X", "broker.address.family=v4", *words],
                          check=False, capture_output=True, text=True)
    check(done.returncode == 0, f"rkprobe {words}: {done.stdout}{done.stderr}")


def numbers(kafka, topic):
    return sorted(kafka.numbers(topic))


def delete_topic(kafka, topic):
    kafka.testbed("tool", "org.apache.kafka.tools.TopicCommand", "--delete", "--topic", topic)


def only_the_bad_record_of_a_batch_fails(folder, cleanup):
    """A compacted topic takes no record without a key; a thousand with one share its batch."""
    kafka = Kafka(folder)
    topic = f"compacted.{os.getpid()}"
    probe(kafka, "topic", topic, "1", "cleanup.policy=compact")
    action = opened(cleanup, plain(kafka, **{"linger.ms": "200"}))
    action.send(topic, 500, key="k")
    action.send(topic, 1)
    action.send(topic, 500, key="k")
    action.wait("said 0 FAILED INVALID_RECORD")
    action.wait_delivered(1000)
    action.tell("close", 0, 5000)
    check(action.sums() == (1000, 0, 0, 1), "one record fails")
    action.end()
    check(501 not in numbers(kafka, topic), "the bad record is not there")


def small_records_in_a_large_batch_arrive(folder, cleanup):
    """A hundred records of 50 bytes are a batch over the topic's 1,000 bytes; one of 2,000 bytes is too large alone."""
    kafka = Kafka(folder)
    topic = f"small.{os.getpid()}"
    probe(kafka, "topic", topic, "1", "max.message.bytes=1000")
    action = opened(cleanup, plain(kafka, **{"linger.ms": "200"}))
    action.send(topic, 100, 50)
    action.send(topic, 1, 2000)
    action.wait("said 0 FAILED MSG_SIZE_TOO_LARGE")
    action.wait_delivered(100)
    action.tell("close", 0, 5000)
    check(action.sums() == (100, 0, 0, 1), "one record fails")
    action.end()
    check(numbers(kafka, topic) == list(range(1, 101)), "a hundred arrive")


def partitions_are_what_the_cluster_says(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("parts", 2)
    action = opened(cleanup, plain(kafka))
    action.send(topic, 1, partition="1")
    action.wait_delivered(1)
    action.send(topic, 1, partition="7")
    action.wait("said 0 FAILED _UNKNOWN_PARTITION")
    action.end()
    check(kafka.read(topic, "%p %s\\n") == ['1 {"n":1}'], "one record in partition 1")


def a_right_that_comes_later_heals(folder, cleanup):
    kafka = Kafka(folder)
    topic, free = kafka.topic("later"), kafka.topic("free")
    probe(kafka, "acl", "User:nobody", topic, "ALL", "ALLOW")
    with open(os.path.join(kafka.dir, "pki/ca.pem"), "rb") as file:
        authority = file.read()
    action = opened(cleanup, {"bootstrap.servers": kafka.env["KT_SASLTLS"], "security.protocol": "SASL_SSL", "ssl.truststore": authority,
                              "sasl.mechanism": "PLAIN", "sasl.plain.username": "bob", "sasl.plain.password": kafka.env["KT_PASSWORD2"],
                              "broker.address.family": "v4"}, again=True)
    action.send(topic, 3)
    action.wait("said 0 REFUSED TOPIC_AUTHORIZATION_FAILED")
    action.send(free, 2)
    action.wait_delivered(2)
    probe(kafka, "acl", "User:bob", topic, "ALL", "ALLOW")
    action.wait_delivered(5)
    action.end()


def an_unknown_topic_is_refused_and_heals(folder, cleanup):
    kafka = Kafka(folder)
    topic = f"unborn.{os.getpid()}"
    action = opened(cleanup, plain(kafka, **{"topic.metadata.propagation.max.ms": "1000"}), again=True)
    action.send(topic, 4)
    action.wait("said 0 REFUSED (UNKNOWN_TOPIC_OR_PART|_UNKNOWN_TOPIC) topic .*: the topic does not exist")
    probe(kafka, "topic", topic, "1")
    action.wait_delivered(4)
    action.end()
    check(numbers(kafka, topic) == [1, 2, 3, 4], "all arrive")


def thirty_topics_come_and_go(folder, cleanup):
    kafka = Kafka(folder)
    topics = [f"flap.{os.getpid()}.{n}" for n in range(30)]
    for topic in topics:
        probe(kafka, "topic", topic, "1")
    action = opened(cleanup, plain(kafka), again=True)
    sent = 0
    for _ in range(3):
        for topic in topics:
            action.send(topic, 10)
            sent += 10
        kafka.testbed("tool", "org.apache.kafka.tools.TopicCommand", "--delete", "--topic", f"flap\\.{os.getpid()}\\..*")
        for topic in topics:
            action.send(topic, 10)
            sent += 10
            probe(kafka, "topic", topic, "2")
    action.wait_delivered(sent, seconds=180)
    action.end()


def a_changed_password_is_taken_in_place(folder, cleanup):
    """The broker forgets the old password; the client has the new one, and its next login uses it."""
    kafka = Kafka(folder)
    topic, user = kafka.topic("rotate"), f"rotate{os.getpid()}"

    def password(text):
        kafka.testbed("tool", "kafka.admin.ConfigCommand", "--alter", "--entity-type", "users", "--entity-name", user,
                      "--add-config", f"SCRAM-SHA-512=[iterations=4096,password={text}]")

    def settings(text):
        return {"bootstrap.servers": kafka.env["KT_SASLPLAIN"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.scram.username": user, "sasl.scram.password": text, "broker.address.family": "v4"}

    password("first-secret")
    action = opened(cleanup, settings("first-secret"), again=True)
    action.send(topic, 5)
    action.wait_delivered(5)
    password("second-secret")
    action.set("sasl.scram.password", "second-secret", secret=True)
    action.tell("update", 0)
    action.wait("updated 0 1")
    kafka.testbed("restart")
    action.send(topic, 5)
    action.wait_delivered(10, seconds=120)
    action.set("bootstrap.servers", "other:9092")
    action.tell("update", 0)
    action.wait("updated 0 0")  # another cluster needs another client
    action.end()
    check(numbers(kafka, topic) == list(range(1, 11)), "all arrive once")
    said = "\n".join(action.all)
    check("secret" not in said, "a password is said")


def a_wrong_password_that_is_corrected_heals(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("corrected")
    action = Action({"bootstrap.servers": kafka.env["KT_SASLPLAIN"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                     "sasl.plain.username": "alice", "sasl.plain.password": "wrong", "broker.address.family": "v4"})
    cleanup.callback(action.kill)
    action.open().wait("state 0 AWAY .*refuses the user name or the password")
    action.send(topic, 3)
    action.set("sasl.plain.password", kafka.env["KT_PASSWORD"])
    action.tell("update", 0)
    action.wait("updated 0 1")
    action.wait_ready()
    action.wait_delivered(3)
    action.end()


def crashes_and_stops_lose_nothing(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("crash")
    action = opened(cleanup, plain(kafka), again=True)
    cleanup.callback(lambda: subprocess.run([TESTBED, "resume", kafka.dir], check=False, capture_output=True))
    action.send(topic, 2000)
    kafka.testbed("kill")
    action.send(topic, 2000)
    action.wait("state 0 AWAY")
    kafka.testbed("restart")
    action.wait_ready()
    action.wait_delivered(4000, seconds=120)
    kafka.testbed("pause")
    action.send(topic, 2000)
    time.sleep(5)
    kafka.testbed("resume")
    action.wait_delivered(6000, seconds=120)
    action.end()
    check(numbers(kafka, topic) == list(range(1, 6001)), "all arrive")


def three_brokers_lose_leaders_and_replicas(folder, cleanup):
    Kafka(folder)  # skips where there is no Kafka
    kafka = Cluster(folder, cleanup, "three", 3)
    probe(kafka, "topic", "replicated", "6", "rf=3", "min.insync.replicas=2")
    action = opened(cleanup, plain(kafka), again=True)
    action.send("replicated", 3000)
    kafka.testbed("kill", "3")  # a third of the partitions loses its leader
    action.send("replicated", 3000)
    action.wait_delivered(6000, seconds=180)
    kafka.testbed("pause", "2")  # too few replicas are in step: records wait
    action.send("replicated", 100)
    time.sleep(8)
    kafka.testbed("resume", "2")
    action.wait_delivered(6100, seconds=180)
    kafka.testbed("restart", "3")
    action.send("replicated", 100)
    action.wait_delivered(6200, seconds=180)
    action.end()
    check(numbers(kafka, "replicated") == list(range(1, 6201)), "all arrive")


def opening_and_closing_fifty_times_leaves_nothing(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("often")
    action = Action(plain(kafka))
    cleanup.callback(action.kill)
    descriptors = f"/proc/{action.process.pid}/fd"
    before = None
    for turn in range(1, 51):
        action.open().wait_ready()
        action.send(topic, 2)
        action.wait_delivered(2 * turn)
        action.tell("close", 0, 1000)
        action.wait("closed 0")
        before = before or len(os.listdir(descriptors))
    wait_for(lambda: len(os.listdir(descriptors)) <= before, "the descriptors to be closed")
    action.end()


main(only_the_bad_record_of_a_batch_fails, small_records_in_a_large_batch_arrive, partitions_are_what_the_cluster_says,
     a_right_that_comes_later_heals, an_unknown_topic_is_refused_and_heals, a_changed_password_is_taken_in_place,
     a_wrong_password_that_is_corrected_heals, crashes_and_stops_lose_nothing, opening_and_closing_fifty_times_leaves_nothing,
     thirty_topics_come_and_go, three_brokers_lose_leaders_and_replicas)
