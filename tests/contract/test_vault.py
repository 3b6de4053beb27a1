"""The backend `vault` against a real Vault: logins, renewal, versions, deleted secrets, rotation, sealing, TLS."""

import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from secretslib import CANARY, Client, check, main, make_certificate, skip, wait_for

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support/vault/build.sh")


class Vault:
    def __init__(self, folder, *options, ca=None, cert=None):
        done = subprocess.run([BUILD], capture_output=True, text=True, check=False)
        if done.returncode:
            skip(done.stdout.strip() or "no Vault here")
        self.child = subprocess.Popen([done.stdout.strip(), "-listen", "127.0.0.1:0", *options], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True)
        ready = json.loads(self.child.stdout.readline())
        self.url, self.root, self.unseal_key = ready["addr"], ready["root_token"], ready["unseal_key"]
        self.context = ssl.create_default_context(cafile=ca) if ca else None
        if cert:
            self.context.load_cert_chain(*cert)
        self.folder = folder

    def call(self, method, path, body=None, token=None, headers=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/v1/{path}", data=data, method=method,
                                         headers={"X-Vault-Token": token or self.root, **(headers or {})})
        with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def put(self, path, **data):
        self.call("POST", f"secret/data/{urllib.parse.quote(path)}", {"data": data})

    def audit(self):
        self.log = os.path.join(self.folder, "audit.log")
        self.call("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": self.log}})

    def requests(self, path):
        with open(self.log, encoding="utf-8") as log:
            lines = [json.loads(line) for line in log]
        return [line for line in lines if line["type"] == "request" and line["request"]["path"] == path]

    def approle(self, role="r", **settings):
        """A role that may read secret/app/*; (role_id, secret_id)."""
        self.call("PUT", "sys/policies/acl/app", {"policy": 'path "secret/data/app/*" { capabilities = ["read"] }'})
        try:
            self.call("POST", "sys/auth/approle", {"type": "approle"})
        except urllib.error.HTTPError:
            pass  # it is there
        self.call("POST", f"auth/approle/role/{role}", {"token_policies": "app", **settings})
        role_id = self.call("GET", f"auth/approle/role/{role}/role-id")["data"]["role_id"]
        return role_id, self.call("POST", f"auth/approle/role/{role}/secret-id", {})["data"]["secret_id"]

    def options(self, **more):
        return {"address": self.url, "auth.method": "token", "auth.token": self.root, **more}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()


