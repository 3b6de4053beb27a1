#!/usr/bin/env python3
"""Brokers as they come: what they grant, refuse, or answer instead. Packet scripts against the engine.

    test_broker.py [SCENARIO...]       all, or those named
"""

import os
import subprocess
import tempfile
import threading
import time

import enginelib
from broker import SUBSCRIBE, Failed, Subscribe, grants
from enginelib import Stage, rule, wait_for


def let_in(cleanup, *, subscribes=1, rules=None, mqtt="", **granted):
    """A stage whose broker grants that."""
    stage = Stage(cleanup, connect=False, rules=rules, mqtt=mqtt)
    stage.link = stage.broker.accept()
    stage.link.connack(properties=grants(**granted))
    stage.asked = stage.link.subscribes(subscribes)
    return stage


def it_works(stage, *mids):
    stage.engine.records(len(mids))
    stage.link.quiet()
    stage.engine.say("deliver 0")
    stage.link.pubacks(mids)


# ---- MQTT 3.1.1


def fall_back(cleanup, answer, times=1):
    """The first connections get that instead of a CONNACK of MQTT 5; the next speaks 3.1.1."""
    stage = Stage(cleanup, connect=False)
    for _ in range(times):
        first = stage.broker.accept()
        assert first.connect.level == 5
        first.send(answer)
        first.close()
    stage.link = stage.broker.accept()
    assert stage.link.connect.level == 4 and not stage.link.connect.clean
    stage.link.connack()
    stage.asked = stage.link.subscribes()
    stage.publish(1, 2)
    it_works(stage, 1, 2)
    return stage


def old_broker_says_so_in_mqtt_5(cleanup):
    fall_back(cleanup, bytes([2 << 4, 3, 0, 0x84, 0])).engine.wait_said("the broker does not know MQTT 5")


def old_broker_says_so_in_mqtt_3(cleanup):
    fall_back(cleanup, bytes([2 << 4, 2, 0, 1])).engine.wait_said("the broker does not know MQTT 5")


def old_broker_hangs_up(cleanup):
    """Three times in a row: once is what one does that is just starting."""
    stage = fall_back(cleanup, b"", times=3)
    stage.link.close()
    stage.link = stage.broker.accept()  # it may have been replaced meanwhile
    assert stage.link.connect.level == 5
    stage.link.close()
    assert stage.broker.accept().connect.level == 4


def a_broker_that_starts_hangs_up_twice(cleanup):
    stage = Stage(cleanup, connect=False)
    for _ in range(2):
        stage.broker.accept().close()
    link = stage.broker.accept()
    assert link.connect.level == 5
    link.connack(reason=0x88)  # server unavailable, but it knows MQTT 5
    link.close()
    for _ in range(3):
        link = stage.broker.accept()
        assert link.connect.level == 5
        link.close()
    assert stage.broker.accept().connect.level == 4


def something_else_answers(cleanup):
    fall_back(cleanup, b"HTTP/1.1 400 Bad Request\r\n\r\n", times=3)


def each_rule_runs_once_without_identifiers(cleanup):
    """MQTT 3.1.1: one copy for all filters that overlap."""
    stage = Stage(cleanup, connect=False, rules={"all": rule("SELECT n FROM 'a/#'", "all"), "one": rule("SELECT n FROM 'a/+'", "one"),
                                                 "same": rule("SELECT n FROM 'a/+'", "same")})
    stage.broker.accept().send(bytes([2 << 4, 2, 0, 1]))  # CONNACK of MQTT 3.1.1: unacceptable protocol version
    stage.link = stage.broker.accept()
    stage.link.connack()
    assert [sorted(name for name, _ in asked.filters) for asked in stage.link.subscribes()] == [["a/#", "a/+"]]
    stage.link.publish("a/b", b'{"n":1}', mid=1)
    assert [record[1] for record in stage.engine.records(3)] == ["all", "one", "same"]
    stage.engine.no_record()
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])


# ---- grants of MQTT 5


def short_session_is_said(cleanup):
    stage = let_in(cleanup, session_expiry=60)
    stage.engine.wait_said("keeps our session for 60 s only, not for 604800 s")


def no_qos_is_said(cleanup):
    stage = let_in(cleanup, maximum_qos=0)
    stage.engine.wait_said("offers QoS 0 only: messages can be lost on the way to us")


def less_qos_for_a_filter_is_said(cleanup):
    stage = Stage(cleanup, connect=False)
    stage.link = stage.broker.accept()
    stage.link.connack()
    stage.link.suback(Subscribe(stage.link.expect(SUBSCRIBE), True), [0])
    stage.engine.wait_said("the broker grants QoS 0 for 'plant/#': messages can be lost on the way to us")


def keep_alive_of_the_broker_counts(cleanup):
    stage = let_in(cleanup, server_keep_alive=2)
    stage.publish(1, 1)
    stage.engine.records(1)
    end = time.monotonic() + 30
    while stage.link.pings < 3:  # also while holding
        stage.link.quiet(0.5)
        if time.monotonic() > end:
            raise Failed(f"{stage.link.pings} PINGREQ in 30 s, keep alive of the broker 2 s")
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])


