#!/usr/bin/env python3
"""The admin's HTTP: what it tells is true and closes, what it must not tell is not there, and nobody can hang it or the lane.

The program itself between a real mosquitto and librdkafka's mock cluster. $TOPICRULE is the program, $CLUSTER the cluster.
"""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time

from adminlib import Metrics, connect, exchange, get, get_json
from lib import PROGRAM, ROOT, Daemon, Mosquitto, check, free_port, main, rule, wait_for

CLUSTER = os.path.abspath(os.environ.get("CLUSTER", "build/dev/tests/contract_cluster"))
CANARY = "canary-7bc1"
PAGES = ("/", "/metrics", "/healthz", "/readyz", "/status", "/rules", "/rules/hot", "/rules/nobody", "/secrets", "/nothing")
SECRETS = "secrets: {backends: {files: {type: directory, path: secrets}}}"


class Cluster:
    def __init__(self, cleanup):
        self.child = subprocess.Popen([CLUSTER, "readings", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # pylint: disable=consider-using-with
        cleanup.callback(self.end)
        self.servers = self.child.stdout.readline().strip()

    def end(self):
        self.child.send_signal(signal.SIGCONT)
        self.child.kill()
        self.child.wait()


def put_secret(daemon, name, value):
    folder = os.path.join(daemon.folder, "secrets")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(value)
    return path


def stage(folder, cleanup, rules=None, more="", listen="unix:admin.sock"):
    cluster, broker = Cluster(cleanup), Mosquitto(folder).start()
    cleanup.callback(broker.stop)
    if not listen:
        listen = f"127.0.0.1:{free_port()}"
    rules = rules or {"hot": rule("SELECT n FROM 'plant/#' WHERE n > 0", "readings", cluster.servers)}
    daemon = Daemon(folder, broker, {name: made(cluster) if callable(made) else made for name, made in rules.items()},
                    more=f"admin: {{listen: '{listen}'}}\n{more}")
    cleanup.callback(daemon.stop)
    return cluster, broker, daemon, int(listen.split(":")[1]) if listen[0] == "1" else os.path.join(daemon.folder, "admin.sock")


def at_rest(where, evaluations):
    """The metrics once rules have looked that often and every message is acknowledged; those after, as a page is no instant."""
    first = None

    def look():
        nonlocal first
        metrics = Metrics(where)
        if (metrics("topicrule_evaluations_total") < evaluations or metrics("topicrule_records_in_flight") > 0
                or metrics("topicrule_mqtt_acknowledged_total") < metrics("topicrule_mqtt_messages_total")):
            return None
        first = first or metrics
        return metrics if metrics("topicrule_uptime_seconds") > first("topicrule_uptime_seconds") else None

    return wait_for(look, f"{evaluations} evaluations settled", 120)


def sums_close(folder, cleanup):
    _, broker, daemon, where = stage(folder, cleanup, {
        "hot": lambda c: rule("SELECT n FROM 'plant/#' WHERE n > 5", "readings", c.servers),
        "twice": lambda c: rule("SELECT n FROM 'plant/a'", "readings", c.servers, "errors", key="${n + 1}"),
        "wrong": lambda c: rule("SELECT get_secret(topic(1), 'SecretString', '') AS x FROM 'plant/b'", "readings", c.servers),
        "report": lambda c: rule("SELECT get_secret(topic(1), 'SecretString', '') AS x FROM 'plant/b'", "readings", c.servers, "errors"),
    }, more=SECRETS)
    os.mkdir(os.path.join(daemon.folder, "secrets"), 0o700)
    daemon.start()
    for number in range(10):
        broker.publish("plant/a", json.dumps({"n": number}))
    for _ in range(3):
        broker.publish("plant/b", '{"n": 1}')
    broker.publish("plant/c", "no JSON")
    metrics = at_rest(where, 14 + 10 + 3 + 3)
    metrics.check_sums()
    check(metrics("topicrule_ready") == 1 and metrics("topicrule_rules") == 4, "ready, with four rules")
    check(metrics("topicrule_evaluations_total") == 14 + 10 + 3 + 3, "every rule that heard it was evaluated")
    check(metrics("topicrule_rule_evaluation_results_total", rule="hot", result="matched") == 4, "hot matched 4")
    check(metrics("topicrule_rule_evaluation_results_total", rule="hot", result="filtered") == 10, "hot filtered 10")
    check(metrics("topicrule_rule_evaluation_results_total", rule="wrong", result="failed") == 3, "wrong failed 3 times")
    check(metrics("topicrule_rule_actions_total", rule="twice", outcome="delivered") == 10, "twice delivered 10")
    check(metrics("topicrule_rule_actions_total", rule="report", outcome="error_action") == 3, "report reported 3")
    check(metrics("topicrule_rule_actions_total", rule="wrong", outcome="error_action") == 0, "wrong reported none")
    check(metrics("topicrule_mqtt_not_json_total") == 1, "one was no JSON")
    check(metrics.total("topicrule_client_ready") >= 1, "the client is ready")
    check(metrics("process_resident_memory_bytes") > 1 << 20 and metrics("process_open_fds") > 3, "the process is seen")
    one = get_json(where, "/rules/hot")
    check(one["filter"] == "plant/#" and one["counters"]["matched"] == 4 and one["counters"]["delivered"] == 4, f"/rules/hot: {one}")
    check([each["name"] for each in get_json(where, "/rules")] == ["hot", "report", "twice", "wrong"], "/rules by name")
    status = get_json(where, "/status")
    check(status["ready"] and status["problem"] is None and status["mqtt"]["subscribed"], f"/status: {status}")
    check("connected to mqtt://" in status["mqtt"]["text"] and status["counters"]["evaluated"] == 30, f"/status: {status}")
    check(all(client["state"] == "ready" for client in status["clients"]), f"/status: {status['clients']}")


def documents_name_what_is_there(folder, cleanup):
    _, _, daemon, where = stage(folder, cleanup, more=SECRETS)
    os.mkdir(os.path.join(daemon.folder, "secrets"), 0o700)
    daemon.start()
    told = {name for name, _ in Metrics(where).values if name.startswith("topicrule_")}
    with open(os.path.join(ROOT, "docs/operations.md"), encoding="utf-8") as file:
        named = set(re.findall(r"\btopicrule_[a-z_]*[a-z]\b", file.read()))
    named |= {name.replace("topicrule_", "topicrule_rule_", 1) for name in named} & told
    check(told <= named, f"docs/operations.md says nothing of {sorted(told - named)}")
    check(named <= told, f"docs/operations.md has, and the page has not, {sorted(named - told)}")


def what_waits_on_disk_is_told(folder, cleanup):
    cluster, broker, daemon, where = stage(folder, cleanup)
    daemon.start()
    broker.publish("plant/a", '{"n": 1}')
    at_rest(where, 1)
    cluster.child.send_signal(signal.SIGSTOP)
    for number in range(20):
        broker.publish("plant/a", json.dumps({"n": number + 1}))
    metrics = at_rest(where, 21)  # acknowledged, though Kafka is silent
    metrics.check_sums()
    check(metrics("topicrule_store_rows") == 20 and metrics("topicrule_rule_records_stored_total", rule="hot") == 20, "20 on disk")
    check(metrics("topicrule_store_healthy") == 1 and metrics("topicrule_store_gone_rows") == 0, "the store is fine, the rule is there")
    out = ask("status", "-c", daemon.conf)[1]
    check("20 for 'readings' of rule hot" in out and "store          fine     20 waiting" in out, out)
    wait_for(lambda: daemon.process.said("rule hot: 20 records for 'readings' on the disk, to be delivered first"), "the log tells of it")
    daemon.stop()

    os.rename(os.path.join(daemon.folder, "rules/hot.json"), os.path.join(daemon.folder, "rules/cold.json"))
    daemon.start()
    wait_for(lambda: Metrics(where)("topicrule_store_gone_rows") == 20, "rows whose rule is gone")
    metrics = Metrics(where)
    metrics.check_sums()
    check(metrics("topicrule_records_recovered_total") == 20, "found at the start")
    check("no rule has this action any more" in ask("status", "-c", daemon.conf)[1], "status says whom they wait for")
    daemon.stop()

    os.rename(os.path.join(daemon.folder, "rules/cold.json"), os.path.join(daemon.folder, "rules/hot.json"))
    begins = "rule hot: 20 records for 'readings' on the disk"
    told = len(daemon.process.lines(begins))
    daemon.start()
    wait_for(lambda: len(daemon.process.lines(begins)) > told, "the log tells of it again")
    cluster.child.send_signal(signal.SIGCONT)
    wait_for(lambda: Metrics(where)("topicrule_store_rows") == 0, "Kafka has them all", 120)
    metrics = Metrics(where)
    metrics.check_sums()
    check(metrics("topicrule_rule_actions_total", rule="hot", outcome="delivered") == 20, "delivered")
    wait_for(lambda: daemon.process.said("rule hot: nothing waits on the disk any more; up to 20 records did"), "the log tells of its end")


def what_is_sent_again_adds_up(folder, cleanup):
    rules = {"hot": lambda cluster: rule("SELECT n FROM 'plant/#'", "${'no such name!'}", cluster.servers)}
    _, broker, daemon, where = stage(folder, cleanup, rules)
    daemon.start()
    for number in range(3):
        broker.publish("plant/a", json.dumps({"n": number}))
    at_rest(where, 3).check_sums()
    check(ask("dead", "retry", "-c", daemon.conf, "--all")[0] == 0, "retry")
    wait_for(lambda: Metrics(where)("topicrule_actions_total", outcome="dead") == 6, "failed again")
    wait_for(lambda: Metrics(where)("topicrule_records_recovered_total") == 3, "counted as back")
    wait_for(lambda: Metrics(where)("topicrule_store_rows") == 0, "no row is left")
    Metrics(where).check_sums()


def readiness_follows_the_broker(folder, cleanup):
    _, broker, daemon, where = stage(folder, cleanup)
    daemon.start()
    check(get(where, "/readyz") == (200, "ready\n"), "ready")
    check(get(where, "/healthz") == (200, "ok\n"), "healthy")
    broker.stop()
    wait_for(lambda: get(where, "/readyz")[0] == 503, "503 while the broker is away")
    check("broker" in get(where, "/readyz")[1], "and says why")
    check(get(where, "/healthz")[0] == 200, "the process itself works")
    wait_for(lambda: "trying again" in get_json(where, "/status")["mqtt"]["text"], "what MQTT says")
    broker.start()
    wait_for(lambda: get(where, "/readyz")[0] == 200, "ready again")


def secrets_are_named_and_never_shown(folder, cleanup):
    def with_secret(cluster):
        return rule("SELECT n, get_secret('door', 'SecretString', '') = 'x' AS open FROM 'plant/#'", "readings", cluster.servers,
                    properties={"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "u",
                                "sasl.password": "${get_secret('kafka', 'SecretString', 'password', '')}"})

    _, broker, daemon, where = stage(folder, cleanup, {"hot": with_secret},
                                     more=SECRETS.replace("secrets: {", "secrets: {cache: 1s, "))
    put_secret(daemon, "door", CANARY)
    path = put_secret(daemon, "kafka.json", json.dumps({"password": CANARY}))
    daemon.start()
    broker.publish("plant/a", '{"n": 1}')
    wait_for(lambda: Metrics(where)("topicrule_evaluations_total") == 1, "the message")
    listed = {entry["id"]: entry for entry in get_json(where, "/secrets")["secrets"]}
    check(listed["kafka"]["users"] == [{"rule": "hot", "field": "actions[0].kafka.clientProperties.sasl.password"}], f"users: {listed}")
    check(listed["door"]["users"] == [{"rule": "hot", "field": "sql"}], f"users: {listed}")
    check(listed["kafka"]["age_s"] is not None and not listed["kafka"]["stale"] and not listed["kafka"]["problem"], f"{listed}")
    check(Metrics(where)("topicrule_secrets_kept", backend="files", type="directory") == 2, "two are kept")
    os.rename(path, path + ".away")
    wait_for(lambda: Metrics(where)("topicrule_secrets_missing", backend="files", type="directory") == 1, "one is missing", 90)
    found = "".join(get(where, page)[1] for page in PAGES)
    check(CANARY not in found, "a secret's value on a page")
    check("kafka" not in "".join(line for line in Metrics(where).text.split("\n") if line.startswith("topicrule_secrets")),
          "a secret's id in a metric")
    os.rename(path + ".away", path)


def only_get_is_known(folder, cleanup):
    _, _, daemon, port = stage(folder, cleanup, listen=None)
    daemon.start()
    for page in PAGES:
        expected = 404 if page in ("/rules/nobody", "/nothing") else 200
        check(get(port, page)[0] == expected, f"GET {page}")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        status, head, _ = exchange(port, f"{method} /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        check(status == 405 and b"Allow: GET, HEAD" in head, f"{method}: {status}")
    status, head, body = exchange(port, b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    check(status == 200 and b"Content-Length" in head and body == b"", "HEAD")
    for host in ("evil.example", "evil.example:80", "10.1.1.1"):
        check(get(port, "/status", host)[0] == 403, f"Host: {host}")
    check(exchange(port, b"GET /readyz HTTP/1.0\r\n\r\n")[0] == 200, "HTTP/1.0")


def hostile(where, stop):
    """All that a client can do wrong, in a loop. Answers do not matter."""
    requests = [
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10000)) + b"\r\n",
        b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n",
        b"GET /rules/" + b"%00%ff../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        b"GET /metrics HTTP/9.9\r\n\r\n", b"\r\n" * 5000, b"\0" * 5000, b"GET", b"",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
    ]
    while not stop.is_set():
        for request in requests:
            with contextlib.suppress(OSError), connect(where, 0.2) as wire:
                wire.sendall(request)
                wire.recv(100)  # and leave in the midst of it


def nobody_can_hang_it(folder, cleanup):
    count = 3000
    _, broker, daemon, where = stage(folder, cleanup)
    daemon.start()
    idle = []
    for number in range(200):
        with contextlib.suppress(OSError):  # the queue may be full already
            wire = connect(where, 0.1)
            idle.append(wire)
            if number % 3 == 1:
                wire.sendall(b"GET /metrics HT")
            elif number % 3 == 2:
                wire.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ")
    check(len(idle) > 60, f"only {len(idle)} connections")
    stop = threading.Event()
    thread = threading.Thread(target=hostile, args=(where, stop), daemon=True)
    thread.start()
    try:
        publisher = broker.publisher("plant/a").start(count, 2000)
        publisher.wait()
        metrics = at_rest(where, count)  # answered, in spite of them all
    finally:
        stop.set()
        thread.join()
        for wire in idle:
            wire.close()
    metrics.check_sums()
    check(metrics("topicrule_rule_actions_total", rule="hot", outcome="delivered") == count, "all are delivered")
    check(metrics("process_open_fds") < 200, f"{metrics('process_open_fds')} files are open")
    check(daemon.process.runs(), "the daemon lives")


def a_slow_reader_is_cut_off(folder, cleanup):
    _, _, daemon, where = stage(folder, cleanup)
    daemon.start()
    with connect(where, 60) as wire:
        end = time.monotonic() + 60
        with contextlib.suppress(OSError):
            wire.sendall(b"GET /metrics HTTP/1.1\r\n")
            while time.monotonic() < end:  # a byte now and then
                wire.sendall(b"X")
                time.sleep(0.1)
        check(time.monotonic() < end, "one byte now and then keeps a connection for ever")
    check(get(where, "/healthz")[0] == 200, "it still answers")


def a_reload_is_asked_for_by_post(folder, cleanup):
    cluster, broker, daemon, where = stage(folder, cleanup, listen=None)
    daemon.start()
    broker.publish("plant/a", '{"n": 1}')
    at_rest(where, 1)

    def post(headers="Host: localhost\r\n", body=b""):
        return exchange(where, f"POST /reload HTTP/1.0\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    check(get_json(where, "/reload") == {"asked": 0, "done": 0, "refused": False, "text": ""}, "none was asked for")
    check(post("Host: localhost\r\nOrigin: http://localhost\r\n")[0] == 403, "a web page may not")
    check(post("Host: elsewhere\r\n")[0] == 403, "nor a name that is not ours")
    status, head, _ = exchange(where, b"PUT /reload HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
    check(status == 405 and b"Allow: GET, HEAD, POST" in head, "PUT is refused")
    check(get_json(where, "/reload")["asked"] == 0, "none of these was one")
    status, _, body = post(body=b"x" * 100000)
    check(status == 202 and json.loads(body) == {"number": 1}, f"{status} {body}")
    wait_for(lambda: get_json(where, "/reload")["done"] == 1, "the reload", 60)
    told = get_json(where, "/reload")
    check(not told["refused"] and told["text"].endswith("reloaded: 1 rule, 1 before\n"), f"{told}")
    with open(os.path.join(daemon.folder, "rules/cold.json"), "w", encoding="utf-8") as file:
        json.dump(rule("SELECT n FROM 'plant/a'", "readings", cluster.servers), file)
    for _ in range(20):  # they are many, and one reload may serve several
        check(post()[0] == 202, "asked")
    broker.publish("plant/a", '{"n": 2}')
    metrics = at_rest(where, 2)
    wait_for(lambda: get_json(where, "/reload")["done"] == 21, "all of them", 120)
    metrics = Metrics(where)
    metrics.check_sums()
    check(metrics("topicrule_rules") == 2, "the new rule is there")
    check(metrics("topicrule_rule_evaluation_results_total", rule="hot", result="matched") == 2, "counters went on")
    post()
    daemon.stop()  # in the middle of one


def the_socket_comes_and_goes(folder, cleanup):
    _, _, daemon, where = stage(folder, cleanup)
    daemon.start()
    mode = os.stat(where).st_mode
    check(stat.S_ISSOCK(mode) and mode & 0o117 == 0, f"mode {oct(mode)}")
    daemon.kill()
    check(os.path.exists(where), "killed, it leaves its socket behind")
    daemon.start()  # which is replaced
    check(get(where, "/healthz")[0] == 200, "it answers again")
    daemon.stop()
    check(not os.path.exists(where), "stopped, it takes its socket away")
    with open(where, "w", encoding="ascii"):
        pass
    daemon.start(wait=False)
    check(daemon.process.child.wait(60) == 2 and daemon.process.said("is no socket"), "it does not start over a file")
    daemon.process = None
    os.unlink(where)


def ask(*arguments):
    """Run the program; its exit status, what it says, what it complains of."""
    done = subprocess.run([PROGRAM, *arguments], check=False, capture_output=True, text=True)
    check("Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr)
    return done.returncode, done.stdout, done.stderr


def the_program_asks_the_daemon(folder, cleanup):
    def with_secret(cluster):
        return rule("SELECT get_secret('door', 'SecretString', '') = 'x' AS open FROM 'plant/#'", "readings", cluster.servers)

    _, broker, daemon, where = stage(folder, cleanup, {"hot": with_secret}, more=SECRETS)
    put_secret(daemon, "door", CANARY)
    status, out, err = ask("status", "-c", daemon.conf)
    check(status == 3 and out == "" and "no daemon answers at unix:" in err and "is it running" in err, f"{status} {err}")
    daemon.start()
    broker.publish("plant/a", '{"n": 1}')
    at_rest(where, 1)
    status, out, err = ask("status", "-c", daemon.conf)
    check(status == 0 and err == "", f"{status} {err}")
    for piece in (": ready\n", "connected to mqtt://", "1 loaded, 0 disabled", "ready    kafka of rule hot actions[0]: ", "answers  files (directory): 1 kept"):
        check(piece in out, f"no '{piece}' in\n{out}")
    check(ask("status", "--admin", f"unix:{where}")[0] == 0, "--admin")
    status, out, err = ask("status", "-c", daemon.conf, "--json")
    check(status == 0 and json.loads(out)["counters"]["evaluated"] == 1, f"{status} {out} {err}")
    status, out, err = ask("secrets", "-c", daemon.conf)
    check(status == 0 and "fresh    files:door" in out and "used by rule hot: sql" in out, f"{status} {out} {err}")
    status, out, err = ask("secrets", "-c", daemon.conf, "--json")
    check(status == 0 and json.loads(out)["secrets"][0]["id"] == "door", f"{status} {out} {err}")
    said = "".join("".join(ask(*command, "-c", daemon.conf)[1:]) for command in (["status"], ["status", "--json"], ["secrets"], ["secrets", "--json"]))
    check(CANARY not in said, "a secret's value")
    broker.stop()
    wait_for(lambda: ask("status", "-c", daemon.conf)[0] == 1, "not ready, once the broker is away")
    check("not ready" in ask("status", "-c", daemon.conf)[1], "and says so")
    broker.start()


def a_start_that_waits_says_for_what(folder, cleanup):
    def with_secret(cluster):
        return rule("SELECT get_secret('door', 'SecretString', '') = 'x' AS open FROM 'plant/#'", "readings", cluster.servers)

    away = f"http://127.0.0.1:{free_port()}"
    _, _, daemon, where = stage(folder, cleanup, {"hot": with_secret}, more=f"secrets: {{at_start: wait, backends: {{v: {{type: vault, address: '{away}', "
                                f"auth.method: token, auth.token: {CANARY}}}}}}}\n")
    daemon.start(wait=False)
    wait_for(lambda: "away     v (vault)" in ask("status", "-c", daemon.conf)[1], "the backend is away")
    status, out, _ = ask("status", "-c", daemon.conf)
    check(status == 1 and re.search(rf"away     v \(vault\): 0 kept, 1 missing, .*; {re.escape(away)}: ", out), out)
    check("mqtt           not connected yet" in out and CANARY not in out, out)
    backend = get_json(where, "/status")["secrets"][0]
    check(backend["away"] and away in backend["problem"], backend)


def the_program_says_why_it_cannot_ask(folder, _):
    port = free_port()
    conf = os.path.join(folder, "t.yaml")
    for listen, status, text in (("off", 2, "is off"), ("0.0.0.0:1", 2, "only this machine"), (f"127.0.0.1:{port}", 3, "Connection refused"),
                                 ("unix:none.sock", 3, "is it running"), ("[::1]:1", 3, "no daemon answers at [::1]:1")):
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"mqtt: {{url: 'mqtt://localhost'}}\nrules: r\nadmin: {{listen: '{listen}'}}\n")
        for options in (["-c", conf], ["--admin", listen]):
            if listen.startswith("unix") and options[0] == "--admin":
                continue
            for command in ("status", "secrets"):
                got, out, err = ask(command, *options)
                check(got == status and out == "" and text in err, f"{command} {options}: {got} {err}")
    check(ask("status", "-c", os.path.join(folder, "none.yaml"))[0] == 2, "no configuration")
    for answer in (b"", b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\n\r\n[1]", b"HTTP/1.1 200 OK\r\n\r\n{", b"\0" * 1000,
                   b"HTTP/1.0 503 x\r\n\r\n\x1b[2Jno"):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
            thread = threading.Thread(target=answer_once, args=(server, answer), daemon=True)
            thread.start()
            got, out, err = ask("status", "--admin", f"127.0.0.1:{server.getsockname()[1]}")
            thread.join()
            check(got == 2 and out == "" and err and "\x1b" not in err, f"{answer}: {got} {err}")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:  # accepts, and is silent
        got, _, err = ask("status", "--admin", f"127.0.0.1:{server.getsockname()[1]}")
        check(got == 3 and "no answer" in err, f"{got} {err}")


def answer_once(server, answer):
    with contextlib.closing(server.accept()[0]) as wire:
        wire.recv(1000)
        wire.sendall(answer)


main(the_program_asks_the_daemon, a_start_that_waits_says_for_what, the_program_says_why_it_cannot_ask, sums_close,
     documents_name_what_is_there, what_waits_on_disk_is_told, what_is_sent_again_adds_up, readiness_follows_the_broker,
     secrets_are_named_and_never_shown, only_get_is_known, nobody_can_hang_it, a_slow_reader_is_cut_off, a_reload_is_asked_for_by_post,
     the_socket_comes_and_goes)
