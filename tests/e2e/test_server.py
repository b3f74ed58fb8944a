# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The daemon as a service: options, sockets and their files, the service manager, who may call what, how it stops."""

import base64
import contextlib
import grp
import json
import os
import pathlib
import re
import resource
import signal
import socket
import stat
import subprocess
import tempfile
import time

import ocellus
import pytest

from conftest import BUILD, Daemon
from test_http import PATIENT, connect, frames, held_workers, put_head, read_reply, wait_for
from test_varlink import message

PROGRAM = BUILD / "daemon" / "ocellusd"
NOBODY = 65534


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def prepared():
    """A directory with a configuration, and nobody serving it."""
    with tempfile.TemporaryDirectory(prefix="ocellus-") as directory:
        yield Daemon(directory)


# ---- Options and configuration ----

def test_options():
    assert run("--version").stdout.startswith("ocellusd ")
    assert "--check-config" in run("--help").stdout
    for arguments in (["--nothing"], ["extra"], ["--config"]):
        result = run(*arguments)
        assert result.returncode == 2 and "ocellusd:" in result.stderr


def test_check_config(prepared):
    good = run("--config", prepared.config, "--check-config")
    assert (good.returncode, good.stderr) == (0, "")
    assert re.match(r"memory in MiB: at most \d+, .* workers 4 of \d+ each", good.stdout), good.stdout
    text = prepared.config.read_text()
    broken = [(text + "\nfoo = 1", "foo"), (text + "\n[model broken]\npath = /etc/passwd", "broken"),
              (text + "\n[model none]\npath = /nowhere", "/nowhere"),
              (re.sub("worker = .*", "worker = /nowhere", text), "/nowhere"),
              (text.replace("workers = 2", "socket-group = no-such-group"), "no-such-group")]
    for whole, words in broken:
        prepared.config.write_text(whole)
        for options in (["--check-config"], []):
            result = run("--config", prepared.config, *options)
            assert result.returncode == 1 and words in result.stderr, result.stderr
    prepared.config.write_text(text.replace("workers = 2", "workers = many"))
    result = run("--config", prepared.config, "--check-config")
    number = [i for i, row in enumerate(prepared.config.read_text().splitlines(), 1) if "many" in row][0]
    assert f"{prepared.config}:{number}: " in result.stderr
    assert "/nowhere" in run("--config", "/nowhere").stderr
    assert not os.path.exists(prepared.http)


def test_start_that_fails_leaves_nothing(prepared):
    """The last step fails: an address that is not ours."""
    text = prepared.config.read_text()
    prepared.config.write_text(text.replace("workers = 2", "http-tcp = 192.0.2.1:80"))
    result = run("--config", prepared.config)
    assert result.returncode == 1 and "192.0.2.1" in result.stderr
    assert not os.path.exists(prepared.http) and not os.path.exists(prepared.varlink)


# ---- Sockets ----

def test_socket_files_have_mode_and_group(start_daemon):
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    daemon = start_daemon(settings={"socket_mode": "0620", "socket_group": "daemon"})
    for path in (daemon.http, daemon.varlink):
        status = os.stat(path)
        assert stat.S_IMODE(status.st_mode) == 0o620 and status.st_gid == grp.getgrnam("daemon").gr_gid


def test_stale_socket_file_is_replaced(prepared, picture):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as stale:
        stale.bind(prepared.http)
    assert os.path.exists(prepared.http)
    prepared.start()
    with prepared.web() as web:
        assert web.infer(picture)["label"]
    prepared.stop()


def test_socket_of_another_daemon_is_left_alone(start_daemon, picture):
    daemon = start_daemon()
    result = run("--config", daemon.config)
    assert result.returncode == 1 and daemon.http in result.stderr and "listens" in result.stderr
    with daemon.web() as web:
        assert web.infer(picture)["label"]


def test_file_that_is_no_socket_is_left_alone(prepared):
    path = pathlib.Path(prepared.varlink)
    path.write_text("precious")
    result = run("--config", prepared.config)
    assert result.returncode == 1 and "not a socket" in result.stderr
    assert path.read_text() == "precious"
    assert not os.path.exists(prepared.http)


def test_file_of_a_successor_is_left_alone(prepared):
    """Who removed our socket file and put theirs there keeps it."""
    prepared.start()
    os.unlink(prepared.http)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as successor:
        successor.bind(prepared.http)
        prepared.process.terminate()
        assert prepared.process.wait(20) == 0
        assert os.path.exists(prepared.http)
    prepared.process = None


# ---- Stopping, waiting ----

def cpu_ticks(daemon):
    """Time that the daemon has used, in ticks of 10 ms."""
    fields = pathlib.Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_answers_what_is_in_flight(prepared, picture, number):
    prepared.write_config(PATIENT, None, {})
    prepared.start()
    with held_workers(prepared):
        clients = [connect(prepared.http) for _ in range(4)]
        for camera, raw in enumerate(clients):
            raw.sendall(put_head(f"camera-{camera}", len(picture)) + picture)
        wait_for(lambda: frames(prepared)["pending"] == 4)
        start = time.monotonic()
        prepared.process.send_signal(number)
        for raw in clients:
            status, _, body = read_reply(raw)
            assert (status, body["parameters"]["message"]) == (503, "the daemon is shutting down")
            raw.close()
        assert prepared.process.wait(20) == 0
        assert time.monotonic() - start < 2
    prepared.process = None
    assert not os.path.exists(prepared.http) and not os.path.exists(prepared.varlink)


