#!/usr/bin/env python3
"""What `topicrule doctor` prints: lines in a pipe, an aligned table on a terminal, its exit statuses; with nothing to connect to."""

import os
import pty
import re
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(os.environ["TOPICRULE"])
RULE = """sql: SELECT * FROM 'a/b'
awsIotSqlVersion: '2016-03-23'
actions: [{kafka: {topic: t, clientProperties: {bootstrap.servers: "127.0.0.1:1", security.protocol: %s%s}}}]
"""
NOTHING = "nothing listens there (connection refused); is the server up, is the port right?"
SECRET = "canary-pW7qYe"
failed = 0


def expect(want, got, what):
    global failed
    if want != got:
        failed += 1
        print(f"FAIL {what}\n  want {want!r}\n  got  {got!r}")


def run(folder, *options):
    done = subprocess.run([PROGRAM, "doctor", *options], cwd=folder, check=False, capture_output=True, text=True, timeout=120)
    expect(False, SECRET in done.stdout + done.stderr, "a secret is shown")
    return done.returncode, done.stdout, done.stderr


def on_terminal(folder, *options):
    """(exit status, standard output as a terminal gets it, without colours)."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([PROGRAM, "doctor", *options], cwd=folder, stdout=theirs, stderr=subprocess.DEVNULL,
                          env={**os.environ, "TERM": "xterm"}) as child:
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not part:
                break
            text += part
        os.close(ours)
        return child.wait(), re.sub(r"\x1b\[\d*m", "", text.decode()).replace("\r\n", "\n"), b"\x1b[31m" in text


def write(folder, name, text, mode=0o644):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def main():
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="topicrule-") as folder:
        write(folder, "secrets/a", SECRET, 0o600)
        write(folder, "rules/one.yaml", RULE % ("PLAINTEXT", ""))
        write(folder, "rules/two.yaml", RULE % ("PLAINTEXT", ""))
        write(folder, "c.yaml", "mqtt: {url: 'mqtt://127.0.0.1:1'}\nrules: rules\nsecrets: {backends: {files: {type: directory, path: secrets}}}\n")
        status, out, err = run(folder, "-c", "c.yaml")
        lines = out.splitlines()
        expect((1, ""), (status, err), "status and standard error")
        expect("ok: secrets: files: directory: ", re.sub(r"(directory: ).*", r"\1", lines[0]), "a backend")
        expect([f"failed: mqtt: TCP mqtt://127.0.0.1:1: {NOTHING}", f"failed: kafka of rule one and 1 more: TCP 127.0.0.1:1: no connection: {NOTHING}",
                "skipped: kafka of rule one and 1 more: login: there is no broker to log in to"], lines[1:4], "in a pipe")
        expect("1 ok, 0 warnings, 2 failed", lines[-1], "the sum")

        status, out, red = on_terminal(folder, "-c", "c.yaml")
        expect((1, True), (status, red), "on a terminal")
        rows = out.splitlines()
        expect(["mqtt", f"  failed   TCP mqtt://127.0.0.1:1  {NOTHING}", "kafka of rule one and 1 more", f"  failed   TCP 127.0.0.1:1  no connection: {NOTHING}",
                "  skipped  login            there is no broker to log in to"], rows[2:7], "the table")

        write(folder, "rules/two.yaml", RULE % ("SASL_PLAINTEXT", ", sasl.mechanism: PLAIN, sasl.plain.username: u, sasl.plain.password: "
                                                                  "\"${get_secret('gone', 'SecretString', '')}\""))
        status, out, err = run(folder, "-c", "c.yaml")
        expect(True, status == 1 and re.search("^failed: rules: two: .*sasl.plain.password.*gone", out, re.M) is not None, f"a secret that is missing: {out}")

        write(folder, "rules/two.yaml", RULE % ("SASL_PLAINTEXT", ", sasl.mechanism: PLAIN, sasl.plain.username: \"${get_secret('nobody', 'SecretString', '')}\", "
                                                                  "sasl.plain.password: \"${get_secret('gone', 'SecretString', '')}\"")
              + "errorAction: {kafka: {topic: \"${get_secret('a', 'SecretString', 'member', '')}\", clientProperties: {bootstrap.servers: '127.0.0.1:1', security.protocol: PLAINTEXT}}}\n")
        status, out, err = run(folder, "-c", "c.yaml")
        told = re.findall(r"^failed: rules: two: rules/two.yaml: ([^ ]*): ", out, re.M)
        expect((1, ["actions[0].kafka.clientProperties.sasl.plain.username", "actions[0].kafka.clientProperties.sasl.plain.password", "errorAction.kafka.topic"]),
               (status, told), f"each secret that is missing: {out}")

        write(folder, "rules/two.yaml", "sql: nonsense\n")
        status, out, err = run(folder, "-c", "c.yaml")
        expect((1, True, True), (status, "failed: rules: " in out, "two.yaml" in err), f"a rule that is refused: {out}{err}")
        expect(2, run(folder, "-c", "missing.yaml")[0], "no configuration")
        expect(2, run(folder, "--nonsense")[0], "an option that is not known")
        write(folder, "bad.yaml", "mqtt: {url: 'mqtt://127.0.0.1:1'}\nrules: missing\n")
        expect(2, run(folder, "-c", "bad.yaml")[0], "no rules")
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


main()
