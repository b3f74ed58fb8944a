# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Every method and every route, called by a real user of every kind: who may gets past the door, who may not is told
so and changes nothing. And users that are at their limits, which others do not notice."""

import base64
import contextlib
import grp
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import tempfile

import ocellus
import pytest
from conftest import BUILD, MODELS, SOURCE, Daemon
from test_http import PATIENT, connect, frames, held_workers, put_head, read_reply, wait_for
from test_server import as_user

SERVICE, CLIENT, TRAINER, STRANGER = 61000, 61001, 61002, 61003  # uids without a name
CLIENTS, TRAINERS = "daemon", "bin"  # groups that every system has

# Which kinds of peers may: root, service, trainer, client, other, by TCP without a token, with a wrong one, and with those
# of a client, a trainer and an admin
EVERYONE, CALLERS, TEACHERS, OPERATORS = "rstcoTW123", "rstc123", "rst23", "rs3"
SECRETS = {"W": "wrong", "1": "of-a-client", "2": "of-a-trainer", "3": "of-an-admin"}
KINDS = EVERYONE
VARLINK = {
    "io.ocellus.Infer": CALLERS, "io.ocellus.Status": CALLERS, "io.ocellus.AdaptationStatus": CALLERS,
    "io.ocellus.Subscribe": CALLERS, "io.ocellus.Label": TEACHERS, "io.ocellus.Sync": TEACHERS,
    "io.ocellus.Undo": TEACHERS, "io.ocellus.Rollback": TEACHERS, "io.ocellus.Reset": TEACHERS,
    "io.ocellus.Export": TEACHERS, "io.ocellus.Import": TEACHERS, "io.ocellus.Reload": OPERATORS,
    "io.ocellus.LoadModel": OPERATORS, "io.ocellus.RollbackModel": OPERATORS,
    "org.varlink.service.GetInfo": EVERYONE, "org.varlink.service.GetInterfaceDescription": EVERYONE,
}
ROUTES = {
    "/v1/frames/": ("PUT", CALLERS), "/v1/status": ("GET", CALLERS), "/v1/adaptation": ("GET", CALLERS),
    "/events": ("GET", CALLERS), "/v1/labels": ("POST", TEACHERS), "/v1/adaptation/sync": ("POST", TEACHERS),
    "/v1/adaptation/undo": ("POST", TEACHERS), "/v1/adaptation/rollback": ("POST", TEACHERS),
    "/v1/adaptation/reset": ("POST", TEACHERS), "/v1/adaptation/export": ("POST", TEACHERS),
    "/v1/adaptation/import": ("POST", TEACHERS), "/v1/reload": ("POST", OPERATORS), "/healthz": ("GET", EVERYONE),
    "/readyz": ("GET", EVERYONE), "/metrics": ("GET", CALLERS),
}


def test_tables_are_complete():
    """What is served is in the tables above: a new method has to be written down here too."""
    source = (SOURCE / "daemon" / "method.c").read_text()
    assert set(re.findall(r'\.name = "([^"]+)"', source)) == set(VARLINK)
    assert set(re.findall(r'\.path = "([^"]+)"', source)) == set(ROUTES)
    for interface in (SOURCE / "proto").glob("*.varlink"):
        named = {f"{interface.stem}.{name}" for name in re.findall(r"^method (\w+)", interface.read_text(), re.M)}
        assert named <= set(VARLINK)


@pytest.fixture
def public_daemon():
    """A daemon that runs as a user of its own, with clients, trainers, an adapter and a TCP port."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    program = BUILD / "daemon" / "ocellusd"
    if not as_user(SERVICE, SERVICE, [], lambda: os.access(program, os.X_OK)):
        pytest.skip(f"{program} cannot be reached by other users")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    directory = tempfile.mkdtemp(prefix="ocellus-")
    daemon = Daemon(directory, settings={**PATIENT, "socket_mode": "0666", "socket_group": CLIENTS,
                                         "http_tcp": f"127.0.0.1:{port}", "tokens": f"{directory}/tokens"},
                    models={"cifar10-lg3": MODELS / "cifar10-lg3.safetensors"},
                    cameras={"porch": {"adapter": "yard"}}, adaptation={"trainer_group": TRAINERS})
    daemon.tcp = ("127.0.0.1", port)
    pathlib.Path(directory, "tokens").write_text("".join(
        f"{role} somebody {hashlib.sha256(SECRETS[kind].encode()).hexdigest()}\n"
        for kind, role in (("1", "client"), ("2", "trainer"), ("3", "admin"))))
    os.chmod(directory, 0o755)
    os.chown(directory, SERVICE, SERVICE)
    daemon.identity = {"user": SERVICE, "group": SERVICE, "extra_groups": [grp.getgrnam(CLIENTS).gr_gid]}
    try:
        yield daemon.start()
        daemon.stop()
    finally:
        if daemon.process is not None:
            daemon.process.kill()
            daemon.process.wait()
        shutil.rmtree(directory)


