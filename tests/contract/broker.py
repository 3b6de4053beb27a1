"""A broker that does what the script says, packet by packet, and shows what came back. No libraries.

    broker = Broker()                  listens on a free port of loopback; with tls=(certificate, key) over TLS
    link = broker.accept()             the client's next connection, its CONNECT in link.connect
    link.connack(session=False)
    link.publish("a/b", b"{}", mid=1)
    link.expect(PUBACK)                the next packet that is no PINGREQ; fails when it is another
    link.quiet()                       fails if a PUBACK (or anything but a PINGREQ) comes in a while
"""

import contextlib
import json
import select
import socket
import ssl
import struct
import subprocess
import time

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 1, 2, 3, 4, 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
NAMES = {value: name for name, value in list(globals().items()) if isinstance(value, int) and name.isupper()}

SESSION_EXPIRY, RECEIVE_MAXIMUM, MAXIMUM_PACKET, SUBSCRIPTION_ID, REASON_STRING, USER_PROPERTY = 0x11, 0x21, 0x27, 0x0B, 0x1F, 0x26
SIZES = {SESSION_EXPIRY: 4, RECEIVE_MAXIMUM: 2, MAXIMUM_PACKET: 4}
# What a broker grants in CONNACK; its properties as bytes.
SERVER_KEEP_ALIVE, MAXIMUM_QOS, WILDCARDS, SUBSCRIPTION_IDS, SHARED = 0x13, 0x24, 0x28, 0x29, 0x2A
SIZES |= {SERVER_KEEP_ALIVE: 2, MAXIMUM_QOS: 1, WILDCARDS: 1, SUBSCRIPTION_IDS: 1, SHARED: 1}


def grants(**values):
    """grants(session_expiry=60, maximum_qos=0): for CONNACK."""
    names = {name: globals()[name.upper()] for name in values}
    return b"".join(bytes([names[name]]) + value.to_bytes(SIZES[names[name]], "big") for name, value in values.items())


class Failed(Exception):
    pass


def varint(value):
    out = b""
    while True:
        value, low = divmod(value, 128)
        out += bytes([low | (128 if value else 0)])
        if not value:
            return out


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def read_text(data, at):
    size = struct.unpack_from(">H", data, at)[0]
    return data[at + 2:at + 2 + size], at + 2 + size


def read_properties(data, at):
    """The properties that CONNECT and SUBSCRIBE of this client have."""
    size, at = read_varint(data, at)
    end, found = at + size, {}
    while at < end:
        name = data[at]
        at += 1
        if name == SUBSCRIPTION_ID:
            found[name], at = read_varint(data, at)
        else:
            found[name] = int.from_bytes(data[at:at + SIZES[name]], "big")
            at += SIZES[name]
    return found, at


class Connect:
    def __init__(self, body):
        _, at = read_text(body, 0)
        self.level, flags, self.keepalive = struct.unpack_from(">BBH", body, at)
        at += 4
        self.clean = bool(flags & 2)
        self.properties = {}
        if self.level == 5:
            self.properties, at = read_properties(body, at)
        self.client, at = read_text(body, at)
        self.username = self.password = None
        if flags & 0x80:
            self.username, at = read_text(body, at)
        if flags & 0x40:
            self.password, at = read_text(body, at)


class Subscribe:
    def __init__(self, body, v5, options=True):
        self.mid, at, self.properties, self.filters = struct.unpack_from(">H", body)[0], 2, {}, []
        if v5:
            self.properties, at = read_properties(body, at)
        while at < len(body):
            name, at = read_text(body, at)
            self.filters.append((name.decode(), body[at] if options else None))
            at += 1 if options else 0
        self.id = self.properties.get(SUBSCRIPTION_ID)


