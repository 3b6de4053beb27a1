"""No secret is seen: each backend has some, and everything that the program says is searched for them. And what `topicrule doctor`
and a running daemon make of backends that are wrong in every way."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import adminlib
from awslib import private, quiet
from broker import Broker, Failed
from secretslib import Fake, check, main, make_certificate, wait_for

PROGRAM = os.path.abspath(os.environ.get("TOPICRULE", "build/dev/topicrule"))
CANARY = "c4nary"  # every secret, token and key starts so
KAFKA = {"bootstrap.servers": "127.0.0.1:1", "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.plain.username": "u"}


def get(name):
    return f"get_secret('{name}', 'SecretString', 'k', '')"


class House:
    """Four backends with a secret each, a rule for each, a broker, and the program between them."""

    def __init__(self, folder):
        self.folder, self.said, self.version, self.sealed = folder, "", 1, False
        for name in ("store", "credentials"):
            os.mkdir(f"{folder}/{name}", 0o700)
        self.vault, self.aws, self.broker = Fake(self.vault_says), Fake(self.aws_says), Broker()
        self.fill()
        private(folder, "token", CANARY + "-token")
        os.mkdir(f"{folder}/rules")
        for name in ("files", "creds", "v", "a"):
            rule = {"sql": f"SELECT *, {get(name + ':login')} AS s FROM '{name}/#'", "awsIotSqlVersion": "2016-03-23",
                    "actions": [{"kafka": {"topic": "t", "key": "${" + get(name + ":key") + "}",
                                           "headers": [{"key": "h", "value": "${" + get(name + ":key") + "}"}], "clientProperties": {
                        **KAFKA, "sasl.plain.password": "${" + get(name + ":login") + "}"}}}]}
            with open(f"{folder}/rules/{name}.json", "w", encoding="utf-8") as file:
                json.dump(rule, file)
        backends = {"files": {"type": "directory", "path": "store"}, "creds": {"type": "credentials"},
                    "v": {"type": "vault", "address": self.vault.url, "auth": {"method": "token", "token_file": "token"}},
                    "a": {"type": "aws", "region": "eu-west-1", "endpoint": self.aws.url}}
        with open(f"{folder}/c.yaml", "w", encoding="utf-8") as file:
            file.write(f"mqtt: {{url: 'mqtt://127.0.0.1:{self.broker.port}', username: u, password: \"${{{get('files:login')}}}\"}}\n"
                       f"rules: rules\nsecrets: {{default: files, cache: 1s, backends: {json.dumps(backends)}}}\n"
                       f"admin: {{listen: 'unix:{folder}/admin'}}\nlog: {{level: debug}}\n")
        self.env = {**os.environ, **quiet(), "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": CANARY + "-key",
                    "CREDENTIALS_DIRECTORY": f"{folder}/credentials", "NOTIFY_SOCKET": f"{folder}/notify"}

    def value(self, name):
        return json.dumps({"k": f"{CANARY}-{name}-{self.version}"})

    def fill(self):
        for folder in ("store", "credentials"):
            for name in ("login", "key"):
                private(self.folder, "new", self.value(folder + name))
                os.rename(f"{self.folder}/new", f"{self.folder}/{folder}/{name}.json")

    def vault_says(self, _method, path, _headers, _body):
        if path.startswith("/v1/sys/health"):
            return 200, {}, {"version": "1.14.0"}
        if path.endswith("lookup-self"):
            return 200, {}, {"data": {"ttl": 0}}
        return (503, {}, {"errors": [CANARY]}) if self.sealed else (
            200, {}, {"data": {"data": json.loads(self.value("vault")), "metadata": {"version": self.version}}})

    def aws_says(self, *_):
        return (400, {}, {"__type": "ExpiredTokenException", "message": CANARY}) if self.sealed else (
            200, {}, {"SecretString": self.value("aws"), "VersionId": str(self.version)})

    def run(self, *argv, status=None):
        done = subprocess.run([PROGRAM, *argv], cwd=self.folder, env=self.env, capture_output=True, text=True, errors="replace",
                              timeout=120, check=False)
        check(status is None or done.returncode == status, f"{argv}: status {done.returncode}: {done.stdout}{done.stderr}")
        self.said += f"\n---- {argv}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def close(self):
        for one in (self.vault, self.aws, self.broker):
            one.close()

    def clean(self):
        """Nothing of what was said has a secret in it."""
        at = self.said.find(CANARY)
        check(at < 0, f"a secret is shown: {self.said[max(0, at - 600):at + 60]}")
        check("Sanitizer" not in self.said, self.said[-3000:])


@contextlib.contextmanager
def house(folder):
    made = House(folder)
    try:
        yield made
        made.clean()
    finally:
        made.close()


def commands_show_none(folder):
    with house(folder) as made:
        made.broker.close()
        made.run("check", "-c", "c.yaml", status=0)
        made.run("eval", "--rule", "rules/v.json", "--topic", "v/1", "--payload", '{"n":1}')
        out = made.run("doctor", "-c", "c.yaml", status=1)  # the MQTT broker and Kafka are away
        for line in ("ok: secrets: files: directory: ", "ok: secrets: creds: credentials: ", "ok: secrets: v: vault: 1.14.0 at ",
                     "ok: secrets: a: aws: AWS Secrets Manager in eu-west-1, credentials from the environment"):
            check(line in out, f"no {line} in {out}")
        made.sealed = True
        out = made.run("doctor", "-c", "c.yaml", status=1)
        check("failed: secrets: a: aws: " in out and "have expired" in out, out)
        check("failed: rules: v: " in out and "is sealed" in out, out)


class Daemon:
    def __init__(self, made):
        self.made, self.folder, self.told = made, made.folder, ""
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.bind(f"{made.folder}/notify")
        self.notices.setblocking(False)
        with open(f"{made.folder}/log", "w", encoding="utf-8") as log:
            self.child = subprocess.Popen([PROGRAM, "run", "-c", "c.yaml"], cwd=made.folder, env=made.env, stderr=log)  # pylint: disable=consider-using-with

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_said(self, words, count=1):
        def condition():
            if self.child.poll() is not None:
                raise Failed(f"it ended: {self.log()[-3000:]}")
            return self.log().count(words) >= count

        wait_for(condition, f"'{words}'", 60)

    def proc(self, name):
        with open(f"/proc/{self.child.pid}/{name}", encoding="ascii", errors="replace") as file:
            return file.read()

    def end(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told += self.notices.recv(65536).decode() + "\n"
        self.notices.close()
        self.made.said += f"\n---- log\n{self.log()}\n---- systemd\n{self.told}"


def the_daemon_shows_none(folder):
    with house(folder) as made:
        daemon = Daemon(made)
        try:
            link = made.broker.accept(60)
            link.connack()
            link.subscribes(1)
            for n, name in enumerate(("files", "creds", "v", "a"), 1):
                link.publish(f"{name}/1", b'{"n":1}', mid=n)
            daemon.wait_said("records wait on the disk", 4)
            link.pubacks(range(1, 5))
            for path in ("/metrics", "/healthz", "/readyz", "/rules", "/secrets", "/status"):
                made.said += f"\n---- {path}\n{adminlib.get(folder + '/admin', path)}"
            made.run("secrets", "-c", "c.yaml")
            made.run("status", "-c", "c.yaml")
            # No file of ours is a core: nothing is dumped, and secrets' pages are left out of what would be.
            check(any(line.split()[4:6] == ["0", "0"] for line in daemon.proc("limits").splitlines() if "core file" in line), "core limit")
            check(" dd" in daemon.proc("smaps"), "no page is left out of core files")
            children = "".join(daemon.proc(f"task/{task}/children") for task in os.listdir(f"/proc/{daemon.child.pid}/task"))
            check(not children.strip(), f"it has children: {children}")
            made.said += daemon.proc("cmdline")
            made.version = 2
            made.fill()
            for name in ("files", "creds", "v", "a"):
                daemon.wait_said(f'"login" in backend "{name}" has changed')
            made.sealed = True
            daemon.wait_said('backend "v" is away')
            daemon.wait_said('backend "a" is away')
            os.chmod(f"{folder}/store/login.json", 0o644)
            made.run("secrets", "-c", "c.yaml")
            time.sleep(1)
        finally:
            daemon.end()
        check("Sanitizer" not in made.said, made.said[-3000:])


def doctor_names_what_is_wrong(folder):
    cert = make_certificate(folder, "elsewhere", "elsewhere.example")
    health = {"version": "1.14.0"}

    def vault(status, body, login=None):
        def handler(_method, path, _headers, _body):
            if path.startswith("/v1/sys/health"):
                return (status, {}, body) if status in (501, 503) else (200, {}, health)
            return login or (status, {}, body)

        return handler

    rows = (("sealed", vault(503, {"sealed": True}), None, "is sealed"),
            ("a wrong token", vault(403, {"errors": ["permission denied"]}), None, ""),
            ("a login that fails", vault(500, {"errors": ["invalid secret id"]}), None, "the login by approle"),
            ("ten megabytes", lambda *_: (200, {}, b"x" * 10_000_000), None, "larger than"),
            ("no Vault at all", lambda *_: (200, {}, "<html>"), None, "is the address right?"),
            ("another host's certificate", vault(200, {}), cert, "match"))
    os.mkdir(f"{folder}/rules")
    with open(f"{folder}/rules/r.json", "w", encoding="utf-8") as file:
        json.dump({"sql": "SELECT * FROM 'a/b'", "actions": [{"kafka": {"topic": "t", "clientProperties": {
            "bootstrap.servers": "127.0.0.1:1", "security.protocol": "PLAINTEXT"}}}]}, file)
    for what, handler, tls, words in rows:
        fake = Fake(handler, tls)
        auth = {"method": "approle", "role_id": "r", "secret_id": CANARY} if "login" in words or what.startswith("a wrong") else {
            "method": "token", "token": CANARY}
        backend = {"type": "vault", "address": fake.url, "auth": auth, **({"ca_file": tls[0]} if tls else {})}
        with open(f"{folder}/c.yaml", "w", encoding="utf-8") as file:
            file.write(f"mqtt: {{url: 'mqtt://127.0.0.1:1'}}\nrules: rules\nsecrets: {{backends: {json.dumps({'store': backend})}}}\n")
        done = subprocess.run([PROGRAM, "doctor", "-c", "c.yaml"], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        line = next((line for line in done.stdout.splitlines() if "secrets: store" in line), "")
        check(done.returncode == 1 and line.startswith("failed: secrets: store: vault: ") and words in line, f"{what}: {done.stdout}{done.stderr}")
        check(CANARY not in done.stdout + done.stderr, f"{what}: a secret is shown")
        fake.close()


if __name__ == "__main__":
    sys.exit(main(commands_show_none, the_daemon_shows_none, doctor_names_what_is_wrong))
