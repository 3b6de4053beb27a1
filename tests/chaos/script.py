"""The script of a run: what is done, when, and for how long. A seed decides it; a file replays it.

    SECONDS  ACTION  [DURATION]

Each actor (the part of the name before the first dot) does its lines one after the other, so that what is killed is started again
before it is stopped; different actors at the same time. A line that is late, because what it waited for took long, is done then.
"""

import random
import signal
import threading
import time

from lib import check, wait_for
from proxy import MUTE, PASS, REFUSE, STALL

# actor: (shortest and longest pause between its actions, {action: (weight, shortest and longest duration)})
ACTORS = {
    "daemon": ((2, 9), {"kill": (6, 0.0, 2.0), "term": (2, 0.0, 1.5), "stop": (2, 0.3, 5.0)}),
    "kafka": ((8, 25), {"kill": (3, 0.0, 12.0), "stop": (3, 1.0, 10.0), "rights": (2, 1.0, 8.0), "unknown": (2, 1.0, 8.0),
                        "rotate": (2, 0.0, 0.0)}),
    "broker": ((15, 40), {"term": (3, 0.0, 3.0), "stop": (3, 0.5, 6.0), "kill": (1, 0.0, 2.0)}),
    "tobroker": ((5, 15), {"reset": (3, 0.0, 0.0), "stall": (2, 0.5, 6.0), "refuse": (1, 0.5, 4.0), "mute": (2, 0.5, 4.0)}),
    "tokafka": ((5, 15), {"reset": (3, 0.0, 0.0), "stall": (2, 0.5, 8.0), "refuse": (1, 0.5, 6.0), "mute": (1, 0.5, 6.0)}),
    "disk": ((10, 30), {"full": (3, 1.0, 10.0), "half": (1, 1.0, 5.0), "error": (2, 1.0, 8.0), "sync": (2, 1.0, 8.0),
                        "power": (3, 5.0, 5.0)}),
    "records": ((2, 8), {"large": (2, 0, 0), "partition": (2, 0, 0), "dead": (2, 0, 0), "broken": (1, 0, 0)}),
    "rules": ((8, 25), {"change": (1, 0.0, 0.0)}),
}
STORE_WORDS = {"full": "f", "half": "h", "error": "e", "sync": "s"}


def make(seed, seconds, only):
    """Lines (time, actor, action, duration), in order."""
    lines = []
    for actor, (pause, actions) in ACTORS.items():
        chosen = {name: row for name, row in actions.items() if not only or actor in only or f"{actor}.{name}" in only}
        if not chosen:
            continue
        dice = random.Random(f"{seed} {actor}")
        now = dice.uniform(1, pause[1])
        while now < seconds:
            name = dice.choices(list(chosen), [row[0] for row in chosen.values()])[0]
            duration = round(dice.uniform(*chosen[name][1:]), 2)
            if now + duration > seconds:
                break
            lines.append((round(now, 2), actor, name, duration))
            now += duration + dice.uniform(*pause)
    return sorted(lines)


def text(lines):
    return "".join(f"{when:8.2f} {actor}.{name} {duration:g}\n" for when, actor, name, duration in lines)


def read(path):
    lines = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.split("#")[0].split()
            if words:
                check(len(words) in (2, 3), f"{path}:{number}: a line is SECONDS ACTOR.ACTION [DURATION]")
                actor, _, name = words[1].partition(".")
                check(name in ACTORS.get(actor, (0, {}))[1], f"{path}:{number}: unknown action {words[1]}")
                lines.append((float(words[0]), actor, name, float(words[2]) if len(words) == 3 else 0.0))
    return sorted(lines)


