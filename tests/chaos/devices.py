"""Devices: MQTT clients that publish numbered readings at QoS 1 and repeat each until the broker has acknowledged it.

So what `acknowledged` counts is what a device may forget: from there on the broker and the program answer for it. A device
that had to repeat may itself have sent a reading twice; which ones is in `repeated`, so that nobody else is blamed for them.
"""

import collections
import selectors
import socket
import threading
import time

WINDOW = 500  # readings of one device on their way
SILENCE = 30  # seconds without a word from the broker: connect again


class Device:
    """`make(number)` gives topic and payload, as bytes. It publishes up to number `limit`, which others raise, or, with a
    `rate`, as many a second."""

    def __init__(self, name, make, rate=0, window=WINDOW):
        self.name, self.make, self.rate, self.limit, self.window = name, make, rate, 0, window
        self.sent = self.acknowledged = 0
        self.repeated = collections.Counter()
        self.wire, self.up, self.out, self.heard, self.retry = None, False, b"", 0.0, 0.0
        self.rest = b""

    def packet(self, number):
        topic, payload = self.make(number)
        body = len(topic).to_bytes(2, "big") + topic + (number % 65535 + 1).to_bytes(2, "big") + payload
        left, length = len(body), b""
        while True:
            length += bytes([left & 127 | (128 if left > 127 else 0)])
            left >>= 7
            if not left:
                return b"\x32" + length + body

    def connect(self, port, now):
        self.wire, self.up, self.out, self.rest, self.heard = socket.socket(), False, b"", b"", now
        self.wire.setblocking(False)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire.connect_ex(("127.0.0.1", port))
        name = self.name.encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name
        self.out = b"\x10" + bytes([len(body)]) + body

    def lost(self, now):
        """What has no answer is sent again: MQTT 3.1.1, section 4.4, but as new messages, for the session is clean."""
        self.wire.close()
        self.wire, self.up, self.retry = None, False, now + 0.2
        for number in range(self.acknowledged + 1, self.sent + 1):
            self.repeated[number] += 1
        self.sent = self.acknowledged

    def answers(self, data):
        """CONNACK first, then PUBACKs of four bytes in the order of the readings."""
        data = self.rest + data
        if not self.up:
            if len(data) < 4:
                self.rest = data
                return True
            if data[:4] not in (b"\x20\x02\x00\x00", b"\x20\x02\x01\x00"):
                return False
            self.up, data = True, data[4:]
        count = len(data) // 4
        if count:
            self.acknowledged += count
            last = data[count * 4 - 4:count * 4]
            if last != b"\x40\x02" + (self.acknowledged % 65535 + 1).to_bytes(2, "big"):
                raise AssertionError(f"{self.name}: the broker acknowledged out of order: {last.hex()}")
        self.rest = data[count * 4:]
        return True

    def fill(self):
        """The readings that are due, as far as the window allows."""
        due = min(self.limit, self.acknowledged + self.window, self.sent + 2000)
        if self.up and due > self.sent and len(self.out) < 100000:
            self.out += b"".join(self.packet(n) for n in range(self.sent + 1, due + 1))
            self.sent = due


class Devices(threading.Thread):
    """All devices, in one thread."""

    def __init__(self, port, devices):
        super().__init__(daemon=True)
        self.port, self.devices, self.error = port, devices, None
        self.running, self.publishing, self.held = True, False, False
        self.select = selectors.DefaultSelector()

    def turn(self, device, now):
        if device.wire is None:
            if now >= device.retry:
                device.connect(self.port, now)
                self.select.register(device.wire, selectors.EVENT_READ, device)
            return
        if not self.held:
            device.fill()
        if device.up and device.sent == device.acknowledged:
            device.heard = now
        try:
            if device.out:
                device.out = device.out[device.wire.send(device.out):]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.drop(device, now)
            return
        if now - device.heard > SILENCE:
            self.drop(device, now)

    def drop(self, device, now):
        self.select.unregister(device.wire)
        device.lost(now)

    def listen(self, device, now):
        try:
            data = device.wire.recv(262144)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        device.heard = now
        if not data or not device.answers(data):
            self.drop(device, now)

    def run(self):
        try:
            last = time.monotonic()
            while self.running:
                for key, _ in self.select.select(0.01):
                    if key.data.wire:
                        self.listen(key.data, time.monotonic())
                now = time.monotonic()
                for device in self.devices:
                    if device.rate and self.publishing:
                        device.limit = max(device.limit, int(device.limit_at + (now - device.limit_from) * device.rate))
                    self.turn(device, now)
                if now - last < 0.01:
                    time.sleep(0.01)
                last = now
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = f"devices: {error!r}"

    def publish(self, on=True):
        """Devices with a rate publish, or not."""
        now = time.monotonic()
        for device in self.devices:
            device.limit_at, device.limit_from = device.limit, now
        self.publishing = on

    def hold(self, on):
        """While on, nothing new is sent; what is due is sent afterwards."""
        self.held = on

    def settled(self):
        """Nothing is on its way."""
        return all(device.acknowledged == device.sent for device in self.devices)

    def idle(self):
        """Every reading that is due is acknowledged."""
        if self.error:
            raise AssertionError(self.error)
        return all(device.acknowledged == device.limit for device in self.devices)

    def end(self):
        self.running = False
        self.join()
        for device in self.devices:
            if device.wire:
                device.wire.close()
