#!/usr/bin/env python3
"""Bad input: each has a clear message, and none stops the other rules."""

import json

from lib import Daemon, Kafka, Mosquitto, check, main, rule


def hostile_payloads(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    good, raw, errors = kafka.topic("good"), kafka.topic("raw"), kafka.topic("errors")
    daemon = Daemon(folder, broker, {
        "fields": rule("SELECT n FROM 'in/#' WHERE n > 0", good, kafka.servers),
        "raw": rule("SELECT encode(*, 'base64') AS bytes FROM 'in/raw'", raw, kafka.servers),
        "templated": rule("SELECT * FROM 'to/+'", "${place}", kafka.servers, error_topic=errors),
    }).start()
    cleanup.callback(daemon.kill)
    hostile = [
        b"no json", b"", b"{", b"80", b'{"n":1} x', b'{"n":\xff\xfe}', b'{"n":"\xc3\x28"}', b"\x00\x01\x02", b'{"n":1e99999}',
        b"[" * 100000, b'{"a":' * 50000, b'"' + b"x" * 100000 + b'"', b'{"n":"' + b"y" * 200000 + b'"}',
    ]
    for number, payload in enumerate(hostile, 1):
        broker.publish("in/hostile", payload)
        broker.publish("in/good", f'{{"n":{number}}}')
    broker.publish("in/raw", b"\x00\xff")
    lines = kafka.wait_lines(good, len(hostile))
    numbers = [json.loads(line)["n"] for line in lines]
    check(numbers == list(range(1, len(hostile) + 1)), f"good ones: {numbers}")
    check(kafka.wait_lines(raw, 1) == ['{"bytes":"AP8="}'], "the raw bytes")
    daemon.stop()


def ten_megabytes(folder, cleanup):
    """Over limits.payload (1 MiB): MQTT 5 tells the broker, which drops it; 3.1.1 delivers it, and it is refused here."""
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    good = kafka.topic("big")
    daemon = Daemon(folder, broker, {"all": rule("SELECT n FROM 'in/+'", good, kafka.servers)}).start()
    cleanup.callback(daemon.kill)
    broker.publish("in/1", '{"n":1}')
    broker.publish("in/1", b'{"n":"' + b"z" * 10_000_000 + b'"}')
    broker.publish("in/1", '{"n":2}')
    lines = kafka.wait_lines(good, 2)
    check([json.loads(line)["n"] for line in lines] == [1, 2], f"good ones: {[line[:80] for line in lines]}")
    check(daemon.process.runs(), "the daemon ended")
    daemon.stop()


def topics_that_are_none(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    good, errors = kafka.topic("place"), kafka.topic("errors")
    daemon = Daemon(folder, broker, {
        "routed": rule("SELECT n FROM 'to/+'", "${place}", kafka.servers, error_topic=errors),
        "silent": rule("SELECT n FROM 'quiet/+'", "${place}", kafka.servers),
    }).start()
    cleanup.callback(daemon.kill)
    for place in ("a/b", "", ".", "x" * 250, "blank here"):
        broker.publish("to/1", json.dumps({"n": 0, "place": place}))
    broker.publish("to/1", '{"n":0}')
    broker.publish("quiet/1", '{"n":0,"place":"a/b"}')
    broker.publish("to/1", json.dumps({"n": 1, "place": good}))
    broker.publish("quiet/1", json.dumps({"n": 2, "place": good}))
    lines = kafka.wait_lines(good, 2)
    check(sorted(lines) == ['{"n":1}', '{"n":2}'], f"good ones: {lines}")
    failures = [json.loads(line) for line in kafka.wait_lines(errors, 6)]
    check(len(failures) == 6, f"{len(failures)} error messages")
    for failure in failures:
        check(failure["ruleName"] == "routed" and failure["topic"] == "to/1", f"{failure}")
        check(failure["failures"][0]["failedAction"] and failure["failures"][0]["errorMessage"], f"{failure}")
    check("a/b" in json.dumps(failures[0]["failures"]), f"{failures[0]}")
    daemon.process.wait_said("silent")  # without an error action the log names the rule
    daemon.stop()


def bad_rules_leave_the_others_running(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    topic = kafka.topic("others")
    good = rule("SELECT * FROM 'n/+'", topic, kafka.servers)
    s3 = {"topicRulePayload": {"sql": "SELECT * FROM 'n/+'", "actions": [{"s3": {"bucketName": "b", "key": "k", "roleArn": "r"}}]}}
    error_s3 = json.loads(json.dumps(good))
    error_s3["topicRulePayload"]["errorAction"] = s3["topicRulePayload"]["actions"][0]
    error_s3["topicRulePayload"]["sql"] = "SELECT * FROM 'm/+'"
    no_sql = json.loads(json.dumps(good))
    del no_sql["topicRulePayload"]["sql"]
    typo = json.loads(json.dumps(good))
    typo["topicRulePayload"]["actions"][0]["kafka"]["clientProperties"]["compresion.type"] = "lz4"
    daemon = Daemon(folder, broker, {
        "good": good, "error_s3": error_s3, "s3": s3, "no_sql": no_sql, "typo": typo, "no_json": "{]",
        "no_function": rule("SELECT subsrting(a, 1) AS b FROM 'n/+'", topic, kafka.servers),
        "no_action": {"topicRulePayload": {"sql": "SELECT * FROM 'n/+'", "actions": [{"kafak": {}}]}},
    }).start()
    cleanup.callback(daemon.kill)
    for said in ("no_json.json", "no_sql.json", "s3.json", "compression.type", "substring", "did you mean", "error_s3.json"):
        check(daemon.process.said(said), f"the log does not say '{said}':\n{daemon.text()}")
    broker.publish("n/1", '{"a":"only the good rule"}')
    broker.publish("m/1", '{"a":"an error action that is not built is only warned of"}')
    check(len(kafka.wait_lines(topic, 2)) == 2, "the good rules")
    daemon.stop()


def a_second_instance(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    topic = kafka.topic("twice")
    rules = {"all": rule("SELECT * FROM 'n/+'", topic, kafka.servers)}
    first = Daemon(folder, broker, rules, name="same").start()
    cleanup.callback(first.kill)
    second = Daemon(folder, broker, rules, name="same_").start(wait=False)  # the same client id
    cleanup.callback(second.kill)
    first.process.wait_said("client id")
    broker.publisher("n/1").start(2000, 1000).wait()
    second.stop()
    lost, _ = kafka.wait_numbers(topic, 2000)
    check(lost == 0, f"{lost} lost")
    first.stop()


main(hostile_payloads, ten_megabytes, topics_that_are_none, bad_rules_leave_the_others_running, a_second_instance)
