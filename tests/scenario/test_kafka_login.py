#!/usr/bin/env python3
"""Every protocol, mechanism and store format against a real Kafka: with what is right a record arrives, with what is wrong
one line says why."""

import os
import time

from kafka_action import Action
from lib import Failed, Kafka, check, main


def pki(kafka, name):
    return os.path.join(kafka.dir, "pki", name)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def tls(kafka, port="KT_TLS", **more):
    return {"bootstrap.servers": kafka.env[port], "security.protocol": "SSL", "ssl.truststore": content(pki(kafka, "ca.pem")), **more}


def sasl(kafka, mechanism, user="alice", password=None, port="KT_SASLTLS", **more):
    family = "sasl.plain" if mechanism == "PLAIN" else "sasl.scram"
    secret = kafka.env["KT_PASSWORD"] if password is None else password
    return {**tls(kafka, port), "security.protocol": "SASL_SSL", "sasl.mechanism": mechanism, f"{family}.username": user,
            f"{family}.password": secret, **more}


def right_ways(kafka):
    """name -> settings that let a record in."""
    store, key = kafka.env["KT_STORE_PASSWORD"], kafka.env["KT_KEY_PASSWORD"]
    ways = {
        "PLAINTEXT": {"bootstrap.servers": kafka.env["KT_PLAIN"], "security.protocol": "PLAINTEXT"},
        "SSL, PEM trust": tls(kafka),
        "SSL by default": {name: value for name, value in tls(kafka).items() if name != "security.protocol"},
        "SSL, trust from a file": tls(kafka, **{"ssl.truststore": None, "ssl.truststore.location": pki(kafka, "ca.pem")}),
        "SSL, trust by librdkafka's name": tls(kafka, **{"ssl.truststore": None, "ssl.ca.location": pki(kafka, "ca.pem")}),
        "SSL, JKS trust": tls(kafka, **{"ssl.truststore": content(pki(kafka, "truststore.jks")), "ssl.truststore.password": store}),
        "SSL, PKCS#12 trust": tls(kafka, **{"ssl.truststore": content(pki(kafka, "truststore.pkcs12")),
                                            "ssl.truststore.password": store}),
        "mutual, PKCS#12": tls(kafka, "KT_MTLS", **{"ssl.keystore": content(pki(kafka, "client.p12")), "ssl.keystore.password": store}),
        "mutual, JKS": tls(kafka, "KT_MTLS", **{"ssl.keystore": content(pki(kafka, "client.jks")), "ssl.keystore.password": store}),
        "mutual, PKCS#12 file": tls(kafka, "KT_MTLS", **{"ssl.keystore.location": pki(kafka, "client.p12"),
                                                         "ssl.keystore.password": store}),
        "mutual, PEM": tls(kafka, "KT_MTLS", **{"ssl.certificate.location": pki(kafka, "client.pem"),
                                                "ssl.key.location": pki(kafka, "client.key")}),
        "mutual, PEM, encrypted key": tls(kafka, "KT_MTLS", **{"ssl.keystore.certificate.chain": content(pki(kafka, "client.pem")),
                                                               "ssl.keystore.key": content(pki(kafka, "client.enc.key")),
                                                               "ssl.key.password": key}),
        "host name check off": tls(kafka, "KT_OTHERHOST", **{"ssl.endpoint.identification.algorithm": "none"}),
        "acks 1": tls(kafka, acks="1"),
        "acks 0": tls(kafka, acks="0"),
        "SCRAM by JAAS": {**tls(kafka, "KT_SASLTLS"), "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
                          "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
                                              f"username=\"alice\" password=\"{kafka.env['KT_PASSWORD']}\";"},
        "Dapr's way": {"brokers": kafka.env["KT_SASLTLS"], "authType": "password", "saslMechanism": "SHA-256", "saslUsername": "alice",
                       "saslPassword": kafka.env["KT_PASSWORD"], "caCert": content(pki(kafka, "ca.pem"))},
        "Mage's way": {"bootstrap_server": kafka.env["KT_SASLTLS"], "security_protocol": "SASL_SSL",
                       "sasl_config.mechanism": "SCRAM-SHA-512", "sasl_config.username": "alice",
                       "sasl_config.password": kafka.env["KT_PASSWORD"], "ssl_config.cafile": pki(kafka, "ca.pem"),
                       "ssl_config.check_hostname": "true"},
    }
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        ways[f"SASL_SSL {mechanism}"] = sasl(kafka, mechanism)
        ways[f"SASL_PLAINTEXT {mechanism}"] = {**sasl(kafka, mechanism, port="KT_SASLPLAIN"), "security.protocol": "SASL_PLAINTEXT",
                                               "ssl.truststore": None}
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        ways[f"compression {codec}"] = tls(kafka, **{"compression.type": codec})
    return ways


def what_is_right_lets_a_record_in(folder, cleanup):
    kafka = Kafka(folder)
    for name, settings in right_ways(kafka).items():
        topic = kafka.topic("login")
        action = Action({**settings, "broker.address.family": "v4"})
        cleanup.callback(action.kill)
        try:
            action.open().wait_ready()
            action.send(topic, 3, headers=2, key="k")
            action.wait_delivered(3)
            action.end()
            got = kafka.read(topic, "%k|%h|%s\\n")
            check(got == [f'k|h={{"n,h={{"n|{{"n":{n}}}' for n in (1, 2, 3)], f"arrived: {got}")
        except Failed as error:
            raise Failed(f"{name}: {error}") from None


