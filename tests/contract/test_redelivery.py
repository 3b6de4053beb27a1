#!/usr/bin/env python3
"""What is safe and comes again is passed over, and what is new never is: packet scripts for engine/redelivery.h.

    test_redelivery.py [SCENARIO...]       all, or those named
"""

import os
import signal
import threading

import enginelib
from broker import Broker, numbered
from enginelib import Stage, rule, wait_for

SAME = b'{"n":7}'


def again(stage, session=True):
    """The next connection, let in."""
    link = stage.broker.accept()
    link.connack(session=session)
    link.subscribes()
    return link


def safe_and_lost(cleanup, last, **how):
    """Messages 1 to `last` were read and are safe, and the connection went before a byte of their PUBACKs left: what happens
    next is the next connection's, which is there and not yet let in."""
    stage = Stage(cleanup, **how)
    stage.publish(1, last)
    stage.engine.records(last)
    stage.link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("deliver 0")
    stage.wait_counted(delivered=last)
    return stage


def let_in(stage, session=True):
    stage.link.connack(session=session)
    stage.link.subscribes()
    return stage.link


def same(link, *mids, dup=True):
    """Messages of one topic with one reading, in one piece."""
    link.send(b"".join(link.publish_bytes("plant/1", SAME, mid=mid, dup=dup) for mid in mids))


def same_safe_and_lost(cleanup, mids):
    stage = Stage(cleanup)
    same(stage.link, *mids, dup=False)
    stage.engine.records(len(mids))
    stage.link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("deliver 0")
    stage.wait_counted(delivered=len(mids))
    return stage


def all_are_evaluated(stage, mids, read_before):
    stage.engine.records(len(mids))
    stage.engine.say("deliver 0")
    stage.link.pubacks(mids)
    stage.wait_counted(received=read_before + len(mids), duplicates=0)


# ---- passed over


def safe_messages_are_passed_over(cleanup, tls=False):
    stage = safe_and_lost(cleanup, 3, tls=tls)
    link = let_in(stage)
    stage.publish(1, 3, link, dup=True)
    link.pubacks([1, 2, 3])
    stage.engine.no_record()
    stage.wait_counted(duplicates=3, received=3, delivered=3, acknowledged=3)
    # From here on nothing is different: the same identifiers, acknowledged, are new messages.
    stage.publish(1, 3, link)
    stage.engine.records(3)
    link.quiet()
    stage.engine.say("deliver 0")
    link.pubacks([1, 2, 3])


def safe_messages_are_passed_over_with_tls(cleanup):
    safe_messages_are_passed_over(cleanup, True)


def safe_messages_are_passed_over_in_mqtt_3(cleanup):
    stage = Stage(cleanup, connect=False)
    for _ in range(3):
        stage.broker.accept().close()
    link = again(stage, session=False)
    assert link.connect.level == 4
    stage.publish(1, 3, link)
    stage.engine.records(3)
    link.close()
    link = stage.broker.accept()
    link.close()  # MQTT 5 again, which is not answered: it might have been, so this is a connection
    assert link.connect.level == 5
    link = stage.broker.accept()
    assert link.connect.level == 4
    stage.engine.say("deliver 0")
    stage.wait_counted(delivered=3)
    link.connack(session=True)
    link.subscribes()
    stage.publish(1, 3, link, dup=True)
    stage.engine.records(3)
    link.close()
    # Now the version is known for good, as the broker says so itself.
    link = stage.broker.accept()
    link.send(bytes([2 << 4, 2, 0, 1]))
    link.close()
    stage.engine.say("deliver 0")
    link = again(stage)
    assert link.connect.level == 4
    stage.publish(1, 3, link, dup=True)
    link.pubacks([1, 2, 3])
    stage.engine.no_record()
    stage.wait_counted(duplicates=3)


def filtered_and_failed_are_safe_too(cleanup):
    stage = Stage(cleanup, rules={"heat": rule("SELECT n FROM 'plant/#' WHERE n > 1")})
    stage.publish(1, 3)
    stage.engine.records(2)
    stage.link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("fail 1")
    stage.engine.say("deliver 1")
    stage.wait_counted(filtered=1, dropped=1, delivered=1)
    let_in(stage)
    stage.publish(1, 3, dup=True)
    stage.link.pubacks([1, 2, 3])
    stage.wait_counted(duplicates=3, filtered=1)


