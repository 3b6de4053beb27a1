#!/usr/bin/env python3
"""A producer that fails for good, or goes silent, is replaced by the running daemon, and its records go over the next one.

$TOPICRULE is the program, $CLUSTER a Kafka that answers as told (tests/bench/cluster.c).
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback

from broker import Broker, Failed, numbered
from test_daemon import PROGRAM, Kafka

OUT_OF_ORDER_SEQUENCE_NUMBER = 45  # of the Kafka protocol: to an idempotent producer, the end


class Stage:
    def __init__(self, cleanup, **properties):
        self.folder = folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="topicrule-"))
        self.kafka = Kafka(cleanup)
        self.broker = Broker(None)
        cleanup.callback(self.broker.close)
        os.mkdir(f"{folder}/rules")
        client = {"bootstrap.servers": self.kafka.servers, "security.protocol": "PLAINTEXT", "acks": "all", **properties}
        with open(f"{folder}/rules/heat.json", "w", encoding="utf-8") as file:
            json.dump({"sql": "SELECT n FROM 'plant/#'", "awsIotSqlVersion": "2016-03-23",
                       "actions": [{"kafka": {"topic": "readings", "clientProperties": client}}]}, file)
        with open(f"{folder}/topicrule.yaml", "w", encoding="utf-8") as file:
            file.write(f"mqtt: {{url: 'mqtt://localhost:{self.broker.port}'}}\nrules: rules\n")
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            self.child = subprocess.Popen([PROGRAM, "run", "-c", f"{folder}/topicrule.yaml"], stderr=log)  # pylint: disable=consider-using-with
        cleanup.callback(self.child.kill)
        self.link = self.broker.accept(60)
        self.link.connack()
        self.link.subscribes()
        self.link.send(numbered(self.link, 1, 1))
        self.wait_count(1)

    def tell(self, command):
        self.kafka.child.stdin.write(command + "\n")
        self.kafka.child.stdin.flush()

    def wait_count(self, count):
        end = time.monotonic() + 60
        while (found := self.kafka.count()) < count:
            if time.monotonic() > end:
                raise Failed(f"{found} of {count} records")
            time.sleep(0.1)

    def text(self):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, words):
        self.link.pubacks(range(1, 12), 60)
        self.child.terminate()
        status = self.child.wait(60)
        text = self.text()
        if status != 0 or "Sanitizer" in text or "runtime error" in text or words not in text:
            raise Failed(f"it ended with {status}, and should have said '{words}':\n{text[-4000:]}")


def a_failed_producer_is_replaced(cleanup):
    stage = Stage(cleanup)
    stage.tell(f"refuse {OUT_OF_ORDER_SEQUENCE_NUMBER}")
    stage.link.send(numbered(stage.link, 2, 11))
    stage.wait_count(11)
    stage.end("the producer cannot go on")


def a_silent_producer_is_replaced(cleanup):
    """Its request is never answered, while fresh connections are."""
    stage = Stage(cleanup, **{"stuck.after.ms": "1500"})
    stage.tell("forget")
    stage.link.send(numbered(stage.link, 2, 11))
    stage.wait_count(12)  # more than there are: the cluster had taken some
    stage.end("although the cluster answers a fresh connection")


def main():
    good = True
    for scenario in (a_failed_producer_is_replaced, a_silent_producer_is_replaced):
        try:
            with contextlib.ExitStack() as cleanup:
                scenario(cleanup)
            print(f"ok   {scenario.__name__}", flush=True)
        except (Failed, AssertionError, OSError):
            print(f"FAIL {scenario.__name__}: {traceback.format_exc()}", flush=True)
            good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