def wrong_ways(kafka):
    """name -> (settings, what is said of the cluster)."""
    mtls = {"ssl.key.location": pki(kafka, "client-untrusted.key"), "ssl.certificate.location": pki(kafka, "client-untrusted.pem")}
    expired = {"ssl.key.location": pki(kafka, "client-expired.key"), "ssl.certificate.location": pki(kafka, "client-expired.pem")}
    return {
        "PLAIN, wrong password": (sasl(kafka, "PLAIN", password="no"), "the broker refuses the user name or the password"),
        "PLAIN, unknown user": (sasl(kafka, "PLAIN", user="mallory"), "the broker refuses the user name or the password"),
        "SCRAM-SHA-256, wrong password": (sasl(kafka, "SCRAM-SHA-256", password="no"), "the broker refuses the user name or the password"),
        "SCRAM-SHA-512, unknown user": (sasl(kafka, "SCRAM-SHA-512", user="mallory"), "the broker refuses the user name or the password"),
        "mechanism not offered": (sasl(kafka, "PLAIN", port="KT_OIDC"), "the broker does not offer this sasl.mechanism"),
        "no login where one is wanted": (tls(kafka, "KT_SASLTLS"), "the broker hangs up on our first request: its listener wants a login"),
        "login where none is taken": (sasl(kafka, "PLAIN", port="KT_TLS"), "the broker's listener takes no login"),
        "no TLS where it is spoken": ({"bootstrap.servers": kafka.env["KT_TLS"], "security.protocol": "PLAINTEXT"},
                                      "the broker hangs up before a word is said: its listener speaks TLS"),
        "TLS where it is not spoken": (tls(kafka, "KT_PLAIN"), "the broker's listener speaks no TLS"),
        "authority that is not trusted": (tls(kafka, **{"ssl.truststore": content(pki(kafka, "otherca.pem"))}),
                                          "the broker's certificate is from an authority that we do not trust"),
        "system trust": (tls(kafka, **{"ssl.truststore": None}), "the broker's certificate is from an authority that we do not trust"),
        "broker's certificate ended": (tls(kafka, "KT_EXPIRED"), "the broker's certificate has ended"),
        "broker's certificate of another host": (tls(kafka, "KT_OTHERHOST"), "the broker's certificate is for another host name"),
        "no client certificate": (tls(kafka, "KT_MTLS"), "the broker demands a client certificate"),
        "client certificate not trusted": (tls(kafka, "KT_MTLS", **mtls), "(the broker names authorities|the broker refuses our certif)"),
        "client certificate ended": (tls(kafka, "KT_MTLS", **expired), "the broker refuses our certificate, which has ended"),
        "nothing listens": (tls(kafka, **{"bootstrap.servers": "localhost:1"}), "nothing listens there"),
        "no such name": (tls(kafka, **{"bootstrap.servers": "kafka.invalid:9092"}), "the name does not resolve"),
    }


def what_is_wrong_is_said_in_one_line(folder, cleanup):
    kafka = Kafka(folder)
    ways = [(name, settings, words, Action({**settings, "broker.address.family": "v4"}))
            for name, (settings, words) in wrong_ways(kafka).items()]
    for name, _, words, action in ways:
        cleanup.callback(action.kill)
        try:
            action.open().wait(f"state 0 AWAY .*{words}")
        except Failed as error:
            raise Failed(f"{name}: {error}") from None
    time.sleep(10)  # librdkafka goes on trying, and has several words for one thing
    for name, settings, _, action in ways:
        try:
            action.send("open")
            action.tell("close", 0, 100)
            check(action.sums() == (0, 1, 0, 0), "the record is given back")
            action.end()
            away = [line for line in action.all if line.startswith("state 0 AWAY")]
            check(len(away) == 1, f"said {away}")
            password = settings.get("sasl.plain.password") or settings.get("sasl.scram.password")
            check(not password or len(password) < 8 or not any(password in line for line in action.all), "it says the password")
        except Failed as error:
            raise Failed(f"{name}: {error}") from None


def what_cannot_work_is_refused_at_once(folder, cleanup):
    kafka = Kafka(folder)
    ways = {
        "wrong key password": ({"ssl.key.location": pki(kafka, "client.enc.key"), "ssl.certificate.location": pki(kafka, "client.pem"),
                                "ssl.key.password": "no"}, "the private key cannot be decrypted"),
        "key of another certificate": ({"ssl.key.location": pki(kafka, "client-untrusted.key"),
                                        "ssl.certificate.location": pki(kafka, "client.pem")}, "no certificate belongs to the private key"),
        "wrong store password": ({"ssl.keystore": content(pki(kafka, "client.p12")), "ssl.keystore.password": "no"},
                                 "the password of the store is wrong"),
        "store that is none": ({"ssl.truststore": "bm8gc3RvcmU="}, "neither PEM, PKCS#12 nor JKS"),
    }
    for name, (settings, words) in ways.items():
        action = Action({**tls(kafka, "KT_MTLS"), **settings})
        cleanup.callback(action.kill)
        try:
            action.open().wait(f"error 0 .*{words}")
            action.end()
        except Failed as error:
            raise Failed(f"{name}: {error}") from None


main(what_is_right_lets_a_record_in, what_is_wrong_is_said_in_one_line, what_cannot_work_is_refused_at_once)