def a_stranger_ends_it(cleanup):
    """A broker that sends again in order has nothing to send before ours, nor between them: this one does something else."""
    stage = safe_and_lost(cleanup, 3)
    link = let_in(stage)
    parts = [link.publish_bytes(f"plant/{n}", b'{"n": %d}' % n, mid=n, dup=True) for n in (1, 101, 2, 3)]
    link.send(b"".join(parts))
    assert [record[3] for record in stage.engine.records(3)] == ['{"n":101}', '{"n":2}', '{"n":3}']
    link.quiet()
    stage.engine.say("deliver 0")
    link.pubacks([1, 101, 2, 3])
    stage.wait_counted(duplicates=1)


def refused_attempts_do_not_count(cleanup):
    stage = safe_and_lost(cleanup, 3)
    stage.link.connack(reason=0x88)  # server unavailable
    stage.link.close()
    stage.link = again(stage)
    stage.publish(1, 3, dup=True)
    stage.link.pubacks([1, 2, 3])
    stage.wait_counted(duplicates=3)


def two_losses_in_a_row(cleanup):
    """What was passed over on a connection that is lost as well is passed over on the next."""
    stage = safe_and_lost(cleanup, 3)
    link = let_in(stage)
    link.send(b"".join(link.publish_bytes(f"plant/{n}", b'{"n": %d}' % n, mid=n, dup=n < 4) for n in (1, 2, 3, 4)))
    stage.engine.records(1)  # the fourth holds the PUBACKs of all
    stage.wait_counted(duplicates=3)
    link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("deliver 0")
    link = let_in(stage)
    stage.publish(1, 4, dup=True)
    link.pubacks([1, 2, 3, 4])
    stage.engine.no_record()
    stage.wait_counted(duplicates=7, received=4)


# ---- not passed over


def what_was_given_up_is_evaluated(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 3)
    stage.engine.records(3)
    stage.engine.say("later on")
    stage.engine.say("wait 1")
    stage.link.close()
    link = again(stage)
    stage.wait_counted(abandoned=1)
    stage.engine.say("later off")
    stage.engine.say("deliver 2")
    stage.publish(1, 3, link, dup=True)
    assert stage.engine.records(1)[0][3] == '{"n":1}'
    link.quiet()
    stage.engine.say("deliver 1")
    link.pubacks([1, 2, 3])
    stage.wait_counted(duplicates=2, delivered=3)


def one_rule_of_two_given_up_is_enough(cleanup):
    rules = {"a": rule("SELECT n FROM 'plant/#'", "one"), "b": rule("SELECT n FROM 'plant/#'", "two")}
    stage = Stage(cleanup, rules=rules)
    stage.publish(1, 1)
    stage.engine.records(2)
    stage.engine.say("later on")
    stage.engine.say("wait 1")
    stage.engine.say("deliver 1")
    stage.link.close()
    link = again(stage)
    stage.wait_counted(abandoned=1)
    stage.engine.say("later off")
    stage.publish(1, 1, link, dup=True)
    stage.engine.records(2)
    stage.engine.say("deliver 0")
    link.pubacks([1])
    stage.wait_counted(duplicates=0)


def acknowledged_means_forgotten(cleanup):
    """The PUBACK left, and the broker may have had it: the same identifier and reading may be a new message."""
    stage = Stage(cleanup)
    same(stage.link, 1, dup=False)
    stage.engine.records(1)
    stage.engine.say("deliver 1")
    stage.link.pubacks([1])
    stage.link.close()
    stage.link = again(stage)
    same(stage.link, 1)
    all_are_evaluated(stage, [1], 1)


def flush_in_parts_means_forgotten(cleanup):
    """Some bytes of the PUBACKs have left, and nobody knows how many arrived."""
    count = 10000
    stage = Stage(cleanup, receive_buffer=4096, env={"SEND_BUFFER": "4096"})
    threading.Thread(target=stage.publish, args=(1, count), daemon=True).start()
    wait_for(lambda: stage.engine.counters()["begun"] >= count, "a full batch")
    stage.engine.say("deliver 0")
    wait_for(lambda: stage.link.fill(0.1) and stage.link.buffer, "the first PUBACKs")
    assert stage.engine.counters()["acknowledged"] < count, "the socket took them all: the test is blind"
    stage.link.close()
    stage.link = again(stage)
    stage.engine.say("auto on")
    threading.Thread(target=stage.publish, args=(1, count), kwargs={"dup": True}, daemon=True).start()
    stage.link.pubacks(range(1, count + 1))
    stage.wait_counted(received=2 * count, duplicates=0)


def new_session_is_new(cleanup):
    stage = same_safe_and_lost(cleanup, [1, 2])
    let_in(stage, session=False)
    same(stage.link, 1, 2)
    all_are_evaluated(stage, [1, 2], 2)


