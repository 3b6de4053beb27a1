#!/usr/bin/env python3
"""Kerberos against real KDCs and a real Kafka: a keytab from memory, several principals and realms in one process, tickets
renewed before they end, no child process and no file."""

import os
import re
import shutil
import subprocess

from kafka_action import Action
from lib import Failed, Kafka, Process, check, free_port, main, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def keytab(kafka, name):
    with open(os.path.join(kafka.dir, "krb5", f"{name}.keytab"), "rb") as file:
        return file.read()


def gssapi(kafka, principal, keytab_of=None, **more):
    return {"bootstrap.servers": kafka.env["KT_SASLPLAIN"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI",
            "sasl.kerberos.keytab": keytab(kafka, keytab_of or principal), "sasl.kerberos.principal": principal,
            "sasl.kerberos.service.name": "kafka", "sasl.kerberos.krb5.realm": kafka.env["KT_REALM"],
            "sasl.kerberos.krb5.kdc": kafka.env["KT_KDC"], "broker.address.family": "v4", **more}


def second_realm(kafka):
    return gssapi(kafka, "carol@" + kafka.env["KT_REALM_2"], "../krb5/carol",
                  **{"bootstrap.servers": kafka.env["KT_REALM2"], "sasl.kerberos.krb5.realm": kafka.env["KT_REALM_2"],
                     "sasl.kerberos.krb5.kdc": kafka.env["KT_KDC_2"]})


def allow(kafka, principal, topic):
    done = subprocess.run([kafka.env["KT_PROBE"], "-X", f"bootstrap.servers={kafka.servers}", "-X", "broker.address.family=v4",
                           "acl", f"User:{principal}", topic, "ALL", "ALLOW"], check=False, capture_output=True, text=True)
    check(done.returncode == 0, f"acl: {done.stdout}{done.stderr}")


def a_keytab_lets_records_in(folder, cleanup):
    kafka = Kafka(folder)
    with open(os.path.join(kafka.dir, "pki", "ca.pem"), "rb") as file:
        authority = file.read()
    over_tls = gssapi(kafka, "alice", **{"bootstrap.servers": kafka.env["KT_SASLTLS"], "security.protocol": "SASL_SSL",
                                         "ssl.truststore": authority})
    from_file = gssapi(kafka, "alice", **{"sasl.kerberos.keytab": os.path.join(kafka.dir, "krb5/alice.keytab")})
    for settings in (over_tls, gssapi(kafka, "alice"), from_file, second_realm(kafka)):
        topic = kafka.topic("kerberos")
        action = Action(settings)
        cleanup.callback(action.kill)
        action.open().wait_ready()
        action.send(topic, 5)
        action.wait_delivered(5)
        action.end()
        check(len(kafka.read(topic)) == 5, "five records arrive")


def what_is_wrong_is_said_in_one_line(folder, cleanup):
    kafka = Kafka(folder)
    ways = {
        "principal that the KDC does not know": (gssapi(kafka, "ghost"), "state 0 AWAY Kerberos: the KDC does not know ghost@"),
        "keytab of another": (gssapi(kafka, "alice", "bob"), "error 0 .*the keytab has no key for alice@.*; it has bob@"),
        "keytab that is old": (gssapi(kafka, "stale"), "state 0 AWAY Kerberos: the key of stale@.* in the keytab is not the KDC's"),
        "no keytab": (gssapi(kafka, "alice", **{"sasl.kerberos.keytab": "aGVsbG8="}), "error 0 .*this is no keytab"),
        "no KDC": (gssapi(kafka, "alice", **{"sasl.kerberos.krb5.kdc": "127.0.0.1:1"}),
                   "state 0 AWAY Kerberos: no KDC answers at 127.0.0.1:1"),
        "other service": (gssapi(kafka, "alice", **{"sasl.kerberos.service.name": "nosuch"}),
                          "state 0 AWAY .*the KDC does not know the broker's service principal"),
        "realm with a brace": (gssapi(kafka, "alice", **{"sasl.kerberos.krb5.realm": "A}B"}), "error 0 .*expected a realm such as"),
    }
    for name, (settings, words) in ways.items():
        action = Action(settings)
        cleanup.callback(action.kill)
        try:
            action.open().wait(words)
            action.end()
            check(len([line for line in action.all if line.startswith("state 0 AWAY")]) <= 1, f"said twice: {action.all}")
        except Failed as error:
            raise Failed(f"{name}: {error}") from None


def clocks_apart_are_named(folder, cleanup):
    """A second KDC over the same database, ten minutes ahead: its tickets are not valid yet for the broker."""
    kafka = Kafka(folder)
    program = shutil.which("krb5kdc", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    skew, port = os.path.join(folder, "skew.so"), free_port()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", skew, os.path.join(ROOT, "tests/support/kafka/skew.c"), "-ldl"], check=True)
    with open(os.path.join(kafka.dir, "krb5/kdc.conf"), encoding="utf-8") as file:
        conf = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", file.read()).replace("FILE:" + kafka.dir + "/krb5", "FILE:" + folder)
    with open(os.path.join(folder, "kdc.conf"), "w", encoding="utf-8") as file:
        file.write(conf)
    env = {**os.environ, "KRB5_CONFIG": os.path.join(kafka.dir, "krb5/krb5.conf"), "SKEW": "600", "LD_PRELOAD": skew,
           "KRB5_KDC_PROFILE": os.path.join(folder, "kdc.conf")}
    kdc = Process(folder, "kdc", [program, "-n", "-r", kafka.env["KT_REALM"]], env=env)
    cleanup.callback(kdc.kill)
    wait_for(lambda: kdc.said("starting"), "the KDC")
    action = Action(gssapi(kafka, "alice", **{"sasl.kerberos.krb5.kdc": f"127.0.0.1:{port}"}))
    cleanup.callback(action.kill)
    action.open().wait("state 0 AWAY .*the broker refuses our Kerberos ticket: clocks more than 5 minutes apart")
    action.tell("examine", "open")
    action.wait("step clock BAD : the KDC's is \\d+ s (ahead of|behind) ours, and Kerberos allows 300: set the time")
    action.end()


def each_client_is_who_it_says(folder, cleanup):
    """Two principals and two realms at once in one process: each may write where it may, and nowhere else."""
    kafka = Kafka(folder)
    names = ("alice", "bob", "carol")
    topics = {name: kafka.topic(name) for name in names}
    for name in names:
        allow(kafka, name, topics[name])
    action = Action()
    cleanup.callback(action.kill)
    for client, settings in enumerate((gssapi(kafka, "alice"), gssapi(kafka, "bob"), second_realm(kafka))):
        for name, value in settings.items():
            action.set(name, value, secret=name == "sasl.kerberos.keytab")
        action.open(client)
    waiting = {0, 1, 2}
    while waiting:
        waiting.discard(int(action.wait("state (\\d) READY").group(1)))
    for client, name in enumerate(names):
        for other in names:
            action.send(topics[other], 1, client=client)
            if other == name:
                action.wait_delivered(1, client)
            else:
                action.wait(f"(said|refused) {client} .*(TOPIC_AUTHORIZATION_FAILED|no right to write)")
    action.end()
    for name in names:
        check(len(kafka.read(topics[name])) == 1, f"{name}'s topic has one record")


def tickets_are_renewed_before_they_end(folder, cleanup):
    """Tickets of five seconds; after three lives of them a new login still works."""
    kafka = Kafka(folder)
    topic = kafka.topic("brief")
    action = Action(gssapi(kafka, "brief", **{"reconnect.backoff.max.ms": "200"}))
    cleanup.callback(action.kill)
    log = os.path.join(kafka.dir, "krb5/kdc.log")

    def issued():
        with open(log, encoding="utf-8", errors="replace") as file:
            return sum("AS_REQ" in line and "ISSUE" in line and "brief@" in line for line in file)

    before = issued()
    action.open().wait_ready()
    action.send(topic)
    action.wait_delivered(1)
    wait_for(lambda: issued() - before >= 5, "five tickets")
    kafka.testbed("restart")
    action.tell("again", 0, "on")
    action.send(topic, 3)
    action.wait_delivered(4, seconds=120)
    action.end()
    check(len(kafka.read(topic)) == 4, "four records")


def no_process_is_started_and_no_file_is_opened(folder, cleanup):
    kafka = Kafka(folder)
    strace = shutil.which("strace")
    check(strace, "strace is not installed")
    trace = os.path.join(folder, "trace")
    action = Action(wrapper=[strace, "-f", "-qq", "-o", trace, "-e", "trace=execve,fork,vfork,open,openat,creat,rename,unlink"],
                    env={"ASAN_OPTIONS": "detect_leaks=0"})
    cleanup.callback(action.kill)
    for name, value in gssapi(kafka, "alice").items():
        action.set(name, value, secret=name == "sasl.kerberos.keytab")
    action.open().wait_ready()
    action.send(kafka.topic("trace"), 3)
    action.wait_delivered(3)
    action.end()
    with open(trace, encoding="utf-8", errors="replace") as file:
        calls = file.read().splitlines()
    check(sum("execve(" in call for call in calls) == 1, "a program is started")
    written = [call for call in calls if re.search(r"O_WRONLY|O_RDWR|creat\(|rename\(|unlink\(", call) and "/dev/" not in call]
    check(not written, f"files are written: {written[:5]}")
    secret = [call for call in calls if re.search(r"\.keytab|krb5cc|ccache|/kinit", call)]
    check(not secret, f"a keytab or a ticket cache is opened: {secret[:5]}")


main(a_keytab_lets_records_in, what_is_wrong_is_said_in_one_line, clocks_apart_are_named, each_client_is_who_it_says,
     tickets_are_renewed_before_they_end, no_process_is_started_and_no_file_is_opened)