def no_wildcards_is_named(cleanup):
    stage = Stage(cleanup, connect=False)
    stage.link = stage.broker.accept()
    stage.link.connack(properties=grants(wildcards=0))
    stage.link.suback(Subscribe(stage.link.expect(SUBSCRIBE), True), [0xA2])
    stage.engine.wait_said("heat hears nothing: the broker refuses the subscription to 'plant/#': ")


def no_identifiers_is_said_where_it_matters(cleanup):
    rules = {"all": rule("SELECT n FROM 'a/#'", "all"), "one": rule("SELECT n FROM 'a/+'", "one")}
    stage = let_in(cleanup, rules=rules, subscription_ids=0)
    assert all(asked.id is None for asked in stage.asked)
    stage.engine.wait_said("offers no subscription identifiers: where topic filters of rules overlap")
    stage.link.publish("a/b", b'{"n":1}', mid=1)
    stage.engine.records(2)
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])


def no_identifiers_is_nothing_where_filters_do_not_overlap(cleanup):
    stage = let_in(cleanup, subscription_ids=0, shared=0)
    stage.publish(1, 1)
    it_works(stage, 1)
    assert not stage.engine.said("offers no subscription identifiers")


def small_packets_are_kept_to(cleanup):
    """SUBSCRIBE in as many packets as the broker's limit needs; a filter that fits in none is named."""
    rules = {f"r{i}": rule(f"SELECT n FROM 'plant/{i}/{'x' * 30}'") for i in range(8)}
    rules["long"] = rule(f"SELECT n FROM '{'y' * 120}'")
    stage = Stage(cleanup, connect=False, rules=rules)
    link = stage.broker.accept()
    link.connack(properties=grants(maximum_packet=100))
    heard = []
    while len(heard) < 8:
        body = link.expect(SUBSCRIBE)
        assert len(body) + 2 <= 100, len(body)
        asked = Subscribe(body, True)
        heard += [name for name, _ in asked.filters]
        link.suback(asked)
    assert len(set(heard)) == 8, heard
    stage.engine.wait_said("long hears nothing: the broker refuses the subscription to")
    stage.engine.wait_said("8 of 9 topic filters subscribed")


# ---- brokers that hang


def name_that_does_not_resolve_holds_up_nothing(cleanup):
    stage = Stage(cleanup, connect=False, host="no-such-broker.invalid", env={"NO_NAMES": "1"})
    stage.engine.wait_said("cannot connect to mqtt://no-such-broker.invalid:", 60)
    assert stage.engine.said("the name does not resolve: ") or stage.engine.said("no name server answers")
    stage.engine.counters()  # which takes in all lines before
    assert "the lane waits for a name server" not in stage.engine.kept


def a_name_with_ipv6_reaches_a_broker_of_ipv4(cleanup):
    """As `localhost` is on many machines, with a broker that listens on 127.0.0.1."""
    folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="topicrule-"))
    with open(f"{folder}/hosts", "w", encoding="ascii") as file:
        file.write("::1 twofold\n127.0.0.1 twofold\n")
    alone = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"]),
             "sh", "-c", f'mount --bind {folder}/hosts /etc/hosts && exec "$@"', "sh"]
    try:
        found = subprocess.run([*alone, "getent", "ahosts", "twofold"], capture_output=True, text=True, check=True, timeout=60)
    except subprocess.CalledProcessError as error:
        print(f"no mounts for us here, so nothing is tested of names: {error.stderr.strip()}")
        return
    if not found.stdout.startswith("::1"):
        print("no IPv6 here, so nothing is tested of names with both")
        return
    stage = Stage(cleanup, host="twofold", before=alone)
    stage.publish(1, 1)
    it_works(stage, 1)
    assert not stage.engine.said("cannot connect"), "the first family alone is no problem"
    stage.link.close()  # the next connection finds it as well, and a broker that is gone is a problem
    again = stage.broker.accept()
    stage.broker.close()
    again.close()
    stage.engine.wait_said(f"cannot connect to mqtt://twofold:{stage.broker.port}: Connection refused")


def broker_that_takes_nothing_is_named(cleanup):
    count = 10000
    stage = Stage(cleanup, receive_buffer=4096, env={"SEND_BUFFER": "4096"}, mqtt="  keepalive: 5s\n")
    threading.Thread(target=stage.publish, args=(1, count), daemon=True).start()
    wait_for(lambda: stage.engine.counters()["begun"] >= count, "a full batch")
    stage.engine.say("deliver 0")
    stage.engine.wait_said("the broker has taken none of our acknowledgements for", 60)
    assert not stage.engine.said("has said nothing")
    stage.broker.accept()


def broker_that_says_nothing_is_named(cleanup):
    stage = Stage(cleanup, mqtt="  keepalive: 5s\n")
    stage.engine.wait_said("the broker has said nothing for")
    stage.broker.accept()


if __name__ == "__main__":
    enginelib.main(globals())
