#!/usr/bin/env python3
"""No PUBACK leaves before every action is safe: packet scripts against the engine.

    test_ack.py [SCENARIO...]       all, or those named
"""

import contextlib
import json
import os
import threading
import time

import enginelib
from broker import MAXIMUM_PACKET, RECEIVE_MAXIMUM, SESSION_EXPIRY, SUBSCRIBE, Broker, Failed, Subscribe, make_certificates
from enginelib import Stage, rule, wait_for


# ---- the promise, over TCP and TLS


def waits_for_kafka(cleanup, tls=False):
    stage = Stage(cleanup, tls)
    stage.publish(1, 5)
    assert [record[3] for record in stage.engine.records(5)] == [f'{{"n":{n}}}' for n in range(1, 6)]
    stage.link.quiet()
    stage.engine.say("deliver 4")
    stage.link.quiet()
    stage.engine.say("deliver 1")
    stage.link.pubacks(range(1, 6))
    stage.publish(6, 6)
    stage.engine.records(1)
    stage.link.quiet()
    stage.engine.say("deliver 0")
    stage.link.pubacks([6])
    stage.wait_counted(acknowledged=6)


def waits_for_kafka_over_tls(cleanup):
    waits_for_kafka(cleanup, True)


def resumed_session_waits(cleanup, tls=False):
    """What the broker has kept arrives in one piece with CONNACK, before anything was subscribed."""
    stage = Stage(cleanup, tls, connect=False)
    link = stage.link = stage.broker.accept()
    kept = [link.publish_bytes(f"plant/{n}", b'{"n":1}', mid=n) for n in range(1, 4)]
    link.send(link.connack_bytes(session=True) + b"".join(kept))
    stage.engine.records(3)
    found = link.packet(1)  # SUBSCRIBE may come now or with the acknowledgements, but none of these
    assert not found or found[0] == SUBSCRIBE, found
    link.quiet()
    stage.engine.say("deliver 0")
    if not found:
        link.expect(SUBSCRIBE)
    link.pubacks([1, 2, 3])


def resumed_session_waits_over_tls(cleanup):
    resumed_session_waits(cleanup, True)


def reconnect_waits(cleanup, tls=False):
    stage = Stage(cleanup, tls)
    stage.publish(1, 3)
    stage.engine.records(3)
    stage.link.close()
    link = stage.broker.accept()
    assert not link.connect.clean
    link.connack(session=True)
    link.subscribes()
    stage.publish(1, 3, link, dup=True)
    link.quiet()
    stage.engine.no_record()  # the first three are still on their way
    stage.engine.say("deliver 0")
    link.pubacks([1, 2, 3])
    stage.engine.no_record()
    stage.wait_counted(reconnects=1, received=3, duplicates=3, acknowledged=3)


def reconnect_waits_over_tls(cleanup):
    reconnect_waits(cleanup, True)


def sigterm_settles_first(cleanup, tls=False):
    stage = Stage(cleanup, tls)
    stage.publish(1, 3)
    stage.engine.records(3)
    stage.engine.stop()
    stage.link.quiet()
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2, 3])
    # Our side is closed, and what the broker still sends is no reason for a reset.
    stage.link.publish("plant/9", b'{"n":9}', mid=9)
    stage.link.wait_closed()
    stage.link.close()
    assert stage.engine.child.wait(30) == 0


def sigterm_settles_first_over_tls(cleanup):
    sigterm_settles_first(cleanup, True)


def sigterm_waits_for_the_error_action(cleanup):
    stage = Stage(cleanup, rules={"heat": rule("SELECT n FROM 'plant/#'", error="errors")})
    stage.publish(1, 1)
    stage.engine.records(1)
    stage.engine.stop()
    stage.engine.wait_said("stopping")
    stage.engine.say("fail 1")
    assert stage.engine.records(1)[0][1] == "errors"
    stage.engine.say("deliver 1")
    stage.link.pubacks([1])
    stage.link.wait_closed()
    stage.link.close()
    assert stage.engine.child.wait(30) == 0


def sigterm_acknowledges_nothing_that_is_not_safe(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 3)
    stage.engine.records(3)
    stage.engine.say("deliver 2")
    stage.engine.stop()
    stage.link.wait_closed()  # no PUBACK, and no DISCONNECT, which would send them
    assert stage.engine.child.wait(30) == 0
    assert stage.engine.said("stay unacknowledged")


