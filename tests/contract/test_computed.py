"""Secrets whose ids messages compute: fetched beside the lane while it reads no further, bounded, allowed by pattern, and after
delivery.hold an SQL error; with no acknowledgement before, whatever the connection does meanwhile."""

import json
import threading
import time

import enginelib
from broker import Failed
from enginelib import Stage, rule, wait_for
from secretslib import CANARY, Fake

ALLOW = 'allow: ["device/*"], '
ASKS = "get_secret(concat('device/', topic(2)), 'SecretString', 'k', '')"


class Vault:
    """Answers each id as told; `gate` closed: not before it opens."""

    def __init__(self, cleanup):
        self.gate, self.asked, self.values, self.sealed = threading.Event(), [], {}, False
        self.gate.set()
        self.fake = Fake(self.answer)
        cleanup.callback(self.fake.close)
        cleanup.callback(self.gate.set)

    def answer(self, _method, path, _headers, _body):
        if path.endswith("lookup-self"):
            return 200, {}, {"data": {"ttl": 0}}
        name = path.removeprefix("/v1/secret/data/")
        self.asked.append(name)
        self.gate.wait(60)
        if self.sealed:
            return 503, {}, {}
        value = self.values.get(name, f"of {name}" if name.startswith("device/known") else None)
        if value is None:
            return 404, {}, {}
        return 200, {}, {"data": {"data": {"k": value}, "metadata": {"version": 1}}}

    def more(self, allow=ALLOW, hold="60s"):
        options = {"v": {"type": "vault", "address": self.fake.url, "auth": {"method": "token", "token": "t" + CANARY}}}
        return f"secrets: {{{allow}backends: {json.dumps(options)}}}\ndelivery: {{hold: {hold}}}\n"


def make(cleanup, rules=None, subscribes=1, **how):
    vault = Vault(cleanup)
    config = {key: how.pop(key) for key in ("allow", "hold") if key in how}
    vault_more = vault.more(**config)
    stage = Stage(cleanup, rules=rules or {"r": rule(f"SELECT n, {ASKS} AS s FROM 'plant/#'", error="failed")}, more=vault_more,
                  subscribes=subscribes, **how)
    return stage, vault


def publish(stage, name, n, mid=0, link=None, **how):
    (link or stage.link).publish(f"plant/{name}", json.dumps({"n": n}).encode(), mid=mid, **how)


def payloads(stage, count):
    return [json.loads(record[3]) for record in stage.engine.records(count)]


def failure(stage, topic="failed"):
    record = stage.engine.records(1)[0]
    assert record[1] == topic, record
    return json.loads(record[3])["failures"][0]["errorMessage"]


def the_lane_waits_and_reads_no_further(cleanup, qos=1):
    stage, vault = make(cleanup)
    stage.engine.say("auto on")
    vault.gate.clear()
    publish(stage, "known1", 1, 1 if qos else 0)
    wait_for(lambda: vault.asked, "a request")
    publish(stage, "known2", 2, 2 if qos else 0)
    stage.engine.no_record(1)
    stage.link.quiet(0.3)
    assert vault.asked == ["device/known1"], vault.asked
    vault.gate.set()
    assert payloads(stage, 2) == [{"n": 1, "s": "of device/known1"}, {"n": 2, "s": "of device/known2"}]
    if qos:
        stage.link.pubacks([1, 2])
    publish(stage, "known1", 3, 3 if qos else 0)
    assert payloads(stage, 1) == [{"n": 3, "s": "of device/known1"}]
    assert vault.asked == ["device/known1", "device/known2"], vault.asked
    counters = stage.engine.counters()
    assert counters["received"] == 3 and counters["matched"] == 3 and counters["failed"] == 0, counters


def the_lane_waits_and_reads_no_further_qos_0(cleanup):
    the_lane_waits_and_reads_no_further(cleanup, 0)


def all_rules_of_a_message_wait_together(cleanup):
    rules = {"a": rule("SELECT n FROM 'plant/#'", topic="a"), "b": rule(f"SELECT n, {ASKS} AS s FROM 'plant/#'", topic="b"),
             "c": rule("SELECT n FROM 'plant/#'", topic="c.${get_secret(concat('device/', topic(2), '-2'), 'SecretString', 'k', '')}")}
    stage, vault = make(cleanup, rules)
    vault.values["device/known-2"] = "second"
    vault.gate.clear()
    publish(stage, "known", 1, 1)
    wait_for(lambda: vault.asked, "a request")
    stage.engine.no_record(0.5)
    vault.gate.set()
    assert sorted(record[1] for record in stage.engine.records(3)) == ["a", "b", "c.second"]
    assert vault.asked == ["device/known", "device/known-2"], vault.asked
    stage.link.quiet()
    stage.engine.say("deliver 0")
    stage.link.pubacks([1])
    assert stage.engine.counters()["matched"] == 3, "a rule was counted twice"