class Link:
    def __init__(self, sock):
        self.sock, self.buffer, self.closed, self.v5, self.pings = sock, b"", False, True, 0
        self.connect = self.unsubscribed = None

    # ---- from the client

    def fill(self, seconds):
        """More bytes, or False when none came in that time or the client has closed."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            ready = True
        else:
            ready = bool(select.select([self.sock], [], [], seconds)[0])
        if not ready:
            return False
        try:
            data = self.sock.recv(1 << 16)
        except ssl.SSLWantReadError:
            return True
        except (ConnectionResetError, ssl.SSLError):
            data = b""
        self.closed = self.closed or not data
        self.buffer += data
        return bool(data)

    def take(self):
        """A whole packet from the buffer, or None."""
        if len(self.buffer) < 2:
            return None
        try:
            size, at = read_varint(self.buffer, 1)
        except IndexError:
            return None
        if len(self.buffer) < at + size:
            return None
        kind, body = self.buffer[0] >> 4, self.buffer[at:at + size]
        self.buffer = self.buffer[at + size:]
        return kind, body

    def packet(self, seconds=30):
        """The next packet that is no PINGREQ, which is answered; None when time is over or the client has closed."""
        end = time.monotonic() + seconds
        while True:
            found = self.take()
            if found and found[0] == PINGREQ:
                self.pings += 1
                self.send(bytes([PINGRESP << 4, 0]))
                continue
            if found or self.closed:
                return found
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.fill(left)

    def expect(self, kind, seconds=30):
        found = self.packet(seconds)
        if not found:
            raise Failed(f"no {NAMES[kind]} came: " + ("the client has closed" if self.closed else f"waited {seconds} s"))
        if found[0] != kind:
            raise Failed(f"expected {NAMES[kind]}, got {NAMES.get(found[0], found[0])} {found[1]!r}")
        return found[1]

    def quiet(self, seconds=0.5):
        found = self.packet(seconds)
        if found:
            raise Failed(f"{NAMES.get(found[0], found[0])} {found[1]!r} came, and nothing should")

    def pubacks(self, mids, seconds=30):
        """Exactly these, in this order."""
        for mid in mids:
            got = struct.unpack_from(">H", self.expect(PUBACK, seconds))[0]
            if got != mid:
                raise Failed(f"expected PUBACK {mid}, got {got}")

    def subscribes(self, count=1):
        """Take and grant that many SUBSCRIBEs."""
        found = []
        for _ in range(count):
            found.append(Subscribe(self.expect(SUBSCRIBE), self.v5))
            self.suback(found[-1])
        return found

    def unsubscribe(self):
        """Take an UNSUBSCRIBE: its filters. `unsuback` answers it."""
        self.unsubscribed = Subscribe(self.expect(UNSUBSCRIBE), self.v5, options=False)
        return [name for name, _ in self.unsubscribed.filters]

    def unsuback(self):
        head = struct.pack(">H", self.unsubscribed.mid) + (b"\0" if self.v5 else b"")
        reasons = bytes(len(self.unsubscribed.filters)) if self.v5 else b""
        self.send(self.build(UNSUBACK, 0, head + reasons))

    def wait_closed(self, seconds=30):
        """Until the client closes; fails if a packet comes before."""
        end = time.monotonic() + seconds
        while not self.closed:
            self.quiet(0.2)
            if time.monotonic() > end:
                raise Failed(f"the client did not close within {seconds} s")

    # ---- to the client

    def send(self, data):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.sock.sendall(data)

    @staticmethod
    def build(kind, flags, body):
        return bytes([kind << 4 | flags]) + varint(len(body)) + body

    def connack_bytes(self, session=False, reason=0, properties=b""):
        body = bytes([1 if session else 0, reason])
        return self.build(CONNACK, 0, body + varint(len(properties)) + properties if self.v5 else body)

    def connack(self, **how):
        self.send(self.connack_bytes(**how))

    def suback(self, subscribe, reasons=None):
        granted = bytes(reasons or [options & 3 for _, options in subscribe.filters])
        head = struct.pack(">H", subscribe.mid) + (b"\0" if self.v5 else b"")
        self.send(self.build(SUBACK, 0, head + granted))

    def publish_bytes(self, topic, payload, mid=0, dup=False, retain=False, ids=(), user=()):
        body = text(topic) + (struct.pack(">H", mid) if mid else b"")
        if self.v5:
            properties = b"".join(bytes([SUBSCRIPTION_ID]) + varint(number) for number in ids)
            properties += b"".join(bytes([USER_PROPERTY]) + text(key) + text(value) for key, value in user)
            body += varint(len(properties)) + properties
        return self.build(PUBLISH, (8 if dup else 0) | (2 if mid else 0) | (1 if retain else 0), body + payload)

    def publish(self, topic, payload, **how):
        self.send(self.publish_bytes(topic, payload, **how))

    def disconnect(self, reason):
        self.send(self.build(DISCONNECT, 0, bytes([reason, 0])))

    def close(self):
        with contextlib.suppress(OSError):
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock = self.sock.unwrap()
        with contextlib.suppress(OSError):
            self.sock.close()


def numbered(link, first, last, **how):
    """PUBLISHes to plant/N with {"n": N} and packet identifier N, as one text: what came later than a batch is not read while
    that is held."""
    return b"".join(link.publish_bytes(f"plant/{n}", json.dumps({"n": n}).encode(), mid=n, **how) for n in range(first, last + 1))


def make_certificates(folder):
    """ca.pem, and server.pem with server.key for localhost."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test ca", "-days", "2")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    with open(f"{folder}/ext", "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext",
            "-out", "server.pem", "-days", "2")


class Broker:
    def __init__(self, tls=None, receive_buffer=0):
        self.listener = socket.create_server(("127.0.0.1", 0))
        if receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.port = self.listener.getsockname()[1]
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)

    def accept_raw(self, seconds=30):
        self.listener.settimeout(seconds)
        try:
            sock, _ = self.listener.accept()
        except TimeoutError:
            raise Failed(f"nobody connected within {seconds} s") from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context:
            sock.settimeout(seconds)
            sock = self.context.wrap_socket(sock, server_side=True)
        sock.settimeout(seconds)
        return Link(sock)

    def accept(self, seconds=30):
        """The client's next connection. The one that asks for $SYS now and then is sent away."""
        while True:
            link = self.accept_raw(seconds)
            link.connect = Connect(link.expect(CONNECT))
            link.v5 = link.connect.level == 5
            if not link.connect.client.startswith(b"topicrule-watch-"):
                return link
            link.connack(reason=0x87 if link.v5 else 5)
            link.close()

    def nobody(self, seconds=1):
        """Fails if somebody connects."""
        if select.select([self.listener], [], [], seconds)[0]:
            raise Failed("a connection came, and none should")

    def close(self):
        self.listener.close()
