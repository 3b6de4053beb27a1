#!/usr/bin/env python3
"""Topic filters over changes of the rules: packet scripts against the engine with a store.

    test_filters.py [SCENARIO...]       all, or those named
"""

import tempfile

import enginelib
from enginelib import Stage, rule

BOTH = {"all": rule("SELECT n FROM 'a/#'", "all"), "one": rule("SELECT n FROM 'a/+'", "one")}


def stage_with_store(cleanup, rules):
    folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="topicrule-"))
    stage = Stage(cleanup, rules=rules, more=f"delivery: {{store: {{path: {folder}/store.db}}}}", connect=False)
    return stage, let_in(stage, False)


def let_in(stage, session, subscribes=2, gone=()):
    """The identifiers that the filters were subscribed with, before those that are gone are unsubscribed."""
    stage.link = stage.broker.accept()
    stage.link.connack(session=session)
    found = {name: asked.id for asked in stage.link.subscribes(subscribes) for name, _ in asked.filters}
    if gone:
        assert stage.link.unsubscribe() == list(gone)
    return found


def restart(stage, rules):
    link, stage.link = stage.link, None
    stage.engine.stop()
    link.wait_closed()
    link.close()
    stage.engine.restart(rules)


def identifiers_are_kept(cleanup):
    stage, first = stage_with_store(cleanup, BOTH)
    assert len(set(first.values())) == 2 and min(first.values()) > 1, first
    # Another rule comes first, and all of them overlap.
    restart(stage, {"a-new-one": rule("SELECT n FROM '#'", "new"), **BOTH})
    second = let_in(stage, True, 3)
    assert {name: second[name] for name in first} == first and second["#"] not in first.values(), (first, second)


def what_is_gone_is_unsubscribed(cleanup):
    stage, first = stage_with_store(cleanup, BOTH)
    restart(stage, {"all": BOTH["all"]})
    second = let_in(stage, True, 1, ["a/+"])
    assert list(second) == ["a/#"], second
    # What the broker had queued for it still comes, under the old identifiers: two copies of one message.
    stage.link.send(stage.link.publish_bytes("a/b", b'{"n":1}', mid=1, ids=[first["a/+"]])
                    + stage.link.publish_bytes("a/b", b'{"n":1}', mid=2, ids=[first["a/#"]]))
    assert stage.engine.records(1)[0][1] == "all"
    stage.engine.no_record()
    stage.engine.say("deliver 0")
    stage.link.pubacks([1, 2])
    stage.link.unsuback()
    stage.engine.wait_said("1 topic filters that no rule has any more are unsubscribed")
    stage.link.publish("a/b", b'{"n":2}', mid=3, ids=[second["a/#"]])
    assert stage.engine.records(1)[0][1] == "all"
    stage.engine.say("deliver 0")
    stage.link.pubacks([3])
    # Forgotten for good: the next start has nothing to unsubscribe.
    restart(stage, {"all": BOTH["all"]})
    let_in(stage, True, 1)
    stage.link.quiet(1)


def unanswered_is_asked_again(cleanup):
    stage, _ = stage_with_store(cleanup, BOTH)
    restart(stage, {"all": BOTH["all"]})
    for _ in range(2):
        let_in(stage, True, 1, ["a/+"])
        stage.link.close()


def a_filter_that_comes_back_has_its_identifier(cleanup):
    stage, first = stage_with_store(cleanup, BOTH)
    restart(stage, {"all": BOTH["all"]})
    let_in(stage, True, 1, ["a/+"])
    stage.link.unsuback()
    stage.engine.wait_said("are unsubscribed")
    restart(stage, BOTH)
    assert let_in(stage, True) == first


if __name__ == "__main__":
    enginelib.main(globals())
