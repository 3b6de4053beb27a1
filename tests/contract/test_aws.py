"""The backend `aws` against moto, which checks signatures and policies: secrets of each kind, roles, refusals, rotation."""

import atexit
import json
import os
import subprocess

from awslib import AWAY, private, quiet
from secretslib import CANARY, Client, check, main, skip, wait_for

SUPPORT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support/aws")


class Moto:
    """One server for all tests; it changes by `put` alone."""

    def __init__(self):
        done = subprocess.run([os.path.join(SUPPORT, "build.sh")], capture_output=True, text=True, check=False)
        if done.returncode:
            skip(done.stdout.strip() or "no moto here")
        self.python = os.path.join(done.stdout.strip(), "bin/python")
        code = ("import threading, time; from moto.server import ThreadedMotoServer\n"
                "s = ThreadedMotoServer(ip_address='127.0.0.1', port=0); s.start()\n"
                "print('port', s.get_host_and_port()[1], flush=True); time.sleep(1000000)")
        self.child = subprocess.Popen([self.python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        atexit.register(self.end)
        port = next(line.split()[1] for line in self.child.stdout if line.startswith("port "))
        self.url = f"http://127.0.0.1:{port}"
        self.keys = json.loads(subprocess.run([self.python, os.path.join(SUPPORT, "fill.py"), self.url], check=True,
                                              stdout=subprocess.PIPE, text=True).stdout)

    def end(self):
        self.child.terminate()
        self.child.wait()

    def put(self, name, value):
        code = ("import boto3, sys; boto3.client('secretsmanager', endpoint_url=sys.argv[1], region_name='eu-west-1',"
                "aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])"
                ".put_secret_value(SecretId=sys.argv[4], SecretString=sys.argv[5])")
        subprocess.run([self.python, "-c", code, self.url, *self.keys["admin"], name, value], check=True)

    def options(self, **more):
        return {"region": "eu-west-1", "endpoint": self.url, "sts_endpoint": self.url, **more}

    def given(self, folder, who, **more):
        """Options with that user's keys."""
        key = self.keys[who]
        more["access_key_id"] = key[0]
        more["secret_key_file"] = private(folder, who, key[1])
        if len(key) > 2:
            more["session_token_file"] = private(folder, who + "-token", key[2])
        return self.options(**more)


MOTO = Moto()


def client_of(options, cache=0, env=None, **more):
    return Client(cache, 60000 if cache else 0, ("aws", "aws", options), env={**quiet(), **(env or {})}, **more)


def signatures_are_checked(folder):
    """Else all that follows would prove little."""
    wrong = MOTO.options(access_key_id=MOTO.keys["reader"][0], secret_key_file=private(folder, "wrong", "wrong"))
    with client_of(wrong) as client:
        text = client.error("app/kafka")
        check("not valid" in text and "SignatureDoesNotMatch" in text, text)
        check("not valid" in client.error("0", verb="probe"), "the probe")
    unknown = MOTO.options(access_key_id="AKIAXXXXXXXXXXXXXXXX", secret_key_file=private(folder, "wrong", "wrong"))
    with client_of(unknown) as client:
        check("not valid" in client.error("app/kafka"), "an unknown key")


def what_is_stored_is_what_comes(folder):
    with client_of(MOTO.given(folder, "reader"), 60000) as client:
        check(client.get("app/kafka", "password") == CANARY, "a member")
        check(client.get("app/kafka", "euro") == "€", "a member that is not ASCII")
        check(json.loads(client.get("app/kafka"))["username"] == "alice", "the whole")
        check(client.get(MOTO.keys["arn"], "password") == CANARY, "by its ARN")
        check(client.get("app/text") == "line 1\\nline 2\\n", "text with lines")
        check(client.ask("bin", "app/bytes")[1] == "0001feff", "bytes")
        check("'SecretBinary'" in client.error("app/bytes"), "bytes asked for as text")
        check("'SecretString'" in client.error("app/kafka", verb="bin"), "text asked for as bytes")
        check("there is nothing" in client.error("app/nope"), "a missing secret")
        check("deletion" in client.error("app/gone"), "a deleted secret")
        check('no member "pasword"' in client.error("app/kafka", "pasword"), "a missing member")
        check("another region" in client.error(MOTO.keys["arn"].replace("eu-west-1", "us-east-1")), "another region's ARN")
        found = client.ask("probe", "0")
        check(found[0] == "ok" and "eu-west-1" in found[1] and "secret_key_file" in found[1], found)
        check(all(row[2] for row in client.listed() if row[1] == "app/kafka"), "a version is listed")
    with client_of(MOTO.given(folder, "reader", version_stage="AWSPREVIOUS")) as client:
        check(client.get("app/kafka", "password") == "one", "the previous version")


def an_arn_goes_to_the_backend_of_aws(folder):
    backends = (("files", "directory", {"path": folder}), ("aws", "aws", MOTO.given(folder, "reader")))
    with Client(0, 0, *backends, env=quiet()) as client:
        check(client.get(MOTO.keys["arn"], "username") == "alice", "not to the default")
        check(client.get("aws:app/kafka", "username") == "alice", "by name")


def policies_are_obeyed(folder):
    with client_of(MOTO.given(folder, "nobody")) as client:
        check("denied" in client.error("app/kafka"), "no policy")
        check(client.ask("probe", "0")[0] == "ok", "known all the same")
    with client_of(MOTO.given(folder, "session")) as client:
        check(client.get("app/kafka", "username") == "alice", "a session")
    options = {**MOTO.given(folder, "session"), "session_token_file": private(folder, "bogus", "bogus")}
    with client_of(options) as client:
        client.error("app/kafka")


def a_role_is_assumed(folder):
    options = MOTO.given(folder, "assumer", assume_role="true")
    with client_of(options) as client:
        check("denied" in client.error("app/kafka"), "without the role")
        check(client.get("app/kafka", "username", MOTO.keys["role"]) == "alice", "with it")
        client.error("app/kafka", "username", MOTO.keys["role"] + "-not")
    with client_of(MOTO.given(folder, "reader")) as client:
        check(client.get("app/kafka", "username", "arn:aws:iam::1:role/ignored") == "alice", "ignored where not configured")


def the_environment_and_the_profile_are_searched(folder):
    key = MOTO.keys["reader"]
    env = {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
    with client_of(MOTO.options(), env=env) as client:
        check(client.get("app/kafka", "username") == "alice", "the environment")
    text = f"# ours\n[default]\naws_access_key_id=x\n\n[ rules ]\r\n aws_access_key_id = {key[0]}\r\naws_secret_access_key={key[1]}\n"
    path = private(folder, "credentials", text)
    with client_of(MOTO.options(profile="rules", credentials_file=path)) as client:
        check(client.get("app/kafka", "username") == "alice", "a profile")
    with client_of(MOTO.options(), env={"AWS_SHARED_CREDENTIALS_FILE": path, "AWS_PROFILE": "rules"}) as client:
        check(client.get("app/kafka", "username") == "alice", "the environment's profile")
    with client_of(MOTO.options(credentials_file=path)) as client:
        check("lacks" in client.error("app/kafka"), "half a profile")
    with client_of(MOTO.options(profile="nope", credentials_file=path)) as client:
        check("there is no profile [nope] in" in client.error("app/kafka"), "a missing profile")
    os.chmod(path, 0o644)
    with client_of(MOTO.options(credentials_file=path)) as client:
        check("chmod 600" in client.error("app/kafka"), "a file that others may read")
    with client_of(MOTO.options()) as client:
        check(AWAY in client.error("app/kafka"), "nothing anywhere")


def a_profile_assumes_a_role(folder):
    keys = MOTO.keys["assumer"]
    credentials = private(folder, "credentials", f"[base]\naws_access_key_id = {keys[0]}\naws_secret_access_key = {keys[1]}")
    config = private(folder, "config", f"[profile base]\nregion = us-east-1\n[profile rules]\nregion = eu-west-1\n"
                     f"role_arn = {MOTO.keys['role']}\nsource_profile = base\nrole_session_name = gateway-7")
    env = {"AWS_CONFIG_FILE": config, "AWS_SHARED_CREDENTIALS_FILE": credentials, "AWS_PROFILE": "rules"}
    options = MOTO.options()
    del options["region"]  # it is the profile's
    with client_of(options, env=env) as client:
        check(client.get("app/kafka", "username") == "alice", "by the environment's profile")
        check("assumed role" in client.ask("probe", "0")[1], "the probe names it")
    with client_of({**options, "profile": "rules", "config_file": config, "credentials_file": credentials}) as client:
        check(client.get("app/kafka", "username") == "alice", "by the configuration's")
    with client_of(MOTO.options(), env={**env, "AWS_PROFILE": "base"}) as client:
        check("denied" in client.error("app/kafka"), "without the role")


def a_replaced_key_is_taken_from_its_file(folder):
    options = MOTO.given(folder, "reader")
    private(folder, "reader", "wrong")
    with client_of(options) as client:
        check("not valid" in client.error("app/kafka"), "the wrong one")
    with client_of(options) as client:
        private(folder, "reader", MOTO.keys["reader"][1])
        check(client.get("app/kafka", "username") == "alice", "the right one")
        private(folder, "reader", "wrong")
        check(client.get("app/kafka", "username") == "alice", "it is kept while it works")


def a_changed_secret_is_told(folder):
    MOTO.put("app/text", "first")
    with client_of(MOTO.given(folder, "reader"), "1000+") as client:
        check(client.get("app/text") == "first", "the first")
        MOTO.put("app/text", "second")
        wait_for(lambda: client.told("changed"), "the change")
        check(client.get("app/text") == "second", "the new one")


main(signatures_are_checked, what_is_stored_is_what_comes, an_arn_goes_to_the_backend_of_aws, policies_are_obeyed,
     a_role_is_assumed, the_environment_and_the_profile_are_searched, a_profile_assumes_a_role, a_replaced_key_is_taken_from_its_file,
     a_changed_secret_is_told)
