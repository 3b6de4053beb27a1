#!/usr/bin/env python3
"""Credentials that change while records flow: the running daemon takes them from its secrets, with nothing lost, every key in
order, no restart, and no secret in the log. Also when the former ones work no longer."""

import json
import os
import signal
import subprocess
import threading

from lib import Daemon, Kafka, Mosquitto, check, main, rule, wait_for

SQL = "SELECT * FROM 'n/+'"


class Secrets:
    """A folder of secrets, each replaced by renaming. `planted` is what the log must not show."""

    def __init__(self, folder):
        self.folder, self.planted = os.path.join(folder, "secrets"), set()
        os.mkdir(self.folder, 0o700)

    def put(self, name, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        if isinstance(content, dict):
            self.planted.add(content["password"])
        with open(os.path.join(self.folder, ".new"), "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(data)
        os.rename(os.path.join(self.folder, ".new"), os.path.join(self.folder, name))


class Load:
    """Numbered messages until stop."""

    def __init__(self, broker, rate=200):
        self.publisher, self.rate, self.stopped = broker.publisher("n/1"), rate, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped.is_set() and not self.publisher.error:
            self.publisher.run(self.publisher.sent + self.rate, self.rate)

    def stop(self):
        """How many there were."""
        self.stopped.set()
        self.thread.join()
        check(not self.publisher.error, self.publisher.error)
        return self.publisher.sent


def secret(name, key="password"):
    return f"${{get_secret('{name}', 'SecretString', '{key}', '')}}"


def binary(name):
    return f"${{get_secret('{name}', 'SecretBinary', '')}}"


def scram(kafka, name):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.scram.username": secret(name, "user"),
            "sasl.scram.password": secret(name), "bootstrap.servers": kafka.env["KT_SASLPLAIN"], "broker.address.family": "v4"}


def keystore(kafka):
    return {"security.protocol": "SSL", "bootstrap.servers": kafka.env["KT_MTLS"], "broker.address.family": "v4",
            "ssl.truststore.location": os.path.join(kafka.dir, "pki/ca.pem"), "ssl.keystore": binary("keystore"),
            "ssl.keystore.password": secret("storepass")}


def gssapi(kafka, principal):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI", "bootstrap.servers": kafka.env["KT_SASLPLAIN"],
            "broker.address.family": "v4", "sasl.kerberos.service.name": "kafka", "sasl.kerberos.principal": principal,
            "sasl.kerberos.keytab": binary("keytab"), "sasl.kerberos.krb5.realm": kafka.env["KT_REALM"],
            "sasl.kerberos.krb5.kdc": kafka.env["KT_KDC"]}


def kadmin(kafka, *commands):
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "KRB5_CONFIG": os.path.join(kafka.dir, "krb5/krb5.conf"),
           "KRB5_KDC_PROFILE": os.path.join(kafka.dir, "krb5/kdc.conf")}
    done = subprocess.run(["kadmin.local", "-r", kafka.env["KT_REALM"]], input="\n".join(commands), text=True, check=False,
                          capture_output=True, env=env)
    check(done.returncode == 0 and "while" not in done.stderr, f"kadmin.local: {done.stdout}{done.stderr}")


def pkcs12(kafka, folder, name, password):
    """The store of the test bed's certificate `name`."""
    pki, out = os.path.join(kafka.dir, "pki"), os.path.join(folder, f"{name}.p12")
    subprocess.run(["openssl", "pkcs12", "-export", "-inkey", f"{pki}/{name}.key", "-in", f"{pki}/{name}.pem", "-out", out, "-passout",
                    f"pass:{password}"], check=True, capture_output=True)
    with open(out, "rb") as file:
        return file.read()


def trust_other_clients(kafka, cleanup):
    """The broker trusts certificates of the other authority alone, on connections from now on."""
    name = "listener.name.mtls.ssl.truststore.location"
    kafka.probe("config", name, os.path.join(kafka.dir, "pki/otherca.pem"))
    cleanup.callback(lambda: kafka.probe("config", name))


def wait_refused(daemon, name):
    def refused():
        with open(daemon.process.log, encoding="utf-8", errors="replace") as file:
            return any(f"rule {name}: " in line and "refuses the user name or the password" in line for line in file)

    wait_for(refused, f"rule {name} to be refused")


def check_arrived(kafka, topic, count):
    lost, doubled = kafka.wait_numbers(topic, count)
    check(lost == 0, f"{topic}: {lost} of {count} lost")
    seen, highest = set(), 0
    for line in kafka.read(topic):
        number = json.loads(line)["n"]
        check(number in seen or number > highest, f"{topic}: {number} comes after {highest}")
        seen.add(number)
        highest = max(highest, number)
    print(f"     {topic}: {count} arrived in order, {doubled} twice")


