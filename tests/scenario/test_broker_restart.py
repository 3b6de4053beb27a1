#!/usr/bin/env python3
"""The broker ends and starts again while the daemon drains what it has kept: nothing is lost.

Each restart sends again whatever was read and not acknowledged. What of it is in Kafka already is passed over, also where the
PUBACKs had left and the broker had not read them, if that can be proven (engine/redelivery.h).
"""

import time

from lib import Daemon, Kafka, Mosquitto, check, main, rule, wait_for

COUNT, RESTARTS = 100000, 5
MOST_DUPLICATES = 2 * 10000  # two batches


def a_drain_survives_restarts_of_the_broker(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("restart")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    # A batch stays in the producer for a while, so that restarts meet batches that are held.
    slow = rule("SELECT * FROM 'n/+'", topic, kafka.servers, properties={"linger.ms": "400", "batch.num.messages": "100000"})
    daemon = Daemon(folder, broker, {"all": slow})
    cleanup.callback(daemon.kill)
    daemon.start().stop()  # the broker now has a session that keeps messages
    broker.publisher("n/1").start(COUNT, 50000).wait()
    daemon.start()
    restarts = 0
    while restarts < RESTARTS:
        time.sleep(0.1 + 0.1 * restarts)
        broker.stop()
        broker.start()
        restarts += 1
        wait_for(lambda: len(daemon.process.lines("session resumed")) > restarts, "the session to be resumed")
    lost, duplicates = kafka.wait_numbers(topic, COUNT)
    check(lost == 0, f"{lost} of {COUNT} lost")
    check(duplicates <= MOST_DUPLICATES, f"{duplicates} duplicates, at most {MOST_DUPLICATES} are promised")
    daemon.stop()
    passed = sum(int(line.split("mqtt: ")[1].split()[0]) for line in daemon.process.lines("messages came again that are safe"))
    print(f"     {COUNT} messages, {restarts} restarts, {lost} lost, {duplicates} duplicates, {passed} passed over")


main(a_drain_survives_restarts_of_the_broker)