def first_sending_is_new(cleanup):
    """The broker resumed the session, has dropped what was in flight, and gives its identifier to a new message."""
    stage = same_safe_and_lost(cleanup, [1, 2])
    let_in(stage)
    same(stage.link, 1, dup=False)
    stage.engine.records(1)
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])
    same(stage.link, 2)  # the new messages have begun, so this is none of the old
    all_are_evaluated(stage, [2], 3)


def first_one_left_out_ends_it(cleanup):
    """The broker has dropped the first, or somebody else has acknowledged it: the rest may be new messages."""
    stage = same_safe_and_lost(cleanup, [1, 2, 3])
    let_in(stage)
    same(stage.link, 2, 3, 1)
    all_are_evaluated(stage, [2, 3, 1], 3)


def other_reading_ends_it(cleanup):
    stage = same_safe_and_lost(cleanup, [1, 2])
    let_in(stage)
    stage.link.send(stage.link.publish_bytes("plant/1", b'{"n":8}', mid=1, dup=True)
                    + stage.link.publish_bytes("plant/1", SAME, mid=2, dup=True))
    all_are_evaluated(stage, [1, 2], 2)


def other_topic_ends_it(cleanup):
    stage = same_safe_and_lost(cleanup, [1])
    let_in(stage)
    stage.link.publish("plant/2", SAME, mid=1, dup=True)
    all_are_evaluated(stage, [1], 1)


def other_property_counts_where_a_rule_looks(cleanup):
    stage = Stage(cleanup, rules={"heat": rule("SELECT get_user_properties('k') AS k FROM 'plant/#'")})
    stage.link.publish("plant/1", SAME, mid=1, user=[("k", "v")])
    stage.engine.records(1)
    stage.link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("deliver 0")
    let_in(stage)
    stage.link.publish("plant/1", SAME, mid=1, dup=True, user=[("k", "w")])
    all_are_evaluated(stage, [1], 1)


def missed_on_one_connection_is_forgotten(cleanup):
    """A connection in between on which it was not read again: with a broker that drops messages, its identifier may have been
    given to another that is marked DUP now."""
    stage = same_safe_and_lost(cleanup, [1, 2])
    let_in(stage)
    stage.link.close()
    stage.link = again(stage)
    same(stage.link, 1, 2)
    all_are_evaluated(stage, [1, 2], 2)


def unanswered_attempt_is_a_connection(cleanup):
    stage = same_safe_and_lost(cleanup, [1])
    stage.link.close()  # CONNECT was read, and no CONNACK sent
    while True:  # the other version of MQTT, in turn
        stage.link = stage.broker.accept()
        if stage.link.connect.level == 5:
            break
        stage.link.close()
    let_in(stage)
    same(stage.link, 1)
    all_are_evaluated(stage, [1], 1)


def taken_over_session_is_forgotten(cleanup):
    stage = Stage(cleanup)
    same(stage.link, 1, dup=False)
    stage.engine.records(1)
    stage.link.disconnect(0x8E)
    stage.link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("deliver 0")
    let_in(stage)
    same(stage.link, 1)
    all_are_evaluated(stage, [1], 1)


def other_broker_of_the_list_is_another(cleanup):
    other = Broker()
    cleanup.callback(other.close)
    stage = Stage(cleanup, others=[other])
    same(stage.link, 1, dup=False)
    stage.engine.records(1)
    stage.broker.close()
    stage.link.close()
    stage.broker = other
    stage.link = other.accept()
    stage.engine.say("deliver 0")
    let_in(stage)
    same(stage.link, 1)
    all_are_evaluated(stage, [1], 1)


# ---- what was flushed, and may have arrived or not


def flushed_and_lost(cleanup, flushed, later):
    """Messages 11 and so on, as many as `flushed`, are acknowledged, `later` more are read and safe, and the connection is gone:
    the next is let in."""
    stage = Stage(cleanup)
    stage.publish(11, 10 + flushed)
    stage.engine.records(flushed)
    stage.engine.say("deliver 0")
    stage.link.pubacks(range(11, 11 + flushed))
    stage.publish(11 + flushed, 10 + flushed + later)
    stage.engine.records(later)
    stage.link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("deliver 0")
    stage.wait_counted(delivered=flushed + later)
    let_in(stage)
    return stage


def next_takes_all_afresh(stage, last, session=True):
    """On the next connection messages 11 to `last` come again, and each is evaluated."""
    stage.link.close()
    stage.link = stage.broker.accept()
    let_in(stage, session)
    stage.publish(11, last, dup=True)
    stage.engine.records(last - 10)
    stage.engine.say("deliver 0")
    stage.link.pubacks(range(11, last + 1))


