# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Talks to ocellusd over its Varlink socket or by HTTP. Standard library only; one thread per object.

    import ocellus
    with ocellus.Varlink() as eye:
        result = eye.infer("photo.jpg", camera="porch")
        print(result["label"], result["confidence"])

A frame is the name of a file, an open file descriptor or bytes. Results are the daemon's JSON as dictionaries, see
ocellus-protocol(7). A refusal raises ocellus.Error; a daemon that is not there raises OSError.
"""

import array
import fcntl
import hashlib
import http.client
import json
import os
import socket
import urllib.parse

VARLINK_SOCKET = "/run/ocellus/varlink.sock"
HTTP_SOCKET = "/run/ocellus/http.sock"
MESSAGE_BYTES_MAX = 16 << 20


class Error(Exception):
    """The daemon refused: `name` is such as "io.ocellus.TooLarge", `message` a sentence for people."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


def sealed_memfd(data):
    """A memfd that holds `data` and can no longer change. The caller closes it."""
    fd = os.memfd_create("ocellus-frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view):]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS,
                    fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check(reply):
    if "error" in reply:
        raise Error(reply["error"], (reply.get("parameters") or {}).get("message", ""))
    return reply.get("parameters") or {}


class Varlink:
    """One connection; calls are answered in order."""

    def __init__(self, path=VARLINK_SOCKET, timeout=30.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.received = b""
        try:
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        except BaseException:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, method, parameters=None, fds=(), more=False):
        """Send a call without waiting for its reply, or with `more` its replies. The fds stay the caller's."""
        call = {"method": method} | ({"more": True} if more else {})
        if parameters:
            call["parameters"] = parameters
        message = json.dumps(call).encode() + b"\0"
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        # The descriptors ride on the first byte of their message.
        sent = self.socket.sendmsg([message], control)
        if sent < len(message):
            self.socket.sendall(message[sent:])

    def receive(self):
        """The next reply as a dictionary, errors included."""
        while b"\0" not in self.received:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("ocellusd closed the connection")
            self.received += data
            if len(self.received) > MESSAGE_BYTES_MAX:
                raise ValueError("the reply is too long")
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)

    def call(self, method, parameters=None, fds=()):
        self.send(method, parameters, fds)
        return _check(self.receive())

    def infer(self, frame, camera=None, model=None, format=None, sensor=None, point=None, scan=None):
        """Classify one frame. `sensor` describes a bare sensor buffer, see ocellus-protocol(7)."""
        given = {"camera": camera, "model": model, "point": point, "scan": scan, "format": format, "sensor": sensor}
        parameters = {key: value for key, value in given.items() if value is not None}
        parameters["fd"] = 0
        if isinstance(frame, int):
            return self.call("io.ocellus.Infer", parameters, [frame])["result"]
        if isinstance(frame, (bytes, bytearray, memoryview)):
            fd = sealed_memfd(frame)
        else:
            fd = os.open(frame, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self.call("io.ocellus.Infer", parameters, [fd])["result"]
        finally:
            os.close(fd)

    def label(self, frame, label, box=None):
        """Teach the adapter of a frame's camera what it shows; `frame` is the number of a recent result."""
        return self.call("io.ocellus.Label", {"frame": frame, "label": label} | ({} if box is None else {"box": box}))

    def load_model(self, file, model=None, sha256=None):
        """Use the file in place of the configured one of a model, default the default model. For operators."""
        with open(file, "rb") as opened:
            digest = sha256 or hashlib.sha256(opened.read()).hexdigest()
            parameters = {"fd": 0, "sha256": digest} | ({"model": model} if model else {})
            return self.call("io.ocellus.LoadModel", parameters, [opened.fileno()])

    def rollback_model(self, model=None):
        """Back to the file before the last load_model."""
        return self.call("io.ocellus.RollbackModel", {"model": model} if model else None)

    def events(self, camera=None):
        """What happens from now on, one dictionary after the other without an end; afterwards only close is left."""
        self.send("io.ocellus.Subscribe", {"camera": camera} if camera else None, more=True)
        while True:
            yield _check(self.receive())

    def status(self):
        return self.call("io.ocellus.Status")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Http:
    """HTTP on a Unix socket (a path) or on TCP (host:port), where most requests need a token."""

    def __init__(self, address=HTTP_SOCKET, timeout=30.0, token=None):
        self.token = token
        if address.startswith("/"):
            self.connection = _UnixConnection(address, timeout)
        else:
            self.connection = http.client.HTTPConnection(address, timeout=timeout)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def request(self, method, path, body=None, headers=None):
        """(status, body as a dictionary, or as bytes where it is not JSON). An iterable body is sent chunked."""
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.connection.request(method, path, body=body, headers=token | (headers or {}))
        response = self.connection.getresponse()
        data = response.read()
        if response.headers.get_content_type() == "application/json":
            data = json.loads(data)
        return response.status, data

    def infer(self, frame, camera="default", **query):
        """Classify one frame: model=, point=, scan=, format=, and the fields of a sensor buffer go to the query."""
        path = f"/v1/frames/{urllib.parse.quote(camera, safe='')}"
        if query:
            path += "?" + urllib.parse.urlencode(query)
        if not isinstance(frame, (bytes, bytearray, memoryview)):
            with open(frame, "rb", closefd=not isinstance(frame, int)) as file:
                frame = file.read()
        status, reply = self.request("PUT", path, bytes(frame))
        if status != 200:
            _check(reply if isinstance(reply, dict) else {"error": "io.ocellus.Internal"})
        return reply

    def status(self):
        return self.request("GET", "/v1/status")[1]
