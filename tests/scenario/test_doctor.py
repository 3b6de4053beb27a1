#!/usr/bin/env python3
"""topicrule doctor against a real mosquitto and a real Kafka: what works is said to work, and each fault has its line."""

import base64
import json
import os
import re
import subprocess

from lib import PROGRAM, Kafka, Mosquitto, check, free_port, main, rule

SECRET = "canary-gU4mW2"


def examine(folder, url, rules, more=""):
    """(exit status, output) of doctor."""
    os.makedirs(os.path.join(folder, "rules"), exist_ok=True)
    for name in os.listdir(os.path.join(folder, "rules")):
        os.unlink(os.path.join(folder, "rules", name))
    for name, document in rules.items():
        with open(os.path.join(folder, "rules", f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)
    conf = os.path.join(folder, "topicrule.yaml")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"mqtt: {{url: '{url}', client_id: doctored, {more}}}\nrules: rules\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KRB5")}
    done = subprocess.run([PROGRAM, "doctor", "-c", conf], check=False, capture_output=True, text=True, timeout=120, env=clean)
    check(SECRET not in done.stdout + done.stderr, f"a secret is shown:\n{done.stdout}{done.stderr}")
    return done.returncode, done.stdout + done.stderr


def expect(result, status, *patterns):
    check(result[0] == status, f"exit status {result[0]}, not {status}:\n{result[1]}")
    for pattern in patterns:
        check(re.search(pattern, result[1], re.MULTILINE), f"no line matches {pattern}:\n{result[1]}")


def kafka_rule(topic, servers, **properties):
    return rule("SELECT * FROM 'doctor/#'", topic, servers, properties=properties)


def broker(folder, cleanup, more=""):
    mosquitto = Mosquitto(folder, more).start()
    cleanup.callback(mosquitto.stop)
    return mosquitto


def all_is_well(folder, cleanup):
    """And the client id is not the daemon's, or it would take its session."""
    kafka, mosquitto = Kafka(folder), broker(folder, cleanup)
    topic, second = kafka.topic("doctor"), kafka.topic("doctor2")
    host, port = kafka.servers.split(",")[0].rsplit(":", 1)
    expect(examine(folder, f"mqtt://127.0.0.1:{mosquitto.port}", {"fine": kafka_rule(topic, kafka.servers), "same": kafka_rule(topic, kafka.servers),
                                                                         "second": kafka_rule(second, kafka.servers)}), 0,
           rf"^ok: mqtt: TCP mqtt://127\.0\.0\.1:{mosquitto.port}: connected",
           rf"^ok: mqtt: login mqtt://127\.0\.0\.1:{mosquitto.port}: let in by MQTT 5$",
           r"^ok: mqtt: session .*: kept for \d+ s, as asked$",
           rf"^ok: kafka of rule fine and 2 more: TCP {re.escape(host)}:{port}: connected",
           rf"^ok: kafka of rule fine and 2 more: listener {re.escape(host)}:{port}: speaks Kafka without TLS$",
           r"^ok: kafka of rule fine and 2 more: login: let in",
           rf"^ok: kafka of rule fine and 2 more: topic {re.escape(topic)}: 1 partition of 1 replica, .*and we may write$",
           rf"^ok: kafka of rule fine and 2 more: topic {re.escape(second)}: 1 partition of 1 replica, .*and we may write$",
           r"^\d+ ok, 0 warnings, 0 failed$")
    with open(mosquitto.process.log, encoding="utf-8") as log:
        said = log.read()
    check("topicrule-doctor-" in said and "doctored" not in said, f"not a client id of its own:\n{said}")


def mqtt_faults(folder, cleanup):
    kafka = Kafka(folder)
    rules = {"r": kafka_rule("unused-${topic(1)}", kafka.servers)}
    dead = free_port()
    expect(examine(folder, f"mqtt://127.0.0.1:{dead}", rules), 1, rf"^failed: mqtt: TCP mqtt://127\.0\.0\.1:{dead}: nothing listens there")
    expect(examine(folder, "mqtt://no-such-host.invalid:1883", rules), 1, r"^failed: mqtt: DNS mqtt://no-such-host\.invalid:1883: .*resolve")
    passwords = os.path.join(folder, "passwords")
    with open(passwords, "w", encoding="utf-8") as file:
        file.write(f"alice:{SECRET}\n")
    os.chmod(passwords, 0o600)
    subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
    ca, cert, key = (os.path.join(kafka.dir, "pki", name) for name in ("ca.pem", "client.pem", "client.key"))
    secure = free_port() + 1
    mosquitto = broker(folder, cleanup, f"allow_anonymous false\npassword_file {passwords}\nlistener {secure} 127.0.0.1\ncafile {ca}\n"
                                        f"certfile {cert}\nkeyfile {key}\n")
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    expect(examine(folder, url, rules, f"username: alice, password: '{SECRET}-wrong'"), 1,
           r"^failed: mqtt: login .*: the broker refuses us: .*check mqtt\.username and mqtt\.password")
    expect(examine(folder, url, rules, f"username: alice, password: '{SECRET}'"), 0, r"^ok: mqtt: login .*: let in by MQTT 5 as alice$")
    # That certificate is a client's: it names no host.
    expect(examine(folder, f"mqtts://127.0.0.1:{secure}", rules, f"tls: {{ca_file: '{ca}'}}"), 1, r"^failed: mqtt: TLS mqtts://.*: the certificate is for .*, not for 127\.0\.0\.1")
    expect(examine(folder, f"mqtts://127.0.0.1:{secure}", rules), 1, r"^failed: mqtt: TLS mqtts://.*: the certificate for .* is by CN=testbed ca, who is not in the system's authorities")
    expect(examine(folder, f"mqtts://127.0.0.1:{mosquitto.port}", rules), 1, r"^failed: mqtt: TLS mqtts://.*: ")


