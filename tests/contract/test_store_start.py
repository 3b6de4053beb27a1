#!/usr/bin/env python3
"""`topicrule run` and a store that is not well when it starts: a full disk, one that fails, one that is not mounted, another daemon's.

A disk that is really full is a small tmpfs of our own, in a mount namespace of our own; where there is no right to one, those
scenarios are skipped and say so. $TOPICRULE is the program, chaos_shim.so beside it makes a disk fail.
"""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile

import adminlib
import enginelib
from broker import Broker, Failed, numbered
from enginelib import wait_for
from test_daemon import PROGRAM, Kafka, count_rows

SHIM = os.path.join(os.path.dirname(PROGRAM), "chaos_shim.so")
INSIDE = "TOPICRULE_TEST_MOUNTS"
MIB = 1 << 20


class Stage:
    """A broker, a Kafka, and a configuration whose store lies in `folder`/disk."""

    def __init__(self, cleanup, store="disk/store.db"):
        self.folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="topicrule-"))
        self.disk, self.store = f"{self.folder}/disk", f"{self.folder}/{store}"
        self.kafka, self.broker = Kafka(cleanup), Broker()
        cleanup.callback(self.broker.close)
        os.mkdir(f"{self.folder}/rules")
        properties = {"bootstrap.servers": self.kafka.servers, "security.protocol": "PLAINTEXT", "acks": "all"}
        with open(f"{self.folder}/rules/heat.json", "w", encoding="utf-8") as file:
            json.dump({"sql": "SELECT * FROM 'plant/#'", "awsIotSqlVersion": "2016-03-23",
                       "actions": [{"kafka": {"topic": "readings", "clientProperties": properties}}]}, file)
        self.children, self.wish = [], f"{self.folder}/wish"
        self.notices = cleanup.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.notices.bind(f"{self.folder}/notify")
        self.notices.setblocking(False)
        cleanup.push(self.end)

    def tmpfs(self, cleanup, size=24 * MIB):
        os.mkdir(self.disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", self.disk], check=True)
        cleanup.callback(subprocess.run, ["umount", "-l", self.disk], check=True)

    def mount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.disk], check=True)

    def fill(self):
        """To the last block, by somebody else."""
        with open(f"{self.disk}/others", "ab", buffering=0) as file:
            for size in (MIB, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass

    def run(self, name="c", env=None):
        with open(f"{self.folder}/{name}.yaml", "w", encoding="utf-8") as file:
            file.write(f"mqtt: {{url: 'mqtt://localhost:{self.broker.port}', keepalive: 5s}}\nrules: rules\n"
                       f"delivery: {{hold: 200ms, store: {{path: {self.store}}}}}\nadmin: {{listen: 'unix:{self.folder}/{name}.sock'}}\n")
        with open(f"{self.folder}/{name}.log", "w", encoding="utf-8") as log:
            child = subprocess.Popen([PROGRAM, "run", "-c", f"{self.folder}/{name}.yaml"], stderr=log,  # pylint: disable=consider-using-with
                                     env={**os.environ, "NOTIFY_SOCKET": f"{self.folder}/notify", **(env or {})})
        self.children.append(child)
        return child

    def failing(self, wish):
        """The environment of a daemon whose disk does as `say` says; see tests/support/shim/disk_faults.c."""
        with open(self.wish, "wb") as file:
            file.write(wish.encode())
        options = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
        return {"LD_PRELOAD": SHIM, "CHAOS_DISK": self.wish, "ASAN_OPTIONS": options}

    def say(self, wish):
        with open(self.wish, "r+b") as file:
            file.write(wish.encode())

    def log(self, name="c"):
        with open(f"{self.folder}/{name}.log", encoding="utf-8", errors="replace") as file:
            return file.read()

    def told(self, found=""):
        """What systemd was told since the last call."""
        try:
            while True:
                found += self.notices.recv(65536).decode() + "\n"
        except BlockingIOError:
            return found

    def ends(self, child, status, name="c"):
        try:
            found = child.wait(60)
        except subprocess.TimeoutExpired:
            raise Failed("the daemon does not end") from None
        if found != status:
            raise Failed(f"the daemon ended with {found}:\n{self.log(name)[-3000:]}")

    def connects(self, session=True):
        link = self.broker.accept(60)
        link.connack(session=session)
        link.subscribes()
        return link

    def a_life(self, count):
        """Kafka does not answer, so readings 1 to `count` wait on the disk afterwards."""
        child = self.run()
        link = self.connects(False)
        link.send(numbered(link, 1000, 1000))
        link.pubacks([1000], 60)
        self.kafka.hold()
        link.send(numbered(link, 1, count))
        link.pubacks(range(1, count + 1), 60)
        child.kill()
        child.wait()
        link.wait_closed()
        return self

    def arrive(self, count):
        """Everything is in Kafka, and nothing is left on the disk."""
        wait_for(lambda: self.kafka.count() >= count, f"{count} records in Kafka", 60)
        wait_for(lambda: count_rows(self.store) == 0, "an empty store", 60)

    def end(self, failed, *_):
        self.kafka.release()
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        for name in os.listdir(self.folder):
            if name.endswith(".log"):
                text = self.log(name[:-4])
                if failed:
                    print(f"{name}:\n{text[-4000:]}", flush=True)
                elif "Sanitizer" in text or "runtime error" in text:
                    raise Failed(text[-4000:])


def large(link, first, last):
    """Readings of 200 KB: no room that a file has to spare takes them."""
    return b"".join(link.publish_bytes("plant/1", json.dumps({"n": n, "x": "x" * 200000}).encode(), mid=n) for n in range(first, last + 1))


def mounts():
    """Whether this process may mount what it likes: then it does, and nobody else sees it."""
    return os.environ.get(INSIDE) == "1"


# ---- what time heals

def a_folder_that_is_not_there_is_waited_for(cleanup):
    stage = Stage(cleanup)
    child = stage.run()
    wait_for(lambda: "waiting for the store" in stage.log(), "the line that it waits", 60)
    stage.broker.nobody(2.5)  # several tries
    wait_for(lambda: os.path.exists(f"{stage.folder}/c.sock"), "the admin's socket")
    status, why = adminlib.get(f"{stage.folder}/c.sock", "/readyz")
    assert status == 503 and "waiting for the store" in why and "No such file" in why, f"{status} {why}"
    assert "topicrule_store_healthy 0" in adminlib.get(f"{stage.folder}/c.sock", "/metrics")[1]
    asked = subprocess.run([PROGRAM, "status", "--admin", f"unix:{stage.folder}/c.sock"], check=False, capture_output=True, text=True)
    assert asked.returncode == 1 and "waiting for the store" in asked.stdout, asked
    assert "STATUS=waiting for the store" in stage.told()
    assert stage.log().count("waiting for the store") == 1, stage.log()
    os.mkdir(stage.disk)
    link = stage.connects(False)
    assert stage.log().count("open now") == 1, stage.log()
    link.send(numbered(link, 1, 3))
    link.pubacks([1, 2, 3], 60)
    wait_for(lambda: adminlib.get(f"{stage.folder}/c.sock", "/readyz")[0] == 200, "a daemon that is ready")
    child.terminate()
    stage.ends(child, 0)


def sigterm_ends_the_wait(cleanup):
    stage = Stage(cleanup)
    child = stage.run()
    wait_for(lambda: "waiting for the store" in stage.log(), "the line that it waits", 60)
    child.terminate()
    stage.ends(child, 0)
    stage.broker.nobody(0.1)


def another_cause_is_another_line(cleanup):
    stage = Stage(cleanup)
    child = stage.run()
    wait_for(lambda: "No such file" in stage.log(), "the line that it waits", 60)
    with open(stage.disk, "w", encoding="ascii"):
        pass
    stage.ends(child, 2)  # a file where the folder should be is nothing that passes
    assert "Not a directory" in stage.log(), stage.log()


# ---- what no time heals

def refused(stage, words):
    for _ in range(2):  # what the first start leaves behind must not mislead the second
        stage.ends(stage.run(), 2)
        assert words in stage.log(), stage.log()
    stage.broker.nobody(0.1)


def a_folder_in_its_place_is_refused(cleanup):
    stage = Stage(cleanup)
    os.makedirs(stage.store)
    refused(stage, "has to be a file")


def a_file_of_somebody_else_is_refused_and_left_alone(cleanup):
    stage = Stage(cleanup)
    os.mkdir(stage.disk)
    notes = "my notes, which I need\n" * 100
    with open(stage.store, "w", encoding="ascii") as file:
        file.write(notes)
    refused(stage, "this is no database")
    with open(stage.store, encoding="ascii") as file:
        assert file.read() == notes


def another_version_or_program_is_refused(cleanup):
    stage = Stage(cleanup)
    os.mkdir(stage.disk)
    child = stage.run()
    stage.broker.accept(60).close()
    child.terminate()
    stage.ends(child, 0)
    for sql, words in (("PRAGMA user_version = 99", "later version"), ("PRAGMA application_id = 7", "another program")):
        store = sqlite3.connect(stage.store)
        store.execute(sql)
        store.close()
        refused(stage, words)


def a_second_daemon_is_refused(cleanup):
    stage = Stage(cleanup)
    os.mkdir(stage.disk)
    first = stage.run("first")
    link = stage.connects(False)
    second = stage.run("second")
    stage.ends(second, 2, "second")
    assert f"another topicrule that runs (process {first.pid})" in stage.log("second"), stage.log("second")
    link.send(numbered(link, 1, 3))
    link.pubacks([1, 2, 3], 60)
    first.kill()
    first.wait()
    link.wait_closed()
    third = stage.run("third")
    link = stage.connects()
    link.send(numbered(link, 4, 5))
    link.pubacks([4, 5], 60)
    third.terminate()
    stage.ends(third, 0, "third")


# ---- disks that can be read

def a_disk_that_takes_no_write_holds_and_heals(cleanup, wish="e", words="I/O error"):
    stage = Stage(cleanup)
    os.mkdir(stage.disk)
    stage.a_life(5)
    child = stage.run(env=stage.failing(wish))
    link = stage.connects()
    wait_for(lambda: "messages are held, not acknowledged" in stage.log(), "the line of the disk", 60)
    assert words in stage.log(), stage.log()
    link.send(numbered(link, 6, 8))
    link.quiet(3)  # Kafka does not answer, and the disk takes nothing
    stage.say("0")
    link.pubacks([6, 7, 8], 60)
    stage.kafka.release()
    stage.arrive(9)
    assert stage.kafka.count() <= 14, stage.kafka.count()  # the five may have been on their way when it was killed
    child.terminate()
    stage.ends(child, 0)


def a_disk_whose_fsync_fails_holds_and_heals(cleanup):
    a_disk_that_takes_no_write_holds_and_heals(cleanup, "s")


def a_disk_that_hangs_keeps_nobody_from_ending_it(cleanup):
    stage = Stage(cleanup)
    os.mkdir(stage.disk)
    environment = stage.failing("w")
    child = stage.run(env=environment)
    told = []
    wait_for(lambda: told.append(stage.told()) or "STATUS=opening the store" in "".join(told), "its status", 60)
    child.terminate()
    stage.ends(child, 0)
    stage.broker.nobody(0.1)
    child = stage.run(env=environment)
    wait_for(lambda: told.append(stage.told()) or "READY=1" in "".join(told), "READY=1, so that systemd goes on waiting", 60)
    stage.say("0")
    link = stage.connects(False)
    link.send(numbered(link, 1, 2))
    link.pubacks([1, 2], 60)
    child.terminate()
    stage.ends(child, 0)


def a_full_disk_delivers_deletes_and_holds(cleanup):
    if not mounts():
        return
    stage = Stage(cleanup)
    stage.tmpfs(cleanup)
    stage.a_life(5)
    stage.fill()
    child = stage.run()
    link = stage.connects()
    link.send(large(link, 6, 8))
    link.quiet(3)
    assert "the disk is full; messages are held" in stage.log(), stage.log()
    stage.kafka.release()
    link.pubacks([6, 7, 8], 60)
    stage.arrive(9)
    stage.kafka.hold()
    link.send(large(link, 9, 10))
    link.quiet(2)
    os.unlink(f"{stage.disk}/others")
    link.pubacks([9, 10], 60)
    assert count_rows(stage.store) == 2
    child.terminate()
    stage.kafka.release()
    stage.ends(child, 0)


def a_disk_without_any_room_is_waited_for(cleanup):
    """The reserve was given up before, and others have taken its room: SQLite cannot even make its shared memory."""
    if not mounts():
        return
    stage = Stage(cleanup)
    stage.tmpfs(cleanup)
    stage.a_life(5)
    os.truncate(f"{stage.store}.reserve", 0)
    os.unlink(f"{stage.store}-shm")
    stage.fill()
    child = stage.run()
    wait_for(lambda: "waiting for the store" in stage.log(), "the line that it waits", 60)
    assert "No space left" in stage.log(), stage.log()
    stage.broker.nobody(2)
    os.truncate(f"{stage.disk}/others", os.path.getsize(f"{stage.disk}/others") - MIB)
    stage.connects()
    stage.kafka.release()
    stage.arrive(6)
    child.terminate()
    stage.ends(child, 0)


def a_new_store_on_a_full_disk_is_waited_for(cleanup):
    if not mounts():
        return
    stage = Stage(cleanup)
    stage.tmpfs(cleanup)
    stage.fill()
    child = stage.run()
    wait_for(lambda: "waiting for the store" in stage.log(), "the line that it waits", 60)
    os.unlink(f"{stage.disk}/others")
    link = stage.connects(False)
    link.send(numbered(link, 1, 2))
    link.pubacks([1, 2], 60)
    child.terminate()
    stage.ends(child, 0)


def a_disk_that_is_read_only_is_waited_for(cleanup):
    if not mounts():
        return
    stage = Stage(cleanup)
    stage.tmpfs(cleanup)
    stage.a_life(5)
    stage.mount("ro")
    child = stage.run()
    wait_for(lambda: "Read-only file system" in stage.log(), "the line that it waits", 60)
    stage.broker.nobody(2)
    stage.mount("rw")
    stage.connects()
    stage.kafka.release()
    stage.arrive(6)
    child.terminate()
    stage.ends(child, 0)


def enter_mounts():
    """Go on in a mount namespace of our own, if there is a right to one."""
    ours = ["unshare", "--user", "--map-root-user", "--mount"] if os.getuid() else ["unshare", "--mount"]
    try:
        found = subprocess.run([*ours, "mount", "-t", "tmpfs", "none", tempfile.gettempdir()], check=False, capture_output=True)
    except FileNotFoundError:
        found = None
    if found and found.returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp(ours[0], [*ours, "--propagation", "private", sys.executable, *sys.argv])
    os.environ[INSIDE] = "0"
    print("SKIP: no right to mount, so no disk is really full or read-only here; chaos_shim.so stands in", flush=True)


if __name__ == "__main__":
    if INSIDE not in os.environ:
        enter_mounts()
    enginelib.main(globals())
