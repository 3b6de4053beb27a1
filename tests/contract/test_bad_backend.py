"""A backend that goes wrong while the daemon runs, in every way: messages go on with the last good value, one line says why and one
that it is over, and the new value is used when there is one."""

import json
import time

import enginelib
from broker import Failed
from enginelib import Stage, rule, wait_for
from secretslib import CANARY, Fake

GOOD = {"data": {"data": {"k": "one"}, "metadata": {"version": 1}}}


def silent(_connection):
    time.sleep(20)


def half(connection):
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"data": {"data": {"k": "' + CANARY.encode())
    connection.close()


# What it answers, and what the log says of it. None: nothing, because this one secret is at fault, not the backend.
FAULTS = [("sealed", (503, {}, {"errors": [CANARY]}), "is sealed or in maintenance"),
          ("limited", (429, {}, {}), "limits our requests"),
          ("a fault of its own", (500, {}, {"errors": ["oops"]}), "answers with status 500"),
          ("half an answer", half, "backend \"v\" is away"),
          ("nonsense", (200, {}, "<html>"), "is the address right?"),
          ("silence", silent, "no answer from"),
          ("denied", (403, {}, {"errors": ["permission denied"]}), None),
          ("ten megabytes", (200, {}, b"x" * 10_000_000), None),
          ("without the member", (200, {}, {"data": {"data": {"other": CANARY}, "metadata": {"version": 2}}}), None),
          ("bytes", (200, {}, {"data": {"data": {"SecretBinary": "AAEC/w=="}, "metadata": {"version": 2}}}), None),
          ("an empty secret", (200, {}, {"data": {"data": {}, "metadata": {"version": 2}}}), None),
          ("no secret at all", (200, {}, {"data": None}), None)]


def survives(cleanup, name, fault, words):
    state = {"answer": (200, {}, GOOD), "asked": 0}

    def handler(_method, path, _headers, _body):
        if path.endswith("lookup-self"):
            return 200, {}, {"data": {"ttl": 0}}
        state["asked"] += 1
        return state["answer"]

    fake = Fake(handler)
    cleanup.callback(fake.close)
    options = {"v": {"type": "vault", "address": fake.url, "auth": {"method": "token", "token": "t" + CANARY}}}
    stage = Stage(cleanup, rules={"r": rule("SELECT n, get_secret('s', 'SecretString', 'k', '') AS s FROM 'plant/#'", error="failed")},
                  more=f"secrets: {{cache: 1s, backends: {json.dumps(options)}}}\n")
    stage.engine.say("auto on")

    def publish(n):
        stage.publish(n, n)
        record = stage.engine.records(1)[0]
        if record[1] != "readings":
            raise Failed(f"{name}: {record}")
        stage.link.pubacks([n])
        return json.loads(record[3])["s"]

    assert publish(1) == "one"
    state["answer"], asked = fault, state["asked"]
    wait_for(lambda: state["asked"] > asked, f"a request that meets {name}")
    if words:
        stage.engine.wait_said(words)
    for n in range(2, 5):
        assert publish(n) == "one", name
        time.sleep(0.2)
    state["answer"] = (200, {}, {"data": {"data": {"k": "two"}, "metadata": {"version": 3}}})
    for n in range(5, 400):
        if publish(n) == "two":
            break
        time.sleep(0.2)
    else:
        raise Failed(f"{name}: the new value never came")
    with open(f"{stage.engine.folder}/log", encoding="utf-8", errors="replace") as file:
        log = file.read()
    if CANARY in log:
        raise Failed(f"{name}: a secret is in the log")
    if words and (log.count("is away") != 1 or log.count("answers again") != 1):
        raise Failed(f"{name}: not one line each: {log}")


SCENARIOS = []
for fault_row in FAULTS:
    def scenario(cleanup, row=fault_row):
        survives(cleanup, *row)

    scenario.__name__ = fault_row[0].replace(" ", "_")
    SCENARIOS.append(scenario)


if __name__ == "__main__":
    enginelib.main({scenario.__name__: scenario for scenario in SCENARIOS})
