"""What a backend on the network leaves in memory: the secret where it is kept, and nothing once it is let go."""

import json
import os

from awslib import private, quiet
from secretslib import Client, Fake, check, main, make_certificate

KEEP = "c4nary-kept-9Qw3e"
OLD, NEW, CREDENTIAL = "c4nary-old-7Yh2k-", "c4nary-new-5Tg8m-", "c4nary-login-3Rf6v"


def leaves_nothing(client, answers):
    for value in (OLD, NEW):
        answers[0] = value
        check(client.ask("take", "a", "v") == ["ok"], value)
    # The client keeps its connection, and libcurl the buffer that the last answer came in.
    check(client.holds(OLD) == 0, "the old one is still there")
    check(client.holds(NEW) > 0, "the new one is kept")
    check(client.ask("free") == ["ok"], "free")
    for text in (OLD, NEW, CREDENTIAL):
        check(client.holds(text) == 0, f"{text} is still there")


def vault(folder, tls, method):
    answers = [OLD]

    def handler(_method, path, _headers, _body):
        if path.endswith("login"):
            return 200, {}, {"auth": {"client_token": CREDENTIAL, "lease_duration": 3600, "renewable": False}}
        return 200, {}, {"data": {"data": {"v": answers[0], "w": "x" * 3000}, "metadata": {"version": 1}}}

    cert = make_certificate(folder, "vault") if tls else None
    fake = Fake(handler, cert)
    login = {"auth.method": "token", "auth.token_file": private(folder, "token", CREDENTIAL)} if method == "token" else {
        "auth.method": "approle", "auth.role_id": "r", "auth.secret_id_file": private(folder, "sid", CREDENTIAL)}
    options = {"address": fake.url, **login, **({"ca_file": cert[0]} if tls else {})}
    with Client(0, 0, ("vault", "vault", options)) as client:
        leaves_nothing(client, answers)
    fake.close()


def a_token_of_vault(folder):
    vault(folder, False, "token")


def a_login_of_vault_over_tls(folder):
    vault(folder, True, "approle")


def aws(folder, tls):
    answers = [OLD]
    cert = make_certificate(folder, "aws") if tls else None
    fake = Fake(lambda *_: (200, {}, {"SecretString": json.dumps({"v": answers[0]}), "VersionId": "1"}), cert)
    options = {"region": "eu-west-1", "endpoint": fake.url, "access_key_id": "AKIA",
               "secret_key_file": private(folder, "key", CREDENTIAL), **({"ca_file": cert[0]} if tls else {})}
    with Client(0, 0, ("aws", "aws", options), env=quiet()) as client:
        leaves_nothing(client, answers)
    fake.close()


def a_key_of_aws(folder):
    aws(folder, False)


def a_key_of_aws_over_tls(folder):
    aws(folder, True)


def files(folder):
    os.mkdir(f"{folder}/store", 0o700)
    private(f"{folder}/store", "a", json.dumps({"v": KEEP}))
    with Client(60000, 60000, ("files", "directory", {"path": f"{folder}/store"})) as client:
        check(client.ask("take", "a", "v") == ["ok"], "a file")
        check(client.holds(KEEP) == 1, "kept once")
        client.ask("free")
        check(client.holds(KEEP) == 0, "gone")


main(files, a_token_of_vault, a_login_of_vault_over_tls, a_key_of_aws, a_key_of_aws_over_tls)