def what_is_not_there_is_an_error_and_believed(cleanup):
    stage, vault = make(cleanup)
    stage.engine.say("auto on")
    for n in range(1, 6):
        publish(stage, "missing", n, n)
        text = failure(stage)
        assert "there is nothing" in text and "device/missing" in text, text
    stage.link.pubacks(range(1, 6))
    assert vault.asked == ["device/missing"], vault.asked


def after_the_hold_it_is_an_error(cleanup):
    stage, vault = make(cleanup, hold="300ms")
    stage.engine.say("auto on")
    vault.gate.clear()
    publish(stage, "known1", 1, 1)
    assert "has not come in time" in failure(stage)
    stage.link.pubacks([1])
    publish(stage, "known1", 2, 2)  # still being fetched: it waits for that one
    assert "has not come in time" in failure(stage)
    vault.gate.set()
    wait_for(lambda: vault.asked == ["device/known1"], "one request")
    end = time.monotonic() + 30
    for n in range(3, 1000):
        publish(stage, "known1", n, n)
        record = stage.engine.records(1)[0]
        if record[1] == "readings":
            break
        if time.monotonic() > end:
            raise Failed("it never came")


def a_backend_that_is_away_is_an_error(cleanup):
    stage, vault = make(cleanup)
    stage.engine.say("auto on")
    publish(stage, "known1", 1, 1)
    payloads(stage, 1)
    vault.sealed = True
    publish(stage, "known2", 2, 2)
    assert "secret \"device/known2\" in backend \"v\"" in failure(stage)
    publish(stage, "known1", 3, 3)
    assert payloads(stage, 1)[0]["s"] == "of device/known1", "the last good value"
    stage.link.pubacks([1, 2, 3])


def ids_that_are_not_allowed_are_never_asked_for(cleanup):
    sql = "SELECT n, get_secret(topic(2), 'SecretString', 'k', '') AS s FROM 'plant/#'"
    stage, vault = make(cleanup, {"r": rule(sql, error="failed")}, allow='allow: ["device-*"], ')
    stage.engine.say("auto on")
    hostile = ["kafka", "device-", "..", "v:device-1", "v:kafka", "\u00e4", "a" * 300]
    for n, name in enumerate(hostile, 1):
        publish(stage, name, n, n)
        text = failure(stage)
        assert "no pattern of secrets.allow" in text, text
    stage.link.pubacks(range(1, len(hostile) + 1))
    assert not vault.asked, vault.asked


def a_secret_that_another_rule_names_is_not_for_messages(cleanup):
    vault = Vault(cleanup)
    vault.values["kafka"] = CANARY
    rules = {"named": rule("SELECT get_secret('kafka', 'SecretString', 'k', '') = 'x' AS s FROM 'other'", topic="named"),
             "r": rule("SELECT n, get_secret(topic(2), 'SecretString', 'k', '') AS s FROM 'plant/#'", error="failed")}
    stage = Stage(cleanup, rules=rules, more=vault.more())
    stage.engine.say("auto on")
    publish(stage, "kafka", 1, 1)
    assert "no pattern of secrets.allow" in failure(stage)
    assert vault.asked == ["kafka"], vault.asked


def without_the_key_no_id_is_allowed(cleanup):
    stage, vault = make(cleanup, allow="")
    stage.engine.say("auto on")
    publish(stage, "known1", 1, 1)
    assert "secrets.allow" in failure(stage)
    assert not vault.asked, vault.asked


def a_default_in_the_statement_does_not_hide_that_it_is_not_known_yet(cleanup):
    stage, vault = make(cleanup, {"r": rule(f"SELECT n, get_or_default({ASKS}, 'none') AS s FROM 'plant/#'")})
    stage.engine.say("auto on")
    publish(stage, "known1", 1, 1)
    publish(stage, "missing", 2, 2)
    assert [one["s"] for one in payloads(stage, 2)] == ["of device/known1", "none"]
    assert vault.asked == ["device/known1", "device/missing"], vault.asked


