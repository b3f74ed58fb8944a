# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""10,000 frames through 8 clients at once, slow and vanishing ones among them: no reply lost, nothing leaked."""

import contextlib
import random
import socket
import threading
import time

import ocellus

FRAMES = 10000
CLIENTS = 8
WARM_UP = 1000
MEGABYTE = 1 << 20


class Client(threading.Thread):
    """Sends its share of frames as camera-N and keeps what came of each. Every client has its own way of being a nuisance."""

    def __init__(self, daemon, number, frames, picture):
        super().__init__()
        self.daemon_, self.number, self.frames, self.picture = daemon, number, frames, picture
        self.camera = f"camera-{number}"
        self.random = random.Random(number)
        self.answered = self.refused = self.vanished = 0
        self.problem = None

    def run(self):
        try:
            while self.answered + self.refused + self.vanished < self.frames:
                self.some_frames()
        except Exception as problem:  # shown by the test, in its own thread
            self.problem = problem

    def some_frames(self):
        """A connection's worth: up to 50 frames, then, for some, a rude end."""
        with contextlib.closing(self.open()) as door:
            for _ in range(min(50, self.frames - self.answered - self.refused - self.vanished)):
                try:
                    result = door.infer(self.picture, camera=self.camera)
                    assert result["camera"] == self.camera
                    self.answered += 1
                except ocellus.Error as error:
                    assert error.name == "io.ocellus.TooBusy", error
                    self.refused += 1
        if self.number % 4 == 3:
            self.vanish()
        if self.number % 4 == 2:
            self.dawdle()

    def open(self):
        return self.daemon_.eye() if self.number % 2 else self.daemon_.web()

    def connect(self):
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(30)
        raw.connect(self.daemon_.http)
        return raw

    def head(self):
        return (f"PUT /v1/frames/{self.camera}-rude HTTP/1.1\r\nHost: x\r\n"
                f"Content-Length: {len(self.picture)}\r\n\r\n").encode()

    def vanish(self):
        """Leave in the middle of a body, or before the reply."""
        with contextlib.closing(self.connect()) as raw:
            raw.sendall(self.head() + self.picture[:self.random.randrange(1, len(self.picture) + 1)])

    def dawdle(self):
        """Send one frame in many pieces, and read the reply a byte at a time at first."""
        with contextlib.closing(self.connect()) as raw:
            request = self.head() + self.picture
            for start in range(0, len(request), 1000):
                raw.sendall(request[start:start + 1000])
                time.sleep(0.0005)
            reply = raw.recv(1) + raw.recv(1) + raw.recv(65536)
            assert reply.startswith(b"HTTP/1.1 200") or reply.startswith(b"HTTP/1.1 503"), reply


def run_clients(daemon, frames, picture):
    clients = [Client(daemon, number, frames // CLIENTS, picture) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
        assert client.problem is None, f"{client.camera}: {client.problem!r}"
    return sum(client.answered for client in clients), sum(client.refused for client in clients)


def settled_fds(daemon, most):
    deadline = time.monotonic() + 10
    while daemon.fds() > most and time.monotonic() < deadline:
        time.sleep(0.05)
    return daemon.fds()


def test_ten_thousand_frames(daemon, picture):
    fds, pid = daemon.fds(), daemon.pid
    run_clients(daemon, WARM_UP, picture)
    assert settled_fds(daemon, fds) <= fds
    workers, before = sorted(daemon.workers()), daemon.rss()
    start = time.monotonic()
    answered, refused = run_clients(daemon, FRAMES, picture)
    seconds = time.monotonic() - start
    print(f"{answered} answered, {refused} refused as busy in {seconds:.1f} s")
    assert answered + refused == FRAMES
    assert refused == 0, "every client has a camera of its own and waits for its reply: there is room for all"
    assert settled_fds(daemon, fds) <= fds, "descriptors leaked"
    assert daemon.pid == pid and sorted(daemon.workers()) == workers, "a process was replaced"
    assert daemon.rss() <= before + MEGABYTE, "memory grew"
