"""What the tests of the admin share: requests over its socket, and a strict reader of Prometheus' text format."""

import json
import re
import socket
import sys
import os

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../scenario"))
from lib import check  # noqa: E402  pylint: disable=wrong-import-position

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?[0-9]+(?:\.[0-9]+)?)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def connect(where, seconds=30):
    """`where`: a path, or a port of 127.0.0.1."""
    wire = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET, socket.SOCK_STREAM)
    wire.settimeout(seconds)
    wire.connect(where if isinstance(where, str) else ("127.0.0.1", where))
    return wire


def exchange(where, request, seconds=30):
    """Send bytes, read to the end; the status and the body. (0, b"") if it is closed without an answer."""
    with connect(where, seconds) as wire:
        data = b""
        try:
            wire.sendall(request)
            while got := wire.recv(65536):
                data += got
        except (ConnectionError, BrokenPipeError):
            pass
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head.startswith(b"HTTP/1.") else 0, head, body


def get(where, path, host="localhost"):
    status, _, body = exchange(where, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    return status, body.decode()


def get_json(where, path):
    status, body = get(where, path)
    check(status == 200, f"{path}: {status} {body}")
    return json.loads(body)


def labels_of(text):
    labels, at = {}, 0
    while text and at < len(text):
        found = LABEL.match(text, at)
        check(found, f"labels {{{text}}}")
        check(found.group(1) not in labels, f"label {found.group(1)} twice in {{{text}}}")
        labels[found.group(1)] = found.group(2)
        at = found.end()
    return frozenset(labels.items())


def read_metrics(text):
    """{(name, labels): value}. Strict: HELP and TYPE once before the samples of a name, which stand together; no sample twice."""
    types, values, current, helped = {}, {}, None, set()
    check(text.endswith("\n"), "the last line has no end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            check(name not in helped and re.fullmatch(NAME, name), f"HELP: {line}")
            helped.add(name)
            current = name
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name == current and name not in types and kind in ("counter", "gauge"), f"TYPE: {line}")
            check(kind != "counter" or name.endswith("_total"), f"a counter is named *_total: {line}")
            types[name] = kind
        else:
            found = SAMPLE.fullmatch(line)
            check(found, f"no sample: {line}")
            name, labels, value = found.groups()
            check(name == current and name in types, f"not below its TYPE: {line}")
            key = (name, labels_of(labels or ""))
            check(key not in values, f"twice: {line}")
            values[key] = float(value)
            check(values[key] >= 0, f"negative: {line}")
    return values


class Metrics:
    def __init__(self, where):
        status, text = get(where, "/metrics")
        check(status == 200, f"/metrics: {status} {text}")
        self.text, self.values = text, read_metrics(text)

    def __call__(self, name, **labels):
        key = (name, frozenset(labels.items()))
        check(key in self.values, f"no {name} with {labels}")
        return self.values[key]

    def total(self, name, **labels):
        """Of all samples of that name with these labels, whatever others they have."""
        return sum(value for (found, has), value in self.values.items() if found == name and set(labels.items()) <= has)

    def check_sums(self):
        """At rest: what was begun is accounted for, in all and rule by rule."""
        check(self("topicrule_evaluations_total") == self.total("topicrule_evaluation_results_total"), "evaluations do not add up")
        begun, recovered = self("topicrule_actions_begun_total"), self("topicrule_records_recovered_total")
        ended, flying, rows = self.total("topicrule_actions_total"), self("topicrule_records_in_flight"), self("topicrule_store_rows")
        ended += self("topicrule_records_withdrawn_total")
        check(begun + recovered == ended + flying + rows,
              f"actions do not add up: {begun} begun, {recovered} recovered; {ended} ended, {flying} in flight, {rows} on disk")
        for name in ("topicrule_actions_begun_total", "topicrule_evaluation_results_total", "topicrule_actions_total",
                     "topicrule_records_stored_total"):
            of_rules = name.replace("topicrule_", "topicrule_rule_", 1)
            check(self.total(name) == self.total(of_rules), f"{name} is not the sum of its rules")