def flushed_ones_are_passed_over_once_they_are_proven(cleanup):
    stage = flushed_and_lost(cleanup, 3, 2)
    stage.publish(12, 13, dup=True)  # the PUBACK of 11 has arrived
    stage.link.quiet(1)  # nothing is acknowledged in doubt
    stage.publish(14, 15, dup=True)
    stage.link.pubacks([12, 13, 14, 15])
    stage.engine.no_record()
    stage.wait_counted(duplicates=4, received=5)
    stage.publish(11, 13)  # new ones
    stage.engine.records(3)
    stage.link.quiet()
    stage.engine.say("deliver 0")
    stage.link.pubacks([11, 12, 13])


def doubt_that_lasts_costs_the_connection(cleanup):
    stage = flushed_and_lost(cleanup, 2, 1)
    stage.publish(11, 12, dup=True)
    stage.link.wait_closed()
    next_takes_all_afresh(stage, 13)


def what_breaks_the_doubt_costs_the_connection(cleanup):
    for what in (dict(first=19, last=19, dup=True), dict(first=12, last=12), dict(first=13, last=13, dup=True)):
        stage = flushed_and_lost(cleanup, 3, 1)
        stage.publish(11, 11, dup=True)
        stage.publish(what.pop("first"), what.pop("last"), **what)
        stage.link.wait_closed()
        stage.engine.no_record()
        next_takes_all_afresh(stage, 14)


def nothing_after_the_flush_proves_nothing(cleanup):
    stage = flushed_and_lost(cleanup, 2, 1)
    stage.publish(11, 13, dup=True)
    stage.link.pubacks([11, 12, 13])
    next_takes_all_afresh(stage, 13)


def a_new_session_has_no_doubt(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 2)
    stage.engine.records(2)
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2])
    stage.publish(3, 3)
    stage.engine.records(1)
    stage.link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("deliver 0")
    stage.wait_counted(delivered=3)
    let_in(stage, session=False)
    stage.publish(1, 3, dup=True)
    stage.engine.records(3)
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2, 3])


def left_in_the_socket(stage, *parts):
    """These come together with the end of the connection, so they are not evaluated. The next connection is let in."""
    stage.engine.child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, stage.engine.child.pid, os.WSTOPPED)
    stage.link.send(b"".join(parts))
    stage.link.close()
    stage.engine.child.send_signal(signal.SIGCONT)
    stage.link = stage.broker.accept()
    let_in(stage)


def what_was_left_in_the_socket_proves(cleanup):
    stage = Stage(cleanup)
    stage.publish(1, 3)
    stage.engine.records(3)
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2, 3])
    left_in_the_socket(stage, numbered(stage.link, 4, 5))
    stage.publish(2, 3, dup=True)
    stage.link.quiet(1)
    stage.publish(4, 5, dup=True)
    assert [record[3] for record in stage.engine.records(2)] == ['{"n":4}', '{"n":5}']
    stage.engine.say("deliver 0")
    stage.link.pubacks([2, 3, 4, 5])
    stage.wait_counted(duplicates=2, received=5)


def a_broker_that_gives_free_identifiers_again_at_once(cleanup):
    """All PUBACKs have arrived, and new messages have the identifiers and the reading of those that were acknowledged."""
    stage = Stage(cleanup)
    same(stage.link, 1, 2, 3, dup=False)
    stage.engine.records(3)
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2, 3])
    left_in_the_socket(stage, *(stage.link.publish_bytes("plant/1", SAME, mid=mid) for mid in (1, 2, 3)))
    same(stage.link, 1, 2, 3)
    all_are_evaluated(stage, [1, 2, 3], 3)


def a_broker_that_numbers_each_connection_afresh(cleanup):
    """As RabbitMQ does. The PUBACKs of three messages have arrived, and what was sent after those comes as 1, 2, 3, and so on:
    identifiers and reading are those that we know, and the last three have never been read."""
    stage = Stage(cleanup)
    same(stage.link, 1, 2, 3, dup=False)
    stage.engine.records(3)
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2, 3])
    same(stage.link, 4, 5, dup=False)
    stage.engine.records(2)
    stage.link.close()
    stage.link = stage.broker.accept()
    stage.engine.say("deliver 0")
    stage.wait_counted(delivered=5)
    let_in(stage)
    same(stage.link, 1, 2, 3, 4, 5)
    all_are_evaluated(stage, [1, 2, 3, 4, 5], 5)


if __name__ == "__main__":
    enginelib.main(globals())