def pings_while_holding(cleanup, tls=False):
    stage = Stage(cleanup, tls, mqtt="  keepalive: 5s\n")
    stage.publish(1, 2)
    stage.engine.records(2)
    stage.link.quiet(8)
    if stage.link.pings < 2:
        raise Failed(f"{stage.link.pings} PINGREQ in 8 s, keepalive 5 s")
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2])


def pings_while_holding_over_tls(cleanup):
    pings_while_holding(cleanup, True)


def batch_is_bounded(cleanup):
    """Many more messages than one batch takes: the rest stays in the socket."""
    stage = Stage(cleanup)
    many = b"".join(stage.link.publish_bytes("plant/1", b'{"n":1}', mid=1 + n % 65535) for n in range(25000))
    threading.Thread(target=stage.link.send, args=(many,), daemon=True).start()
    wait_for(lambda: stage.engine.counters()["begun"] >= 10000, "a full batch")
    stage.link.quiet(1)
    counters = stage.engine.counters()
    assert counters["received"] == 10000, counters
    stage.engine.say("auto on")
    stage.link.pubacks([1 + n % 65535 for n in range(25000)])


def acknowledges_in_parts(cleanup):
    """The broker does not read: PUBACKs leave bit by bit, and nothing newer slips out behind them."""
    stage = Stage(cleanup, True, receive_buffer=4096, env={"SEND_BUFFER": "4096"})
    count = 10000
    threading.Thread(target=stage.publish, args=(1, count), daemon=True).start()
    wait_for(lambda: stage.engine.counters()["begun"] >= count, "a full batch")
    stage.engine.say("deliver 0")
    time.sleep(1)
    stage.publish(count + 1, count + 3)
    assert stage.engine.counters()["acknowledged"] < count, "the socket took them all: the test is blind"
    stage.link.pubacks(range(1, count + 1))
    stage.link.quiet()
    stage.engine.say("deliver 0")
    stage.link.pubacks(range(count + 1, count + 4))


# ---- what an answer means


def wait_is_tried_again(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 3)
    stage.engine.records(3)
    stage.engine.say("wait 1")
    stage.engine.no_record()  # it stands behind what is in flight
    stage.engine.say("deliver 2")
    assert stage.engine.records(1)[0][3] == '{"n":1}'
    stage.link.quiet()
    stage.engine.say("deliver 1")
    stage.link.pubacks([1, 2, 3])
    assert stage.engine.counters()["retried"] == 1


def refused_topic_waits_alone(cleanup):
    rules = {"a": rule("SELECT n FROM 'a'", "one"), "b": rule("SELECT n FROM 'b'", "two")}
    stage = Stage(cleanup, rules=rules)
    stage.engine.say("deny one")
    # In one piece: what came later would not be read while the first is held.
    stage.link.send(stage.link.publish_bytes("a", b'{"n":1}', mid=1) + stage.link.publish_bytes("b", b'{"n":2}', mid=2))
    assert stage.engine.records(1)[0][1] == "two"
    stage.engine.say("deliver 0")
    stage.link.quiet()
    stage.engine.wait_said("'one' is refused: no such topic")
    stage.engine.say("allow one")
    assert stage.engine.records(1)[0][1] == "one"
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2])
    stage.engine.wait_said("'one' is accepted again")


def final_failure_is_dropped_and_said(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 2)
    stage.engine.records(2)
    stage.engine.say("fail 1")
    stage.link.quiet()
    stage.engine.say("deliver 1")
    stage.link.pubacks([1, 2])
    stage.engine.wait_said("heat: kafka to 'readings' failed for good (TOO_LARGE): the test says so; dropped")
    counters = stage.engine.counters()
    assert counters["begun"] == 2 and counters["delivered"] == 1 and counters["dropped"] == 1, counters


