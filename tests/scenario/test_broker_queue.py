#!/usr/bin/env python3
"""A broker whose queue for a client runs over drops messages without a word: doctor and the daemon's log say so."""

import os
import subprocess

from lib import PROGRAM, Daemon, Kafka, Mosquitto, check, main, rule, wait_for


def doctor(daemon):
    done = subprocess.run([PROGRAM, "doctor", "-c", daemon.conf], check=False, capture_output=True, text=True, env=os.environ)
    return next((line for line in done.stdout.splitlines() if "queue mqtt://" in " ".join(line.split())), done.stdout + done.stderr)


def dropped_messages_are_said(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder, "sys_interval 1")
    with open(broker.conf, encoding="utf-8") as file:
        text = file.read()
    with open(broker.conf, "w", encoding="utf-8") as file:
        file.write(text.replace("max_queued_messages 0", "max_queued_messages 10"))
    broker.start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, {"all": rule("SELECT n FROM 'n/#'", kafka.topic("queue"), kafka.servers)})
    cleanup.callback(daemon.kill)
    daemon.start().stop()
    line = doctor(daemon)
    check("nothing dropped since the broker's start" in line and "max_queued_messages 0" in line, line)
    broker.publisher("n/1").start(500, 5000).wait()
    wait_for(lambda: "messages since its start, because the queue of a client was full" in doctor(daemon), "doctor to say it")
    daemon.start()
    daemon.process.wait_said("messages since its start", 120)
    daemon.stop()


main(dropped_messages_are_said)
