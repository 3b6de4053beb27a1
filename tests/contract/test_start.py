"""`topicrule run` and the secrets that it needs: what is missing ends it with every name, a backend that is away is waited for where
the configuration says so, and nothing is heard before all of them were there."""

import json
import os
import signal
import socket
import subprocess
import time

import adminlib
from broker import Broker
from secretslib import CANARY, Failed, Fake, check, main, wait_for

PROGRAM = os.path.abspath(os.environ.get("TOPICRULE", "build/dev/topicrule"))


def secret(name, key=None):
    return f"get_secret('{name}', 'SecretString', '{key}', '')" if key else f"get_secret('{name}', 'SecretString', '')"


def rule(sql="SELECT * FROM 'a/b'", topic="t", password="x", **more):
    return {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [{"kafka": {"topic": topic, **more, "clientProperties": {
        "bootstrap.servers": "127.0.0.1:1", "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
        "sasl.plain.username": "u", "sasl.plain.password": password}}}]}


class Stage:
    """The program before a broker and, if there is one, a Vault."""

    def __init__(self, folder, rules, backends, more="", mqtt=""):
        self.broker, self.folder = Broker(), folder
        os.makedirs(f"{folder}/rules")
        for name, document in rules.items():
            with open(f"{folder}/rules/{name}.json", "w", encoding="utf-8") as file:
                json.dump(document, file)
        with open(f"{folder}/c.yaml", "w", encoding="utf-8") as file:
            file.write(f"mqtt:\n  url: mqtt://127.0.0.1:{self.broker.port}\n{mqtt}\nrules: rules\nsecrets: {{{more}"
                       f"backends: {json.dumps(backends)}}}\nlog: {{level: debug}}\nadmin: {{listen: 'unix:{folder}/admin'}}\n")
        self.notices, self.status = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), []
        self.notices.bind(f"{folder}/notify")
        self.notices.setblocking(False)
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            self.child = subprocess.Popen([PROGRAM, "run", "-c", f"{folder}/c.yaml"], stderr=log,
                                          env={**os.environ, "NOTIFY_SOCKET": f"{folder}/notify"})

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def told(self):
        """What systemd was told."""
        try:
            while True:
                self.status.append(self.notices.recv(65536).decode())
        except BlockingIOError:
            return "\n".join(self.status)

    def ends(self, status, seconds=60):
        try:
            found = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"it does not end:\n{self.log()[-3000:]}") from None
        check(found == status, f"ended with {found}:\n{self.log()[-3000:]}")
        check("Sanitizer" not in self.log(), self.log()[-3000:])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        text = self.log() + self.told()
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.broker.close()
        self.notices.close()
        if kind:
            print(text[-4000:])
        check(CANARY not in text, "a secret is shown")
        check(kind or not ("Sanitizer" in text or "runtime error" in text), text[-3000:])


def vault(port=0, status=200):
    """Every secret is there, with every member; or each request has that status."""

    def handler(_method, path, _headers, _body):
        if path.endswith("lookup-self"):
            return 200, {}, {"data": {"ttl": 0}}
        return status, {}, {"data": {"data": {"password": CANARY, "k": CANARY}, "metadata": {"version": 1}}} if status == 200 else {}

    return Fake(handler, port=port)


def options(port):
    return {"vault": {"type": "vault", "address": f"http://127.0.0.1:{port}", "auth": {"method": "token", "token": "t" + CANARY}}}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


NEEDED = {"one": rule(f"SELECT {secret('s1')} AS s FROM 'a/b'"),
          "two": rule(topic="t.${" + secret("s2") + "}", password="${" + secret("s3", "password") + "}",
                      headers=[{"key": "k", "value": "${" + secret("s4") + "}"}])}


def all_that_is_missing_is_named(folder):
    os.mkdir(f"{folder}/store", 0o700)
    files = {"files": {"type": "directory", "path": "store"}}
    with Stage(folder, NEEDED, files, mqtt="  username: u\n  password: ${" + secret("s5") + "}") as stage:
        stage.ends(2)
        text = stage.log()
        for words in ('one.json: sql: secret "s1" in backend "files"', 'two.json: actions[0].kafka.topic: secret "s2" in backend "files"',
                      'two.json: actions[0].kafka.headers[0]: secret "s4"', 'c.yaml: mqtt.password: 4:', 'secret "s5" in backend "files"'):
            check(words in text, f"no {words} in {text}")
        check("two.json: actions[0].kafka.clientProperties.sasl.plain.password: " in text and 'secret "s3"' in text, text)
        check("there is neither a file" in text and "(5 secrets)" in text, text)
        stage.broker.nobody(0.2)