def a_failing_statement_does_not_hide_a_failing_delivery(cleanup):
    fails = "CASE %s WHEN 0 THEN get_secret(topic(2), 'SecretString', '') ELSE 'x' END"  # no such id is allowed
    document = rule(f"SELECT {fails % 'n'} AS n FROM 'plant/#'")
    document["actions"] += [{"kafka": {"topic": f"${{{fails % 'm'}}}", "clientProperties": {}}}, {"kafka": {"topic": "third", "clientProperties": {}}}]
    stage = Stage(cleanup, rules={"heat": document})
    for mid, payload in enumerate((b'{"n":0,"m":1}', b'{"n":0,"m":1}', b'{"n":1,"m":0}', b'{"n":1,"m":0}'), 1):
        stage.link.publish("plant/7", payload, mid=mid)
    assert [record[1] for record in stage.engine.records(4)] == ["readings", "third"] * 2
    stage.engine.say("fail 4")
    stage.link.pubacks([1, 2, 3, 4])
    stage.engine.wait_said("heat: the statement failed for good (SQL): ")
    stage.engine.wait_said("heat: kafka failed for good (TEMPLATE): ")
    stage.engine.wait_said("heat: kafka to 'readings' failed for good (TOO_LARGE): the test says so; dropped")
    stage.engine.wait_said("heat: kafka to 'third' failed for good (TOO_LARGE): the test says so; dropped")


def error_action_must_be_safe_too(cleanup):
    stage = Stage(cleanup, rules={"heat": rule("SELECT n FROM 'plant/#'", error="errors.${topic(2)}")})
    stage.link.publish("plant/7", b'{"n":1}', mid=1)
    stage.engine.records(1)
    stage.engine.say("fail 1")
    _, topic, _, payload = stage.engine.records(1)[0]
    assert topic == "errors.7"
    told = json.loads(payload)
    assert list(told) == ["ruleName", "topic", "cloudwatchTraceId", "clientId", "base64OriginalPayload", "failures"], told
    assert (told["ruleName"], told["topic"], told["clientId"]) == ("heat", "plant/7", "n/a")
    assert told["base64OriginalPayload"] == "eyJuIjoxfQ=="
    assert told["failures"] == [{"failedAction": "KafkaAction", "failedResource": "readings",
                                 "errorMessage": "TOO_LARGE: the test says so"}]
    stage.link.quiet()
    stage.engine.say("deliver 1")
    stage.link.pubacks([1])
    counters = stage.engine.counters()
    assert counters["begun"] == counters["error_action"] == 1, counters


def one_error_message_has_all_failures(cleanup):
    document = rule("SELECT n FROM 'plant/#'", error="errors")
    document["actions"] += [{"kafka": {"topic": "bad", "clientProperties": {}}}, {"kafka": {"topic": "third", "clientProperties": {}}}]
    stage = Stage(cleanup, rules={"heat": document})
    stage.publish(1, 1)
    assert [record[1] for record in stage.engine.records(2)] == ["readings", "third"]
    stage.engine.say("fail 2")
    _, topic, _, payload = stage.engine.records(1)[0]
    assert topic == "errors"
    assert [failure["failedResource"] for failure in json.loads(payload)["failures"]] == ["bad", "readings", "third"]
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])
    counters = stage.engine.counters()
    assert counters["begun"] == counters["error_action"] == 3, counters


def failed_error_action_is_dropped_and_said(cleanup):
    stage = Stage(cleanup, rules={"heat": rule("SELECT n FROM 'plant/#'", "bad", error="bad")})
    stage.publish(1, 1)
    stage.link.pubacks([1])
    stage.engine.wait_said("heat: its error action to 'bad' failed for good (NOT_ACCEPTED): the topic is bad; dropped")
    assert stage.engine.counters()["dropped"] == 1


def failed_statement_goes_to_the_error_action(cleanup):
    """A payload that is no JSON, with SELECT *, and more: semantics A33."""
    stage = Stage(cleanup, rules={"heat": rule("SELECT *, 1 AS one FROM 'plant/#'", error="errors")})
    stage.link.publish("plant/1", b"\xff\xfe", mid=1)
    told = json.loads(stage.engine.records(1)[0][3])
    assert told["failures"][0]["failedAction"] == "Sql" and told["base64OriginalPayload"] == "//4=", told
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])
    counters = stage.engine.counters()
    assert counters["failed"] == counters["begun"] == counters["error_action"] == counters["not_json"] == 1, counters


