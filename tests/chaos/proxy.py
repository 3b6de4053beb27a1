"""A TCP proxy whose connections can be cut, stalled, or made deaf on one side."""

import contextlib
import selectors
import socket
import struct
import threading

from lib import free_port

PASS, STALL, MUTE, REFUSE = "pass", "stall", "mute", "refuse"


class Proxy(threading.Thread):
    """pass: bytes go through. stall: none do, in either direction, and nobody is told. mute: what the client says goes no further
    while it still hears the server. refuse: connections are closed as they come. `reset` ends all there are, with a RST; what was
    under way is gone."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target, self.port, self.mode, self.running, self.resets = port, free_port(), PASS, True, False
        self.select = selectors.DefaultSelector()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(64)
        self.select.register(self.listener, selectors.EVENT_READ, None)
        self.wake, self.bell = socket.socketpair()
        self.select.register(self.wake, selectors.EVENT_READ, None)
        self.peer, self.out, self.client = {}, {}, set()  # by socket: its other half; what it has yet to get; from the daemon
        self.ended = set()  # said that it has nothing more to say

    def set(self, mode):
        self.mode = mode
        self.bell.send(b"x")

    def reset(self):
        self.resets = True
        self.bell.send(b"x")

    def accept(self):
        near, _ = self.listener.accept()
        far = socket.socket()
        if self.mode == REFUSE or far.connect_ex(("127.0.0.1", self.target)) != 0:
            near.close()
            far.close()
            return
        self.client.add(near)
        for one, other in ((near, far), (far, near)):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.peer[one], self.out[one] = other, b""
            self.select.register(one, selectors.EVENT_READ, None)

    def drop(self, one, hard=False):
        """Both halves."""
        for wire in (one, self.peer.get(one)):
            if wire in self.peer:
                if hard:
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                with contextlib.suppress(KeyError):
                    self.select.unregister(wire)
                wire.close()
                self.out.pop(wire)
                self.client.discard(wire)
                self.ended.discard(wire)
        other = self.peer.pop(one, None)
        self.peer.pop(other, None)

    def listens(self, one):
        """Is what `one` says wanted now? What is not read stays with its sender, as on a real line."""
        stalled = self.mode == STALL or self.mode == MUTE and one in self.client
        return not stalled and one not in self.ended and len(self.out[self.peer[one]]) < 262144

    def arm(self, one):
        events = selectors.EVENT_READ if self.listens(one) else 0
        if self.out[one] and self.mode != STALL:
            events |= selectors.EVENT_WRITE
        known = one in self.select.get_map()
        if events and known:
            if self.select.get_key(one).events != events:
                self.select.modify(one, events)
        elif events:
            self.select.register(one, events, None)
        elif known:
            self.select.unregister(one)

    def pass_end(self, one):
        """A half-close goes through like bytes, behind those before it."""
        other = self.peer[one]
        if one in self.ended and not self.out[other]:
            other.shutdown(socket.SHUT_WR)
            if other in self.ended:
                self.drop(one)

    def move(self, one, events):
        try:
            if events & selectors.EVENT_WRITE:
                self.out[one] = self.out[one][one.send(self.out[one]):]
                self.pass_end(self.peer[one])
            if events & selectors.EVENT_READ and self.listens(one):
                data = one.recv(262144)
                if not data:
                    self.ended.add(one)
                    self.pass_end(one)
                    return
                other = self.peer[one]
                if not self.out[other]:
                    with contextlib.suppress(BlockingIOError):
                        data = data[other.send(data):]
                self.out[other] += data
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.drop(one)

    def run(self):
        while self.running:
            for key, events in self.select.select(1):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is self.wake:
                    self.wake.recv(4096)
                elif key.fileobj in self.peer:
                    self.move(key.fileobj, events)
            if self.resets:
                self.resets = False
                for one in list(self.client):
                    self.drop(one, hard=True)
            for one in list(self.peer):
                self.arm(one)

    def end(self):
        self.running = False
        self.bell.send(b"x")
        self.join()
        for one in list(self.peer) + [self.listener, self.wake, self.bell]:
            one.close()
