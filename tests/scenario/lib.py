"""What the scenarios share: servers of their own, the daemon, numbered messages, and the count at the end.

A scenario is a file test_*.py that calls `main(scenario, ...)`. It gets a folder that is removed afterwards, starts what it
needs on free loopback ports, and ends only what it started. Waiting is by condition with a generous end; time is never
asserted. $TOPICRULE is the program, $KAFKA_DIR a running test bed (tests/support/kafka).
"""

import collections
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM = os.path.abspath(os.environ.get("TOPICRULE", "build/dev/topicrule"))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTBED = os.path.join(ROOT, "tests/support/kafka/kafka-testbed.sh")


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def wait_for(condition, text, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise Failed(f"waited {seconds} s for {text}")


def free_port():
    """A port below the ephemeral range, so that a server restarted on it finds it free again."""
    with contextlib.closing(socket.socket()) as probe:
        for port in range(20000 + os.getpid() % 5000, 32000):
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failed("no free port")


class Process:
    """A child with its output in a file."""

    def __init__(self, folder, name, argv, stdin=None, env=None, stdout=None):
        self.log = os.path.join(folder, f"{name}.log")
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(argv, stdin=stdin, stdout=stdout or log, stderr=log, env=env)

    def runs(self):
        return self.child.poll() is None

    def kill(self):
        if self.runs():
            self.child.kill()
        self.child.wait()

    def stop(self, seconds=60):
        """SIGTERM; the exit status."""
        if self.runs():
            self.child.terminate()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.child.args[0]} did not end {seconds} s after SIGTERM") from None

    def said(self, text):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return text in log.read()

    def lines(self, text):
        """Those of its log that have the text."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return [line for line in log if text in line]

    def wait_said(self, text, seconds=60):
        def condition():
            check(self.runs() or self.said(text), f"it ended without saying '{text}'; see {self.log}")
            return self.said(text)

        wait_for(condition, f"'{text}' in {self.log}", seconds)


class Mosquitto:
    """A broker that keeps everything for clients that are away."""

    def __init__(self, folder, more=""):
        self.folder, self.port, self.process = folder, free_port(), None
        self.conf = os.path.join(folder, "mosquitto.conf")
        store = os.path.join(folder, "mosquitto/")
        os.makedirs(store, exist_ok=True)
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
                       f"persistence true\npersistence_location {store}\nuser {os.environ.get('USER', 'root')}\n{more}\n")

    def start(self):
        program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
        if not program:
            skip("mosquitto is not installed")
        self.process = Process(self.folder, "mosquitto", [program, "-c", self.conf])
        wait_for(self.answers, "mosquitto")
        return self

    def answers(self):
        check(self.process.runs(), f"mosquitto ended; see {self.process.log}")
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process:
            self.process.stop()

    def publish(self, topic, payload, qos=1, *options):
        """One message; bytes or text."""
        data = payload if isinstance(payload, bytes) else payload.encode()
        argv = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-q", str(qos), "-t", topic, *options, "-s" if data else "-n"]
        done = subprocess.run(argv, input=data, check=False, capture_output=True)
        check(done.returncode == 0, f"mosquitto_pub: {done.stderr.decode()}")

    def publisher(self, topic):
        return Publisher(self.port, topic)


def text_of(number):
    return f'{{"n":{number},"text":"reading number {number} of a machine"}}'.encode()


class Publisher:
    """Numbered QoS 1 messages {"n": 1}, {"n": 2}, ... at a steady rate, in a thread of its own; ends when all are acknowledged.

    A client of its own, because mosquitto_pub -l stops after 65,535 lines and now and then waits for ever at the end."""

    WINDOW = 1000

    def __init__(self, port, topic):
        self.port, self.topic, self.sent, self.acknowledged, self.thread, self.error = port, topic.encode(), 0, 0, None, None

    def connect(self):
        wire = socket.create_connection(("127.0.0.1", self.port), 10)
        wire.sendall(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03pub")
        check(wire.recv(4) == b"\x20\x02\x00\x00", "CONNECT is refused")
        wire.settimeout(0.01)
        return wire

    def packet(self, number):
        body = len(self.topic).to_bytes(2, "big") + self.topic + (number % 65535 + 1).to_bytes(2, "big") + text_of(number)
        check(len(body) < 16384, "a longer packet needs a longer length")
        return bytes([0x32, len(body) & 127 | 128, len(body) >> 7]) + body

    def publish(self, count, rate):
        with contextlib.closing(self.connect()) as wire:
            began, first, answers = time.monotonic(), self.sent, 0
            heard = began
            while self.acknowledged < count:
                due = min(count, first + int((time.monotonic() - began) * rate) + 1, self.acknowledged + self.WINDOW)
                if due > self.sent:
                    wire.settimeout(60)
                    wire.sendall(b"".join(self.packet(n) for n in range(self.sent + 1, due + 1)))
                    wire.settimeout(0.01)
                    self.sent = due
                try:
                    got = len(wire.recv(65536))  # PUBACKs, four bytes each
                    check(got, "the broker closed the publisher's connection")
                    answers += got
                    self.acknowledged, heard = first + answers // 4, time.monotonic()
                except TimeoutError:
                    check(time.monotonic() - heard < 60 or self.sent == self.acknowledged, "no PUBACK for 60 s")
            wire.sendall(b"\xe0\x00")

    def run(self, count, rate):
        """Publish up to number `count`."""
        try:
            self.publish(count, rate)
        except (OSError, Failed) as error:
            self.error = f"publishing: {error}"

    def start(self, count, rate):
        self.thread = threading.Thread(target=self.run, args=(count, rate), daemon=True)
        self.thread.start()
        return self

    def wait(self):
        self.thread.join()
        check(not self.error, self.error)

    def runs(self):
        return self.thread.is_alive()


class Kafka:
    """The real Kafka: the one that $KAFKA_DIR holds for all scenarios."""

    def __init__(self, folder):
        self.folder, self.serial = folder, 0
        self.dir = os.environ.get("KAFKA_DIR")
        if not self.dir or not os.path.exists(os.path.join(self.dir, "env")):
            skip("no Kafka test bed ($KAFKA_DIR)")
        with open(os.path.join(self.dir, "env"), encoding="utf-8") as file:
            self.env = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
        self.servers = self.env["KT_PLAIN"].replace("localhost", "127.0.0.1")

    def testbed(self, command, *arguments):
        done = subprocess.run([TESTBED, command, self.dir, *arguments], check=False, capture_output=True, text=True)
        check(done.returncode == 0, f"kafka-testbed {command}: {done.stdout}{done.stderr}")

    def topic(self, name, partitions=1):
        """A topic that no other scenario has."""
        full = f"{name}.{os.getpid()}.{int(time.time() * 1000) % 1000000}"
        done = subprocess.run([self.env["KT_PROBE"], "-X", f"bootstrap.servers={self.servers}", "-X", "broker.address.family=v4",
                               "topic", full, str(partitions)], check=False, capture_output=True, text=True)
        check(done.returncode == 0, f"topic {full}: {done.stdout}{done.stderr}")
        return full

    def probe(self, *words):
        """A command of rkprobe: topics, rights and passwords without the seconds that Java takes."""
        done = subprocess.run([self.env["KT_PROBE"], "-X", f"bootstrap.servers={self.servers}", "-X", "broker.address.family=v4",
                               *words], check=False, capture_output=True, text=True)
        check(done.returncode == 0, f"rkprobe {words[0]}: {done.stdout}{done.stderr}")

    def read(self, topic, form="%s\\n"):
        """Every record there is, as lines of kcat's format."""
        done = subprocess.run(["kcat", "-b", self.servers, "-X", "broker.address.family=v4", "-X", "log_level=0", "-C", "-t", topic,
                               "-o", "beginning", "-e", "-q", "-f", form], check=False, capture_output=True)
        return done.stdout.decode("utf-8", "replace").splitlines()

    def numbers(self, topic):
        """How often each number came."""
        found = collections.Counter()
        for line in self.read(topic):
            found[json.loads(line)["n"]] += 1
        return found

    def wait_numbers(self, topic, count, seconds=180, quiet=30):
        """Wait until 1 to `count` are there, or nothing more comes for `quiet` seconds; (lost, duplicates)."""
        end, last, since = time.monotonic() + seconds, None, time.monotonic()
        while True:
            found = self.numbers(topic)
            total = sum(found.values())
            lost = sum(1 for n in range(1, count + 1) if n not in found)
            if lost == 0 or time.monotonic() > end or (total == last and time.monotonic() - since > quiet):
                return lost, total - len(found)
            if total != last:
                last, since = total, time.monotonic()
            time.sleep(0.5)

    def wait_lines(self, topic, count, seconds=60, form="%s\\n"):
        return wait_for(lambda: (lines := self.read(topic, form)) and len(lines) >= count and lines,
                        f"{count} records in {topic}", seconds)