def dead_client_is_replaced(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 3)
    stage.engine.records(3)
    stage.engine.say("deliver 1")
    stage.engine.say("die")
    assert stage.engine.line("close") == "close 1"
    again = stage.engine.records(2)
    assert [(record[0], record[3]) for record in again] == [("2", '{"n":2}'), ("2", '{"n":3}')]
    stage.link.quiet()
    stage.engine.say("deliver 2")
    stage.link.pubacks([1, 2, 3])


def every_reason_for_being_away_is_said(cleanup):
    stage = Stage(cleanup)
    for reason in "no-route", "wrong-password":
        stage.engine.say(f"away {reason}")
        stage.engine.wait_said(f"kafka: rule heat: {reason}")


def client_that_cannot_be_replaced_says_why(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 1)
    stage.engine.records(1)
    stage.engine.say("shut 1")
    stage.engine.say("die")
    stage.engine.wait_said("rule heat: the settings say so; what is for it waits, and this is tried again")
    stage.engine.records(1)
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])


def full_queue_is_waited_for(cleanup):
    stage = Stage(cleanup)
    stage.engine.say("take 2")
    stage.publish(1, 4)
    stage.engine.records(2)
    stage.engine.say("deliver 2")
    stage.link.quiet()
    stage.engine.say("take -1")
    assert [record[3] for record in stage.engine.records(2)] == ['{"n":3}', '{"n":4}']
    stage.engine.say("deliver 2")
    stage.link.pubacks([1, 2, 3, 4])


# ---- who must not wait, and who hears what


def filtered_and_unmatched_are_acknowledged(cleanup):
    stage = Stage(cleanup)
    stage.link.publish("plant/1", b'{"n":-1}', mid=1)
    stage.link.publish("other", b'{"n":1}', mid=2)
    stage.link.publish("plant", b'{"n":1}', mid=3)  # MQTT sends it for plant/#, AWS has no match
    stage.link.pubacks([1, 2, 3])
    counters = stage.engine.counters()
    assert counters["filtered"] == 1 and counters["unmatched"] == 2, counters


def retained_replay_is_ignored(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 1, retain=True)
    stage.link.pubacks([1])
    stage.engine.no_record()
    assert stage.engine.counters()["retained_ignored"] == 1


def qos_0_holds_nothing(cleanup):
    stage = Stage(cleanup)
    stage.link.publish("plant/1", b'{"n":1}')
    stage.engine.records(1)
    stage.link.publish("plant/2", b'{"n":-1}', mid=2)
    stage.link.pubacks([2])  # the first is still open, and nobody waits for its acknowledgement
    stage.engine.say("deliver 1")
    stage.wait_counted(delivered=1)


def each_rule_runs_once_for_overlapping_filters(cleanup):
    rules = {"all": rule("SELECT n FROM 'a/#'", "all"), "one": rule("SELECT n FROM 'a/+'", "one"),
             "same": rule("SELECT n FROM 'a/+'", "same"), "far": rule("SELECT n FROM 'z'", "far")}
    stage = Stage(cleanup, rules=rules, connect=False)
    link = stage.broker.accept()
    link.connack()
    ids = {name: asked.id for asked in link.subscribes(3) for name, _ in asked.filters}
    assert set(ids) == {"a/#", "a/+", "z"} and ids["z"] == 1 and len(set(ids.values())) == 3, ids
    link.send(link.publish_bytes("a/b", b'{"n":1}', mid=1, ids=[ids["a/#"]]) + link.publish_bytes("a/b", b'{"n":1}', mid=2, ids=[ids["a/+"]]))
    assert [record[1] for record in stage.engine.records(3)] == ["all", "one", "same"]
    stage.engine.no_record()
    stage.engine.say("deliver 0")
    link.pubacks([1, 2])


def basic_ingest_reaches_one_rule(cleanup):
    rules = {"a": rule("SELECT n, topic() AS t FROM 'x'"), "b": rule("SELECT n FROM 'x'")}
    stage = Stage(cleanup, rules=rules, mqtt="  basic_ingest: true\n")
    stage.link.publish("$aws/rules/a/x", b'{"n":1}', mid=1)
    assert stage.engine.records(1)[0][3] == '{"n":1,"t":"x"}'
    stage.engine.no_record()
    stage.engine.say("deliver 0")
    stage.link.publish("$aws/rules/nobody/x", b'{"n":1}', mid=2)
    stage.link.pubacks([1, 2])
    stage.engine.wait_said("no enabled rule has the name in '$aws/rules/nobody/x'")