def person(kind):
    """uid, gid and other groups of a local peer."""
    clients, trainers = (grp.getgrnam(name).gr_gid for name in (CLIENTS, TRAINERS))
    return {"r": (0, 0, []), "s": (SERVICE, SERVICE, []), "t": (TRAINER, TRAINER, [4, trainers]),
            "c": (CLIENT, CLIENT, [clients]), "o": (STRANGER, STRANGER, [4, 20])}[kind]


def call_varlink(daemon, name):
    """The error of a call, or ok. Methods that would change something get parameters that cannot do so: what matters
    is how far they come."""
    parameters = {"cannot": "be"} if name.startswith("io.ocellus.") else {}
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as raw:
        raw.settimeout(30)
        raw.connect(daemon.varlink)
        raw.sendall(json.dumps({"method": name, "parameters": parameters,
                                **({"more": True} if name.endswith("Subscribe") else {})}).encode() + b"\0")
        data = b""
        while not data.endswith(b"\0"):
            piece = raw.recv(65536)
            assert piece
            data += piece
    return json.loads(data[:-1]).get("error", "ok")


def call_route(address, verb, path, secret=None):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    body = b'{"cannot":"be"}' if verb == "POST" else b"no image" if verb == "PUT" else b""
    path += "x" if path.endswith("/") else "?cannot=be" if path == "/events" else ""
    with contextlib.closing(socket.socket(family)) as raw:
        raw.settimeout(30)
        raw.connect(address)
        token = f"Authorization: Bearer {secret}\r\n" if secret else ""
        raw.sendall(f"{verb} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}"
                    f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        data = b""
        while b"\r\n\r\n" not in data:
            piece = raw.recv(65536)
            if not piece:
                break
            data += piece
    return int(data.split()[1])


def state(daemon):
    """What a call could change, as root sees it."""
    with daemon.web() as web:
        status = web.status()
        adapters = web.request("GET", "/v1/adaptation")[1]["adapters"]
    return [status["frames"], status["configuration"], [camera["name"] for camera in status["cameras"]],
            [{key: value for key, value in adapter.items() if key in ("sequence", "applied", "durable", "labels")}
             for adapter in adapters]]


def test_every_cell(public_daemon):
    daemon = public_daemon
    cells = 0
    for kind in KINDS:
        before = state(daemon)
        if kind in "TW123":
            seen = {path: call_route(daemon.tcp, verb, path, SECRETS.get(kind)) for path, (verb, _) in ROUTES.items()}
        else:
            seen = as_user(*person(kind), lambda: {
                **{name: call_varlink(daemon, name) for name in VARLINK},
                **{path: call_route(daemon.http, verb, path) for path, (verb, _) in ROUTES.items()}})
        for name, answer in seen.items():
            allowed = kind in (VARLINK[name] if name in VARLINK else ROUTES[name][1])
            refused = answer in ("io.ocellus.Forbidden", 401 if kind in "TW" else 403)
            assert refused != allowed, (kind, name, answer)
            cells += 1
        if kind in "oTW":
            assert state(daemon) == before
    assert cells == 5 * (len(VARLINK) + len(ROUTES)) + 5 * len(ROUTES)


def test_denied_changes_nothing(public_daemon, picture):
    """The same methods with parameters that would do something, one cell after the other."""
    daemon = public_daemon
    with daemon.web() as web:
        frame = web.infer(picture, camera="porch")["frame"]
        label = web.status()["models"][0]["labels"][0]
        data = web.request("POST", "/v1/adaptation/export", "{}")[1].get("data", "AAAA")
    sent = {
        "Infer": {"data": base64.b64encode(picture).decode(), "camera": "new"},
        "Label": {"frame": frame, "label": label}, "Sync": {}, "Undo": {}, "Rollback": {"sequence": 0}, "Reset": {},
        "Export": {}, "Import": {"data": data}, "Reload": {},
    }
    routes = {"Label": "/v1/labels", "Reload": "/v1/reload"}

    def attempt(names):
        seen = {}
        with daemon.eye() as eye, daemon.web() as web:
            for name in names:
                try:
                    seen[name] = eye.call(f"io.ocellus.{name}", sent[name])
                except ocellus.Error as error:
                    seen[name] = error.name
                path = routes.get(name, f"/v1/adaptation/{name.lower()}")
                verb, body = ("PUT", picture) if name == "Infer" else ("POST", json.dumps(sent[name]))
                seen[name + " by HTTP"] = web.request(verb, "/v1/frames/new" if name == "Infer" else path, body)[0]
        return seen

    for kind in "tco":
        names = [name for name in sent if kind not in VARLINK[f"io.ocellus.{name}"]]
        before = state(daemon)
        seen = as_user(*person(kind), lambda: attempt(names))
        assert set(seen.values()) == {"io.ocellus.Forbidden", 403}, (kind, seen)
        assert state(daemon) == before


# ---- Limits of one user ----

@contextlib.contextmanager
def meanwhile(kind, function):
    """function() in a process of that kind, which keeps what it returns second until the block ends; gives the first
    as JSON would."""
    results, answer = os.pipe()
    release, hold = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hold)
        uid, gid, groups = person(kind)
        try:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            told, kept = function()
        except BaseException as problem:
            told, kept = repr(problem), None
        os.write(answer, json.dumps(told).encode() + b"\n")
        os.read(release, 1)
        del kept
        os._exit(0)
    os.close(answer)
    os.close(release)
    try:
        with os.fdopen(results) as pipe:
            yield json.loads(pipe.readline())
    finally:
        os.close(hold)
        os.waitpid(child, 0)