def every_credential_changes_under_load(folder, cleanup):
    kafka, secrets, mine = Kafka(folder), Secrets(folder), str(os.getpid())
    scrams = ("first", "second", "wrong", "corrected", "renamed", "late")
    names = (*scrams, "keytab", "keystore")
    topics = {name: kafka.topic(f"rotate.{name}") for name in names}
    users = {name: f"{name}{mine}" for name in (*scrams, "successor")}

    def in_kafka(name, password):
        kafka.probe("scram", users[name], password)

    def in_secrets(name, password, user=None):
        secrets.put(name, {"user": users[user or name], "password": password})

    for name in scrams:
        in_kafka(name, f"old-pass-{name}")
        in_secrets(name, f"old-pass-{name}")
    principal, table = f"rotate{mine}", os.path.join(folder, "keytab")
    kadmin(kafka, f'addprinc -maxlife "10 seconds" -randkey {principal}', f"ktadd -k {table} {principal}")
    with open(table, "rb") as file:
        secrets.put("keytab", file.read())
    secrets.put("keystore", pkcs12(kafka, folder, "client", "store-canary"))
    secrets.put("storepass", {"password": "store-canary"})
    secrets.put("mqtt", {"password": "old-mqtt-pass"})

    passwords = os.path.join(folder, "passwords")
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "gateway", "old-mqtt-pass"], check=True, capture_output=True)
    os.chmod(passwords, 0o644)
    broker = Mosquitto(folder, f"password_file {passwords}").start()
    cleanup.callback(broker.stop)
    properties = {**{name: scram(kafka, name) for name in scrams}, "keytab": gssapi(kafka, principal),
                  "keystore": keystore(kafka)}
    daemon = Daemon(folder, broker, {name: rule(SQL, topics[name], "", properties=properties[name]) for name in names},
                    more=f"secrets: {{cache: 1s, backends: {{files: {{type: directory, path: {secrets.folder}}}}}}}",
                    mqtt=f", username: gateway, password: \"{secret('mqtt')}\"")
    daemon.start()
    cleanup.callback(daemon.kill)
    load = Load(broker)

    # In Kafka first, in the secrets first, a wrong one, another user.
    in_kafka("first", "new-pass-first")
    in_secrets("first", "new-pass-first")
    in_secrets("second", "new-pass-second")
    in_secrets("wrong", "wrong-pass-typo")
    in_kafka("successor", "new-pass-successor")
    in_secrets("renamed", "new-pass-successor", "successor")
    for name in ("first", "second", "wrong"):
        daemon.process.wait_said(f"rule {name}: its new password is used")
    daemon.process.wait_said("rule renamed: the connection made with its new settings is in use")
    in_kafka("second", "new-pass-second")
    in_kafka("renamed", "other-pass-renamed")
    in_kafka("corrected", "other-pass-corrected")
    in_kafka("late", "other-pass-late")

    # A new key: the KDC refuses the old one.
    os.unlink(table)
    kadmin(kafka, f"ktadd -k {table} {principal}")
    with open(table, "rb") as file:
        secrets.put("keytab", file.read())
    daemon.process.wait_said("rule keytab: the connection made with its new settings is in use")

    # A store that the broker does not trust yet, with a new password, one file after the other.
    secrets.put("keystore", pkcs12(kafka, folder, "client-untrusted", "new-store-canary"))
    daemon.process.wait_said("rule keystore: its settings cannot be made anew: ssl.keystore: the password of the store is wrong")
    secrets.put("storepass", {"password": "new-store-canary"})
    daemon.process.wait_said("rule keystore: its new settings do not work")

    # The MQTT broker refuses the old password before we have the new one.
    subprocess.run(["mosquitto_passwd", "-b", passwords, "gateway", "new-mqtt-pass"], check=True, capture_output=True)
    broker.process.child.send_signal(signal.SIGHUP)
    daemon.process.wait_said("the broker refuses us")
    secrets.put("mqtt", {"password": "new-mqtt-pass"})
    daemon.process.wait_said("the next connection to the broker uses it")

    # Everything logs in again. Nothing that was valid at the start is valid any more.
    trust_other_clients(kafka, cleanup)
    kafka.testbed("restart")
    daemon.process.wait_said("rule keystore: the connection made with its new settings is in use")
    wait_refused(daemon, "wrong")
    wait_refused(daemon, "corrected")
    wait_refused(daemon, "late")
    in_secrets("wrong", "old-pass-wrong")
    in_kafka("corrected", "old-pass-corrected")
    in_secrets("late", "new-pass-successor", "successor")
    daemon.process.wait_said("rule late: the connection made with its new settings is in use")
    count = load.stop()
    for name in names:
        check_arrived(kafka, topics[name], count)
    daemon.stop()
    with open(daemon.process.log, encoding="utf-8", errors="replace") as file:
        said = file.read()
    check(not any(planted in said for planted in secrets.planted), "the log shows a secret")


main(every_credential_changes_under_load)
