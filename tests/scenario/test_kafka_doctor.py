#!/usr/bin/env python3
"""What `doctor` finds of a Kafka cluster: names, connections, certificates, tickets, login, rights, each by itself."""

import os

from kafka_action import Action
from lib import Failed, Kafka, check, main


def content(kafka, name):
    with open(os.path.join(kafka.dir, name), "rb") as file:
        return file.read()


def steps(cleanup, settings, topic):
    action = Action({"broker.address.family": "v4", **settings})
    cleanup.callback(action.kill)
    action.tell("examine", topic)
    action.wait("examined")
    action.end()
    return [line[5:] for line in action.all if line.startswith("step ")]


def each_thing_is_tried_by_itself(folder, cleanup):
    kafka = Kafka(folder)
    topic, authority = kafka.topic("doctor", 2), content(kafka, "pki/ca.pem")
    tls = {"bootstrap.servers": kafka.env["KT_TLS"], "security.protocol": "SSL", "ssl.truststore": authority}
    login = {**tls, "bootstrap.servers": kafka.env["KT_SASLTLS"], "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
             "sasl.scram.username": "alice", "sasl.scram.password": kafka.env["KT_PASSWORD"]}
    kerberos = {"bootstrap.servers": kafka.env["KT_SASLPLAIN"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI",
                "sasl.kerberos.keytab": content(kafka, "krb5/alice.keytab"), "sasl.kerberos.principal": "alice",
                "sasl.kerberos.service.name": "kafka", "sasl.kerberos.krb5.realm": kafka.env["KT_REALM"],
                "sasl.kerberos.krb5.kdc": kafka.env["KT_KDC"]}
    mutual = {**tls, "bootstrap.servers": kafka.env["KT_MTLS"], "ssl.keystore": content(kafka, "pki/client.p12"),
              "ssl.keystore.password": kafka.env["KT_STORE_PASSWORD"]}
    good = ["DNS GOOD localhost: 127.0.0.1", "TCP GOOD", "cluster GOOD : logged in, and given a producer id",
            "topic GOOD " + topic + ": 2 partitions, and we may write"]
    ways = {
        "TLS": (tls, topic, [*good, "TLS GOOD " + kafka.env["KT_TLS"] + ": TLSv1.3; certificate for localhost, 127.0.0.1, until 20"]),
        "mutual TLS": (mutual, topic, [*good, "certificate GOOD : our own, /CN=client, is valid for 2"]),
        "SCRAM": (login, topic, good),
        "Kerberos": (kerberos, topic, [*good, "TCP GOOD " + kafka.env["KT_KDC"]]),
        "no such name": ({**tls, "bootstrap.servers": "kafka.invalid:9"}, topic, ["DNS BAD kafka.invalid: the name does not resolve"]),
        "nothing listens": ({**tls, "bootstrap.servers": "localhost:1"}, topic, ["TCP BAD localhost:1: no connection: Connection refused"]),
        "other authority": ({**tls, "ssl.truststore": content(kafka, "pki/otherca.pem")}, topic,
                            ["TLS BAD " + kafka.env["KT_TLS"] + ": the broker's certificate is from an authority that we do not trust"]),
        "ended certificate": ({**tls, "bootstrap.servers": kafka.env["KT_EXPIRED"]}, topic,
                              ["TLS BAD " + kafka.env["KT_EXPIRED"] + ": the broker's certificate has ended"]),
        "other host": ({**tls, "bootstrap.servers": kafka.env["KT_OTHERHOST"]}, topic,
                       ["TLS BAD " + kafka.env["KT_OTHERHOST"] + ": the broker's certificate is for another host name"]),
        "wrong password": ({**login, "sasl.scram.password": "no"}, topic,
                           ["cluster BAD : localhost:" + kafka.env["KT_SASLTLS"].split(":")[1] + ": the broker refuses the user name"]),
        "no right": (login, "readonly", ["topic BAD readonly: "]),
        "no topic": (tls, "nosuchtopic", ["topic BAD nosuchtopic: topic nosuchtopic: the topic does not exist"]),
        "no TLS there": ({**tls, "bootstrap.servers": kafka.env["KT_PLAIN"]}, topic, ["TLS BAD " + kafka.env["KT_PLAIN"] + ": no handshake"]),
        "bad settings": ({**tls, "acks": "7"}, topic, ["settings BAD : expected all, 1 or 0 for acks, found '7'"]),
    }
    for name, (settings, where, wanted) in ways.items():
        try:
            found = steps(cleanup, settings, where)
            for want in wanted:
                check(any(line.startswith(want) for line in found), f"'{want}' is not among:\n  " + "\n  ".join(found))
            if wanted[:1] == good[:1]:
                check(not any(" BAD " in line for line in found), f"something is bad: {found}")
        except Failed as error:
            raise Failed(f"{name}: {error}") from None


main(each_thing_is_tried_by_itself)
