#!/usr/bin/env python3
"""What `doctor` finds of a Kafka cluster: names, connections, certificates, tickets, login, rights, each by itself."""

import contextlib
import os
import re
import socket

from kafka_action import Action
from lib import Failed, Kafka, check, main


def content(kafka, name):
    with open(os.path.join(kafka.dir, name), "rb") as file:
        return file.read()


def steps(cleanup, settings, topic):
    action = Action({"broker.address.family": "v4", **settings})
    cleanup.callback(action.kill)
    action.tell("examine", *([] if topic == "-" else [topic]))
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
    secure, login_port, plain, kdc = (kafka.env[name] for name in ("KT_TLS", "KT_SASLTLS", "KT_PLAIN", "KT_KDC"))
    bare = {"security.protocol": "PLAINTEXT", "bootstrap.servers": plain}
    good = ["DNS GOOD localhost: 127.0.0.1", "TCP GOOD localhost:.*: connected to 127.0.0.1 in ", "login GOOD : let in",
            "producer id GOOD : given", "cluster GOOD : 1 broker, cluster id ",
            "topic GOOD " + topic + ": 2 partitions of 1 replica, 1 must be in step, and we may write"]
    trusted = r": TLSv1.3; certificate for localhost, 127.0.0.1, until 20\d\d-.* \(29\d days\), CN=server by CN=testbed ca; trusted by ssl.truststore$"
    ways = {
        "TLS": (tls, topic, [*good, f"TLS GOOD {secure}{trusted}", "login GOOD : let in, and no login was asked for"]),
        "mutual TLS": (mutual, topic, [*good, "certificate GOOD : our own, CN=client, is valid for 29", "login GOOD : let in with our cert"]),
        "SCRAM": (login, topic, [*good, "login GOOD : let in as alice by SCRAM-SHA-512"]),
        "Kerberos": (kerberos, topic, [*good, f"TCP GOOD {kdc}", "ticket GOOD alice@TESTBED.LOCAL: for 1[12] h ",
                                       "clock GOOD : the KDC's and ours differ by -?\\d s", "login GOOD : let in as alice by GSSAPI"]),
        "no TLS": (bare, topic, [*good, f"listener GOOD {plain}: speaks Kafka without TLS"]),
        # What the broker calls itself is looked at as well.
        "by another name": ({**bare, "bootstrap.servers": plain.replace("localhost", "127.0.0.1")}, topic, [*good, f"TCP GOOD {plain}"]),
        "acks 1": ({**tls, "acks": "1"}, topic, ["producer id SKIPPED : not asked for: acks is 1"]),
        "small records": (tls, "small", ["topic DOUBT small: 1 partition .*; it takes records of 1000 bytes .*, and we send up to 1000000"]),
        "a template": (tls, "-", ["topic SKIPPED : a name that is a template"]),
        "no such name": ({**tls, "bootstrap.servers": "kafka.invalid:9"}, topic, ["DNS BAD kafka.invalid: the name does not resolve",
                                                                                  "login SKIPPED "]),
        "one of two": ({**tls, "bootstrap.servers": f"kafka.invalid:9,{secure}"}, topic, ["DNS BAD kafka.invalid", "login GOOD ", "topic GOOD "]),
        "nothing listens": ({**tls, "bootstrap.servers": "localhost:1"}, topic, ["TCP BAD localhost:1: no connection: nothing listens there"]),
        "other authority": ({**tls, "ssl.truststore": content(kafka, "pki/otherca.pem")}, topic,
                            [f"TLS BAD {secure}: the broker's certificate is from an authority that we do not trust.* by CN=testbed ca; we trust ssl"]),
        "the system's authorities": ({**tls, "ssl.truststore": None}, topic, [f"TLS BAD {secure}: .*; we trust /etc/ssl/.* of this system"]),
        "ended certificate": ({**tls, "bootstrap.servers": kafka.env["KT_EXPIRED"]}, topic,
                              ["TLS BAD " + kafka.env["KT_EXPIRED"] + ": the broker's certificate has ended.*, until 2020-02-01"]),
        "our own has ended": ({**mutual, "ssl.keystore": None, "ssl.key.location": os.path.join(kafka.dir, "pki/client-expired.key"),
                               "ssl.certificate.location": os.path.join(kafka.dir, "pki/client-expired.pem")}, topic,
                              ["certificate BAD : our own, CN=client-expired, has ended", "login BAD : .*the broker refuses our cert.*, which has ended"]),
        "other host": ({**tls, "bootstrap.servers": kafka.env["KT_OTHERHOST"]}, topic,
                       ["TLS BAD " + kafka.env["KT_OTHERHOST"] + ": the broker's certificate is for another host name.*for kafka.example.net"]),
        "wrong password": ({**login, "sasl.scram.password": "no"}, topic, [f"login BAD : {login_port}: the broker refuses the user name"]),
        "no right": (login, "readonly", ["topic BAD readonly: 1 partitions, and we have no right to write; grant WRITE"]),
        "no topic": (tls, "nosuchtopic", ["topic BAD nosuchtopic: topic nosuchtopic: the topic does not exist"]),
        "no TLS there": ({**tls, "bootstrap.servers": plain}, topic,
                         [f"TLS BAD {plain}: it speaks Kafka without TLS, and security.protocol is SSL: it is to be PLAINTEXT"]),
        "no TLS there, with a login": ({**login, "bootstrap.servers": kafka.env["KT_SASLPLAIN"]}, topic,
                                       [f"TLS BAD {kafka.env['KT_SASLPLAIN']}: .* is to be SASL_PLAINTEXT"]),
        "TLS there": ({**bare, "bootstrap.servers": secure}, topic,
                      [f"listener BAD {secure}: it speaks TLS, and security.protocol is PLAINTEXT: it is to be SSL", "login SKIPPED "]),
        "no Kafka there": ({**bare, "bootstrap.servers": kdc}, topic, [f"listener BAD {kdc}: it hangs up on Kafka's first request"]),
        "neither TLS nor Kafka there": ({**tls, "bootstrap.servers": kdc}, topic, [f"TLS BAD {kdc}: it speaks neither TLS nor Kafka"]),
        "no KDC": ({**kerberos, "sasl.kerberos.krb5.kdc": "127.0.0.1:1"}, topic,
                   ["TCP BAD 127.0.0.1:1: no connection", "ticket BAD : Kerberos: no KDC answers", "login SKIPPED : there is no ticket"]),
        "bad settings": ({**tls, "acks": "7"}, topic, ["settings BAD : expected all, 1 or 0 for acks, found '7'"]),
    }
    for name, (settings, where, wanted) in ways.items():
        try:
            found = steps(cleanup, settings, where)
            for want in wanted:
                check(any(re.match(want, line) for line in found), f"'{want}' is not among:\n  " + "\n  ".join(found))
            if wanted[:1] == good[:1]:
                check(not any(" BAD " in line for line in found), f"something is bad: {found}")
        except Failed as error:
            raise Failed(f"{name}: {error}") from None


def what_says_nothing_holds_nobody_up(folder, cleanup):
    """Listeners that take connections and never answer; three of them share one time."""
    silent = [cleanup.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0)))) for _ in range(3)]
    servers = ",".join(f"127.0.0.1:{one.getsockname()[1]}" for one in silent)
    for protocol, what in (("PLAINTEXT", "listener"), ("SSL", "TLS")):
        found = steps(cleanup, {"bootstrap.servers": servers, "security.protocol": protocol}, "t")
        said = [line for line in found if re.match(f"{what} BAD 127.0.0.1:\\d+: it takes the connection and ", line)]
        check(len(said) == 3, f"{protocol}: {found}")
        check(any(line.startswith("login SKIPPED") for line in found), f"{protocol}: {found}")


main(each_thing_is_tried_by_itself, what_says_nothing_holds_nobody_up)