class Cluster(Kafka):
    """A Kafka of this scenario alone."""

    def __init__(self, folder, cleanup, name, nodes):
        self.folder, self.serial, self.dir = folder, 0, os.path.join(folder, name)
        done = subprocess.run([TESTBED, "start", self.dir, str(nodes)], check=False, capture_output=True, text=True)
        cleanup.callback(lambda: subprocess.run([TESTBED, "stop", self.dir], check=False, capture_output=True))
        check(done.returncode == 0, f"kafka-testbed start: {done.stderr}")
        with open(os.path.join(self.dir, "env"), encoding="utf-8") as file:
            self.env = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
        self.servers = self.env["KT_PLAIN"].replace("localhost", "127.0.0.1")


def rule(sql, topic, servers, error_topic=None, **fields):
    """An AWS rule document with one Kafka action."""
    properties = fields.pop("properties", {})
    client = {"bootstrap.servers": servers, "security.protocol": "PLAINTEXT", **properties}
    payload = {"sql": sql, "awsIotSqlVersion": "2016-03-23",
               "actions": [{"kafka": {"topic": topic, "clientProperties": client, **fields}}]}
    if error_topic:
        payload["errorAction"] = {"kafka": {"topic": error_topic, "clientProperties": client}}
    return {"topicRulePayload": payload}


