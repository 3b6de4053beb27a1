"""Fill a moto server with users, a role and secrets of each kind, then have it check signatures and policies.

    fill.py URL      prints the keys as JSON
"""

import json
import sys
import urllib.request

import boto3

CANARY = "hunter2canary"
url, region = sys.argv[1], "eu-west-1"
options = {"endpoint_url": url, "region_name": region, "aws_access_key_id": "boot", "aws_secret_access_key": "boot"}
iam, secrets, sts = (boto3.client(service, **options) for service in ("iam", "secretsmanager", "sts"))


def policy(*actions):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})


def user(name, *actions):
    iam.create_user(UserName=name)
    if actions:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*actions))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return [key["AccessKeyId"], key["SecretAccessKey"]]


def role(name, principal, action):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": action}]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy("secretsmanager:GetSecretValue"))
    return arn


keys = {"admin": user("admin", "*"), "nobody": user("nobody"), "reader": user("reader", "secretsmanager:GetSecretValue"),
        "assumer": user("assumer", "sts:AssumeRole")}
keys["role"] = role("rules", {"AWS": "*"}, "sts:AssumeRole")
session = sts.assume_role(RoleArn=keys["role"], RoleSessionName="test")["Credentials"]
keys["session"] = [session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]]

secrets.create_secret(Name="app/kafka", SecretString=json.dumps({"username": "alice", "password": "one"}))
keys["arn"] = secrets.put_secret_value(SecretId="app/kafka",
                                       SecretString=json.dumps({"username": "alice", "password": CANARY, "euro": "€"}))["ARN"]
secrets.create_secret(Name="app/text", SecretString="line 1\nline 2\n")
secrets.create_secret(Name="app/bytes", SecretBinary=b"\x00\x01\xfe\xff")
secrets.create_secret(Name="app/gone", SecretString="x")
secrets.delete_secret(SecretId="app/gone")

# From here on every request must be signed well, and be allowed. A form's type would be answered by 500.
request = urllib.request.Request(url + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
urllib.request.urlopen(request, timeout=30).read()
print(json.dumps(keys))
