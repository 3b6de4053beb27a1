"""The world of a chaos run: broker, Kafka, daemon, proxies, devices, rules, and what can be done to each of them."""

import json
import mmap
import os
import signal
import socket
import subprocess
import threading
import time

import lib
from devices import Device, Devices
from lib import ROOT, Mosquitto, Process, check, rule, wait_for
from proxy import Proxy

DEVICES = 8
SQL = {"all": "SELECT * FROM 'plant/+/reading'", "tenth": "SELECT d, n FROM 'plant/#' WHERE n % 10 = 0 AND topic(3) = 'reading'"}


def features():
    """What the program has, so that the script can use it. A daemon without the store is never given a full disk."""
    text = subprocess.run([lib.PROGRAM, "--help"], check=False, capture_output=True, text=True).stdout
    return {name for name in ("reload", "dead", "status") if f" {name} " in text or f"\n  {name}" in text}


def reading(name, number):
    return f"plant/{name}/reading".encode(), f'{{"d":"{name}","n":{number},"v":{number * 7 % 1000}.5}}'.encode()


class Stream:
    """What devices publish on one kind of topic, and where it must come out. `step`: every so many readings one record.
    `end`: in Kafka's topic, as error JSON there, among the dead letters, or nowhere."""

    def __init__(self, name, devices, topic, step=1, end="topic"):
        self.name, self.devices, self.topic, self.step, self.end = name, devices, topic, step, end


class Broker(Mosquitto):
    """mosquitto; a snapshot before it is killed, so that what it loses itself is not counted."""

    def stop(self):
        """SIGTERM, awake or not."""
        if self.process:
            if self.process.runs():
                self.process.child.send_signal(signal.SIGCONT)
            super().stop()

    def snapshot(self):
        database = os.path.join(self.folder, "mosquitto/mosquitto.db")

        def stamp():
            try:
                return os.stat(database).st_mtime_ns, os.stat(database).st_ino
            except FileNotFoundError:
                return None

        before = stamp()
        self.process.child.send_signal(signal.SIGUSR1)
        wait_for(lambda: stamp() != before, "mosquitto's snapshot")


