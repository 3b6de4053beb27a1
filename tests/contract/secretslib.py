"""What the tests of secret backends share: the room on a string (secrets_client.c), and a server that answers as told."""

import http.server
import json
import os
import queue
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

CANARY = "hunter2canary"


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def wait_for(condition, text, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise Failed(f"waited {seconds} s for {text}")


class Client:
    """secrets_client: one line asks, one line answers; events are kept apart."""

    def __init__(self, cache_ms, stale_ms, *backends, env=None):
        argv = [os.environ["SECRETS_CLIENT"], str(cache_ms), str(stale_ms)]
        for i, (name, kind, options) in enumerate(backends):
            argv += (["--"] if i else []) + [name, kind] + [f"{k}={v}" for k, v in options.items()]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      env={**os.environ, **(env or {})})
        self.answers, self.events, self.transcript = queue.Queue(), [], []
        threading.Thread(target=self._read, daemon=True).start()
        self.opened = self.answers.get(timeout=30)

    def _read(self):
        for line in self.child.stdout:
            fields = line.rstrip("\n").split("\t")
            self.transcript.append(line)
            if fields[0] == "event":
                self.events.append(fields[1:])
            else:
                self.answers.put(fields)
        self.answers.put(["gone"])

    def ask(self, *fields):
        self.child.stdin.write("\t".join(fields) + "\n")
        self.child.stdin.flush()
        return self.answers.get(timeout=60)

    def get(self, *fields):
        """The value of a secret that must be there."""
        answer = self.ask("get", *fields)
        check(answer[0] == "ok", f"get {fields}: {answer}")
        return answer[1]

    def error(self, *fields, verb="get"):
        """The text of the error that must come; it never shows the canary."""
        answer = self.ask(verb, *fields)
        check(answer[0] == "error", f"{verb} {fields} should fail: {answer}")
        check(CANARY not in answer[1], f"a secret is in an error: {answer[1]}")
        return answer[1]

    def listed(self):
        self.child.stdin.write("list\n")
        self.child.stdin.flush()
        rows = []
        while True:
            answer = self.answers.get(timeout=30)
            if answer[0] == "end":
                return rows
            rows.append(answer[1:])

    def holds(self, text):
        """How many mappings of its memory hold the text, which it is told with every bit turned over."""
        return int(self.ask("scan", bytes(~byte & 255 for byte in text.encode()).hex())[1])

    def told(self, what):
        return [event for event in self.events if event[0] == what]

    def close(self):
        """Ends it; its words on standard error (a sanitizer's, if any) are a failure."""
        if self.child.poll() is None:
            self.child.stdin.close()
        status = self.child.wait(60)
        words = self.child.stderr.read()
        check(not words, f"secrets_client said: {words[-2000:]}")
        return status

    def __enter__(self):
        check(self.opened == ["ready"], f"not opened: {self.opened}")
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.child.kill()
            self.child.wait()
        else:
            check(self.close() == 0, "secrets_client failed")


class Fake:
    """An HTTP server on the loopback. `handler(method, path, headers, body)` gives (status, headers, body), or a
    function that gets the raw connection. Each request is kept in `seen`."""

    def __init__(self, handler, tls=None, port=0):
        fake = self
        self.handler, self.seen = handler, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                fake.seen.append((self.command, self.path, dict(self.headers), body))
                reply = fake.handler(self.command, self.path, dict(self.headers), body)
                if callable(reply):
                    self.close_connection = True
                    reply(self.connection)
                    return
                status, headers, out = reply
                out = json.dumps(out).encode() if isinstance(out, (dict, list)) else out.encode() if isinstance(out, str) else out
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # a client that goes away is part of the tests

        self.server = Server(("127.0.0.1", port), Handler)
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def make_certificate(folder, name, host="127.0.0.1"):
    """A self-signed certificate; (certificate, key)."""
    paths = os.path.join(folder, f"{name}.crt"), os.path.join(folder, f"{name}.key")
    kind = "IP" if host[0].isdigit() else "DNS"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=test", "-addext", f"subjectAltName={kind}:{host}", "-keyout", paths[1], "-out", paths[0]],
                   check=True, stderr=subprocess.DEVNULL)
    return paths


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


def main(*tests):
    """Run each in a folder of its own; the exit status."""
    failed = 0
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                print(f"ok: {test.__name__}")
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f"FAILED: {test.__name__}")
                traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)