def a_lost_connection_forgets_what_comes_again(cleanup):
    stage, vault = make(cleanup)
    stage.engine.say("auto on")
    vault.gate.clear()
    publish(stage, "known1", 1, 1)
    wait_for(lambda: vault.asked, "a request")
    stage.link.close()
    link = stage.broker.accept()
    link.connack(session=True)
    link.subscribes()
    publish(stage, "known1", 1, 1, link, dup=True)
    stage.engine.no_record(0.5)
    vault.gate.set()
    assert payloads(stage, 1) == [{"n": 1, "s": "of device/known1"}]
    link.pubacks([1])
    stage.engine.no_record(0.5)


def a_lost_session_does_not_lose_it(cleanup, qos=1):
    stage, vault = make(cleanup)
    stage.engine.say("auto on")
    vault.gate.clear()
    publish(stage, "known1", 1, 1 if qos else 0)
    wait_for(lambda: vault.asked, "a request")
    stage.link.close()
    link = stage.broker.accept()
    link.connack(session=False)
    vault.gate.set()
    assert payloads(stage, 1) == [{"n": 1, "s": "of device/known1"}]
    link.subscribes()
    publish(stage, "known1", 2, 7, link)
    assert payloads(stage, 1)[0]["n"] == 2
    link.pubacks([7])


def a_lost_session_does_not_lose_it_qos_0(cleanup):
    a_lost_session_does_not_lose_it(cleanup, 0)


def at_the_end_it_is_settled_first(cleanup):
    stage, vault = make(cleanup)
    stage.engine.say("auto on")
    vault.gate.clear()
    publish(stage, "known1", 1, 1)
    wait_for(lambda: vault.asked, "a request")
    stage.engine.stop()
    stage.engine.wait_said("stopping")
    stage.link.quiet(0.5)
    vault.gate.set()
    assert payloads(stage, 1) == [{"n": 1, "s": "of device/known1"}]
    stage.link.pubacks([1])
    stage.link.wait_closed()
    stage.link.close()
    assert stage.engine.end() == 0


def at_the_end_a_backend_that_hangs_is_left(cleanup):
    stage, vault = make(cleanup, hold="300ms")
    stage.engine.say("auto on")
    vault.gate.clear()
    publish(stage, "known1", 1, 1)
    wait_for(lambda: vault.asked, "a request")
    stage.link.close()  # so it cannot be settled
    stage.broker.close()
    stage.engine.stop()
    assert stage.engine.end() == 0


def many_ids_are_bounded(cleanup):
    """Many more than are kept: each is right, memory does not grow with them, and a known one is still served at once."""
    count = 1200
    stage, vault = make(cleanup, env={"ASAN_OPTIONS": "quarantine_size_mb=1"})
    stage.engine.say("auto on")

    def memory():
        with open(f"/proc/{stage.engine.child.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def flood(first, last):
        for start in range(first, last, 100):
            stage.link.send(b"".join(stage.link.publish_bytes(f"plant/known{n}", json.dumps({"n": n}).encode(), mid=n % 60000 + 1)
                                     for n in range(start, start + 100)))
            for one in payloads(stage, 100):
                assert one["s"] == f"of device/known{one['n']}", one
            stage.link.pubacks([n % 60000 + 1 for n in range(start, start + 100)])

    flood(0, count)
    filled = memory()
    flood(count, 2 * count)
    assert memory() < filled + 16384, f"from {filled} to {memory()} KiB"
    asked = len(vault.asked)
    assert asked == 2 * count, asked
    flood(2 * count - 1000, 2 * count)
    assert len(vault.asked) == asked, "the last thousand are kept"


SCENARIOS = [the_lane_waits_and_reads_no_further, the_lane_waits_and_reads_no_further_qos_0, all_rules_of_a_message_wait_together,
             what_is_not_there_is_an_error_and_believed, after_the_hold_it_is_an_error, a_backend_that_is_away_is_an_error,
             ids_that_are_not_allowed_are_never_asked_for, a_secret_that_another_rule_names_is_not_for_messages,
             without_the_key_no_id_is_allowed, a_default_in_the_statement_does_not_hide_that_it_is_not_known_yet,
             a_lost_connection_forgets_what_comes_again, a_lost_session_does_not_lose_it, a_lost_session_does_not_lose_it_qos_0,
             at_the_end_it_is_settled_first, at_the_end_a_backend_that_hangs_is_left, many_ids_are_bounded]


if __name__ == "__main__":
    enginelib.main({scenario.__name__: scenario for scenario in SCENARIOS})
