#!/usr/bin/env python3
"""SIGTERM under load: what is in flight is settled and acknowledged, so nothing is lost and nothing comes twice."""

import time

from lib import Daemon, Kafka, Mosquitto, check, main, rule

STOPS, COUNT, RATE = 6, 20000, 2500


def sigterm_under_load(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("stop")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)})
    daemon.start()
    cleanup.callback(daemon.kill)
    publisher = broker.publisher("n/1").start(COUNT, RATE)
    stops = 0
    for _ in range(STOPS):
        time.sleep(0.7)
        stops += publisher.runs()
        daemon.stop()
        daemon.start()
    publisher.wait()
    lost, duplicates = kafka.wait_numbers(topic, COUNT)
    print(f"     {COUNT} messages, {stops} stops under load, {lost} lost, {duplicates} duplicates")
    check(stops >= 3, "the load was over too early")
    check(lost == 0 and duplicates == 0, f"{lost} lost, {duplicates} duplicates")


main(sigterm_under_load)