def no_backend_at_all_is_said(folder):
    with Stage(folder, {"one": NEEDED["one"]}, {}) as stage:
        stage.ends(2)
        check("configure one under secrets.backends" in stage.log(), stage.log())


def a_member_that_is_missing_ends_it_also_where_backends_are_waited_for(folder):
    fake = vault()
    with Stage(folder, {"r": rule(password="${" + secret("s", "pasword") + "}")}, options(fake.port), "at_start: wait, ") as stage:
        stage.ends(2)
        check('has no member "pasword"' in stage.log(), stage.log())
    fake.close()


def a_backend_that_denies_ends_it(folder):
    fake = vault(status=403)
    with Stage(folder, NEEDED, options(fake.port), "at_start: wait, ") as stage:
        stage.ends(2)
        check("denied" in stage.log() and "two.json: actions[0].kafka.topic" in stage.log(), stage.log())
    fake.close()


def a_backend_that_is_away_ends_it_with_every_name(folder):
    with Stage(folder, NEEDED, options(free_port())) as stage:
        stage.ends(2)
        for words in ('one.json: sql: secret "s1"', 'two.json: actions[0].kafka.topic: secret "s2"', 'secret "s3"', 'secret "s4"', "onnect"):
            check(words in stage.log(), f"no {words} in {stage.log()}")
        stage.broker.nobody(0.2)


def a_backend_that_is_away_is_waited_for(folder):
    port = free_port()
    with Stage(folder, NEEDED, options(port), "at_start: wait, ") as stage:
        wait_for(lambda: "waiting for 4 secrets" in stage.log(), "the line that it waits")
        stage.broker.nobody(2)
        check("STATUS=waiting for secrets" in stage.told(), stage.told())
        status, why = adminlib.get(f"{folder}/admin", "/readyz")
        check(status == 503 and "secrets" in why, f"{status} {why}")
        fake = vault(port)
        stage.broker.accept(120).connack()
        check(stage.log().count("waiting for") == 1 and stage.log().count("all secrets that") == 1, stage.log())
        check(stage.log().count('"vault" is away') == 1, stage.log())
        wait_for(lambda: "STATUS=not connected" in stage.told() or "STATUS=subscribed" in stage.told(), "another status")
        stage.child.terminate()
        stage.ends(0)
        fake.close()


def stopping_while_it_waits(folder):
    with Stage(folder, NEEDED, options(free_port()), "at_start: wait, ") as stage:
        wait_for(lambda: "waiting for" in stage.log(), "the line that it waits")
        stage.child.send_signal(signal.SIGTERM)
        stage.ends(0)


def stopping_while_a_backend_does_not_answer(folder):
    asked = []

    def handler(*_):
        asked.append(1)
        return lambda _connection: time.sleep(60)

    fake = Fake(handler)
    with Stage(folder, NEEDED, options(fake.port), "at_start: wait, ") as stage:
        wait_for(lambda: asked, "a request")
        stage.child.send_signal(signal.SIGTERM)
        stage.ends(0, 8)  # the request itself would take ten seconds
    fake.close()


def a_secret_that_is_refused_is_looked_at_again(folder):
    """Kafka is away for whatever reason: a new secret should not wait for the end of its quarter of an hour."""
    fake = vault()

    def asked():
        return sum("/data/s" in path for _, path, _, _ in fake.seen)

    with Stage(folder, {"r": rule(password="${" + secret("s", "password") + "}")}, options(fake.port), "cache: 15m, ") as stage:
        stage.broker.accept(120).connack()
        before = asked()
        check(before >= 1, "it is fetched at the start")
        wait_for(lambda: asked() > before or before > 1, "another look")
        stage.child.terminate()
        stage.ends(0)
    fake.close()


main(all_that_is_missing_is_named, no_backend_at_all_is_said, a_member_that_is_missing_ends_it_also_where_backends_are_waited_for,
     a_backend_that_denies_ends_it, a_backend_that_is_away_ends_it_with_every_name, a_backend_that_is_away_is_waited_for,
     a_secret_that_is_refused_is_looked_at_again, stopping_while_it_waits, stopping_while_a_backend_does_not_answer)