def kafka_tls(kafka, port, **more):
    return kafka_rule("unused-${topic(1)}", kafka.env[port],
                      **{"security.protocol": "SSL", "ssl.truststore.location": os.path.join(kafka.dir, "pki/ca.pem"), **more})


def kafka_sasl(kafka, topic, mechanism, **more):
    return kafka_rule(topic, kafka.env["KT_SASLTLS"],
                      **{"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism,
                         "ssl.truststore.location": os.path.join(kafka.dir, "pki/ca.pem"), **more})


def kafka_faults(folder, cleanup):
    kafka, mosquitto = Kafka(folder), broker(folder, cleanup)
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    topic, dead = kafka.topic("doctor"), free_port()
    login = {"sasl.scram.username": "alice", "sasl.scram.password": kafka.env["KT_PASSWORD"]}
    rows = {
        "right": (kafka_sasl(kafka, topic, "SCRAM-SHA-512", **login), None),
        "dead": (kafka_rule(topic, f"127.0.0.1:{dead}"), r"TCP 127\.0\.0\.1:\d+: no connection: nothing listens there \(connection refused\)"),
        "noname": (kafka_rule(topic, "no-such-host.invalid:9092"), r"DNS no-such-host.invalid: the name does not resolve"),
        "untrusted": (kafka_tls(kafka, "KT_TLS", **{"ssl.truststore.location": os.path.join(kafka.dir, "pki/otherca.pem")}),
                      r"TLS localhost:\d+: the broker's certificate is from an authority that we do not trust"),
        "otherhost": (kafka_tls(kafka, "KT_OTHERHOST"), r"TLS localhost:\d+: the broker's certificate is for another host name"),
        "expired": (kafka_tls(kafka, "KT_EXPIRED"), r"TLS localhost:\d+: the broker's certificate has ended"),
        "plainport": (kafka_tls(kafka, "KT_PLAIN"), r"TLS localhost:\d+: it speaks Kafka without TLS, and security.protocol is SSL: it is to be PLAINTEXT"),
        "password": (kafka_sasl(kafka, topic, "SCRAM-SHA-512", **{**login, "sasl.scram.password": SECRET}),
                     r"login: .*refuses the user name or the password"),
        "unknown": (kafka_rule("no-such-topic", kafka.servers), r"topic no-such-topic: .*does not exist"),
        "denied": (kafka_sasl(kafka, "denied", "SCRAM-SHA-512", **login), r"topic denied: "),
    }
    for name, (document, failure) in rows.items():
        result = examine(folder, url, {name: document})
        if failure:
            expect(result, 1, rf"^failed: kafka of rule {name}: {failure}")
        else:
            expect(result, 0, r"^ok: .*: TLS localhost:\d+: TLSv1\.\d; certificate for localhost, 127\.0\.0\.1",
                   r"^ok: .*: login: let in", rf"^ok: .*: topic {re.escape(topic)}: 1 partition .*, and we may write")


def kerberos(folder, cleanup):
    kafka, mosquitto = Kafka(folder), broker(folder, cleanup)
    url, topic = f"mqtt://127.0.0.1:{mosquitto.port}", kafka.topic("doctor")

    def settings(principal, **more):
        with open(os.path.join(kafka.dir, f"krb5/{principal}.keytab"), "rb") as file:
            keytab = base64.b64encode(file.read()).decode()
        return {"sasl.kerberos.keytab": keytab, "sasl.kerberos.service.name": "kafka", "sasl.kerberos.krb5.realm": kafka.env["KT_REALM"],
                "sasl.kerberos.krb5.kdc": kafka.env["KT_KDC"], "sasl.kerberos.principal": principal, **more}

    def look(principal, **more):
        return examine(folder, url, {"krb": kafka_sasl(kafka, topic, "GSSAPI", **settings(principal, **more))})

    kdc, nobody = kafka.env["KT_KDC"], f"127.0.0.1:{free_port()}"
    expect(look("alice"), 0, rf"^ok: kafka of rule krb: TCP {kdc}: connected", r"^ok: kafka of rule krb: ticket alice@TESTBED.LOCAL: for 1", r"^ok: kafka of rule krb: login: let in as alice by GSSAPI")
    expect(look("alice", **{"sasl.kerberos.krb5.kdc": nobody}), 1, rf"^failed: kafka of rule krb: TCP {nobody}: no connection",
           r"^failed: kafka of rule krb: ticket: Kerberos: no KDC answers")
    expect(look("ghost"), 1, r"^failed: kafka of rule krb: ticket: Kerberos: .*ghost@")


if __name__ == "__main__":
    main(all_is_well, mqtt_faults, kafka_faults, kerberos)
