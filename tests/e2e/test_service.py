# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The daemon as a systemd service: the test plays the service manager, hands over sockets and reads notifications."""

import base64
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import ocellus
import pytest

from conftest import BUILD, Daemon
from test_http import PATIENT, held_workers, wait_for
from test_points import two_points  # noqa: F401

PROGRAM = BUILD / "daemon" / "ocellusd"
WORKER = BUILD / "daemon" / "worker" / "ocellus-worker"


class Manager:
    """Starts a Daemon as systemd does. Messages are pairs of a CLOCK_MONOTONIC time and a dictionary."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.directory = pathlib.Path(daemon.directory)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.directory / "notify"))
        self.sockets = []
        self.messages = []

    def listen(self, name):
        """A socket of this FileDescriptorName; the path of its file."""
        path = self.directory / f"given-{name}-{len(self.sockets)}"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
        self.sockets.append((name, server))
        return str(path)

    def launch(self, watchdog_s=None):
        def become():  # systemd passes descriptors from 3 on
            for target, (_, server) in enumerate(self.sockets, 100):
                os.dup2(server.fileno(), target)
            for target in range(len(self.sockets)):
                os.dup2(100 + target, 3 + target, inheritable=True)
                os.close(100 + target)

        environment = {**os.environ, "NOTIFY_SOCKET": str(self.directory / "notify")}
        if self.sockets:
            environment |= {"LISTEN_FDS": str(len(self.sockets)),
                            "LISTEN_FDNAMES": ":".join(name for name, _ in self.sockets)}
        if watchdog_s is not None:
            environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        # The shell becomes the daemon: LISTEN_PID must name it.
        command = ["sh", "-c", 'exec env LISTEN_PID=$$ "$@"', "sh"] if self.sockets else []
        with open(self.directory / "stderr", "wb") as errors:
            self.started = time.monotonic()
            self.daemon.process = subprocess.Popen([*command, PROGRAM, "--config", self.daemon.config], env=environment,
                                                   stderr=errors, preexec_fn=become, close_fds=False)
        return self

    def receive(self, seconds):
        """The next message, or None."""
        self.notify.settimeout(max(seconds, 0.001))
        try:
            text = self.notify.recv(4096).decode()
        except TimeoutError:
            return None
        message = dict(line.split("=", 1) for line in text.split("\n") if line)
        self.messages.append((time.monotonic(), message))
        return self.messages[-1]

    def wait(self, key, seconds=30.0):
        """The first message from now on that has the key."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            message = self.receive(left)
            if message is not None and key in message[1]:
                return message
        raise AssertionError(f"no {key} in {seconds} s; {self.messages[-5:]}\n{self.daemon.stderr()}")

    def count(self, key, seconds):
        """How many messages with the key come in that time."""
        end = time.monotonic() + seconds
        seen = 0
        while (left := end - time.monotonic()) > 0:
            message = self.receive(left)
            seen += message is not None and key in message[1]
        return seen

    def close(self):
        self.notify.close()
        for _, server in self.sockets:
            server.close()


@pytest.fixture
def manage():
    """manage(settings={...}) -> a Manager of a daemon that is not started yet; it is stopped after the test."""
    managers = []

    def make(**options):
        managers.append(Manager(Daemon(tempfile.mkdtemp(prefix="ocellus-"), **options)))
        return managers[-1]

    yield make
    for manager in managers:
        try:
            manager.daemon.stop()
        finally:
            manager.close()
            shutil.rmtree(manager.directory)