def private(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(text + "\n")
    return path


def what_is_stored_is_what_comes(folder):
    with Vault(folder) as vault:
        vault.put("app/kafka", username="alice", password=CANARY, port=9092, nested={"a": [1]})
        vault.put("app/text", SecretString="line 1\nline 2\n")
        vault.put("app/bytes", SecretBinary="AAEC/w==")
        vault.put("app/bad", SecretBinary="?" + CANARY)
        vault.put("app/odd name+%?&#", k="v")
        with Client(60000, 0, ("vault", "vault", vault.options())) as client:
            check(client.get("app/kafka", "password") == CANARY, "a member")
            check(client.get("app/kafka", "port") == "9092", "a number")
            check(client.get("app/kafka", "nested") == '{"a":[1]}', "an object")
            whole = json.loads(client.get("app/kafka"))
            check(whole["username"] == "alice" and len(whole) == 4, "the whole object")
            check(client.get("app/text") == "line 1\\nline 2\\n", "text with lines")
            check(client.ask("bin", "app/bytes")[1] == "000102ff", "bytes")
            check(client.get("app/odd name+%?&#", "k") == "v", "a name with everything in it")
            check("'SecretBinary'" in client.error("app/bytes"), "bytes asked for as text")
            check("'SecretString'" in client.error("app/kafka", verb="bin"), "text asked for as bytes")
            check("not base64" in client.error("app/bad", verb="bin"), "bad base64")
            check('no member "pasword"' in client.error("app/kafka", "pasword"), "a missing member")
            check("there is nothing" in client.error("app/nope"), "a missing secret")
            check("empty step" in client.error("app/../kafka"), "a path that climbs")


def versions_deleted_and_destroyed(folder):
    with Vault(folder) as vault:
        vault.put("a", v="one")
        vault.put("a", v="two")
        with Client(0, 0, ("vault", "vault", vault.options())) as client:
            check(client.get("a", "v") == "two", "the newest")
            check(client.get("a@1", "v") == "one", "an old one")
            check("there is nothing" in client.error("a@7"), "a version that is not")
            vault.call("DELETE", "secret/data/a")
            check("was deleted" in client.error("a"), "deleted")
            check(client.get("a@1", "v") == "one", "the old one is still there")
            vault.call("POST", "secret/undelete/a", {"versions": [2]})
            check(client.get("a", "v") == "two", "undeleted")
            vault.call("POST", "secret/destroy/a", {"versions": [2]})
            check("destroyed" in client.error("a"), "destroyed")


def tokens_given_and_refused(folder):
    with Vault(folder) as vault:
        vault.put("a", v="one")
        for options in ({"auth.token": "hvs.wrong"}, {"auth.token": vault.call(
                "POST", "auth/token/create", {"policies": ["none"], "no_parent": True})["auth"]["client_token"]}):
            with Client(0, 0, ("vault", "vault", vault.options(**options))) as client:
                text = client.error("a")
                check("denied" in text and "login (token)" in text, text)
                check(options["auth.token"] not in text, "the token is shown")
        path = private(folder, "token", vault.root)
        options = {"address": vault.url, "auth.method": "token", "auth.token_file": path}
        with Client(0, 0, ("vault", "vault", options)) as client:
            check(client.get("a", "v") == "one", "a token from a file")
            token = vault.call("POST", "auth/token/create", {"policies": ["root"], "no_parent": True})["auth"]["client_token"]
        private(folder, "token", token)
        with Client(0, 0, ("vault", "vault", options)) as client:
            check(client.get("a", "v") == "one", "the other token")
            vault.call("POST", "auth/token/revoke", {"token": token})
            private(folder, "token", vault.root)
            check(client.get("a", "v") == "one", "a token that is replaced in its file")
            os.chmod(path, 0o644)
        with Client(0, 0, ("vault", "vault", options)) as client:
            check("chmod 600" in client.error("a"), "a token file that others may read")


def approle_logs_in_again_when_its_token_has_run_out(folder):
    with Vault(folder) as vault:
        vault.put("app/a", v="one")
        vault.put("other", v="one")
        vault.audit()
        role_id, secret_id = vault.approle(token_ttl="4s", token_max_ttl="8s")
        options = {"address": vault.url, "auth.method": "approle", "auth.role_id": role_id,
                   "auth.secret_id_file": private(folder, "sid", secret_id)}
        with Client(0, 0, ("vault", "vault", options)) as client:
            check(client.get("app/a", "v") == "one", "the first")
            check(client.get("app/a", "v") == "one", "the second, by the same token")
            check(len(vault.requests("auth/approle/login")) == 1, "one login")
            time.sleep(4.5)
            check(client.get("app/a", "v") == "one", "after its time")
            check(len(vault.requests("auth/approle/login")) == 2, "another login")
            for _ in range(3):
                check("denied" in client.error("other"), "a path that the policy does not allow")
            check(len(vault.requests("auth/approle/login")) == 2, "no login because of a policy")
            accessor = vault.call("LIST", "auth/token/accessors")["data"]["keys"]
            for one in accessor:
                data = vault.call("POST", "auth/token/lookup-accessor", {"accessor": one})["data"]
                if "app" in data["policies"]:
                    vault.call("POST", "auth/token/revoke-accessor", {"accessor": one})
            check(client.get("app/a", "v") == "one", "after it was revoked")
        options["auth.secret_id_file"] = private(folder, "sid", "wrong-" + CANARY)
        with Client(0, 0, ("vault", "vault", options)) as client:
            text = client.error("app/a")
            check("login by approle" in text, text)


def a_wrapped_secret_id_is_opened_once(folder):
    with Vault(folder) as vault:
        vault.put("app/a", v="one")
        role_id, _ = vault.approle(token_ttl="2s", token_max_ttl="2s")
        wrapped = vault.call("POST", "auth/approle/role/r/secret-id", {}, headers={"X-Vault-Wrap-TTL": "60s"})
        options = {"address": vault.url, "auth.method": "approle", "auth.role_id": role_id, "auth.secret_id_wrapped": "true",
                   "auth.secret_id": wrapped["wrap_info"]["token"]}
        with Client(0, 0, ("vault", "vault", options)) as client:
            check(client.get("app/a", "v") == "one", "the first login")
            time.sleep(2.2)
            check(client.get("app/a", "v") == "one", "a later login, by what was in it")
        with Client(0, 0, ("vault", "vault", options)) as client:
            check("was used before" in client.error("app/a"), "a wrapping token used twice")


def a_token_is_renewed_in_the_background(folder):
    with Vault(folder) as vault:
        vault.put("a", v="one")
        vault.audit()
        token = vault.call("POST", "auth/token/create", {"policies": ["root"], "no_parent": True, "period": "6s"})
        options = vault.options(**{"auth.token": token["auth"]["client_token"]})
        with Client("900000+", 0, ("vault", "vault", options)) as client:
            check(client.get("a", "v") == "one", "the first")
            wait_for(lambda: len(vault.requests("auth/token/renew-self")) >= 2, "two renewals")
            check(client.get("a", "v") == "one", "still served")
            check(len(vault.requests("secret/data/a")) == 1, "from the cache")
            check("there is nothing" in client.error("nope"), "the token is alive, long after its first six seconds")


def a_token_that_nobody_knows_is_doubted(folder):
    with Vault(folder) as vault:
        with Client(0, 0, ("vault", "vault", {**vault.options(), "auth.token": "hvs.wrong"})) as client:
            found = client.ask("probe", "0")
            check("not sure of the token: it is wrong, or may not look itself up" in found[1], found)


def a_changed_secret_is_told(folder):
    with Vault(folder) as vault:
        vault.put("a", v="one")
        with Client("1000+", 60000, ("vault", "vault", vault.options())) as client:
            check(client.get("a", "v") == "one", "the first")
            vault.put("a", v="two")
            wait_for(lambda: client.told("changed"), "the change")
            check(client.told("changed")[0][1:3] == ["vault", "a"], "which one")
            check(client.get("a", "v") == "two", "the new one")
            check([row[2] for row in client.listed()] == ["2"], "its version is listed")


def sealed_and_away(folder):
    with Vault(folder) as vault:
        vault.put("a", v=CANARY)
        with Client("1000+", 600000, ("vault", "vault", vault.options())) as client:
            check(client.get("a", "v") == CANARY, "the first")
            vault.call("PUT", "sys/seal")
            wait_for(lambda: client.told("away"), "the news that it is away")
            check("sealed" in client.told("away")[0][3], "why")
            check(client.get("a", "v") == CANARY, "the last good value is served")
            check("sealed" in client.error("b"), "another one cannot be had")
            wait_for(lambda: [row for row in client.listed() if row[1] == "a" and row[3] == "stale"], "the list says stale")
            check(client.ask("probe", "0")[0] == "error", "the probe says so")
            vault.call("PUT", "sys/unseal", {"key": vault.unseal_key})
            wait_for(lambda: client.told("back"), "the news that it is back")
            check(len(client.told("away")) == 1, "told once")
            found = client.ask("probe", "0")
            check(found[0] == "ok" and "1.14" in found[1] and "token" in found[1], found)
            vault.child.kill()
            vault.child.wait()
            wait_for(lambda: len(client.told("away")) == 2, "away again")
            check("onnect" in client.told("away")[1][3] or "reset" in client.told("away")[1][3], client.told("away"))
            check(client.get("a", "v") == CANARY, "still served")
            check(CANARY not in "".join(str(event) for event in client.events), "a secret in an event")


def namespace_is_sent(folder):
    with Vault(folder) as vault:
        vault.put("a", v="one")
        vault.audit()
        vault.call("PUT", "sys/config/auditing/request-headers/X-Vault-Namespace", {"hmac": False})
        with Client(0, 0, ("vault", "vault", vault.options(namespace="team-a"))) as client:
            client.get("a", "v")
        sent = [line["request"].get("headers", {}).get("x-vault-namespace") for line in vault.requests("secret/data/a")]
        check(sent == [["team-a"]], sent)


def tls_is_checked(folder):
    cert, key = make_certificate(folder, "vault")
    other = make_certificate(folder, "other")
    wrong = make_certificate(folder, "wrong", "elsewhere.example")
    with Vault(folder, "-tls-cert", cert, "-tls-key", key, ca=cert) as vault:
        vault.put("a", v="one")
        with Client(0, 0, ("vault", "vault", vault.options(ca_file=cert))) as client:
            check(client.get("a", "v") == "one", "over TLS")
        with Client(0, 0, ("vault", "vault", vault.options(ca_file=other[0]))) as client:
            check(f"{vault.url}: its certificate is not from the authority in ca_file" in client.error("a"), "another authority")
        with Client(0, 0, ("vault", "vault", vault.options())) as client:
            check("this system does not trust; give that authority as ca_file" in client.error("a"), "the system's authorities")
        plain = vault.url.replace("https:", "http:")
        with Client(0, 0, ("vault", "vault", {**vault.options(), "address": plain})) as client:
            check(f"{plain}: it speaks TLS on that port: the address is to begin with https://" in client.error("a"), client.error("a"))
    with Vault(folder, "-tls-cert", wrong[0], "-tls-key", wrong[1]) as vault:
        with Client(0, 0, ("vault", "vault", vault.options(ca_file=wrong[0]))) as client:
            check(f"{vault.url}: its certificate is for another host name" in client.error("a"), client.error("a"))
    with Vault(folder) as vault:
        with Client(0, 0, ("vault", "vault", {**vault.options(ca_file=cert), "address": vault.url.replace("http:", "https:")})) as client:
            check("it speaks no TLS on that port" in client.error("a"), client.error("a"))
    with Vault(folder, "-tls-cert", cert, "-tls-key", key, "-tls-client-ca", cert, ca=cert, cert=(cert, key)) as vault:
        vault.put("a", v="one")
        with Client(0, 0, ("vault", "vault", vault.options(ca_file=cert))) as client:
            text = client.error("a")
            check("it demands a client certificate; give cert_file and key_file" in text or "ended the connection" in text, text)
        with Client(0, 0, ("vault", "vault", vault.options(ca_file=cert, cert_file=cert, key_file=key))) as client:
            check(client.get("a", "v") == "one", "with our certificate")
        vault.call("PUT", "sys/policies/acl/all", {"policy": 'path "secret/*" { capabilities = ["read"] }'})
        vault.call("POST", "sys/auth/cert", {"type": "cert"})
        with open(cert, encoding="utf-8") as file:
            vault.call("POST", "auth/cert/certs/us", {"certificate": file.read(), "token_policies": "all"})
        with Client(0, 0, ("vault", "vault", {"address": vault.url, "auth.method": "cert", "auth.role": "us", "ca_file": cert,
                                              "cert_file": cert, "key_file": key})) as client:
            check(client.get("a", "v") == "one", "a login by our certificate")


main(what_is_stored_is_what_comes, versions_deleted_and_destroyed, tokens_given_and_refused,
     approle_logs_in_again_when_its_token_has_run_out, a_wrapped_secret_id_is_opened_once, a_token_is_renewed_in_the_background,
     a_token_that_nobody_knows_is_doubted, a_changed_secret_is_told, sealed_and_away, namespace_is_sent, tls_is_checked)