def infer_once(daemon, picture, camera="porch"):
    with daemon.web() as web:
        status, reply = web.request("PUT", f"/v1/frames/{camera}", picture)
        return "ok" if status == 200 else reply["parameters"]["message"]


def test_connections_of_one_user(public_daemon, picture):
    """A user who holds all connections that it may have is told to come back; another one is served."""
    daemon = public_daemon

    def occupy():
        held = [connect(daemon.http) for _ in range(64)]
        for raw in held:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_reply(raw)[0] == 200
        status, headers, _ = read_reply(connect(daemon.http))
        return [status, headers["retry-after"]], held

    with meanwhile("c", occupy) as told:
        assert told == [503, "1"]
        assert as_user(*person("t"), lambda: infer_once(daemon, picture)) == "ok"
    assert as_user(*person("c"), lambda: infer_once(daemon, picture)) == "ok"


def test_frames_in_flight_of_one_user(public_daemon, picture):
    """48 frames of one user wait; its 49th is refused, that of another user waits beside them."""
    daemon = public_daemon

    def fill():
        held = []
        for number in range(49):
            held.append(connect(daemon.http))
            held[-1].sendall(put_head(f"c{number}", len(picture)) + picture)
            if number < 48:
                wait_for(lambda: frames(daemon)["pending"] == number + 1)
        status, _, body = read_reply(held[-1])
        return [status, body["parameters"]["message"]], held

    def post():
        raw = connect(daemon.http)
        raw.sendall(put_head("another", len(picture)) + picture)
        wait_for(lambda: frames(daemon)["pending"] == 49)
        return frames(daemon)["refused"], raw

    with held_workers(daemon), meanwhile("c", fill) as told, meanwhile("t", post) as refused:
        assert told == [503, "you have too many frames in flight"]
        assert refused == 1
    wait_for(lambda: frames(daemon)["pending"] == 0)


def test_strikes_of_one_user(public_daemon, picture):
    """Who loses the daemon eight workers in a minute waits for the rest of it, and nobody else does."""
    daemon = public_daemon

    def post():
        raw = connect(daemon.http)
        raw.sendall(put_head("porch", len(picture)) + picture)
        wait_for(lambda: frames(daemon)["pending"] == 1)
        return "sent", raw

    for _ in range(32):  # a worker that still tried the daemon's own frame does not count
        with held_workers(daemon), meanwhile("c", post) as told:
            assert told == "sent"
            for worker in daemon.workers():
                os.kill(worker, signal.SIGKILL)
            wait_for(lambda: frames(daemon)["pending"] == 0)
        if frames(daemon)["failed"] == 8:
            break
    with daemon.web() as web:
        wait_for(lambda: web.status()["workers"]["ready"] == 2)
    assert "too many workers" in as_user(*person("c"), lambda: infer_once(daemon, picture))
    for kind in "rst":
        assert as_user(*person(kind), lambda: infer_once(daemon, picture)) == "ok"
