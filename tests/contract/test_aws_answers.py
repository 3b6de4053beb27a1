"""The backend `aws` before a server that answers as no stand-in does on demand: limits, a wrong clock, faults, floods, halves,
XML, HTML, redirects; and the services that hand out credentials for a while."""

import datetime
import json
import os
import time
import urllib.parse

from awslib import AWAY, private, quiet
from secretslib import CANARY, Client, Fake, check, main, make_certificate

GOOD = {"Name": "a", "VersionId": "v-1", "SecretString": json.dumps({"v": "one"}), "VersionStages": ["AWSCURRENT"]}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret" + CANARY}


def client_of(fake, env=None, cache=0, **more):
    options = {"region": "eu-west-1", "endpoint": fake.url, "sts_endpoint": fake.url, **more}
    return Client(cache, 60000 if cache else 0, ("aws", "aws", options), env={**quiet(), **(KEYS if env is None else env)})


def error(kind, message="", status=400, **headers):
    return status, headers, {"__type": kind, "message": message}


def reads(fake):
    return [one for one in fake.seen if one[2].get("X-Amz-Target") == "secretsmanager.GetSecretValue"]


def ends(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def what_is_sent(_):
    fake = Fake(lambda *_: (200, {}, GOOD))
    with client_of(fake, {**KEYS, "AWS_SESSION_TOKEN": "session"}) as client:
        check(client.get('a"b', "v") == "one", "a good answer")
        check([row[2] for row in client.listed()] == ["v-1"], "its version")
    method, path, headers, body = fake.seen[0]
    check((method, path) == ("POST", "/"), (method, path))
    check(json.loads(body) == {"SecretId": 'a"b', "VersionStage": "AWSCURRENT"}, body)
    check(headers["Content-Type"] == "application/x-amz-json-1.1", headers)
    check("AKIAEXAMPLE/" in headers["Authorization"] and "/eu-west-1/secretsmanager/aws4_request" in headers["Authorization"], headers)
    check("x-amz-security-token" in headers["Authorization"] and headers["X-Amz-Security-Token"] == "session", "the token is signed")
    check(KEYS["AWS_SECRET_ACCESS_KEY"] not in str(fake.seen), "the key was sent")
    fake.close()


def each_error_has_its_sentence(_):
    rows = (("ResourceNotFoundException", "there is nothing"), ("InvalidRequestException", "deletion"), ("AccessDeniedException", "denied"),
            ("com.amazonaws.secretsmanager#ResourceNotFoundException", "there is nothing"),
            ("ResourceNotFoundException:http://x", "there is nothing"), ("DecryptionFailure", "kms:Decrypt"),
            ("UnrecognizedClientException", "not valid"), ("InvalidSignatureException", "not valid"),
            ("ExpiredTokenException", "have expired"), ("InvalidParameterException", "refuses the id"), ("SomethingNew", "SomethingNew"))
    for kind, words in rows:
        for status in (400, 403, 404):
            fake = Fake(lambda *_, kind=kind, status=status: error(kind, f"said {CANARY}\n", status))
            with client_of(fake) as client:
                text = client.error("a")
                check(words in text and 'secret "a" in backend "aws"' in text, f"{kind}: {text}")
            fake.close()


def a_wrong_clock_is_named(_):
    for words in ("Signature expired: 20200101T000000Z is now earlier than 20261121T150000Z",
                  "Signature not yet current: 20300101T000000Z is still later than 20261121T150000Z"):
        fake = Fake(lambda *_, words=words: error("InvalidSignatureException", words, 403))
        with client_of(fake) as client:
            check("clock" in client.error("a"), words)
        check(len(reads(fake)) == 1, "the same again would not help")
        fake.close()


def a_limit_is_waited_for(_):
    answers = [error("ThrottlingException"), error("InternalServiceError", status=500), (200, {}, GOOD)]
    fake = Fake(lambda *_: answers.pop(0))
    with client_of(fake) as client:
        check(client.get("a", "v") == "one", "the third answer")
    fake.close()
    for row in (error("ThrottlingException"), (429, {}, "")):
        fake = Fake(lambda *_, row=row: row)
        with client_of(fake) as client:
            check("limits our requests" in client.error("a"), "always limited")
            check("we wait" in client.error("b"), "nothing is sent for a while")
        check(len(reads(fake)) == 3, f"{len(reads(fake))} requests")
        fake.close()


def nonsense_is_no_secret(_):
    rows = ("", "<html>hello</html>", "[1, 2]", '"text"', "{", '{"SecretString": null}', '{"SecretString": 5}', '{"SecretString": ""}',
            '{"SecretBinary": "?' + CANARY + '"}', '{"SecretBinary": ""}', '{"SecretString": "' + CANARY, '{"a":' * 5000, b"\xff\xfe", b"\x00",
            '{"SecretString": "a", "SecretString": "b"}')
    for text in rows:
        fake = Fake(lambda *_, text=text: (200, {}, text))
        with client_of(fake) as client:
            client.error("a")
        fake.close()


def xml_and_html_are_understood_or_named(_):
    rows = ((403, "<Error><Code>AccessDenied</Code><Message>x</Message></Error>", "denied"),
            (403, "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>", "not valid"),
            (403, "<html>no</html>", "endpoint"), (404, "<Code>", "endpoint"), (404, "", "endpoint"), (500, "<html>", "fault"),
            (503, "", "fault"))
    for status, text, words in rows:
        fake = Fake(lambda *_, status=status, text=text: (status, {}, text))
        with client_of(fake) as client:
            said = client.error("a")
            check(words in said, f"{status} {text}: {said}")
        fake.close()


def floods_and_halves_are_cut(_):
    fake = Fake(lambda *_: (200, {}, b'{"SecretString": "' + b"x" * 10_000_000 + b'"}'))
    with client_of(fake) as client:
        check("larger than" in client.error("a"), "10 MB")
    fake.close()
    fake = Fake(lambda *_: (200, {}, b'{"SecretString": "' + b"x" * 1_500_000 + b'"}'))
    with client_of(fake) as client:
        check("larger than" in client.error("a"), "a secret that is too large")
    fake.close()

    def half(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"SecretString\": \"" + CANARY.encode())
        connection.close()

    fake = Fake(lambda *_: half)
    with client_of(fake) as client:
        text = client.error("a")
        check("outstanding" in text or "closed" in text, text)
    fake.close()


def a_server_that_never_answers_is_left(_):
    fake = Fake(lambda *_: lambda _connection: time.sleep(30))
    with client_of(fake) as client:
        check("in time" in client.error("a"), "no answer")
    fake.close()


def redirects_are_refused(_):
    other = Fake(lambda *_: (200, {}, GOOD))
    fake = Fake(lambda *_: (307, {"Location": other.url}, ""))
    with client_of(fake) as client:
        check("sends us elsewhere" in client.error("a"), "a redirect")
    check(not other.seen, "it was followed")
    fake.close()
    other.close()


def tls_is_checked(folder):
    cert, other = make_certificate(folder, "aws"), make_certificate(folder, "other", "elsewhere.example")
    fake = Fake(lambda *_: (200, {}, GOOD), cert)
    with client_of(fake, ca_file=cert[0]) as client:
        check(client.get("a", "v") == "one", "over TLS")
    with client_of(fake) as client:
        check("certificate" in client.error("a"), "the system's authorities")
    fake.close()
    fake = Fake(lambda *_: (200, {}, GOOD), other)
    with client_of(fake, ca_file=other[0]) as client:
        check("match" in client.error("a"), "another host's name")
    fake.close()


def a_container_gives_credentials(folder):
    lives, given = [1, 3600], []

    def handler(method, path, headers, _body):
        if path == "/keys":
            check(headers.get("Authorization") == "word", headers)
            given.append(f"ASIA{len(given)}")
            return 200, {}, {"AccessKeyId": given[-1], "SecretAccessKey": "s" + CANARY, "Token": "t" + given[-1],
                             "Expiration": ends(lives.pop(0))}
        return 200, {}, GOOD

    fake = Fake(handler)
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": fake.url + "/keys",
           "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": private(folder, "word", "word")}
    with client_of(fake, env) as client:
        for _ in range(3):
            check(client.get("a", "v") == "one", "with the container's credentials")
    tokens = [one[2]["X-Amz-Security-Token"] for one in reads(fake)]
    check(tokens == ["tASIA0", "tASIA1", "tASIA1"], f"those that end are replaced, the others kept: {tokens}")
    with client_of(fake, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://elsewhere.example/"}) as client:
        check("neither https" in client.error("a"), "the token would go anywhere")
    fake.close()
    rows = ((500, {}, ""), (200, {}, ""), (200, {}, "{"), (200, {}, {"AccessKeyId": "a"}), (200, {}, "<html>"),
            (200, {}, {"AccessKeyId": "a b", "SecretAccessKey": CANARY}), (200, {}, {"AccessKeyId": "a", "SecretAccessKey": CANARY, "Token": "a\r\nb"}),
            (200, {}, {"AccessKeyId": "a", "SecretAccessKey": CANARY, "Expiration": "yesterday"}),
            (200, {}, {"AccessKeyId": "a", "SecretAccessKey": CANARY, "Expiration": ends(-60)}))
    for row in rows:
        fake = Fake(lambda *_, row=row: row)
        with client_of(fake, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": fake.url + "/keys"}) as client:
            client.error("a")
        check(not reads(fake), f"{row} was used")
        fake.close()


def an_instance_gives_credentials(_):
    def handler(method, path, headers, _body):
        if path == "/latest/api/token":
            return (200, {}, "word") if method == "PUT" and headers.get("X-aws-ec2-metadata-token-ttl-seconds") else (405, {}, "")
        if path.startswith("/latest/meta-data/"):
            if headers.get("X-aws-ec2-metadata-token") != "word":
                return 401, {}, ""
            role = path.removeprefix("/latest/meta-data/iam/security-credentials/")
            return 200, {}, {"Code": "Success", "AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "t",
                             "Expiration": ends(3600)} if role == "my-role" else "my-role"
        return 200, {}, GOOD

    fake = Fake(handler)
    env = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": fake.url + "/"}
    with client_of(fake, env) as client:
        check(client.get("a", "v") == "one", "with the instance's credentials")
        check("the instance's role" in client.ask("probe", "0")[1], "the probe names them")
    fake.close()
    for row in ((404, {}, ""), (200, {}, ""), (200, {}, "a\r\nb"), (200, {}, "x" * 300)):
        fake = Fake(lambda *_, row=row: row)
        with client_of(fake, {**env, "AWS_EC2_METADATA_SERVICE_ENDPOINT": fake.url}) as client:
            client.error("a")
        fake.close()
    with client_of(fake, {**env, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}) as client:
        check(AWAY in client.error("a"), "no such service")
    with client_of(fake, {**env, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://elsewhere.example"}) as client:
        check("no metadata service" in client.error("a"), "another machine")


def sts(token, seconds=3600):
    return (f"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s{CANARY}</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{ends(seconds)}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>")


def a_web_identity_gives_credentials(folder):
    forms = []

    def handler(_method, path, headers, body):
        if "X-Amz-Target" in headers:
            return 200, {}, GOOD
        check("Authorization" not in headers, "this request is not signed")
        forms.append(urllib.parse.parse_qs(body.decode()))
        return 200, {}, sts("word")

    env = {"AWS_WEB_IDENTITY_TOKEN_FILE": private(folder, "jwt", "a.b+/=c"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}
    fake = Fake(handler)
    with client_of(fake, env) as client:
        check(client.get("a", "v") == "one" and client.get("a", "v") == "one", "with a web identity")
    check(forms == [{"Action": ["AssumeRoleWithWebIdentity"], "Version": ["2011-06-15"], "RoleSessionName": ["topicrule"],
                     "RoleArn": ["arn:aws:iam::1:role/r"], "WebIdentityToken": ["a.b+/=c"]}], forms)
    check([one[2]["X-Amz-Security-Token"] for one in reads(fake)] == ["word", "word"], "used")
    fake.close()
    with client_of(fake, {**env, "AWS_ROLE_ARN": ""}) as client:
        check("AWS_ROLE_ARN is not" in client.error("a"), "no role")
    denied = "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    rows = ((403, denied, "denied"), (400, denied.replace("AccessDenied", "InvalidIdentityToken"), "not valid"), (200, "", "no set"),
            (200, "<html>", "no set"), (200, sts(""), "lacks"), (200, sts("t", -9), "expired already"), (200, sts("t")[:150], ""))
    for status, text, words in rows:
        fake = Fake(lambda *_, status=status, text=text: (status, {}, text))
        with client_of(fake, env) as client:
            said = client.error("a")
            check(words in said, f"{text}: {said}")
        fake.close()


def profiles(folder, config, credentials=""):
    env = {"AWS_CONFIG_FILE": private(folder, "config", config)}
    if credentials:
        env["AWS_SHARED_CREDENTIALS_FILE"] = private(folder, "credentials", credentials)
    return env


def sts_server(forms):
    """Gives credentials by every form, named after the role; secrets to whoever has some."""

    def handler(_method, path, headers, body):
        if "X-Amz-Target" in headers:
            return 200, {}, GOOD
        if path == "/keys":
            return 200, {}, {"AccessKeyId": "ASIAAGENT", "SecretAccessKey": "s", "Token": "agent", "Expiration": ends(3600)}
        form = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
        forms.append((form, headers.get("X-Amz-Security-Token"), headers.get("Authorization", "")))
        return 200, {}, sts("t-" + form["RoleArn"][-1])

    return Fake(handler)


def a_chain_of_profiles_is_followed(folder):
    forms = []
    fake = sts_server(forms)
    env = profiles(folder, "[default]\nrole_arn = arn:3\nsource_profile = two\nrole_session_name = me\nexternal_id = e&3\n"
                   "[profile two]\nrole_arn=arn:2\nsource_profile=one\n; nothing\n[sso-session two]\nrole_arn = no\n",
                   "[one]\naws_access_key_id = AKIAONE\naws_secret_access_key = s")
    with client_of(fake, env) as client:
        check(client.get("a", "v") == "one", "through two roles")
    check([form["RoleArn"] for form, _, _ in forms] == ["arn:2", "arn:3"], forms)
    check(forms[0][0]["RoleSessionName"] == "topicrule" and "ExternalId" not in forms[0][0] and "AKIAONE/" in forms[0][2], forms)
    check(forms[1][0]["RoleSessionName"] == "me" and forms[1][0]["ExternalId"] == "e&3" and forms[1][1] == "t-2", forms)
    check(reads(fake)[0][2]["X-Amz-Security-Token"] == "t-3", "the last role reads")
    fake.close()


def each_source_of_a_profile_s_credentials(folder):
    token = private(folder, "jwt", "a.b.c")
    role = "[default]\nrole_arn = arn:9\n"
    rows = ((role + "source_profile = default\naws_access_key_id = AKIASELF\naws_secret_access_key = s", {}, "AKIASELF/", None),
            (role + "credential_source = Environment", {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "s"}, "AKIAENV/", None),
            (role + "credential_source = EcsContainer", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/keys"}, "ASIAAGENT/", "agent"),
            (role + f"web_identity_token_file = {token}\nrole_session_name = pod", {}, "", None))
    for config, more, signed, sent in rows:
        forms = []
        fake = sts_server(forms)
        env = {**profiles(folder, config), **{name: value.format(url=fake.url) for name, value in more.items()}}
        with client_of(fake, {**env, "AWS_PROFILE": "default"}, profile="default") as client:
            check(client.get("a", "v") == "one", config)
        form, token_sent, authorization = forms[0]
        check(len(forms) == 1 and form["RoleArn"] == "arn:9" and token_sent == sent and signed in authorization, forms)
        if "web_identity" in config:
            check(form["WebIdentityToken"] == "a.b.c" and form["RoleSessionName"] == "pod" and not authorization, forms)
        fake.close()


def profiles_that_cannot_serve_a_service_are_named(folder):
    rows = (("credential_process = /bin/true " + CANARY, "starts no others"), ("sso_session = x", "sso"), ("sso_start_url = https://x", "sso"),
            ("role_arn = arn:1", "one of source_profile"), ("role_arn = arn:1\nsource_profile = a\ncredential_source = Environment", "one of"),
            ("role_arn = arn:1\nsource_profile = gone", "no profile [gone]"), ("role_arn = arn:1\ncredential_source = Moon", "unknown credential_source"),
            ("role_arn = arn:1\ncredential_source = Environment", "not both set"), ("role_arn = arn:1\ncredential_source = EcsContainer", "no container"),
            ("role_arn = arn:1\nsource_profile = b\n[profile b]\nrole_arn = arn:2\nsource_profile = default", "a circle"),
            ("role_arn = arn:1\nsource_profile = b\nmfa_serial = arn:mfa", "mfa_serial"), ("region = eu-west-1", "lacks aws_access_key_id"),
            ("aws_access_key_id = a", "lacks"), ("role_arn = arn:1\nweb_identity_token_file = /nonexistent", "/nonexistent"))
    for text, words in rows:
        fake = Fake(lambda *_: (200, {}, GOOD))
        with client_of(fake, {**profiles(folder, "[default]\n" + text), "AWS_PROFILE": "default"}) as client:
            said = client.error("a")
            check(words in said, f"{text}: {said}")
        check(not fake.seen, f"{text}: something was asked for")
        fake.close()


def a_config_file_is_read_with_care(folder):
    fake = Fake(lambda *_: (200, {}, GOOD))
    env = profiles(folder, f"[default]\naws_access_key_id = AKIA\naws_secret_access_key = {CANARY}\nregion = eu-west-1\n")
    options = {"endpoint": fake.url, "sts_endpoint": fake.url}
    with Client(0, 0, ("aws", "aws", options), env={**quiet(), **env}) as client:
        check(client.get("a", "v") == "one", "key and region of the config file")
    os.chmod(env["AWS_CONFIG_FILE"], 0o644)
    with Client(0, 0, ("aws", "aws", options), env={**quiet(), **env}) as client:
        check("chmod 600" in client.error("a"), "a key that others may read")
    private(folder, "config", "[default]\nregion = eu-west-1\n")
    os.chmod(env["AWS_CONFIG_FILE"], 0o644)
    with Client(0, 0, ("aws", "aws", options), env={**quiet(), **env, **KEYS}) as client:
        check(client.get("a", "v") == "one", "a region that others may read")
    with Client(0, 0, ("aws", "aws", options), env={**quiet(), **env}) as client:
        check(AWAY in client.error("a"), "a region is no credential")
    client = Client(0, 0, ("aws", "aws", options), env={**quiet(), **KEYS, "AWS_CONFIG_FILE": "/nonexistent"})
    check(client.opened[0] == "error" and "/nonexistent" in client.opened[1], client.opened)
    client.close()
    fake.close()


def a_role_is_assumed_with_our_credentials(_):
    forms = []

    def handler(_method, path, headers, body):
        if "X-Amz-Target" in headers:
            return 200, {}, GOOD
        check("/eu-west-1/sts/aws4_request" in headers["Authorization"], headers)
        forms.append(urllib.parse.parse_qs(body.decode()))
        return 200, {}, sts("t" + forms[-1]["RoleArn"][0][-1])

    fake = Fake(handler)
    with client_of(fake, assume_role="true", external_id="e&x") as client:
        for role in ("arn:1", "arn:2", "arn:1"):
            check(client.get("a", "v", role) == "one", role)
        check(client.get("a", "v") == "one", "no role, our own")
    check([form["RoleArn"][0] for form in forms] == ["arn:1", "arn:2"], "each is kept")
    check(forms[0]["ExternalId"] == ["e&x"], forms)
    check([one[2].get("X-Amz-Security-Token") for one in reads(fake)] == ["t1", "t2", "t1", None], "each secret by its role")
    fake.close()


def a_token_that_expires_is_replaced_once(_):
    given, refusals = [], [1]

    def handler(_method, path, headers, _body):
        if path == "/keys":
            given.append(1)
            return 200, {}, {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": f"t{len(given)}", "Expiration": ends(3600)}
        if refusals and headers["X-Amz-Security-Token"] == "t1":
            return error("ExpiredTokenException")
        return 200, {}, GOOD

    fake = Fake(handler)
    with client_of(fake, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": fake.url + "/keys"}) as client:
        check(client.get("a", "v") == "one", "with new ones")
    check(len(given) == 2, given)
    fake.close()
    fake = Fake(lambda _m, path, *_: handler(_m, path, {"X-Amz-Security-Token": "t1"}, b""))
    with client_of(fake, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": fake.url + "/keys"}) as client:
        for _ in range(3):
            check("expired" in client.error("a"), "always")
    check(len(given) == 4, f"asked for new ones {len(given)} times")
    fake.close()


def options_are_checked_at_once(_):
    good = {"region": "eu-west-1"}
    rows = (({"region": None}, "region is needed"), ({"region": "Eu West"}, "like eu-west-1"), ({"endpoint": "aws:80"}, "expected https://"),
            ({"endpoint": "http://aws.example"}, "readable over the network"), ({"endpoint": "https://u:p@aws"}, "without user name"),
            ({"sts_endpoint": "http://aws.example"}, "readable over the network"), ({"access_key_id": "a"}, "needs both"),
            ({"secret_key_file": "a"}, "needs both"), ({"session_token_file": "a"}, "belongs to"), ({"profile": ""}, "is empty"),
            ({"access_key_id": "a", "secret_key_file": "b", "profile": "c"}, "keep one"), ({"assume_role": "yes"}, "true or false"),
            ({"external_id": "x"}, "assume_role: true"), ({"secret_key": CANARY}, 'no option "secret_key"'),
            ({"version_stage": "a\nb"}, "line break"))
    for change, words in rows:
        options = {k: v for k, v in {**good, **change}.items() if v is not None}
        client = Client(0, 0, ("a", "aws", options), env=quiet())
        check(client.opened[0] == "error" and words in client.opened[1], f"{change}: {client.opened}")
        check(CANARY not in client.opened[1], "a secret is in an error")
        client.close()


main(a_chain_of_profiles_is_followed, each_source_of_a_profile_s_credentials, profiles_that_cannot_serve_a_service_are_named,
     a_config_file_is_read_with_care, what_is_sent, each_error_has_its_sentence, a_wrong_clock_is_named, a_limit_is_waited_for, nonsense_is_no_secret,
     xml_and_html_are_understood_or_named, floods_and_halves_are_cut, a_server_that_never_answers_is_left, redirects_are_refused,
     tls_is_checked, a_container_gives_credentials, an_instance_gives_credentials, a_web_identity_gives_credentials,
     a_role_is_assumed_with_our_credentials, a_token_that_expires_is_replaced_once,
     options_are_checked_at_once)