class Daemon(lib.Daemon):
    """topicrule with the shims in front of it, started again when it ends by itself, as systemd does; that is counted."""

    def __init__(self, folder, broker, rules, more="", early_ack=False, detour=None):
        super().__init__(folder, broker, rules, more=more)
        self.guard, self.wanted, self.crashes, self.starts, self.peak, self.started = threading.RLock(), False, [], 0, 0, 0.0
        self.control = os.path.join(self.folder, "disk")
        with open(self.control, "wb") as file:
            file.write(b"0")
        self.env = dict(os.environ, LD_PRELOAD=os.path.join(os.path.dirname(lib.PROGRAM), "chaos_shim.so"), CHAOS_DISK=self.control)
        self.env["ASAN_OPTIONS"] = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        if early_ack:
            self.env["CHAOS_EARLY_ACK"] = "1"
        if detour:
            self.env["CHAOS_DETOUR"] = f"{detour[0]}={detour[1]}"

    def start(self, wait=False):
        with self.guard:
            path = os.path.join(self.folder, "notify")
            if wait:
                if os.path.exists(path):
                    os.unlink(path)
                notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                notify.bind(path)
                notify.settimeout(0.2)
            self.env["NOTIFY_SOCKET"] = path
            self.process = Process(self.folder, "daemon", [lib.PROGRAM, "run", "-c", self.conf], env=self.env)
            self.wanted, self.starts, self.started = True, self.starts + 1, time.monotonic()
        if wait:
            def ready():
                check(self.process.runs(), f"the daemon ended:\n{self.text()}")
                try:
                    return b"READY=1" in notify.recv(4096)
                except TimeoutError:
                    return False
            wait_for(ready, "the daemon's READY=1")
            notify.close()
        return self

    def look(self):
        """Called again and again: does it run as it should?"""
        with self.guard:
            if not self.wanted:
                return
            if not self.process.runs():
                status = self.process.child.returncode
                if not (status == -signal.SIGHUP and self.young()):
                    self.crashes.append(f"ended with {status}")
                time.sleep(0.3)
                self.start()
                return
            try:
                with open(f"/proc/{self.process.child.pid}/statm", encoding="ascii") as file:
                    self.peak = max(self.peak, int(file.read().split()[1]) * mmap.PAGESIZE)
            except (OSError, IndexError):
                pass

    def kill(self):
        with self.guard:
            self.wanted = False
            if self.process:
                self.process.kill()

    def young(self):
        """It has only just begun: it knows no signal yet, and any ends it."""
        return time.monotonic() - self.started < 10

    def stop(self):
        """SIGTERM. It has ten seconds to settle what it read, and then ends with 0 all the same."""
        with self.guard:
            self.wanted = False
        status = self.process.child.poll()
        if status is not None:
            if not (status == -signal.SIGHUP and self.young()):
                self.crashes.append(f"ended with {status}")
            return
        status = self.process.stop(120)
        if status != 0 and not (status in (-signal.SIGTERM, -signal.SIGHUP) and self.young()):
            self.crashes.append(f"SIGTERM: ended with {status}")

    def signal(self, number):
        with self.guard:
            if self.process.runs():
                self.process.child.send_signal(number)

    def disk(self, wish):
        """As tests/support/shim/disk_faults.c understands it."""
        with open(self.control, "r+b") as file:
            file.write(wish.encode())

    def wait_killed(self, seconds):
        """For the power to go: false if it did not, because nothing was written."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.process.runs():
                return True
            time.sleep(0.02)
        return False

    def complaints(self):
        """Lines of the log that no daemon may write."""
        bad = ("Sanitizer", "runtime error:", "about to acknowledge", "assertion", "Assertion")
        with open(self.process.log, encoding="utf-8", errors="replace") as log:
            return [line.strip() for line in log if any(word in line for word in bad)][:10]


class World:
    """Everything, started; `cleanup` is an ExitStack that ends it."""

    def __init__(self, folder, cleanup, options):
        self.folder, self.options = folder, options
        self.kafka = lib.Kafka(folder)
        self.kafka_up, self.closed = True, False
        cleanup.callback(self.heal_kafka)
        self.broker = Broker(folder, os.environ.get("CHAOS_BROKER", ""))
        self.broker.start()
        cleanup.callback(self.broker.stop)
        env = self.kafka.env
        sasl_port = int(env["KT_SASLPLAIN"].rsplit(":", 1)[1])
        self.to_broker, self.to_kafka = Proxy(self.broker.port), Proxy(sasl_port)
        for proxy in (self.to_broker, self.to_kafka):
            proxy.start()
            cleanup.callback(proxy.end)
        self.user, self.password, self.serial = f"chaos{os.getpid()}", "", 0
        self.secret = os.path.join(folder, "secrets/chaos")
        os.makedirs(os.path.dirname(self.secret), mode=0o700)
        self.rotate()
        self.topics()
        self.rules_version = 0
        self.devices = Devices(self.broker.port, self.make_devices())
        self.has = features()
        more = ("secrets: {cache: 1s, backends: {files: {type: directory, path: ../secrets}}}\n"
                "kafka: {defaults: {reconnect.backoff.max.ms: 1000}}\n")
        if options.ack_on_receipt:  # what is acknowledged too early must not be on the disk a moment later
            more += "delivery: {hold: 5s}\n"
        self.daemon = Daemon(folder, self.to_broker, self.rules(), more, options.ack_on_receipt, (sasl_port, self.to_kafka.port))
        cleanup.callback(self.daemon.kill)
        self.daemon.start(wait=True)  # from now on the broker keeps what comes for it
        self.devices.start()
        cleanup.callback(self.devices.end)

    # what Kafka has

    def probe(self, *words):
        done = subprocess.run([self.kafka.env["KT_PROBE"], "-X", f"bootstrap.servers={self.kafka.servers}", "-X", "broker.address.family=v4",
                               *words], check=False, capture_output=True, text=True)
        check(done.returncode == 0, f"rkprobe {words}: {done.stdout}{done.stderr}")

    def topics(self):
        self.main, self.tenth = self.kafka.topic("chaos.main", 4), self.kafka.topic("chaos.tenth", 2)
        self.guarded, self.errors = self.kafka.topic("chaos.guarded"), self.kafka.topic("chaos.errors")
        self.small, self.unknown = f"{self.main}.small", f"{self.main}.unknown"
        self.probe("topic", self.small, "1", "max.message.bytes=1000")
        self.made = set()

    def make_devices(self):
        rate = self.options.rate / DEVICES
        names = [f"device{i}" for i in range(DEVICES)]
        readings = [Device(name, lambda n, name=name: reading(name, n), rate) for name in names]
        guarded = Device("guard", lambda n: (b"plant/guard/guarded", f'{{"d":"guard","n":{n}}}'.encode()), max(1, self.options.rate / 50))
        large = Device("large", lambda n: (b"hostile/large", f'{{"d":"large","n":{n},"x":"{"x" * 3000}"}}'.encode()))
        bad = Device("partition", lambda n: (b"hostile/partition", f'{{"d":"partition","n":{n},"p":"seven"}}'.encode()))
        dead = Device("dead", lambda n: (b"hostile/dead", f'{{"d":"dead","n":{n},"p":"eight"}}'.encode()))
        broken = Device("broken", lambda n: (b"hostile/broken", b'{"d":"broken","n":' + str(n).encode() + b',"x":[}\xff'))
        self.lost_topics = Device("unknown", lambda n: (b"hostile/unknown",
                                                        f'{{"d":"unknown","n":{n},"t":"{self.unknown}.{n // 10}"}}'.encode()))
        self.hostile = {"large": large, "partition": bad, "dead": dead, "broken": broken, "unknown": self.lost_topics}
        self.streams = [Stream("readings", readings, self.main), Stream("every tenth", readings, self.tenth, 10),
                        Stream("guarded topic", [guarded], self.guarded), Stream("too large", [large], self.errors, end="error"),
                        Stream("bad template", [bad], self.errors, end="error"),
                        Stream("dead letters", [dead], None, end="dead"),
                        Stream("unknown topic", [self.lost_topics], None), Stream("broken JSON", [broken], None, end="nowhere")]
        return readings + [guarded, large, bad, dead, broken, self.lost_topics]

    # rules and secrets

    def rules(self):
        servers = self.kafka.env["KT_SASLPLAIN"]
        login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.scram.username": self.user,
                 "sasl.scram.password": "${get_secret('chaos', 'SecretString', '')}"}

        def document(sql, topic, **fields):
            return rule(sql, topic, servers, properties=login, **fields)

        version = [{"key": "rules", "value": str(self.rules_version)}]
        rules = {
            "readings": document(SQL["all"], self.main, key="${topic(2)}", headers=version),
            "tenth": document(SQL["tenth"], self.tenth, key="${topic(2)}"),
            "guarded": document("SELECT d, n FROM 'plant/+/guarded'", self.guarded, key="${d}"),
            "large": document("SELECT * FROM 'hostile/large'", self.small, error_topic=self.errors),
            "partition": document("SELECT * FROM 'hostile/partition'", self.main, partition="${p}", error_topic=self.errors),
            "dead": document("SELECT * FROM 'hostile/dead'", self.main, partition="${p}"),
            "broken": document("SELECT n FROM 'hostile/broken' WHERE n > 0", self.main),
            "unknown": document("SELECT d, n FROM 'hostile/unknown'", "${t}", key="${d}"),
        }
        if self.rules_version % 2:
            rules["extra"] = document("SELECT n FROM 'nobody/publishes/this'", self.main)
        return rules

    def write_rules(self):
        folder = os.path.join(self.daemon.folder, "rules")
        rules = self.rules()
        for name, text in rules.items():
            path = os.path.join(folder, f"{name}.json")
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(text, file, indent=2)
            os.rename(path + ".new", path)
        for name in os.listdir(folder):
            if name.removesuffix(".json") not in rules:
                os.unlink(os.path.join(folder, name))

    def rotate(self):
        """A new password: Kafka's first, so that from now on the old one is refused to whoever connects."""
        self.serial += 1
        self.password = f"secret number {self.serial}"
        self.kafka.testbed("tool", "kafka.admin.ConfigCommand", "--alter", "--entity-type", "users", "--entity-name", self.user,
                           "--add-config", f"SCRAM-SHA-512=[iterations=4096,password={self.password}]")
        with open(os.open(self.secret + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(self.password)
        os.rename(self.secret + ".new", self.secret)

    def dead_letters(self):
        """Their readings, as text."""
        done = subprocess.run([lib.PROGRAM, "dead", "export", "-c", self.daemon.conf], check=False, capture_output=True, text=True)
        check(done.returncode in (0, 1), f"topicrule dead export: {done.stderr}")
        return done.stdout.splitlines()

    # Kafka

    def heal_kafka(self):
        if not self.kafka_up:
            self.kafka.testbed("restart")
            self.kafka_up = True

    def close_guarded(self):
        self.closed = True
        self.probe("acl", "User:nobody", self.guarded, "ALL", "ALLOW")

    def open_guarded(self):
        self.kafka.testbed("tool", "org.apache.kafka.tools.AclCommand", "--remove", "--force", "--topic", self.guarded)
        self.closed = False

    def make_topics(self):
        """The unknown topics that devices have named so far."""
        for number in range(self.lost_topics.limit // 10 + 1):
            name = f"{self.unknown}.{number}"
            if self.lost_topics.limit and name not in self.made:
                self.probe("topic", name, "1")
                self.made.add(name)


def build(preset):
    """The shims, and, unless $TOPICRULE names one, the program."""
    if os.environ.get("TOPICRULE"):
        return
    folder = os.path.join(ROOT, "build", preset)
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        subprocess.run(["cmake", "--preset", preset], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder, "--target", "topicrule", "chaos_shim"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    lib.PROGRAM = os.path.join(folder, "topicrule")


def test_bed(folder, cleanup):
    """A Kafka of our own, unless there is one."""
    if os.environ.get("KAFKA_DIR"):
        return
    own = os.path.join(folder, "kafka")
    done = subprocess.run([lib.TESTBED, "start", own], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        lib.skip(f"no Kafka: {done.stdout}{done.stderr}")
    cleanup.callback(subprocess.run, [lib.TESTBED, "stop", own], check=False)
    os.environ["KAFKA_DIR"] = own
