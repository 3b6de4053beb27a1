#!/usr/bin/env python3
"""A broker or a Kafka that is absent at the start, or goes away and comes back: waited for, nothing lost."""

import time

from lib import Daemon, Kafka, Mosquitto, check, main, rule


def the_broker_comes_late(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("late")
    broker = Mosquitto(folder)
    daemon = Daemon(folder, broker, {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)}).start(wait=False)
    cleanup.callback(daemon.kill)
    daemon.process.wait_said(str(broker.port))  # names the broker that it cannot reach
    time.sleep(2)
    check(daemon.process.runs(), "the daemon gave up")
    broker.start()
    cleanup.callback(broker.stop)
    deadline = time.monotonic() + 60
    while not kafka.read(topic):  # until the subscription stands, the broker keeps nothing
        check(time.monotonic() < deadline, f"nothing arrives:\n{daemon.text()}")
        broker.publish("n/1", '{"n":1}')
        time.sleep(0.3)
    daemon.stop()


def kafka_is_down_at_the_start_and_comes(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("down")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)})
    daemon.start().stop()
    kafka.testbed("kill")
    try:
        daemon.start(wait=False)
        cleanup.callback(daemon.kill)
        broker.publisher("n/1").start(500, 1000).wait()
        daemon.process.wait_said("connection refused")
        check(daemon.process.runs(), "the daemon gave up")
    finally:
        kafka.testbed("restart")
    lost, duplicates = kafka.wait_numbers(topic, 500)
    check(lost == 0 and duplicates == 0, f"{lost} lost, {duplicates} duplicates")
    daemon.stop()


def kafka_restarts_under_load(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("restart")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)}).start()
    cleanup.callback(daemon.kill)
    publisher = broker.publisher("n/1").start(6000, 1000)
    time.sleep(1)
    kafka.testbed("kill")
    time.sleep(2)
    kafka.testbed("restart")
    publisher.wait()
    lost, duplicates = kafka.wait_numbers(topic, 6000)
    print(f"     Kafka killed and restarted: {lost} lost, {duplicates} duplicates")
    check(lost == 0, f"{lost} lost")
    daemon.stop()


def the_broker_restarts_under_load(folder, cleanup):
    """Its clients must publish again what it did not acknowledge, so each part is published to its end."""
    kafka = Kafka(folder)
    topic = kafka.topic("broker")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)}).start()
    cleanup.callback(daemon.kill)
    publisher = broker.publisher("n/1")
    for part in range(1, 4):
        publisher.run(part * 2000, 100000)
        check(not publisher.error, publisher.error)
        broker.stop()  # as systemd does; it saves its queues
        time.sleep(0.5)
        broker.start()
    lost, duplicates = kafka.wait_numbers(topic, 6000)
    print(f"     mosquitto restarted 3 times: {lost} lost, {duplicates} duplicates")
    check(lost == 0, f"{lost} lost")
    daemon.stop()


main(the_broker_comes_late, kafka_is_down_at_the_start_and_comes, kafka_restarts_under_load, the_broker_restarts_under_load)
