#!/usr/bin/env python3
"""topicrule demo: every record arrives, what it prints is for programs in a pipe, and it leaves nothing behind."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from lib import PROGRAM, check, main, skip, wait_for


def running(folder):
    """Processes that name a folder on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue
        if folder.encode() in line:
            found.append(line)
    return found


def answers(port):
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(folder, *options):
    if not shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"):
        skip("mosquitto is not installed")
    return subprocess.Popen([PROGRAM, "demo", *options], env={**os.environ, "TMPDIR": folder}, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def it_ends_by_itself(folder, _):
    demo = start(folder)
    out, err = demo.communicate(timeout=120)
    check(demo.returncode == 0, f"status {demo.returncode}: {err}")
    records = [json.loads(line) for line in out.splitlines()]
    check(len(records) == 7, f"{len(records)} records: {out}")
    check(sum("seen_at" in record for record in records) == 1, "one alarm: only 61.5 is above 50")
    check(any("49.9999999999999999999" in line for line in out.splitlines()), "every digit")
    check(sum("failures" in record for record in records) == 1, "one error message: a/b is no topic")
    check("Three things to try next" in err and "\033" not in out + err, err)
    check(os.listdir(folder) == [] and running(folder) == [], f"left: {os.listdir(folder)} {running(folder)}")


def interrupted_it_cleans_up(folder, cleanup):
    for signal_sent in (signal.SIGINT, signal.SIGTERM):
        demo = start(folder, "--keep")
        cleanup.callback(demo.kill)
        lines = [demo.stdout.readline() for _ in range(7)]
        check(all(json.loads(line) for line in lines), f"{lines}")
        time.sleep(0.5)
        check(demo.poll() is None and running(folder), "it does not stay")
        demo.send_signal(signal_sent)
        _, err = demo.communicate(timeout=60)
        check(demo.returncode == 0, f"status {demo.returncode} after signal {signal_sent}: {err}")
        check("mosquitto_pub" in err, err)
        check(os.listdir(folder) == [] and running(folder) == [], f"left: {os.listdir(folder)} {running(folder)}")


def killed_it_takes_its_children_along(folder, _):
    demo = start(folder, "--keep")
    port = int(re.search(r"127\.0\.0\.1:(\d+)", demo.stderr.readline()).group(1))
    demo.stdout.readline()
    check(answers(port) and running(folder), "its children")
    demo.kill()
    demo.communicate()
    wait_for(lambda: running(folder) == [] and not answers(port), "the end of its children")


main(it_ends_by_itself, interrupted_it_cleans_up, killed_it_takes_its_children_along)
