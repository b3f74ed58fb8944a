#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Open-loop load at ten times the measured capacity, then 200 connections that send a byte at a time beside one good
client. Usage: overload.py BUILD-FOLDER [SECONDS [RUNS]], default 300 5. Prints one JSON object.

Open loop: frames are sent at their times whether or not others were answered, over 48 connections of one camera each, as
pipelined Varlink calls that are not waited for. Every frame must end as answered, superseded, refused, expired, failed or
cancelled. A camera whose eight calls are not answered yet drops frames itself, as real ones do: "offered" counts them, "sent"
does not. One uid may open 64 connections: the slow ones are those of four other uids, 50 each.
"""
import base64
import contextlib
import json
import os
import pathlib
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "clients" / "python"))
import ocellus  # noqa: E402

CAMERAS, DEADLINE_S = 48, 1.0
BOUND = 1 << 30


def start(build, folder):
    config = folder / "conf"
    config.write_text(f"[daemon]\nhttp = {folder}/http\nvarlink = {folder}/varlink\nworkers = 1\nsocket-mode = 0666\n"
                      f"allow-other = yes\nmemory-max = {BOUND}\nworker = {build}/daemon/worker/ocellus-worker\n\n"
                      f"[model cifar10-lg3]\npath = {SOURCE}/engine/models/cifar10-lg3.safetensors\n")
    folder.chmod(0o755)
    daemon = subprocess.Popen([build / "daemon" / "ocellusd", "--config", config], stderr=subprocess.DEVNULL)
    while True:
        with contextlib.suppress(OSError), ocellus.Http(str(folder / "http")) as web:
            if web.request("GET", "/readyz")[0] == 200:
                return daemon
        time.sleep(0.02)


def resident(daemon):
    """Proportional set size of the daemon and its workers, in bytes."""
    pids = [daemon.pid]
    for task in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir():
        pids += [int(pid) for pid in (task / "children").read_text().split()]
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total * 1024


def capacity(path, frame, seconds):
    """Frames per second of two clients that wait for each reply."""
    pids = []
    reader, writer = os.pipe()
    for number in range(2):
        pid = os.fork()
        if pid == 0:
            count, end = 0, time.monotonic() + seconds
            with ocellus.Varlink(path) as eye:
                while time.monotonic() < end:
                    eye.infer(frame, camera=f"calm-{number}")
                    count += 1
            os.write(writer, f"{count}\n".encode())
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    return sum(int(line) for line in os.read(reader, 100).split()) / seconds


class Sender:
    """One camera's connection: sends without waiting, counts replies by kind."""

    def __init__(self, path, camera, frame):
        self.raw = socket.socket(socket.AF_UNIX)
        self.raw.connect(path)
        self.raw.setblocking(False)
        self.message = json.dumps({"method": "io.ocellus.Infer", "parameters": {
            "camera": camera, "data": base64.b64encode(frame).decode()}}).encode() + b"\0"
        self.out, self.data, self.times = b"", b"", []
        self.sent, self.kinds, self.slowest = 0, {}, 0.0

    def send(self, now):
        """A frame, unless the socket or the pipeline is full, where a camera would drop it too."""
        if self.out or len(self.times) >= 8:
            return
        self.times.append(now)
        self.sent += 1
        self.out = self.message
        self.flush()

    def flush(self):
        with contextlib.suppress(BlockingIOError):
            self.out = self.out[self.raw.send(self.out):]

    def receive(self, now):
        with contextlib.suppress(BlockingIOError):
            self.data += self.raw.recv(1 << 20)
        while b"\0" in self.data:
            reply, _, self.data = self.data.partition(b"\0")
            kind = json.loads(reply).get("error", "answered").rpartition(".")[2]
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            self.slowest = max(self.slowest, now - self.times.pop(0))


