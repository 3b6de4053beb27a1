#!/usr/bin/env python3
"""Secrets of a Kafka client are seen nowhere: not in what is said, whatever fails, and not in memory once the client is closed."""

import base64
import json
import os
import re
import subprocess

from kafka_action import Action
from lib import PROGRAM, Daemon, Failed, Kafka, Mosquitto, check, main, rule

HUGE = 1 << 34  # a mapping that large is a sanitizer's shadow, not memory


def forms(canary):
    """How a text may stand in memory: as it is, as Java's and Windows' UTF-16, in base64 at any offset."""
    text = canary.encode() if isinstance(canary, str) else canary
    found = {"text": text}
    if isinstance(canary, str):
        found |= {"UTF-16BE": canary.encode("utf-16-be"), "UTF-16LE": canary.encode("utf-16-le")}
    for offset in range(3):
        coded = base64.b64encode(b"x" * offset + text)
        found[f"base64 at {offset}"] = coded[4 if offset else 0:len(coded) - 4]
    return found


def memory_of(pid):
    """(what it is, where, bytes) of each mapping that can have been written, and was: most of a sanitizer's own never is, and takes
    minutes to read."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            if re.match("[0-9a-f]+-", line):
                area, rights, _, _, _, *name = line.split(maxsplit=5)
                start, end = (int(part, 16) for part in area.split("-"))
                used = 0
            elif line.startswith(("Rss:", "Swap:")):
                used += int(line.split()[1])
            if not line.startswith("VmFlags:") or rights[:2] != "rw" or used == 0 or end - start > HUGE:
                continue
            for at in range(start, end, 1 << 24):
                try:
                    mem.seek(at)
                    yield (name[0].strip() if name else "anonymous"), at, mem.read(min(end - at, 1 << 24))
                except OSError:
                    break


def seen_in_memory(pid, canaries):
    """["password as text in [heap], 12 bytes before it: ..."]"""
    wanted = {(name, form): data for name, canary in canaries.items() for form, data in forms(canary).items() if len(data) >= 8}
    found = []
    for place, start, content in memory_of(pid):
        for (name, form), data in wanted.items():
            at = content.find(data)
            while at >= 0 and len(found) < 20:
                around = content[max(0, at - 24):at + len(data) + 16]
                found.append(f"{name} as {form} in {place} at {start + at:#x}: {around!r}")
                at = content.find(data, at + 1)
    return found


def librdkafka_leaves(found):
    """SASL PLAIN: librdkafka does not wipe the request that carries user and password (docs/operations.md says so)."""
    return "\\x00alice\\x00" in found.split(": ", 1)[1]


# ---- the secrets, each as what could be recognised ----


def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout


def key_canaries(kafka):
    """A private key as its number, in both orders of bytes, and as a line of PEM."""
    path = os.path.join(kafka.dir, "pki/client.key")
    text = openssl("pkey", "-in", path, "-text", "-noout").decode()
    number = re.search(r"(?:priv|privateExponent):\n((?: +[0-9a-f:]+\n)+)", text)
    check(number, f"no number in {text[:60]}")
    value = bytes.fromhex(re.sub(r"[^0-9a-f]", "", number.group(1))).lstrip(b"\0")
    pem = openssl("pkcs8", "-topk8", "-nocrypt", "-in", path).splitlines()
    return {"private key": value, "private key, reversed": value[::-1], "private key as PEM": pem[1][8:40]}


def keytab_canaries(keytab):
    """The keys of a keytab (MIT's format 5.2)."""
    keys, at = {}, 2
    while at + 4 <= len(keytab):
        size = int.from_bytes(keytab[at:at + 4], "big", signed=True)
        entry, at = keytab[at + 4:at + 4 + abs(size)], at + 4 + abs(size)
        if size > 0:
            inside = 2
            for _ in range(int.from_bytes(entry[:2], "big") + 1):
                inside += 2 + int.from_bytes(entry[inside:inside + 2], "big")
            inside += 4 + 4 + 1 + 2
            keys[f"key {len(keys) + 1}"] = entry[inside + 2:inside + 2 + int.from_bytes(entry[inside:inside + 2], "big")]
    return keys


CANARY = "canary-Q7xW2mR9-secret"


def ways(kafka):
    """name -> (settings, canaries, what it says when it is open)"""
    def content(name):
        with open(os.path.join(kafka.dir, name), "rb") as file:
            return file.read()

    password, store, key = kafka.env["KT_PASSWORD"], kafka.env["KT_STORE_PASSWORD"], kafka.env["KT_KEY_PASSWORD"]
    private, keytab = key_canaries(kafka), content("krb5/alice.keytab")
    base = {"broker.address.family": "v4", "ssl.truststore": content("pki/ca.pem")}
    login = {**base, "bootstrap.servers": kafka.env["KT_SASLTLS"], "security.protocol": "SASL_SSL"}
    mutual = {**base, "bootstrap.servers": kafka.env["KT_MTLS"], "security.protocol": "SSL"}
    chain = {"ssl.keystore.certificate.chain": content("pki/client.pem")}

    def jaas(value, module="scram.ScramLoginModule"):
        return {"sasl.jaas.config": f'org.apache.kafka.common.security.{module} required username="alice" password="{value}";'}

    def kerberos(principal, **more):
        return {**login, "sasl.mechanism": "GSSAPI", "sasl.kerberos.keytab": content(f"krb5/{principal}.keytab"),
                "sasl.kerberos.principal": principal, "sasl.kerberos.service.name": "kafka", "sasl.kerberos.krb5.realm": kafka.env["KT_REALM"],
                "sasl.kerberos.krb5.kdc": kafka.env["KT_KDC"], **more}

    found = {}
    for mechanism, family in (("PLAIN", "plain"), ("SCRAM-SHA-256", "scram"), ("SCRAM-SHA-512", "scram")):
        with_password = {**login, "sasl.mechanism": mechanism, f"sasl.{family}.username": "alice"}
        found[mechanism] = ({**with_password, f"sasl.{family}.password": password}, {"password": password}, "READY")
        found[f"{mechanism}, wrong"] = ({**with_password, f"sasl.{family}.password": CANARY}, {"password": CANARY}, "AWAY")
    scram = {**login, "sasl.mechanism": "SCRAM-SHA-512"}
    found |= {
        "no broker": ({**scram, "sasl.scram.username": "alice", "sasl.scram.password": CANARY, "bootstrap.servers": "localhost:1"},
                      {"password": CANARY}, "AWAY"),
        "JAAS": ({**scram, **jaas(password)}, {"password": password}, "READY"),
        "JAAS, wrong": ({**scram, **jaas(CANARY)}, {"password": CANARY}, "AWAY"),
        "JAAS, broken": ({**scram, "sasl.jaas.config": f'ScramLoginModule required password="x {CANARY}'}, {"password": CANARY}, "error"),
        "JAAS, no quotes": ({**scram, "sasl.jaas.config": f"ScramLoginModule required password=x {CANARY}=y;"}, {"password": CANARY}, "error"),
        "PKCS#12": ({**mutual, "ssl.keystore": content("pki/client.p12"), "ssl.keystore.password": store}, {"store": store, **private}, "READY"),
        "PKCS#12, wrong": ({**mutual, "ssl.keystore": content("pki/client.p12"), "ssl.keystore.password": CANARY}, {"store": CANARY}, "error"),
        "JKS": ({**mutual, "ssl.keystore": content("pki/client.jks"), "ssl.keystore.password": store}, {"store": store, **private}, "READY"),
        "JKS, wrong": ({**mutual, "ssl.keystore": content("pki/client.jks"), "ssl.keystore.password": CANARY}, {"store": CANARY}, "error"),
        "JKS, wrong for the key": ({**mutual, "ssl.keystore": content("pki/client.jks"), "ssl.keystore.password": store,
                                    "ssl.key.password": CANARY}, {"store": store, "key": CANARY}, "error"),
        "JKS, cut off": ({**mutual, "ssl.keystore": content("pki/client.jks")[:-40], "ssl.keystore.password": CANARY}, {"store": CANARY}, "error"),
        "PEM": ({**mutual, "ssl.keystore.key": content("pki/client.key"), **chain}, private, "READY"),
        "PEM in base64": ({**mutual, "ssl.keystore.key": base64.b64encode(content("pki/client.key")), **chain}, private, "READY"),
        "PEM, encrypted": ({**mutual, "ssl.keystore.key": content("pki/client.enc.key"), **chain, "ssl.key.password": key},
                           {"key": key, **private}, "READY"),
        "PEM, encrypted, wrong": ({**mutual, "ssl.keystore.key": content("pki/client.enc.key"), **chain, "ssl.key.password": CANARY},
                                  {"key": CANARY}, "error"),
        "PEM of another": ({**mutual, "ssl.keystore.key": content("pki/client.key"),
                            "ssl.keystore.certificate.chain": content("pki/client-untrusted.pem")}, private, "error"),
        "PEM, other broker": ({**mutual, "ssl.keystore.key": content("pki/client.key"), **chain, "bootstrap.servers": kafka.env["KT_EXPIRED"]},
                              private, "AWAY"),
        "Kerberos": (kerberos("alice"), keytab_canaries(keytab), "READY"),
        "Kerberos, in base64": (kerberos("alice", **{"sasl.kerberos.keytab": base64.b64encode(keytab)}), keytab_canaries(keytab), "READY"),
        "Kerberos, unknown": (kerberos("ghost"), keytab_canaries(content("krb5/ghost.keytab")), "AWAY"),
        "Kerberos, other principal": (kerberos("alice", **{"sasl.kerberos.principal": "bob"}), keytab_canaries(keytab), "error"),
        "Kerberos, cut off": (kerberos("alice", **{"sasl.kerberos.keytab": keytab[:-3]}), keytab_canaries(keytab[:-3]), "error"),
        "Kerberos, no KDC": (kerberos("alice", **{"sasl.kerberos.krb5.kdc": "127.0.0.1:1"}), keytab_canaries(keytab), "AWAY"),
    }
    return found


def said_nothing(lines, canaries, where):
    for name, canary in canaries.items():
        for form, data in forms(canary).items():
            for line in lines:
                check(len(data) < 8 or data not in line, f"{where} shows {name} as {form}: {line[:300]!r}")


def nothing_of_a_secret_is_left(folder, cleanup):
    kafka = Kafka(folder)
    topic = kafka.topic("secrets")
    for name, (settings, canaries, state) in ways(kafka).items():
        try:
            action = Action()
            cleanup.callback(action.kill)
            pid = action.process.pid
            for setting, value in settings.items():
                action.set(setting, value, secret=True)
            action.tell("check")
            action.wait("checked")
            action.open().wait("error 0 " if state == "error" else f"state 0 {state} ")
            if state == "READY":
                action.send(topic)
                action.wait_delivered(1)
            if state != "error" and "password" in canaries:
                check(seen_in_memory(pid, canaries), "the search finds nothing even while the secret is in use")
            for proc in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{proc}", "rb") as file:
                    said_nothing([file.read()], canaries, proc)
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                check(not file.read().strip(), "it has children")
            if state != "READY" or name in ("JAAS", "PKCS#12", "Kerberos"):
                action.tell("examine", topic)
                action.wait("examined")
            action.tell("close", 0, 1000)
            action.wait("closed")
            for setting in settings:
                action.set(setting, None)
            action.tell("check")
            action.wait("checked")
            deadline = 20  # the thread for tickets ends by itself, soon
            left = seen_in_memory(pid, canaries)
            while left and deadline:
                deadline -= 1
                action.tell("check")
                action.wait("checked")
                left = [line for line in seen_in_memory(pid, canaries) if not librdkafka_leaves(line)]
            check(not left, f"{len(left)} copies are left in memory, such as:\n  " + "\n  ".join(left[:4]))
            action.end()
            said_nothing([line.encode() for line in action.all + action.errors], canaries, "the output")
        except Failed as error:
            raise Failed(f"{name}: {error}") from None


# ---- the program: check, eval, doctor, run ----


def program_shows_nothing(folder, cleanup):
    """Secrets that stand in the rule, and those that a rule asks for, wherever they may be put by mistake."""
    kafka = Kafka(folder)
    rules = os.path.join(folder, "rules")
    os.makedirs(rules)
    os.makedirs(os.path.join(folder, "secrets"), mode=0o700)
    with open(os.path.join(folder, "secrets/canary"), "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(CANARY)
    mosquitto = Mosquitto(folder).start()
    cleanup.callback(mosquitto.stop)
    with open(os.path.join(folder, "topicrule.yaml"), "w", encoding="utf-8") as file:
        file.write(f"mqtt: {{url: 'mqtt://127.0.0.1:{mosquitto.port}', client_id: secrets}}\nrules: rules\n"
                   "secrets: {default: files, backends: {files: {type: directory, path: secrets}}}\n")
    asked = "${get_secret('canary','SecretString','')}"
    login = {"bootstrap.servers": kafka.env["KT_SASLTLS"], "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
             "ssl.truststore.location": os.path.join(kafka.dir, "pki/ca.pem"), "sasl.scram.username": "alice"}
    store = {"bootstrap.servers": kafka.env["KT_MTLS"], "security.protocol": "SSL", "ssl.truststore.location": login["ssl.truststore.location"],
             "ssl.keystore.location": os.path.join(kafka.dir, "pki/client.p12")}
    documents = {"password": {**login, "sasl.scram.password": None}, "key": {**store, "ssl.keystore.password": None},
                 "jaas": {**{name: value for name, value in login.items() if name != "sasl.scram.username"}, "sasl.jaas.config": None},
                 "number": {**login, "sasl.scram.password": "x", "linger.ms": None}, "broker": {**login, "bootstrap.servers": None},
                 "trust": {**login, "sasl.scram.password": "x", "ssl.truststore": None}, "ciphers": {**store, "ssl.cipher.suites": None},
                 "path": {**store, "ssl.keystore.location": None}}
    for name, properties in documents.items():
        for value in (asked, CANARY):
            filled = {key: value if text is None else text for key, text in properties.items()}
            with open(os.path.join(rules, "r.json"), "w", encoding="utf-8") as file:
                json.dump(rule("SELECT * FROM 'a'", "t", filled["bootstrap.servers"], properties=filled), file)
            public = value == CANARY and name not in ("password", "key", "jaas")  # not a secret where it stands in the rule
            for words in (["check"], ["eval", "--rule", os.path.join(rules, "r.json"), "--topic", "a", "--payload", "{}"], ["doctor"]):
                if public and words[0] == "doctor":
                    continue
                done = subprocess.run([PROGRAM, *words, *(["-c", "topicrule.yaml"] if words[0] != "eval" else [])], cwd=folder, check=False,
                                      capture_output=True, timeout=120)
                if not public:
                    said_nothing([done.stdout + done.stderr], {"it": CANARY}, f"{name}: {words[0]} of {value}")
                check(b"Sanitizer" not in done.stderr, f"{name}: {done.stderr.decode()}")
    # The daemon, which a wrong password keeps waiting.
    daemon = Daemon(folder, mosquitto, {"r": rule("SELECT * FROM 'a'", "t", login["bootstrap.servers"],
                                                  properties={**login, "sasl.scram.password": asked})},
                    more=f"secrets: {{default: files, backends: {{files: {{type: directory, path: '{folder}/secrets'}}}}}}").start(wait=False)
    cleanup.callback(daemon.kill)
    daemon.process.wait_said("refuses the user name or the password")
    for proc in ("cmdline", "environ"):
        with open(f"/proc/{daemon.process.child.pid}/{proc}", "rb") as file:
            said_nothing([file.read()], {"it": CANARY}, proc)
    daemon.stop()
    with open(daemon.process.log, "rb") as log:
        said_nothing([log.read()], {"it": CANARY}, "the log")


main(nothing_of_a_secret_is_left, program_shows_nothing)