def write_program(path, text):
    """Replaces the file in one step: it may be in use."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o755)
    new.rename(path)


# ---- Start ----

def test_ready_means_that_a_picture_was_judged(manage, picture):
    manager = manage().launch()
    at, message = manager.wait("READY")
    assert message["READY"] == "1" and "workers ready" in message["STATUS"]
    print(f"exec to READY: {(at - manager.started) * 1e3:.0f} ms")
    with manager.daemon.web() as web:
        # The daemon's own picture is nobody's frame.
        workers, frames = (web.status()[name] for name in ("workers", "frames"))
        assert workers["frames"] == 0 and frames["received"] == 0
        assert web.infer(picture)["label"]


def test_no_ready_without_a_good_answer(manage):
    """Workers that load every model, and then lie about the first picture."""
    manager = manage(settings={"worker": "/bin/true"})
    worker = manager.directory / "worker"
    write_program(worker, f"#!/bin/sh\nexec {BUILD}/tests/unit/daemon/hostile_worker --cpu-mask none\n")
    text = manager.daemon.config.read_text()
    manager.daemon.config.write_text(text.replace("worker = /bin/true", f"worker = {worker}"))
    manager.launch()
    assert manager.count("READY", 1.5) == 0
    with manager.daemon.web() as web:
        assert web.request("GET", "/readyz")[0] == 503
        workers = web.status()["workers"]
        # Given up for a while after each, longer and longer.
        assert 2 <= workers["lies"] <= 20


# ---- Sockets ----

def test_sockets_by_their_names(manage, picture):
    manager = manage()
    metrics, varlink, http, second = (manager.listen(name) for name in ("metrics", "varlink", "http", "http"))
    manager.launch().wait("READY")
    assert not os.path.exists(manager.daemon.http) and not os.path.exists(manager.daemon.varlink)
    with ocellus.Varlink(varlink) as eye:
        label = eye.infer(picture)["label"]
    for path in (http, second):
        with ocellus.Http(path) as web:
            assert web.infer(picture)["label"] == label
    with ocellus.Http(metrics) as web:
        # Even root is told no more than everybody, and the metrics.
        assert web.request("GET", "/readyz")[0] == 200 and web.request("GET", "/healthz")[0] == 200
        assert web.request("GET", "/metrics")[0] == 200
        assert web.request("GET", "/v1/status")[0] == 403
        assert web.request("PUT", "/v1/frames/porch", picture)[0] == 403
    manager.daemon.process.terminate()
    manager.wait("STOPPING")
    assert manager.daemon.process.wait(20) == 0
    # The files are the manager's: clients wait there for the next start.
    assert all(os.path.exists(path) for path in (metrics, varlink, http, second))


def test_own_sockets_only_where_none_are_given(manage):
    manager = manage()
    manager.listen("metrics")
    manager.launch().wait("READY")
    assert not os.path.exists(manager.daemon.http) and not os.path.exists(manager.daemon.varlink)


def test_socket_of_a_name_that_means_nothing(manage):
    manager = manage()
    manager.listen("telnet")
    manager.launch()
    assert manager.daemon.process.wait(20) == 1
    assert "'telnet'" in manager.daemon.stderr()
    manager.daemon.process = None


def test_socket_activation_by_systemd(manage, picture):
    program = shutil.which("systemd-socket-activate")
    if program is None:
        pytest.skip("no systemd-socket-activate")
    daemon = manage().daemon
    with open(daemon.directory / "stderr", "wb") as errors:
        daemon.process = subprocess.Popen([program, "--listen", daemon.http, "--fdname", "http", PROGRAM, "--config",
                                           daemon.config], stderr=errors)
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), daemon.web() as web:
            assert web.infer(picture)["label"]  # the connection starts the daemon and waits for it
            break
        assert time.monotonic() < end, daemon.stderr()
        time.sleep(0.01)
    daemon.process.terminate()
    assert daemon.process.wait(20) == 0
    os.unlink(daemon.http)
    daemon.process = None


# ---- Watchdog ----

@pytest.mark.parametrize("busy", [False, True])
def test_watchdog_is_fed_while_workers_answer(manage, picture, busy):
    manager = manage().launch(watchdog_s=0.4)
    manager.wait("READY")
    end = time.monotonic() + 2
    with manager.daemon.web() as web:
        while busy and time.monotonic() < end:
            web.infer(picture)
    assert manager.count("WATCHDOG", end + 0.1 - time.monotonic()) >= 8  # twice in each 0.4 s, and ten fit
    assert "worker" not in manager.daemon.stderr()


def test_stopped_worker_is_replaced_and_the_watchdog_fed(manage):
    manager = manage(settings={"worker_timeout": "300ms"}).launch(watchdog_s=1)
    manager.wait("READY")
    with manager.daemon.web() as web:
        wait_for(lambda: web.status()["workers"]["ready"] == 2)  # one that starts has five seconds for that
    before = manager.daemon.workers()
    os.kill(before[0], signal.SIGSTOP)  # an idle one: nobody's frame finds out
    for _ in range(4):
        manager.wait("WATCHDOG", 1)
    after = manager.daemon.workers()
    assert before[0] not in after and len(after) == 2


def test_watchdog_starves_when_a_worker_cannot_be_replaced(manage, picture):
    manager = manage(settings={"worker": "/bin/true", "worker_timeout": "200ms"})
    worker = manager.directory / "worker"
    write_program(worker, f"#!/bin/sh\nexec {WORKER} \"$@\"\n")
    text = manager.daemon.config.read_text()
    manager.daemon.config.write_text(text.replace("worker = /bin/true", f"worker = {worker}"))
    manager.launch(watchdog_s=1)
    manager.wait("READY")
    manager.wait("WATCHDOG")
    write_program(worker, "#!/bin/sh\nexit 1\n")
    os.kill(manager.daemon.workers()[0], signal.SIGSTOP)
    manager.count("WATCHDOG", 2.5)  # until that is found out, and three starts have failed
    assert manager.count("WATCHDOG", 1.5) == 0
    assert "watchdog is not fed" in manager.daemon.stderr()
    with manager.daemon.web() as web:
        assert web.infer(picture)["label"]  # the other one still works
    write_program(worker, f"#!/bin/sh\nexec {WORKER} \"$@\"\n")
    manager.wait("WATCHDOG", 12)


# ---- Stop ----

def test_status_line_tells_a_cheaper_point(manage, two_points, picture):  # noqa: F811
    cameras = {f"lazy-{number}": {"model": "two", "point": "auto"} for number in range(3)}
    manager = manage(models={"two": two_points}, cameras=cameras, settings={**PATIENT, "workers": 1}).launch()
    manager.wait("READY")
    daemon = manager.daemon
    with daemon.eye() as eye:
        wait_for(lambda: eye.status()["workers"]["ready"] == 1)
        with held_workers(daemon):
            clients = [daemon.eye() for _ in cameras]
            for client, name in zip(clients, cameras):
                client.send("io.ocellus.Infer", {"camera": name, "data": base64.b64encode(picture).decode()})
            wait_for(lambda: eye.status()["frames"]["pending"] == 3)
        points = [client.receive()["parameters"]["result"]["model"]["point"] for client in clients]
        for client in clients:
            client.close()
    lowered = points.count("second")
    assert lowered > 0
    while f"{lowered} judged at a cheaper operating point because of load" not in manager.wait("STATUS")[1]["STATUS"]:
        pass


def test_stopping_is_told_first(manage):
    manager = manage().launch()
    manager.wait("READY")
    begin = time.monotonic()
    manager.daemon.process.terminate()
    manager.wait("STOPPING")
    assert manager.daemon.process.wait(20) == 0
    print(f"stop: {(time.monotonic() - begin) * 1e3:.0f} ms")