def test_waiting_costs_no_time(start_daemon, picture):
    """Clients that shut down one half, went away, or fill the pipeline must not keep the loop turning."""
    daemon = start_daemon(settings=PATIENT)
    data = base64.b64encode(picture).decode()
    with held_workers(daemon), contextlib.ExitStack() as stack:
        half = stack.enter_context(connect(daemon.varlink))
        half.sendall(message("io.ocellus.Infer", {"data": data, "camera": "a"}))
        half.shutdown(socket.SHUT_WR)
        web_half = stack.enter_context(connect(daemon.http))
        web_half.sendall(put_head("b", len(picture)) + picture)
        web_half.shutdown(socket.SHUT_WR)
        with connect(daemon.varlink) as gone:
            gone.sendall(message("io.ocellus.Infer", {"data": data, "camera": "c"}, oneway=True))
        full = stack.enter_context(connect(daemon.varlink))
        for number in range(10):
            full.sendall(message("io.ocellus.Infer", {"data": data, "camera": f"full-{number}"}))
        piped = stack.enter_context(connect(daemon.http))
        piped.sendall(3 * (put_head("d", len(picture)) + picture))
        wait_for(lambda: frames(daemon)["pending"] == 12)

        before = cpu_ticks(daemon)
        time.sleep(0.5)
        assert cpu_ticks(daemon) - before <= 5
        half.settimeout(30)
    assert daemon.stderr().count("\n") < 5


def test_running_out_of_descriptors(daemon, picture):
    """Clients that find no place wait, the loop does not spin, and all is well when there is room again."""
    with daemon.web() as web:
        assert web.infer(picture)["label"]
        limit = daemon.fds() + 5
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(connect(daemon.http))
            with daemon.eye() as eye:  # waits with the others
                wait_for(lambda: daemon.fds() == limit)
                before = cpu_ticks(daemon)
                time.sleep(0.5)
                assert cpu_ticks(daemon) - before <= 5
                assert web.infer(picture)["label"]  # who was there is served
                stack.close()
                assert eye.status()["ready"]
        # A memfd that cannot be received ends its connection, not the daemon.
        with daemon.eye() as eye:
            full = daemon.fds()
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (full, full))
            with pytest.raises(ConnectionResetError):
                eye.infer(picture)
        assert web.infer(picture)["label"]


# ---- Who may call what ----

def as_user(uid, gid, groups, function):
    """function() in a process of that user; what it prints is returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            os.write(writer, json.dumps(function()).encode())
        except BaseException as problem:
            os.write(writer, json.dumps(repr(problem)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        result = json.load(pipe)
    os.waitpid(child, 0)
    return result


def try_everything(daemon, picture):
    """What each method answers to this process: 'ok' or the error."""
    seen = {}
    for method, path, body in (("GET", "/healthz", None), ("GET", "/readyz", None), ("GET", "/v1/status", None),
                               ("PUT", "/v1/frames/a", picture)):
        with daemon.web() as web:
            reply = web.request(method, path, body)[1]
            seen[path] = reply.get("error", "ok")
    calls = {"org.varlink.service.GetInfo": None, "io.ocellus.Status": None,
             "org.varlink.service.GetInterfaceDescription": {"interface": "io.ocellus"},
             "io.ocellus.Infer": {"data": base64.b64encode(picture).decode()}}
    for method, parameters in calls.items():
        with daemon.eye() as eye:
            try:
                eye.call(method, parameters)
                seen[method] = "ok"
            except ocellus.Error as error:
                seen[method] = error.name
    return seen


FREE = {"/healthz", "/readyz", "org.varlink.service.GetInfo", "org.varlink.service.GetInterfaceDescription"}


@pytest.mark.parametrize("allow_other", ["no", "yes"])
def test_every_method_for_every_kind_of_peer(start_daemon, picture, allow_other):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    daemon = start_daemon(settings={"socket_mode": "0666", "socket_group": "daemon", "allow_other": allow_other})
    os.chmod(daemon.directory, 0o755)
    group = grp.getgrnam("daemon").gr_gid
    peers = [(0, 0, []), (NOBODY, group, []), (NOBODY, NOBODY, [4, group, 20]), (NOBODY, NOBODY, [4, 20]),
             (NOBODY, NOBODY, [])]
    for uid, gid, groups in peers:
        seen = as_user(uid, gid, groups, lambda: try_everything(daemon, picture))
        member = uid == 0 or gid == group or group in groups or allow_other == "yes"
        expected = {name: "ok" if member or name in FREE else "io.ocellus.Forbidden" for name in seen}
        assert seen == expected and len(seen) == 8, (uid, gid, groups)
    # What was refused did nothing.
    assert frames(daemon)["received"] == frames(daemon)["answered"] == 2 * (5 if allow_other == "yes" else 3)


def test_socket_mode_keeps_others_out(start_daemon, picture):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    daemon = start_daemon()
    os.chmod(daemon.directory, 0o755)
    assert "PermissionError" in as_user(NOBODY, NOBODY, [], lambda: try_everything(daemon, picture))
