#!/usr/bin/env python3
"""The way of a message: from MQTT through rules into a real Kafka, filtered, reshaped, routed."""

import json

from lib import Daemon, Kafka, Mosquitto, check, main, rule

FORM = "%t|%k|%h|%s\\n"


def readings_arrive_as_the_rules_say(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    hot, every = kafka.topic("hot"), kafka.topic("every")
    sites = {site: kafka.topic(site) for site in ("oslo", "lima")}
    routed = rule("SELECT * FROM 'fleet/+/status'", "${place}", kafka.servers, key="${topic(2)}")
    daemon = Daemon(folder, broker, {
        "hot": rule("SELECT temp AS celsius, topic(2) AS machine FROM 'plant/+/temp' WHERE temp > 50", hot, kafka.servers,
                    key="${topic(2)}", headers=[{"key": "unit", "value": "${unit}"}, {"key": "from", "value": "${topic()}"}]),
        "every": rule("SELECT VALUE temp FROM 'plant/#'", every, kafka.servers),
        "routed": routed,
    }).start()
    cleanup.callback(daemon.kill)

    broker.publish("plant/7/temp", '{"temp":61.50,"unit":"C"}')
    broker.publish("plant/8/temp", '{"temp":20}')
    broker.publish("plant/9/temp", '{"temp":12345678901234567890.5,"unit":"K"}')
    broker.publish("other/1", '{"temp":99}')
    broker.publish("fleet/3/status", json.dumps({"place": sites["oslo"], "battery": 12}))
    broker.publish("fleet/4/status", json.dumps({"place": sites["lima"], "battery": 13}))

    got = sorted(kafka.wait_lines(hot, 2, form=FORM))
    check(got == [f'{hot}|7|unit=C,from=plant/7/temp|{{"celsius":61.5,"machine":"7"}}',
                  f'{hot}|9|unit=K,from=plant/9/temp|{{"celsius":12345678901234567890.5,"machine":"9"}}'], f"hot: {got}")
    got = sorted(kafka.wait_lines(every, 3))
    check(got == ["12345678901234567890.5", "20", "61.5"], f"every: {got}")
    for site, machine in (("oslo", 3), ("lima", 4)):
        got = kafka.wait_lines(sites[site], 1, form="%k %s\\n")
        check(len(got) == 1 and got[0].startswith(f"{machine} ") and sites[site] in got[0], f"{site}: {got}")
    daemon.stop()
    check(len(kafka.read(hot)) == 2 and len(kafka.read(every)) == 3, "more records than readings")


def overlapping_filters_run_each_rule_once(folder, cleanup):
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    topics = {name: kafka.topic(name) for name in ("one", "plus", "hash")}
    daemon = Daemon(folder, broker, {
        "one": rule("SELECT * FROM 'a/b/c'", topics["one"], kafka.servers),
        "plus": rule("SELECT * FROM 'a/+/c'", topics["plus"], kafka.servers),
        "hash": rule("SELECT * FROM 'a/#'", topics["hash"], kafka.servers),
    }).start()
    cleanup.callback(daemon.kill)
    for n in range(20):
        broker.publish("a/b/c", f'{{"n":{n}}}')
    for name in topics:
        kafka.wait_lines(topics[name], 20)
    daemon.stop()
    for name, topic in topics.items():
        check(len(kafka.read(topic)) == 20, f"{name} ran {len(kafka.read(topic))} times for 20 readings")


def order_is_kept(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("order")
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    daemon = Daemon(folder, broker, {"all": rule("SELECT n FROM 'n/+'", topic, kafka.servers)}).start()
    cleanup.callback(daemon.kill)
    publisher = broker.publisher("n/1").start(5000, 20000)
    publisher.wait()
    lines = kafka.wait_lines(topic, 5000)
    check([json.loads(line)["n"] for line in lines] == list(range(1, 5001)), "out of order")
    daemon.stop()


def publishers_at_qos_2_are_heard_once(folder, cleanup):
    """We subscribe at QoS 1, so the broker sends them so: also what it has kept while we were away."""
    kafka = Kafka(folder)
    broker = Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    topic = kafka.topic("exactly")
    daemon = Daemon(folder, broker, {"all": rule("SELECT n FROM 'n/#'", topic, kafka.servers)})
    cleanup.callback(daemon.kill)
    daemon.start().stop()
    for n in range(1, 31):
        if n == 21:
            daemon.start()
        broker.publish("n/1", f'{{"n":{n}}}', 2)
    lost, duplicates = kafka.wait_numbers(topic, 30)
    check((lost, duplicates) == (0, 0), f"{lost} lost, {duplicates} duplicates")


main(readings_arrive_as_the_rules_say, overlapping_filters_run_each_rule_once, order_is_kept, publishers_at_qos_2_are_heard_once)
