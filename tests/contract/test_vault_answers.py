"""The backend `vault` before a server that answers as no real one does on demand: limits, standbys, half answers, floods,
nonsense, and redirects that lead astray."""

import time

from secretslib import CANARY, Client, Fake, check, main, make_certificate, wait_for

GOOD = {"data": {"data": {"v": "one"}, "metadata": {"version": 3}}}
TOKEN = "hvs.token" + CANARY


def vault(read, tls=None):
    """A server whose answer to reading a secret is `read`; logins and looks at the token go well."""

    def handler(method, path, headers, body):
        if path.endswith("lookup-self"):
            return 200, {}, {"data": {"ttl": 0, "renewable": False}}
        return read(method, path, headers, body) if callable(read) else read

    return Fake(handler, tls)


def client_of(fake, cache=0, stale=0, **more):
    return Client(cache, stale, ("vault", "vault", {"address": fake.url, "auth.method": "token", "auth.token": TOKEN, **more}))


def reads(fake):
    return [request for request in fake.seen if "/data/" in request[1]]


def each_status_has_its_sentence(_):
    rows = ((400, "status 400"), (403, "denied"), (404, "there is nothing"), (405, "status 405"), (429, "limits our requests"),
            (472, "standby"), (473, "standby"), (500, "status 500"), (502, "status 502"), (503, "sealed"), (204, "status 204"))
    for status, words in rows:
        fake = vault((status, {}, {"errors": ["line one\nline two", CANARY]} if status != 204 else ""))
        with client_of(fake) as client:
            text = client.error("a")
            check(words in text, f"{status}: {text}")
            check('secret "a" in backend "vault"' in text, text)
        fake.close()


def a_standby_that_is_behind_is_asked_again(_):
    answers = [(412, {}, {}), (412, {}, {}), (200, {}, GOOD)]
    fake = vault(lambda *_: answers.pop(0))
    with client_of(fake) as client:
        check(client.get("a", "v") == "one", "the third answer")
    fake.close()
    fake = vault((412, {}, {}))
    with client_of(fake) as client:
        check("behind" in client.error("a"), "always behind")
    check(len(reads(fake)) == 4, f"{len(reads(fake))} requests")
    fake.close()


def a_server_that_asks_for_silence_gets_it(_):
    fake = vault((429, {"Retry-After": "60"}, {}))
    with client_of(fake) as client:
        check("429" in client.error("a"), "the first")
        check("asked us to wait" in client.error("b"), "the second is not sent")
    check(len(reads(fake)) == 1, f"{len(reads(fake))} requests")
    fake.close()


def nonsense_is_no_secret(_):
    rows = ("", "<html>hello</html>", "[1, 2]", '"text"', "{", '{"data": null}', '{"data": {"data": null}}', '{"data": {"data": []}}',
            '{"data": {"data": {}}}', '{"data": "' + CANARY, '{"a":' * 5000, b"\xff\xfe", b"\x00", '{"data": {"data": {"a": 1, "a": 2}}}',
            '{"data": {"data": {"SecretString": ""}}}', '{"data": {"data": {"SecretBinary": ""}}}')
    for text in rows:
        fake = vault((200, {}, text))
        with client_of(fake) as client:
            client.error("a", "v")
        fake.close()


def floods_and_halves_are_cut(_):
    fake = vault((200, {}, b'{"data": "' + b"x" * 10_000_000 + b'"}'))
    with client_of(fake) as client:
        check("larger than" in client.error("a"), "10 MB")
    fake.close()

    def half(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\": {\"data\": {\"v\": \"" + CANARY.encode())
        connection.close()

    fake = vault(lambda *_: half)
    with client_of(fake) as client:
        check("outstanding" in client.error("a") or "closed" in client.error("a"), "half an answer")
    fake.close()

    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        try:
            while True:
                connection.sendall(b"X-Header: " + b"x" * 10000 + b"\r\n")
        except OSError:
            pass

    fake = vault(lambda *_: endless)
    with client_of(fake) as client:
        client.error("a")
    fake.close()

    def garbage(connection):
        connection.sendall(b"\x16\x03\x01" + bytes(range(256)))
        connection.close()

    fake = vault(lambda *_: garbage)
    with client_of(fake) as client:
        client.error("a")
    fake.close()


def a_server_that_never_answers_is_left(_):
    def sleep(_connection):
        time.sleep(30)

    fake = vault(lambda *_: sleep)
    with client_of(fake) as client:
        check("in time" in client.error("a"), "no answer")
    fake.close()


def the_end_does_not_wait_for_it(_):
    answers = [(200, {}, GOOD)]

    def sleep(_connection):
        time.sleep(30)

    fake = vault(lambda *_: answers.pop(0) if answers else sleep)
    with client_of(fake, "1000+", 60000) as client:
        client.get("a", "v")
        wait_for(lambda: len(reads(fake)) == 2, "the refresh")
        began = time.monotonic()
        client.close()
        check(time.monotonic() - began < 8, "it waited for the server")
    fake.close()


def a_standby_may_send_us_to_the_active_node(_):
    active = vault((200, {}, GOOD))
    standby = vault(lambda _m, path, *_: (307, {"Location": active.url + path}, ""))
    with client_of(standby) as client:
        check(client.get("a", "v") == "one", "from the active node")
    check(reads(active)[0][2].get("X-Vault-Token") == TOKEN, "the token is sent there")
    standby.close()
    active.close()


