#!/usr/bin/env python3
"""kill -9 of the daemon, again and again, while numbered messages come in: none is lost.

The same script over `mosquitto_sub -q 1 | kcat -P` must lose some: otherwise it could not see a loss.
"""

import subprocess
import time

from lib import Daemon, Kafka, Mosquitto, Process, check, main, rule

KILLS, COUNT, RATE = 20, 24000, 900


def kill_again_and_again(publisher, start, kill):
    """Restart at once after each kill, with a little time to work in between."""
    for i in range(KILLS):
        start()
        time.sleep(0.35 + 0.07 * (i % 7))
        kill()
        if not publisher.runs():
            break
    start()
    publisher.wait()


def the_daemon_loses_nothing(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("kill")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)})
    daemon.start().stop()  # the broker now has a session that keeps messages
    cleanup.callback(daemon.kill)
    publisher = broker.publisher("n/1").start(COUNT, RATE)
    kills = [0]

    def kill():
        kills[0] += 1
        daemon.kill()

    kill_again_and_again(publisher, daemon.start, kill)
    lost, duplicates = kafka.wait_numbers(topic, COUNT)
    print(f"     daemon: {COUNT} messages, {kills[0]} kills, {lost} lost, {duplicates} duplicates")
    check(kills[0] >= KILLS // 2, f"only {kills[0]} kills happened while messages came")
    check(lost == 0, f"{lost} of {COUNT} lost")


def the_pipe_does(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("pipe")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    pipe = []

    def start():
        sub = Process(folder, "sub", ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-t", "n/+", "-i", "pipe",
                                      "-c"], stdout=subprocess.PIPE)
        cat = Process(folder, "kcat", ["kcat", "-b", kafka.servers, "-X", "broker.address.family=v4", "-P", "-t", topic],
                      stdin=sub.child.stdout)
        sub.child.stdout.close()
        pipe[:] = [sub, cat]

    def kill():
        for process in pipe:
            process.kill()

    start()
    time.sleep(1)
    kill()
    cleanup.callback(kill)
    publisher = broker.publisher("n/1").start(COUNT, RATE)
    kill_again_and_again(publisher, start, kill)
    lost, duplicates = kafka.wait_numbers(topic, COUNT, quiet=8)
    print(f"     pipe: {COUNT} messages, {lost} lost, {duplicates} duplicates")
    check(lost > 0, "the pipe lost nothing, so this test is blind")


main(the_daemon_loses_nothing, the_pipe_does)