def identity_comes_from_where_the_configuration_says(cleanup):
    sql = "SELECT clientid() AS c, principal() AS p, get_user_properties('k') AS k FROM 'plant/#'"
    more = "identity: {client_id: {topic_level: 2}, principal: {user_property: who}}"
    stage = Stage(cleanup, rules={"r": rule(sql)}, more=more)
    stage.link.publish("plant/7/x", b"{}", mid=1, user=[("k", "v"), ("who", "me")])
    assert json.loads(stage.engine.records(1)[0][3]) == {"c": "7", "p": "me", "k": ["v"]}
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])


def too_large_is_dropped_and_said(cleanup):
    stage = Stage(cleanup, more="limits: {payload: 1KiB}")
    stage.link.publish("plant/1", b'{"n":1,"x":"' + b"x" * 2000 + b'"}', mid=1)
    stage.link.pubacks([1])
    stage.engine.wait_said("is over limits.payload; dropped")
    assert stage.engine.counters()["too_large"] == 1


# ---- the session


def asks_for_what_the_promise_needs(cleanup):
    stage = Stage(cleanup, mqtt="  username: me\n  password: secret\n  session_expiry: 7d\n", more="limits: {payload: 1MiB}",
                  connect=False)
    connect = stage.broker.accept().connect
    assert connect.level == 5 and not connect.clean and connect.client == b"unit", vars(connect)
    assert (connect.username, connect.password) == (b"me", b"secret")
    assert connect.properties[SESSION_EXPIRY] == 7 * 86400 and connect.properties[RECEIVE_MAXIMUM] == 65534
    assert connect.properties[MAXIMUM_PACKET] >= 1 << 20, connect.properties


def subscribes_at_qos_1_without_replays(cleanup):
    stage = Stage(cleanup, connect=False)
    link = stage.broker.accept()
    link.connack()
    asked = link.subscribes()[0]
    assert asked.filters == [("plant/#", 0x21)] and asked.id == 1, (asked.filters, asked.id)


def falls_back_to_mqtt_3(cleanup, refuse):
    stage = Stage(cleanup, connect=False)
    for _ in range(1 if refuse else 3):
        first = stage.broker.accept()
        assert first.connect.level == 5
        if refuse:
            first.send(bytes([2 << 4, 2, 0, 1]))  # CONNACK of MQTT 3.1.1: unacceptable protocol version
        first.close()
    link = stage.broker.accept()
    assert link.connect.level == 4 and not link.connect.clean
    link.connack()
    asked = link.subscribes()[0]
    assert asked.filters == [("plant/#", 1)]
    stage.publish(1, 2, link)
    stage.engine.records(2)
    link.quiet()
    stage.engine.say("deliver 0")
    link.pubacks([1, 2])


def falls_back_when_mqtt_5_is_refused(cleanup):
    falls_back_to_mqtt_3(cleanup, True)


def falls_back_when_mqtt_5_is_not_answered(cleanup):
    falls_back_to_mqtt_3(cleanup, False)


def stays_with_mqtt_5_once_spoken(cleanup):
    """Not answered by a broker that has spoken it: that is just starting, or something before it."""
    stage = Stage(cleanup)
    stage.link.close()
    stage.broker.accept().close()
    assert stage.broker.accept().connect.level == 5


def new_session_keeps_what_nobody_else_has(cleanup):
    """The broker has forgotten us: what waited for another attempt is still sent."""
    stage = Stage(cleanup)
    stage.publish(1, 1)
    stage.engine.records(1)
    stage.engine.say("later on")
    stage.engine.say("wait 1")
    stage.link.close()
    link = stage.broker.accept()
    link.connack(session=False)
    link.subscribes()
    stage.engine.say("later off")
    assert stage.engine.records(1)[0][3] == '{"n":1}'
    stage.engine.say("deliver 1")
    stage.wait_counted(delivered=1)
    link.quiet()


def resumed_session_forgets_what_comes_again(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 1)
    stage.engine.records(1)
    stage.engine.say("later on")
    stage.engine.say("wait 1")
    stage.link.close()
    link = stage.broker.accept()
    link.connack(session=True)
    link.subscribes()
    stage.wait_counted(abandoned=1)
    stage.engine.say("later off")
    stage.engine.no_record()
    stage.publish(1, 1, link, dup=True)
    stage.engine.records(1)
    stage.engine.say("deliver 1")
    link.pubacks([1])


