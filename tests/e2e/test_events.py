# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Subscribe on Varlink, /events by HTTP, `ocellus watch`: what is told, to whom, and that nobody waits for a reader."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import ocellus
import pytest
from conftest import BUILD
from test_adaptation import CAMERAS, MODEL
from test_http import PATIENT, wait_for
from test_metrics import scrape
from test_points import two_points  # noqa: F401  (a fixture)
from test_varlink import connect, error_of, message, read_reply

READY = {"ready": True, "stopping": False, "lowered": False, "starving": False}


class Events:
    """A subscription by Varlink. Iterating gives what comes until the daemon ends it."""

    def __init__(self, daemon, camera=None):
        self.raw = socket.socket(socket.AF_UNIX)
        self.raw.settimeout(20)
        self.raw.connect(daemon.varlink)
        parameters = {} if camera is None else {"camera": camera}
        self.raw.sendall(message("io.ocellus.Subscribe", parameters, more=True))
        self.rest = b""

    def next(self):
        while b"\0" not in self.rest:
            data = self.raw.recv(65536)
            if not data:
                raise EOFError
            self.rest += data
        text, _, self.rest = self.rest.partition(b"\0")
        reply = json.loads(text)
        assert reply["continues"] is True, reply
        return reply["parameters"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.close()


class Stream:
    """The same by HTTP, as a browser's EventSource reads it."""

    def __init__(self, daemon, query=""):
        self.raw = socket.socket(socket.AF_UNIX)
        self.raw.settimeout(20)
        self.raw.connect(daemon.http)
        self.raw.sendall(f"GET /events{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.file = self.raw.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline().strip()):
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value

    def next(self):
        fields = {}
        while (line := self.file.readline()) != b"\n":
            if not line:
                raise EOFError
            name, _, value = line.decode().rstrip("\n").partition(": ")
            fields[name] = value
        event = json.loads(fields["data"])
        assert (fields["event"], int(fields["id"])) == (event["event"], event["number"])
        return event

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.raw.close()


@pytest.fixture(params=[Events, Stream])
def subscribe(request):
    return request.param


def test_results_reach_subscribers_of_both_doors(daemon, picture):
    with Events(daemon) as varlink, Stream(daemon) as http, daemon.eye() as eye:
        assert http.status == 200 and http.headers["content-type"] == "text/event-stream"
        assert "content-length" not in http.headers and http.headers["connection"] == "close"
        for subscriber in (varlink, http):
            first = subscriber.next()
            assert (first["event"], first["state"]) == ("state", READY)
        results = [eye.infer(picture, camera=f"camera-{number}") for number in range(3)]
        numbers = []
        for result in results:
            told = varlink.next(), http.next()
            assert told[0] == told[1] and told[0]["event"] == "result"
            times, own = told[0]["result"].pop("times_us"), result.pop("times_us")
            assert told[0]["result"] == result and times == own
            numbers.append(told[0]["number"])
        assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_one_camera(daemon, picture, subscribe):
    with subscribe(daemon, **{"camera": "porch"} if subscribe is Events else {"query": "?camera=porch"}) as porch:
        assert porch.next()["event"] == "state"
        with daemon.eye() as eye:
            eye.infer(picture, camera="yard")
            eye.infer(picture, camera="porch")
        assert porch.next()["result"]["camera"] == "porch"


def test_wrong_calls(daemon):
    with daemon.web() as web:
        assert web.request("GET", "/events?camera=..")[0] == 400
        assert web.request("GET", "/events?model=x")[0] == 400
        assert web.request("POST", "/events")[0] == 405
    raw = connect(daemon)
    for call in (message("io.ocellus.Subscribe"), message("io.ocellus.Subscribe", {"model": "x"}, more=True),
                 message("io.ocellus.Subscribe", more=True, oneway=True), message("io.ocellus.Status", more=True)):
        raw.sendall(call)
        if b"oneway" not in call:
            assert error_of(read_reply(raw)) == "BadRequest"
    raw.close()


def test_reloads_and_the_end_are_told(start_daemon, subscribe):
    daemon = start_daemon()
    with subscribe(daemon) as events, daemon.eye() as eye:
        assert events.next()["state"] == READY
        eye.call("io.ocellus.Reload")
        assert events.next()["reload"] == {"configuration": 2}
        text = daemon.config.read_text()
        daemon.config.write_text(text + "[daemon]\n")
        daemon.expect("reload: ")
        with pytest.raises(ocellus.Error):
            eye.call("io.ocellus.Reload")
        told = events.next()["reload"]
        assert told["configuration"] == 2 and "appears twice" in told["error"]
        daemon.config.write_text(text)
        daemon.process.send_signal(signal.SIGTERM)
        assert events.next()["state"] == {**READY, "ready": False, "stopping": True}
        with pytest.raises((EOFError, ConnectionResetError)):
            events.next()
        daemon.process.wait(20)  # a second signal would not let it end in order


def test_what_is_learned_is_told(start_daemon, picture, subscribe):
    daemon = start_daemon(models={"cifar10-lg3": MODEL}, cameras=CAMERAS, adaptation={})
    with subscribe(daemon) as events, daemon.eye() as eye:
        assert events.next()["event"] == "state"
        sequence = eye.label(eye.infer(picture, camera="porch")["frame"], "cat")["sequence"]
        told = {}
        while told.get("applied", 0) < sequence:
            event = events.next()
            told = event.get("adaptation", told)
        assert told["adapter"] == "yard" and told["labels"] == 1


def fill(daemon, picture, enough):
    """Post until the condition holds; each post is answered though somebody does not read."""
    with daemon.eye() as eye:
        for _ in range(20000):
            start = time.monotonic()
            eye.infer(picture, camera="porch")
            assert time.monotonic() - start < 4  # less than a reader may take
            if enough():
                return
    pytest.fail("nothing was lost")


def lost(daemon):
    return scrape(daemon)[("ocellus_events_lost_total",)]


def test_a_slow_reader_is_told_what_it_lost(daemon, picture):
    with Events(daemon) as slow, Events(daemon) as good:
        assert slow.next()["event"] == good.next()["event"] == "state"
        seen = []

        def enough():
            seen.append(good.next()["number"])  # the other reader gets everything
            return len(seen) % 50 == 0 and lost(daemon) > 0

        fill(daemon, picture, enough)
        numbers, event = [], slow.next()
        while event["event"] == "result":
            numbers.append(event["number"])
            event = slow.next()
        assert event["event"] == "dropped" and event["dropped"]["events"] >= 1
        # What came is a beginning of all; what was lost is the rest.
        assert numbers == seen[:len(numbers)]
        assert len(numbers) + event["dropped"]["events"] == len(seen)
        with daemon.eye() as eye:
            eye.infer(picture)
        assert slow.next()["event"] == "result"  # and then it goes on
        assert scrape(daemon)[("ocellus_subscribers",)] == 2


def test_who_does_not_read_at_all_is_dropped(daemon, picture, subscribe):
    with subscribe(daemon) as slow:
        wait_for(lambda: scrape(daemon)[("ocellus_subscribers",)] == 1)
        fill(daemon, picture, lambda: lost(daemon) > 0)
        wait_for(lambda: scrape(daemon)[("ocellus_subscribers",)] == 0)
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                slow.next()


def test_who_goes_away_is_forgotten(daemon, picture, subscribe):
    fds = daemon.fds()
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(subscribe(daemon)).next()
            assert scrape(daemon)[("ocellus_subscribers",)] == 5
        wait_for(lambda: scrape(daemon)[("ocellus_subscribers",)] == 0)
    wait_for(lambda: daemon.fds() <= fds)
    with daemon.eye() as eye:
        assert eye.infer(picture)["label"]


def test_one_peer_cannot_take_all_places(daemon, subscribe):
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(subscribe(daemon)).next()
        with daemon.web() as web:
            assert web.request("GET", "/events")[0] == 503
        raw = connect(daemon)
        raw.sendall(message("io.ocellus.Subscribe", more=True))
        assert error_of(read_reply(raw)) == "TooBusy"
        raw.close()


def test_a_frame_and_a_subscription_on_one_connection(daemon, picture):
    """Replies keep their order: the frame's comes first, then events without end."""
    raw = connect(daemon)
    call = {"camera": "porch", "data": base64.b64encode(picture).decode()}
    raw.sendall(message("io.ocellus.Infer", call) + message("io.ocellus.Subscribe", more=True))
    assert read_reply(raw)["parameters"]["result"]["camera"] == "porch"
    assert read_reply(raw)["parameters"]["event"] == "state"
    raw.close()


def test_load_lowers_the_point_and_is_told(start_daemon, two_points, picture):  # noqa: F811
    """Cameras that leave the operating point to the daemon get a cheaper one while frames wait."""
    cameras = {f"lazy-{number}": {"model": "two", "point": "auto"} for number in range(6)}
    daemon = start_daemon(models={"cifar10-lg3": MODEL, "two": two_points}, cameras=cameras,
                          settings={**PATIENT, "workers": 1})
    with Events(daemon) as events, daemon.eye() as eye:
        assert events.next()["state"] == READY
        assert eye.infer(picture, camera="lazy-0")["model"]["point"] == "first"
        worker, = daemon.workers()
        os.kill(worker, signal.SIGSTOP)
        clients = [daemon.eye() for _ in cameras]
        for client, name in zip(clients, cameras):
            with ocellus_frame(picture) as fd:
                client.send("io.ocellus.Infer", {"camera": name, "fd": 0}, [fd])
        wait_for(lambda: eye.status()["frames"]["pending"] == 6)
        os.kill(worker, signal.SIGCONT)
        points = [client.receive()["parameters"]["result"]["model"]["point"] for client in clients]
        for client in clients:
            client.close()
        # Each had others behind it but the last, and the first was in work before they came.
        assert points == ["first"] + ["second"] * 4 + ["first"]
        told = [events.next() for _ in range(8)]
        assert [event["state"]["lowered"] for event in told if event["event"] == "state"] == [True]
        assert scrape(daemon)[("ocellus_frames_lowered_total",)] == 4
        time.sleep(1.1)
        assert eye.infer(picture, camera="lazy-0")["model"]["point"] == "first"
        after = [events.next(), events.next()]
        assert [event["state"]["lowered"] for event in after if event["event"] == "state"] == [False]


@contextlib.contextmanager
def ocellus_frame(data):
    fd = ocellus.sealed_memfd(data)
    try:
        yield fd
    finally:
        os.close(fd)


def test_the_python_client_watches(daemon, picture):
    with daemon.eye() as watcher, daemon.eye() as eye:
        events = watcher.events(camera="porch")
        assert next(events)["state"] == READY
        frame = eye.infer(picture, camera="porch")["frame"]
        assert next(events)["result"]["frame"] == frame


def test_the_command_watches(start_daemon, picture):
    daemon = start_daemon()
    run = [BUILD / "clients" / "ocellus", "watch", "--camera", "porch", "--socket", daemon.varlink]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as people, \
            subprocess.Popen([*run, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as programs:
        assert "ready" in people.stdout.readline()
        assert json.loads(programs.stdout.readline())["state"] == READY
        with daemon.eye() as eye:
            result = eye.infer(picture, camera="porch")
        line = people.stdout.readline()
        assert "porch" in line and result["label"] in line
        assert json.loads(programs.stdout.readline())["result"]["frame"] == result["frame"]
        daemon.process.send_signal(signal.SIGTERM)
        out, errors = people.communicate(timeout=20)
        assert "stopping" in out and people.returncode == 3 and "closed the connection" in errors
        programs.communicate(timeout=20)
        daemon.process.wait(20)


def test_the_command_refuses_what_it_does_not_take():
    result = subprocess.run([BUILD / "clients" / "ocellus", "watch", "x"], capture_output=True)
    assert result.returncode == 2 and b"--help" in result.stderr
