"""The engine between a scripted broker and an action whose answers the script gives: what the packet scripts share.

The engine runs in $DRIVEN (driven.c, tests/support/scripted_action.h). A script is a file of functions, one a scenario, which
take `cleanup`; it ends with `enginelib.main(globals())`.
"""

import concurrent.futures
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from broker import Broker, Failed, make_certificates, numbered

DRIVEN = os.path.abspath(os.environ.get("DRIVEN", "build/dev/tests/contract_driven"))
RULE = {"sql": "SELECT n FROM 'plant/#' WHERE n > 0", "awsIotSqlVersion": "2016-03-23",
        "actions": [{"kafka": {"topic": "readings", "key": "${topic(2)}", "clientProperties": {}}}]}


def rule(sql, topic="readings", error=None, **more):
    document = {"sql": sql, "awsIotSqlVersion": "2016-03-23",
                "actions": [{"kafka": {"topic": topic, "clientProperties": {}}}], **more}
    if error:
        document["errorAction"] = {"kafka": {"topic": error, "clientProperties": {}}}
    return document


def wait_for(condition, words, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {words}")
        time.sleep(0.02)


class Engine:
    """The engine under test, and its fake Kafka."""

    def __init__(self, folder, broker, rules=None, mqtt="", more="", env=None, others=(), host="localhost", before=()):
        self.folder = folder
        scheme = "mqtts" if broker.context else "mqtt"
        os.makedirs(f"{folder}/rules")
        self.write_rules(rules or {"heat": RULE})
        with open(f"{folder}/topicrule.yaml", "w", encoding="utf-8") as file:
            urls = ", ".join(f"'{scheme}://{host}:{one.port}'" for one in (broker, *others))
            file.write(f"mqtt:\n  url: [{urls}]\n  client_id: unit\n{mqtt}\nrules: rules\n{more}\n")
        self.log = open(f"{folder}/log", "a+", encoding="utf-8")  # pylint: disable=consider-using-with
        self.env, self.before, self.lines, self.kept = env, before, queue.Queue(), []
        self.child = self.start()

    def write_rules(self, rules):
        for name in os.listdir(f"{self.folder}/rules"):
            os.unlink(f"{self.folder}/rules/{name}")
        for name, document in rules.items():
            with open(f"{self.folder}/rules/{name}.json", "w", encoding="utf-8") as file:
                json.dump(document, file)

    def start(self):
        child = subprocess.Popen([*self.before, DRIVEN, f"{self.folder}/topicrule.yaml"], stdin=subprocess.PIPE,  # pylint: disable=consider-using-with
                                 stdout=subprocess.PIPE, stderr=self.log, text=True, errors="replace",
                                 env={**os.environ, **(self.env or {})})
        threading.Thread(target=self.listen, args=(child,), daemon=True).start()
        return child

    def restart(self, rules):
        """SIGTERM, other rules, and a new process."""
        status = self.end()
        if status != 0:
            raise Failed(f"the engine ended with {status}")
        self.write_rules(rules)
        self.child = self.start()

    def listen(self, child):
        for line in child.stdout:
            self.lines.put(line.rstrip("\n"))

    def say(self, command):
        """An order to the fake Kafka, which has carried it out when this returns."""
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        if command != "counters":
            self.line(f"done {command}")

    def line(self, start, seconds=30):
        """The next line that starts so; others stay for later."""
        end = time.monotonic() + seconds
        while True:
            for line in self.kept:
                if line.startswith(start):
                    self.kept.remove(line)
                    return line
            try:
                self.kept.append(self.lines.get(timeout=max(0.01, end - time.monotonic())))
            except queue.Empty:
                raise Failed(f"no line '{start}' within {seconds} s") from None

    def records(self, count):
        """The next `count` records: (client, topic, key, payload)."""
        return [tuple(self.line("sent ").split(" ", 4)[1:]) for _ in range(count)]

    def no_record(self, seconds=0.3):
        try:
            line = self.line("sent ", seconds)
        except Failed:
            return
        raise Failed(f"a record came, and none should: {line}")

    def counters(self):
        self.say("counters")
        return {key: int(value) for key, value in (part.split("=") for part in self.line("counters").split()[1:])}

    def said(self, words):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return words in file.read()

    def wait_said(self, words, seconds=30):
        wait_for(lambda: self.said(words), f"'{words}' in the log", seconds)

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)

    def end(self, seconds=40):
        """The exit status after SIGTERM."""
        self.stop()
        return self.child.wait(seconds)


class Stage:
    """One scenario's broker, engine and first connection."""

    def __init__(self, cleanup, tls=False, subscribes=1, connect=True, receive_buffer=0, **how):
        self.folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="topicrule-"))
        mqtt = how.pop("mqtt", "")
        if tls:
            make_certificates(self.folder)
            mqtt += f"  tls: {{ca_file: {self.folder}/ca.pem}}\n"
        self.broker = Broker((f"{self.folder}/server.pem", f"{self.folder}/server.key") if tls else None, receive_buffer)
        cleanup.callback(self.broker.close)
        self.engine = Engine(self.folder + "/engine", self.broker, mqtt=mqtt, **how)
        cleanup.push(self.finish)
        self.link = None
        if connect:
            self.link = self.broker.accept()
            self.link.connack()
            self.link.subscribes(subscribes)

    def finish(self, failed, *_):
        """Whatever the scenario left: it ends when asked, cleanly. Sanitizers speak at the end."""
        with contextlib.suppress(OSError):
            self.engine.child.stdin.write("later off\ntake -1\nauto on\n")
            self.engine.child.stdin.flush()
        self.broker.close()
        try:
            status = self.engine.end()
        except subprocess.TimeoutExpired:
            self.engine.child.kill()
            status = "no status: it did not end"
        unclean = status != 0 or self.engine.said("Sanitizer") or self.engine.said("runtime error")
        if failed or unclean:
            with open(f"{self.engine.folder}/log", encoding="utf-8", errors="replace") as file:
                print(file.read()[-4000:], flush=True)
        if unclean and not failed:
            raise Failed(f"the engine ended with {status}")

    def wait_counted(self, **wanted):
        """A PUBACK may be here before it is counted."""
        wait_for(lambda: (have := self.engine.counters()) and all(have[key] == value for key, value in wanted.items()),
                 f"counters {wanted}; there are {self.engine.counters()}")

    def publish(self, first, last, link=None, **how):
        link = link or self.link
        link.send(numbered(link, first, last, **how))


def run(scenario):
    """True, or False with what went wrong printed."""
    try:
        with contextlib.ExitStack() as cleanup:
            scenario(cleanup)
    except (Failed, AssertionError, OSError):
        print(f"FAIL {scenario.__name__}: {traceback.format_exc()}", flush=True)
        return False
    print(f"ok   {scenario.__name__}", flush=True)
    return True


def main(names):
    """Run the scenarios of that script, or those that the command line names. A function with more to say than `cleanup` and a
    choice with a default is a helper."""
    scenarios = [value for value in names.values()
                 if callable(value) and getattr(value, "__module__", "") == "__main__" and isinstance(value, type(rule))
                 and value.__code__.co_varnames[:1] == ("cleanup",)
                 and value.__code__.co_argcount - len(value.__defaults__ or ()) == 1]
    wanted = [scenario for scenario in scenarios if len(sys.argv) == 1 or scenario.__name__ in sys.argv[1:]]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # they mostly wait
        sys.exit(0 if all(list(pool.map(run, wanted))) else 1)