class Actors:
    """Does the lines to the world. What was done how often is in `done`."""

    def __init__(self, world, lines, say):
        self.world, self.say, self.done, self.errors, self.began = world, say, {}, [], 0.0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.act, args=([line for line in lines if line[1] == actor],), daemon=True)
                        for actor in sorted({line[1] for line in lines})]

    def run(self):
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()

    def runs(self):
        return any(thread.is_alive() for thread in self.threads)

    def act(self, lines):
        for when, actor, name, duration in lines:
            if self.over.wait(max(0.0, self.began + when - time.monotonic())):
                return
            try:
                self.say(f"{time.monotonic() - self.began:8.2f} {actor}.{name} {duration:g}")
                getattr(self, f"{actor}_{name}")(duration)
                self.done[f"{actor}.{name}"] = self.done.get(f"{actor}.{name}", 0) + 1
            except Exception as error:  # pylint: disable=broad-exception-caught
                self.errors.append(f"{actor}.{name}: {error!r}")
                self.say(f"         {actor}.{name} could not be done: {error!r}")

    # the daemon; the one lock keeps its starts and stops apart from those of disk.power and rules.change

    def again(self, end, duration):
        with self.world.daemon.guard:
            end()
            time.sleep(duration)
            self.world.daemon.start()

    def daemon_kill(self, duration):
        self.again(self.world.daemon.kill, duration)

    def daemon_term(self, duration):
        self.again(self.world.daemon.stop, duration)

    def daemon_stop(self, duration):
        with self.world.daemon.guard:
            self.world.daemon.signal(signal.SIGSTOP)
            time.sleep(duration)
            self.world.daemon.signal(signal.SIGCONT)

    def rules_change(self, _duration):
        world = self.world
        with world.daemon.guard:
            world.rules_version += 1
            world.write_rules()
            if "reload" in world.has:
                world.daemon.signal(signal.SIGHUP)
            else:
                self.again(world.daemon.stop, 0)

    # Kafka

    def kafka_kill(self, duration):
        self.world.kafka_up = False
        self.world.kafka.testbed("kill")
        time.sleep(duration)
        self.world.heal_kafka()

    def kafka_stop(self, duration):
        self.world.kafka.testbed("pause")
        time.sleep(duration)
        self.world.kafka.testbed("resume")

    def kafka_rights(self, duration):
        self.world.close_guarded()
        time.sleep(duration)
        self.world.open_guarded()

    def kafka_unknown(self, duration):
        self.world.lost_topics.limit += 5
        time.sleep(duration)
        self.world.make_topics()

    def kafka_rotate(self, _duration):
        self.world.rotate()
        if not self.world.options.rotates:
            self.again(self.world.daemon.stop, 0)

    # the broker

    def broker_term(self, duration):
        self.world.broker.stop()
        time.sleep(duration)
        self.world.broker.start()

    def broker_stop(self, duration):
        child = self.world.broker.process.child
        child.send_signal(signal.SIGSTOP)
        time.sleep(duration)
        child.send_signal(signal.SIGCONT)

    def broker_kill(self, duration):
        """After a snapshot that nothing may follow: what mosquitto loses itself is not the question here."""
        world = self.world
        world.devices.hold(True)
        try:
            wait_for(world.devices.settled, "the broker's answers to the devices")
            world.broker.snapshot()
            world.broker.process.kill()
            time.sleep(duration)
            world.broker.start()
        finally:
            world.devices.hold(False)

    # the lines between

    def line(self, proxy, mode, duration):
        proxy.set(mode)
        time.sleep(duration)
        if mode in (REFUSE, MUTE):
            proxy.reset()
        proxy.set(PASS)

    def tobroker_reset(self, _duration):
        self.world.to_broker.reset()

    def tobroker_stall(self, duration):
        self.line(self.world.to_broker, STALL, duration)

    def tobroker_refuse(self, duration):
        self.world.to_broker.reset()
        self.line(self.world.to_broker, REFUSE, duration)

    def tobroker_mute(self, duration):
        self.line(self.world.to_broker, MUTE, duration)

    def tokafka_reset(self, _duration):
        self.world.to_kafka.reset()

    def tokafka_stall(self, duration):
        self.line(self.world.to_kafka, STALL, duration)

    def tokafka_refuse(self, duration):
        self.world.to_kafka.reset()
        self.line(self.world.to_kafka, REFUSE, duration)

    def tokafka_mute(self, duration):
        self.line(self.world.to_kafka, MUTE, duration)

    # the disk of the store

    def disk(self, word, duration):
        self.world.daemon.disk(word)
        time.sleep(duration)
        self.world.daemon.disk("0")

    def disk_full(self, duration):
        self.disk("f", duration)

    def disk_half(self, duration):
        self.disk("h", duration)

    def disk_error(self, duration):
        self.disk("e", duration)

    def disk_sync(self, duration):
        self.disk("s", duration)

    def disk_power(self, duration):
        """At the store's next write; nothing is written while Kafka answers in time, so it is given a reason."""
        world = self.world
        with world.daemon.guard:
            world.to_kafka.set(STALL)
            try:
                was, world.daemon.wanted = world.daemon.wanted, False
                world.daemon.disk("p")
                gone = world.daemon.wait_killed(duration)
            finally:
                world.daemon.disk("0")
                world.to_kafka.set(PASS)
            if gone or world.daemon.wait_killed(0.1):
                world.daemon.process.child.wait()
                world.daemon.start()
            else:
                world.daemon.wanted = was

    # records

    def records_large(self, _duration):
        self.world.hostile["large"].limit += 5

    def records_partition(self, _duration):
        self.world.hostile["partition"].limit += 5

    def records_dead(self, _duration):
        self.world.hostile["dead"].limit += 5

    def records_broken(self, _duration):
        self.world.hostile["broken"].limit += 5
