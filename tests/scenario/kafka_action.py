"""The Kafka action by itself (tests/support/kafka/kafka_client.c), for the scenarios of that room."""

import base64
import os
import queue
import re
import subprocess
import threading
import time

from lib import PROGRAM, Failed, check

CLIENT = os.environ.get("KAFKA_CLIENT", os.path.join(os.path.dirname(PROGRAM), "tests/kafka_client"))


class Action:
    """One process with up to ten clients. Lines it says are kept; waiting is for a line that matches."""

    def __init__(self, settings=None, env=None, wrapper=()):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KRB5")}
        self.process = subprocess.Popen([*wrapper, CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**clean, **(env or {})})
        self.lines, self.all, self.errors, self.delivered = queue.Queue(), [], [], {}
        threading.Thread(target=self.listen, daemon=True).start()
        threading.Thread(target=self.listen_errors, daemon=True).start()
        for name, value in (settings or {}).items():
            self.set(name, value)

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line.decode("utf-8", "replace").rstrip("\n"))

    def listen_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.decode("utf-8", "replace").rstrip("\n"))

    def tell(self, *words):
        check(self.process.poll() is None, f"kafka_client ended with {self.process.poll()}: " + "\n".join(self.errors[-40:]))
        self.process.stdin.write((" ".join(str(word) for word in words) + "\n").encode())
        self.process.stdin.flush()

    def set(self, name, value, secret=False):
        if value is None:
            self.tell("set", name)
            return
        data = value if isinstance(value, bytes) else str(value).encode()
        self.tell("set", name, base64.b64encode(data).decode(), *(["secret"] if secret else []))

    def open(self, client=0):
        self.tell("open", client)
        return self

    def wait(self, pattern, seconds=60):
        """The first line from now on that matches; the match."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f"waited {seconds} s for '{pattern}'; last said:\n  " +
                             "\n  ".join(self.all[-12:] + self.errors[-40:])) from None
            self.all.append(line)
            if line.startswith("sum "):
                self.delivered[int(line.split()[1])] = int(line.split()[2])
            found = re.match(pattern, line)
            if found:
                return found

    def send(self, topic, count=1, size=0, key="-", partition="-", headers=0, client=0):
        self.tell("send", client, topic, count, size, key, partition, headers)

    def wait_ready(self, client=0):
        self.wait(f"state {client} READY")

    def wait_delivered(self, count, client=0, seconds=60):
        """Until `count` records were delivered, ever."""
        while self.delivered.get(client, 0) < count:
            self.wait(f"sum {client} ", seconds)

    def sums(self, client=0):
        """Outcomes at the end, after close: delivered, wait, refused, failed."""
        found = self.wait(f"sum {client} (\\d+) (\\d+) (\\d+) (\\d+) 0$")
        return tuple(int(n) for n in found.groups())

    def end(self):
        """Close all; fails when the process did not end well (a sanitizer, a leak)."""
        self.process.stdin.close()
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("kafka_client does not end") from None
        check(status == 0, f"kafka_client ended with {status}: " + "\n".join(self.errors[-60:]))
        check(not self.errors, "on standard error: " + "\n".join(self.errors[-20:]))

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