class Daemon:
    """topicrule run, with a configuration and rules of its own."""

    def __init__(self, folder, broker, rules, name="topicrule", more="", mqtt=""):
        self.folder = os.path.join(folder, name)
        self.process = None
        os.makedirs(os.path.join(self.folder, "rules"), exist_ok=True)
        self.conf = os.path.join(self.folder, "topicrule.yaml")
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(f"mqtt: {{url: 'mqtt://127.0.0.1:{broker.port}', client_id: {name.rstrip('_')}{mqtt}}}\nrules: rules\n{more}\n")
        for rule_name, document in rules.items():
            text = document if isinstance(document, str) else json.dumps(document, indent=2)
            with open(os.path.join(self.folder, "rules", f"{rule_name}.json"), "w", encoding="utf-8") as file:
                file.write(text)

    def start(self, wait=True):
        """`wait`: until it says READY=1, as it would to systemd."""
        path = os.path.join(self.folder, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notify:
            notify.bind(path)
            notify.settimeout(0.2)
            self.process = Process(self.folder, "daemon", [PROGRAM, "run", "-c", self.conf], env={**os.environ, "NOTIFY_SOCKET": path})
            end = time.monotonic() + 60
            while wait:
                check(self.process.runs(), f"the daemon ended:\n{self.text()}")
                check(time.monotonic() < end, f"the daemon does not get ready:\n{self.text()}")
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in notify.recv(4096):
                        break
        return self

    def text(self):
        with open(self.process.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def stop(self):
        if self.process:
            status = self.process.stop()
            check(status == 0, f"the daemon ended with {status}:\n{self.text()}")

    def kill(self):
        self.process.kill()


def skip(text):
    print(f"SKIP: {text}")
    sys.exit(77)


def daemon_logs(folder):
    """(name of its folder, text) of each daemon that ran there."""
    for path in sorted(glob.glob(os.path.join(folder, "**/daemon.log"), recursive=True)):
        with open(path, encoding="utf-8", errors="replace") as file:
            yield os.path.basename(os.path.dirname(path)), file.read()


def check_sanitizers(folder):
    """A daemon that was killed has no exit status that tells of a report."""
    for name, text in daemon_logs(folder):
        found = re.search("^.*(Sanitizer|runtime error:)", text, re.MULTILINE)
        check(not found, found and f"a sanitizer speaks in the log of {name}:\n{text[found.start():][:6000]}")


def main(*scenarios):
    """Run each scenario(folder, cleanup) in a folder of its own; `cleanup` is an ExitStack."""
    failed = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for scenario in scenarios:
        with tempfile.TemporaryDirectory(prefix="topicrule-") as folder:
            try:
                with contextlib.ExitStack() as cleanup:
                    scenario(folder, cleanup)
                check_sanitizers(folder)
                print(f"ok   {scenario.__name__}", flush=True)
            except Failed as error:
                failed += 1
                print(f"FAIL {scenario.__name__}: {error}", flush=True)
                for name, text in daemon_logs(folder):
                    print(f"--- {name}\n{text[-3000:]}")
    sys.exit(1 if failed else 0)