def forgotten_session_stays_ours(cleanup):
    """What a broker without memory has forgotten is not given up when it later resumes a younger session."""
    stage = Stage(cleanup)
    stage.publish(1, 1)
    stage.engine.records(1)
    stage.engine.say("later on")
    stage.engine.say("wait 1")
    stage.link.close()
    link = stage.broker.accept()
    link.connack(session=False)
    link.subscribes()
    link.close()
    link = stage.broker.accept()
    link.connack(session=True)
    link.subscribes()
    stage.engine.say("later off")
    assert stage.engine.records(1)[0][3] == '{"n":1}'
    stage.engine.say("deliver 1")
    stage.wait_counted(delivered=1, abandoned=0)


def what_came_with_the_end_is_not_produced(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 1)
    stage.engine.records(1)
    time.sleep(0.3)  # the batch is over: held from here on
    stage.publish(2, 3)
    stage.link.close()
    link = stage.broker.accept()
    stage.engine.say("auto on")
    link.connack(session=True)
    link.subscribes()
    stage.publish(1, 3, link, dup=True)
    link.pubacks([1, 2, 3])
    stage.wait_counted(received=3, duplicates=1)


def second_instance_is_named(cleanup):
    stage = Stage(cleanup)
    stage.link.disconnect(0x8E)
    stage.link.close()
    stage.engine.wait_said("another client has connected as 'unit': give every instance its own mqtt.client_id")
    stage.broker.nobody(2)  # no fight
    stage.broker.accept()


def wrong_password_is_said_once(cleanup):
    stage = Stage(cleanup, connect=False)
    for _ in range(3):
        link = stage.broker.accept()
        link.connack(reason=0x86)
        link.close()
    stage.engine.wait_said("check mqtt.username and mqtt.password")
    with open(f"{stage.engine.folder}/log", encoding="utf-8") as file:
        assert file.read().count("check mqtt.username") == 1
    link = stage.broker.accept()
    link.connack()
    link.subscribes()


def subscriptions_are_answered_in_any_order(cleanup):
    stage = Stage(cleanup, connect=False, rules={"a": rule("SELECT n FROM 'plant/#'"), "b": rule("SELECT n FROM 'plant/+'")})
    link = stage.broker.accept()
    link.connack()
    asked = [Subscribe(link.expect(SUBSCRIBE), True) for _ in range(2)]
    for subscribe in reversed(asked):
        link.suback(subscribe)
    stage.engine.wait_said("2 of 2 topic filters subscribed")


def refused_subscription_is_named(cleanup):
    stage = Stage(cleanup, connect=False)
    link = stage.broker.accept()
    link.connack()
    link.suback(Subscribe(link.expect(SUBSCRIBE), True), [0x87])
    stage.engine.wait_said("heat hears nothing: the broker refuses the subscription to 'plant/#'")
    link.suback(Subscribe(link.expect(SUBSCRIBE, 60), True))
    stage.engine.wait_said("the broker grants 'plant/#' now")


def untrusted_certificate_is_said(cleanup):
    stage = Stage(cleanup, True, connect=False)
    folder = f"{stage.folder}/other"  # with another authority than the engine has
    os.mkdir(folder)
    make_certificates(folder)
    other = Broker((f"{folder}/server.pem", f"{folder}/server.key"))
    cleanup.callback(other.close)
    stage.broker.context = other.context
    # The first attempt may have begun with the old certificate, and how many follow depends on the machine.
    for _ in range(10):
        with contextlib.suppress(OSError, Failed):
            stage.broker.accept(5)
        if stage.engine.said("the broker's certificate is refused"):
            return
    stage.engine.wait_said("the broker's certificate is refused")


def waits_for_a_broker_that_is_absent(cleanup):
    stage = Stage(cleanup, connect=False)
    port = stage.broker.port
    stage.broker.close()
    with contextlib.suppress(OSError, Failed):
        stage.broker.accept(0.5)
    stage.engine.wait_said(f"cannot connect to mqtt://localhost:{port}: ")
    stage.broker = Broker()


if __name__ == "__main__":
    enginelib.main(globals())