def redirects_that_lead_astray_are_not_followed(folder):
    loop = vault(lambda *_: (307, {"Location": "/v1/secret/data/a"}, ""))
    with client_of(loop) as client:
        check("place to place" in client.error("a"), "a loop")
    check(len(reads(loop)) == 3, f"{len(reads(loop))} requests")
    loop.close()

    cert = make_certificate(folder, "vault")
    plain = vault((200, {}, GOOD))
    secure = vault(lambda _m, path, *_: (307, {"Location": plain.url + path}, ""), cert)
    with client_of(secure, ca_file=cert[0]) as client:
        check("not followed" in client.error("a"), "out of TLS")
    check(not plain.seen, "the token went over the network")
    plain.close()
    secure.close()

    for place in ("http://elsewhere.example/v1/secret/data/a", "file:///etc/passwd", "http://127.0.0.1@elsewhere.example/", "", "://"):
        fake = vault(lambda *_, place=place: (302, {"Location": place}, ""))
        with client_of(fake) as client:
            client.error("a")
        fake.close()


def plain_http_to_a_port_of_tls_is_said(folder):
    """A server that is no Go program answers with an alert, or with nothing."""
    secure = vault((200, {}, GOOD), make_certificate(folder, "vault"))
    address = secure.url.replace("https:", "http:")
    with Client(0, 0, ("vault", "vault", {"address": address, "auth.method": "token", "auth.token": TOKEN})) as client:
        text = client.error("a")
        check("then the address is to begin with https://" in text or "ended the connection" in text, text)
    secure.close()


def nothing_of_ours_is_said_back(_):
    fake = vault((400, {}, {"errors": [f"bad token {TOKEN}"]}))
    with client_of(fake) as client:
        client.error("a")  # looks for the canary, which the token has in it
    fake.close()


def a_login_is_checked_as_well(folder):
    rows = ((200, {}, {"auth": {"client_token": ""}}), (200, {}, {"auth": None}), (200, {}, "x"), (400, {}, {"errors": ["invalid role"]}),
            (503, {}, {}), (200, {}, {"auth": {"client_token": 5}}))
    for row in rows:
        fake = Fake(lambda _m, path, *_, row=row: row if path.endswith("login") else (200, {}, GOOD))
        options = {"address": fake.url, "auth.method": "approle", "auth.role_id": "r", "auth.secret_id": CANARY}
        with Client(0, 0, ("vault", "vault", options)) as client:
            client.error("a")
        fake.close()

    token = folder + "/jwt"
    with open(token, "w", encoding="utf-8") as file:
        file.write("a.b.c\n")
    fake = Fake(lambda _m, path, *_: (200, {}, {"auth": {"client_token": "t", "lease_duration": 60}} if path.endswith("login") else GOOD))
    for method, mount in (("kubernetes", "kubernetes"), ("jwt", "my/jwt")):
        options = {"address": fake.url + "/", "auth.method": method, "auth.mount": mount, "auth.role": "us", "auth.jwt_file": token}
        with Client(0, 0, ("vault", "vault", options)) as client:
            check(client.get("a", "v") == "one", method)
        login = [request for request in fake.seen if request[1].endswith("login")][-1]
        check(login[1] == f"/v1/auth/{mount}/login" and login[3] == b'{"role":"us","jwt":"a.b.c"}', login)
        check("X-Vault-Token" not in login[2], "a login has no token")
    fake.close()


def options_are_checked_at_once(_):
    good = {"address": "https://vault:8200", "auth.method": "token", "auth.token": CANARY}
    rows = (({"address": None}, "address is needed"), ({"address": "vault:8200"}, "expected https://"),
            ({"address": "https://u:p@vault"}, "without user name"), ({"address": "http://vault:8200"}, "allow_http"),
            ({"address": "http://127.0.0.1@vault"}, "without user name"), ({"address": "http://localhost.example"}, "allow_http"),
            ({"auth.method": None}, "expected token, approle"), ({"auth.method": "ldap"}, "expected token, approle"),
            ({"auth.token": None}, "auth.token: is needed"), ({"auth.token_file": "x"}, "stands there twice"),
            ({"auth.token": ""}, "is empty"), ({"mount": "a/../b"}, "path of a mount"), ({"mount": "a b"}, "letters, digits"),
            ({"cert_file": "c"}, "needs both"), ({"auth.method": "approle"}, "auth.role_id: is needed"),
            ({"auth.method": "jwt"}, "auth.role: is needed"), ({"auth.method": "jwt", "auth.role": "r"}, "auth.jwt_file: is needed"),
            ({"auth.method": "cert"}, "cert_file: is needed"), ({"alow_http": "true"}, 'did you mean "allow_http"'),
            ({"allow_http": "yes"}, "expected true or false"), ({"namespace": ""}, "is empty"))
    for change, words in rows:
        options = {k: v for k, v in {**good, **change}.items() if v is not None}
        client = Client(0, 0, ("v", "vault", options))
        check(client.opened[0] == "error" and words in client.opened[1], f"{change}: {client.opened}")
        check(CANARY not in client.opened[1], "a secret is in an error")
        client.close()


main(each_status_has_its_sentence, a_standby_that_is_behind_is_asked_again, a_server_that_asks_for_silence_gets_it,
     nonsense_is_no_secret, floods_and_halves_are_cut, a_server_that_never_answers_is_left, the_end_does_not_wait_for_it,
     a_standby_may_send_us_to_the_active_node, redirects_that_lead_astray_are_not_followed, nothing_of_ours_is_said_back,
     plain_http_to_a_port_of_tls_is_said,
     a_login_is_checked_as_well, options_are_checked_at_once)