def overload(daemon, folder, frame, rate, seconds):
    path = str(folder / "varlink")
    senders = [Sender(path, f"camera-{number}", frame) for number in range(CAMERAS)]
    selector = selectors.DefaultSelector()
    for sender in senders:
        selector.register(sender.raw, selectors.EVENT_READ, sender)
    begin = look = time.monotonic()
    due, peak = 0, 0
    while (now := time.monotonic()) < begin + seconds or any(s.times or s.out for s in senders):
        if now > begin + seconds + 10:
            raise SystemExit("replies are missing")
        while now < begin + seconds and due < (now - begin) * rate:
            senders[due % CAMERAS].send(now)
            due += 1
        for key, _ in selector.select(0.001):
            key.data.receive(time.monotonic())
        for sender in senders:
            if sender.out:
                sender.flush()
        if now >= look:
            peak, look = max(peak, resident(daemon)), now + 0.5
    end = time.monotonic()
    with ocellus.Varlink(path) as eye:
        eye.infer(frame, camera="after")
        recovery = time.monotonic() - end
    kinds = {}
    for sender in senders:
        sender.raw.close()
        for kind, count in sender.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count
    sent = sum(sender.sent for sender in senders)
    return {"seconds": seconds, "offered": due, "sent": sent, "replies": kinds, "lost": sent - sum(kinds.values()),
            "slowest_reply_ms": round(max(sender.slowest for sender in senders) * 1e3),
            "peak_pss_mib": round(peak / 2**20, 1), "recovery_ms": round(recovery * 1e3, 1)}


def p99(path, frame, count):
    taken = []
    with ocellus.Http(path) as web:
        for _ in range(count):
            begin = time.monotonic()
            web.infer(frame, camera="good")
            taken.append(time.monotonic() - begin)
    return statistics.quantiles(taken, n=100)[98]


@contextlib.contextmanager
def slowloris(path, users=4, each=50):
    """Connections of other users that never finish their request; those that are dropped come again."""
    pids = []
    for user in range(users):
        pid = os.fork()
        if pid == 0:
            os.setgroups([])
            os.setgid(61000 + user)
            os.setuid(61000 + user)
            held = []
            while True:
                with contextlib.suppress(OSError):
                    while len(held) < each:
                        raw = socket.socket(socket.AF_UNIX)
                        raw.settimeout(1)
                        raw.connect(path)
                        raw.sendall(b"PUT /v1/frames/slow HTTP/1.1\r\n")
                        held.append(raw)
                for raw in list(held):
                    try:
                        raw.sendall(b"x")
                    except OSError:
                        held.remove(raw)
                        raw.close()
                time.sleep(1)
        pids.append(pid)
    time.sleep(0.5)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def measure(build, seconds, runs, frames=1000):
    frame = b"P6\n64 48\n255\n" + bytes(range(256)) * 36
    with tempfile.TemporaryDirectory(prefix="ocellus-") as folder:
        folder = pathlib.Path(folder)
        daemon = start(build, folder)
        try:
            rate = capacity(str(folder / "varlink"), frame, min(5, seconds))
            told = {"capacity_fps": round(rate), **overload(daemon, folder, frame, 10 * rate, seconds)}
            with ocellus.Http(str(folder / "http")) as web:
                told["counters"] = web.status()["frames"]
            ratios = []
            for _ in range(runs):
                alone = p99(str(folder / "http"), frame, frames)
                with slowloris(str(folder / "http")):
                    with ocellus.Http(str(folder / "http")) as web:
                        told["slow_connections"] = web.status()["connections"] - 1
                    ratios.append(p99(str(folder / "http"), frame, frames) / alone)
            if ratios:
                told["slowloris_p99_ratio"] = round(statistics.median(ratios), 2)
        finally:
            daemon.terminate()
            told["exit"] = daemon.wait(20)
        told["bound_mib"] = BOUND >> 20
        return told


if __name__ == "__main__":
    print(json.dumps(measure(pathlib.Path(sys.argv[1]).resolve(), float(sys.argv[2]) if len(sys.argv) > 2 else 300,
                             int(sys.argv[3]) if len(sys.argv) > 3 else 5)))
