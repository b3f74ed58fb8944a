# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The Varlink door: methods, framing with both terminators, descriptors, pipelining, clients that go away."""

import array
import base64
import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

import ocellus
import pytest

from test_http import PATIENT, check_sum, frames, held_workers, wait_for

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20


def connect(daemon, timeout=20):
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(timeout)
    raw.connect(daemon.varlink)
    return raw


def message(method, parameters=None, end=b"\0", **members):
    call = {"method": method, **members}
    if parameters is not None:
        call["parameters"] = parameters
    return json.dumps(call).encode() + end


def read_reply(raw, end=b"\0"):
    data = b""
    while not data.endswith(end):
        byte = raw.recv(1)
        assert byte, f"the connection ended after {data!r}"
        data += byte
    return json.loads(data[:-1])


def error_of(reply):
    assert reply["parameters"]["message"]
    return reply["error"].rpartition(".")[2]


def send_fds(raw, data, fds):
    raw.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def infer(**parameters):
    return message("io.ocellus.Infer", parameters)


@contextlib.contextmanager
def memfd(data, seals=fcntl.F_SEAL_SHRINK):
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    try:
        os.write(fd, data)
        if seals:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        yield fd
    finally:
        os.close(fd)


# ---- Methods ----

def test_service_describes_itself(daemon):
    with daemon.eye() as eye:
        info = eye.call("org.varlink.service.GetInfo")
        assert info["interfaces"] == ["org.varlink.service", "io.ocellus"]
        assert info["vendor"] and info["product"] == "Ocellus" and info["version"]
        for name in info["interfaces"]:
            text = eye.call("org.varlink.service.GetInterfaceDescription", {"interface": name})["description"]
            assert text == (SOURCE / "proto" / f"{name}.varlink").read_text()


def test_status_is_the_same_on_both_doors(daemon, picture):
    with daemon.eye() as eye, daemon.web() as web:
        eye.infer(picture, camera="porch")
        by_varlink, by_http = eye.status(), web.status()
    for status in (by_varlink, by_http):
        for changing in ("uptime_s", "memory_bytes", "connections"):
            del status[changing]
        del status["workers"]["ready"]  # on a busy machine one may just have started
    assert by_varlink == by_http


def test_members_are_those_of_the_interface(daemon, picture):
    """Every member that the daemon sends is named in the interface text."""
    text = (SOURCE / "proto" / "io.ocellus.varlink").read_text()

    def check(value):
        if isinstance(value, dict):
            for name, member in value.items():
                assert f"{name}:" in text, name
                check(member)
        elif isinstance(value, list):
            for member in value:
                check(member)

    with daemon.eye() as eye:
        check(eye.infer(picture))
        check(eye.status())


def test_frame_by_memfd_file_and_data(daemon, picture):
    with daemon.eye() as eye, daemon.web() as web, tempfile.NamedTemporaryFile() as file:
        expected = web.infer(picture)["scores"]
        assert eye.infer(picture)["scores"] == expected
        file.write(picture)
        file.flush()
        assert eye.infer(file.name, camera="porch")["camera"] == "porch"
        assert eye.infer(file.name)["scores"] == expected
        by_data = eye.call("io.ocellus.Infer", {"data": base64.b64encode(picture).decode()})["result"]
        assert by_data["scores"] == expected
        assert by_data["camera"] == "default"


def test_memfd_is_used_again(daemon):
    """One memfd, written anew for each frame: each result is that of the bytes at its time."""
    def picture(value):
        return b"P5\n16 16\n255\n" + bytes((x * value) % 256 for x in range(256))

    with daemon.eye() as eye, memfd(picture(1)) as fd:
        for value in (1, 3, 5, 1):
            os.pwrite(fd, picture(value), 0)
            assert eye.infer(fd)["scores"] == eye.infer(picture(value))["scores"]


ERRORS = [
    ("io.ocellus.Nothing", None, "MethodNotFound"),
    ("io.elsewhere.Infer", None, "MethodNotFound"),
    ("Infer", None, "MethodNotFound"),
    ("io.ocellus.Status", {"verbose": True}, "BadRequest"),
    ("org.varlink.service.GetInfo", {"a": 1}, "BadRequest"),
    ("org.varlink.service.GetInterfaceDescription", None, "BadRequest"),
    ("org.varlink.service.GetInterfaceDescription", {"interface": 1}, "BadRequest"),
    ("org.varlink.service.GetInterfaceDescription", {"interface": "io.elsewhere"}, "NotFound"),
    ("io.ocellus.Infer", None, "BadRequest"),
    ("io.ocellus.Infer", {"camera": "porch"}, "BadRequest"),
    ("io.ocellus.Infer", {"data": "AAA"}, "BadRequest"),
    ("io.ocellus.Infer", {"data": "A A="}, "BadRequest"),
    ("io.ocellus.Infer", {"data": ""}, "BadRequest"),
    ("io.ocellus.Infer", {"data": "AAAA", "what": 1}, "BadRequest"),
    ("io.ocellus.Infer", {"data": "AAAA", "camera": "../x"}, "BadRequest"),
    ("io.ocellus.Infer", {"data": "AAAA", "format": "sensor"}, "BadRequest"),
    ("io.ocellus.Infer", {"data": "AAAA", "model": "none"}, "NotFound"),
    ("io.ocellus.Infer", {"data": "AAAA", "camera": "garage"}, "Forbidden"),
    ("io.ocellus.Infer", {"data": base64.b64encode(100 * b"no image").decode()}, "Unsupported"),
    ("io.ocellus.Infer", {"data": base64.b64encode(b"P6\n64 48\n255\nxyz").decode()}, "Corrupt"),
    ("io.ocellus.Infer", {"data": base64.b64encode(b"P5\n65535 65535\n255\n").decode()}, "TooLarge"),
    ("io.ocellus.Infer", {"data": base64.b64encode(bytes(256 * 1024 + 3)).decode()}, "TooLarge"),
]


def test_errors(start_daemon):
    daemon = start_daemon(cameras={"garage": {"enabled": "no"}})
    with contextlib.closing(connect(daemon)) as raw:
        for method, parameters, name in ERRORS:
            raw.sendall(message(method, parameters))
            reply = read_reply(raw)
            assert error_of(reply) == name, (method, parameters, reply)
            if name == "MethodNotFound":
                assert reply["error"] == "org.varlink.service.MethodNotFound"
                assert reply["parameters"]["method"] == method
        for members in ({"more": True}, {"upgrade": True}):
            raw.sendall(message("io.ocellus.Status", **members))
            assert error_of(read_reply(raw)) == "BadRequest"
        # What is JSON but no call is refused, and the connection goes on.
        for text in (b'{}', b'{"method":1}', b'{"method":"a","method":"a"}', b'{"method":"a","x":1}', b'{"method":"\xff"}',
                     b'{"method":"a","parameters":' + 20 * b'{"a":' + b'1' + 20 * b'}' + b'}', b'{"method":}'):
            raw.sendall(text + b"\0")
            assert error_of(read_reply(raw)) == "BadRequest", text
        raw.sendall(message("io.ocellus.Status"))
        assert read_reply(raw)["parameters"]["ready"]
    check_sum(frames(daemon))


# ---- Framing ----

def test_stock_tools_talk_to_it(daemon):
    """Both terminators, as a person types them."""
    replies = []
    for command in (f"echo '{{\"method\":\"io.ocellus.Status\"}}' | nc -NU {daemon.varlink}",
                    f"printf '{{\"method\":\"io.ocellus.Status\"}}\\0' | nc -NU {daemon.varlink}",
                    f"echo '{{\"method\":\"io.ocellus.Status\"}}' | socat -t 5 - UNIX-CONNECT:{daemon.varlink}",
                    f"printf '{{\"method\":\"io.ocellus.Status\"}}\\0' | socat -t 5 - UNIX-CONNECT:{daemon.varlink}"):
        replies.append(subprocess.run(["sh", "-c", command], capture_output=True, timeout=20, check=True).stdout)
    assert [reply[-1:] for reply in replies] == [b"\n", b"\0", b"\n", b"\0"]
    assert all(json.loads(reply[:-1])["parameters"]["ready"] for reply in replies)


def test_newline_mode(daemon, picture):
    data = base64.b64encode(picture).decode()
    with contextlib.closing(connect(daemon)) as raw:
        for _ in range(3):
            raw.sendall(message("io.ocellus.Infer", {"data": data}, b"\n"))
            assert read_reply(raw, b"\n")["parameters"]["result"]["label"]
        # Errors end the same way, also the one that ends the connection.
        raw.sendall(message("io.ocellus.Nothing", end=b"\n"))
        assert error_of(read_reply(raw, b"\n")) == "MethodNotFound"
        raw.sendall(message("io.ocellus.Status", end=b"\0"))
        assert error_of(read_reply(raw, b"\n")) == "BadRequest"
        assert raw.recv(1) == b""


@pytest.mark.parametrize("stream", [b"[]\0", b" {}\0", b"{} \0", b"{}{}\0", b"\0", b"GET / HTTP/1.1\r\n\r\n", b'{"a":\0'])
def test_bad_framing_ends_the_connection(daemon, stream):
    with contextlib.closing(connect(daemon)) as raw:
        raw.sendall(stream)
        assert error_of(read_reply(raw)) == "BadRequest"
        assert raw.recv(1) == b""


def test_byte_by_byte(daemon):
    with contextlib.closing(connect(daemon)) as raw:
        for byte in 2 * message("io.ocellus.Status"):
            raw.sendall(bytes([byte]))
        assert [read_reply(raw)["parameters"]["ready"] for _ in range(2)] == [True, True]


def test_message_has_a_limit(daemon):
    with contextlib.closing(connect(daemon)) as raw:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            raw.sendall(b'{"method":"' + MIB * b"a")
        assert error_of(read_reply(raw)) == "TooLarge"
    # The largest frame that base64 takes fits.
    with contextlib.closing(connect(daemon)) as raw:
        side = b"P5\n512 511\n255\n"
        data = base64.b64encode(side + os.urandom(512 * 511)).decode()
        raw.sendall(infer(data=data))
        assert read_reply(raw)["parameters"]["result"]["image"]["width"] == 512
    with daemon.web() as web:
        wait_for(lambda: web.status()["memory_bytes"]["queue"] == 0)


# ---- Descriptors ----

def test_descriptors_that_are_refused(start_daemon, picture):
    daemon = start_daemon(settings={"frame_bytes_max": "1M"})
    with contextlib.ExitStack() as stack, contextlib.closing(connect(daemon)) as raw:
        file = stack.enter_context(tempfile.NamedTemporaryFile())
        empty = stack.enter_context(tempfile.NamedTemporaryFile())
        file.write(picture)
        file.flush()

        def keep(fd):
            stack.callback(os.close, fd)
            return fd

        good = stack.enter_context(memfd(picture))
        pipe = os.pipe()
        large = stack.enter_context(memfd(b"", 0))
        os.ftruncate(large, MIB + 1)
        fcntl.fcntl(large, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        cases = [
            ("not named", infer(camera="a", data="AAAA"), [good], "BadRequest"),
            ("named, not there", infer(fd=0), [], "BadRequest"),
            ("wrong index", infer(fd=1), [good], "BadRequest"),
            ("two", infer(fd=0), [good, good], "BadRequest"),
            ("two, second named", infer(fd=1), [good, good], "BadRequest"),
            ("to a method that takes none", message("io.ocellus.Status"), [good], "BadRequest"),
            ("to no method", message("io.ocellus.Nothing"), [good], "MethodNotFound"),
            ("with a message that is no call", b'{"a":1}\0', [good], "BadRequest"),
            ("unsealed memfd", infer(fd=0), [stack.enter_context(memfd(picture, 0))], "BadRequest"),
            ("memfd that can shrink", infer(fd=0),
             [stack.enter_context(memfd(picture, fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE))], "BadRequest"),
            ("empty memfd", infer(fd=0), [stack.enter_context(memfd(b""))], "BadRequest"),
            ("large memfd", infer(fd=0), [large], "TooLarge"),
            ("pipe", infer(fd=0), [keep(pipe[0])], "BadRequest"),
            ("pipe's other end", infer(fd=0), [keep(pipe[1])], "BadRequest"),
            ("socket", infer(fd=0), [stack.enter_context(socket.socket(socket.AF_UNIX)).fileno()], "BadRequest"),
            ("device", infer(fd=0), [keep(os.open("/dev/zero", os.O_RDONLY))], "BadRequest"),
            ("directory", infer(fd=0), [keep(os.open("/", os.O_RDONLY))], "BadRequest"),
            ("writable file", infer(fd=0), [keep(os.open(file.name, os.O_RDWR))], "BadRequest"),
            ("path only", infer(fd=0), [keep(os.open(file.name, os.O_PATH))], "BadRequest"),
            ("empty file", infer(fd=0), [keep(os.open(empty.name, os.O_RDONLY))], "BadRequest"),
        ]
        raw.sendall(message("io.ocellus.Status"))
        read_reply(raw)
        fds = daemon.fds()
        for name, data, given, error in cases:
            send_fds(raw, data, given) if given else raw.sendall(data)
            assert error_of(read_reply(raw)) == error, name
        send_fds(raw, infer(fd=0), [keep(os.open(file.name, os.O_RDONLY))])
        assert read_reply(raw)["parameters"]["result"]["label"]
        wait_for(lambda: daemon.fds() == fds)  # the reply leaves before the frame is destroyed
    assert frames(daemon)["received"] == 1, "one of the others came as far as a worker"


def test_newline_mode_carries_no_descriptors(daemon, picture):
    with contextlib.closing(connect(daemon)) as raw, memfd(picture) as fd:
        for method, parameters in (("io.ocellus.Infer", {"fd": 0}), ("io.ocellus.Status", None)):
            send_fds(raw, message(method, parameters, b"\n"), [fd])
            assert error_of(read_reply(raw, b"\n")) == "BadRequest"


def test_too_many_descriptors_end_the_connection(daemon, picture):
    with daemon.eye() as eye, memfd(picture) as fd:
        eye.status()
        fds = daemon.fds()
        for count in (5, 100):
            with contextlib.closing(connect(daemon)) as raw:
                send_fds(raw, infer(fd=0), count * [fd])
                with contextlib.suppress(ConnectionResetError):
                    assert raw.recv(100) == b""
        # Descriptors that no message claims are bounded, too.
        with contextlib.closing(connect(daemon)) as raw:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for byte in infer(fd=0)[:20]:
                    send_fds(raw, bytes([byte]), [fd])
            with contextlib.suppress(ConnectionResetError):
                assert raw.recv(100) == b""
        wait_for(lambda: daemon.fds() == fds)


def test_descriptors_stay_with_their_messages(daemon):
    """The daemon stands still while messages pile up, so that the kernel glues them together as it may."""
    def picture(value):
        return b"P5\n16 16\n255\n" + bytes((x * value) % 256 for x in range(256))

    with daemon.eye() as eye, contextlib.closing(connect(daemon)) as raw:
        expected = [eye.infer(picture(value))["scores"] for value in (3, 5, 7)]
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            with contextlib.ExitStack() as stack:
                fds = [stack.enter_context(memfd(picture(value))) for value in (3, 5, 7)]
                raw.sendall(message("io.ocellus.Status"))
                send_fds(raw, infer(fd=0, camera="a"), [fds[0]])
                raw.sendall(message("io.ocellus.Status"))
                raw.sendall(infer(fd=0, camera="a"))  # names one, but has none
                send_fds(raw, infer(fd=0, camera="b"), [fds[1]])
                send_fds(raw, infer(fd=0, camera="c"), [fds[2]])
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        replies = [read_reply(raw) for _ in range(6)]
    assert "ready" in replies[0]["parameters"] and "ready" in replies[2]["parameters"]
    assert error_of(replies[3]) == "BadRequest"
    assert [replies[i]["parameters"]["result"]["scores"] for i in (1, 4, 5)] == expected


def test_descriptor_with_a_message_in_pieces(daemon, picture):
    """The descriptor rides on the first byte, the rest of its message comes later."""
    data = infer(fd=0)
    with contextlib.closing(connect(daemon)) as raw, memfd(picture) as fd:
        send_fds(raw, data[:1], [fd])
        time.sleep(0.05)
        raw.sendall(data[1:30])
        time.sleep(0.05)
        raw.sendall(data[30:] + message("io.ocellus.Status"))
        assert read_reply(raw)["parameters"]["result"]["label"]
        assert read_reply(raw)["parameters"]["ready"]


# ---- Order, ends ----

def test_pipelined_calls_are_answered_in_order(start_daemon):
    daemon = start_daemon(settings=PATIENT)
    data = base64.b64encode(b"P5\n16 16\n255\n" + bytes(range(256))).decode()
    with contextlib.closing(connect(daemon)) as raw, daemon.web() as web:
        with held_workers(daemon):
            for number in range(20):
                raw.sendall(infer(data=data, camera=f"camera-{number}"))
                raw.sendall(message("org.varlink.service.GetInfo"))
            # Eight calls are taken, half of them frames; then reading stops.
            wait_for(lambda: web.status()["frames"]["pending"] == 4)
            time.sleep(0.1)
            assert web.status()["frames"]["received"] == 4
        for number in range(20):
            assert read_reply(raw)["parameters"]["result"]["camera"] == f"camera-{number}"
            assert read_reply(raw)["parameters"]["product"] == "Ocellus"


def test_oneway_calls_have_no_reply(daemon, picture):
    data = base64.b64encode(picture).decode()
    with contextlib.closing(connect(daemon)) as raw:
        raw.sendall(message("io.ocellus.Infer", {"data": data}, oneway=True) +
                    message("io.ocellus.Nothing", oneway=True) +
                    message("io.ocellus.Status", oneway=True) +
                    message("org.varlink.service.GetInfo"))
        assert read_reply(raw)["parameters"]["product"] == "Ocellus"
    wait_for(lambda: frames(daemon)["answered"] == 1)


def test_oneway_calls_outlive_their_client(start_daemon, picture):
    """Of twelve calls the fourth wants a reply. The client does not wait for it, nor for the others to be read."""
    daemon = start_daemon(settings=PATIENT)
    data = base64.b64encode(picture).decode()
    with held_workers(daemon):
        with contextlib.closing(connect(daemon)) as raw:
            for number in range(12):
                parameters = {"data": data, "camera": f"camera-{number}"}
                raw.sendall(message("io.ocellus.Infer", parameters, oneway=number != 3))
        wait_for(lambda: frames(daemon)["cancelled"] == 1)
    wait_for(lambda: frames(daemon)["answered"] == 11)
    wait_for(lambda: frames(daemon)["pending"] == 0)
    check_sum(frames(daemon))


def test_half_closed_client_gets_its_replies(daemon, picture):
    with contextlib.closing(connect(daemon)) as raw, memfd(picture) as fd:
        for camera in ("a", "b"):
            send_fds(raw, infer(fd=0, camera=camera), [fd])
        raw.shutdown(socket.SHUT_WR)
        assert [read_reply(raw)["parameters"]["result"]["camera"] for _ in range(2)] == ["a", "b"]
        assert raw.recv(1) == b""


def test_vanished_client_cancels_its_frames(start_daemon, picture):
    daemon = start_daemon(settings=PATIENT)
    with daemon.web() as web:
        web.status()
        fds = daemon.fds()
        with held_workers(daemon):
            for calls in (1, 8, 12):  # the last one's end is not read, but noticed
                before = web.status()["frames"]["cancelled"]
                with contextlib.closing(connect(daemon)) as raw, memfd(picture) as fd:
                    for number in range(calls):
                        send_fds(raw, infer(fd=0, camera=f"camera-{calls}-{number}"), [fd])
                    wait_for(lambda: web.status()["frames"]["pending"] == min(calls, 8))
                wait_for(lambda: web.status()["frames"]["cancelled"] >= before + min(calls, 8))
                assert web.status()["frames"]["pending"] == 0
        assert web.infer(picture, camera="camera-8-0")["label"]
        wait_for(lambda: daemon.fds() == fds and web.status()["connections"] == 1)
        check_sum(web.status()["frames"])


def test_clients_that_vanish_at_any_byte(daemon, picture):
    data = infer(fd=0)
    with daemon.web() as web:
        web.status()
        fds = daemon.fds()
        for cut in range(1, len(data) + 1, 5):
            with contextlib.closing(connect(daemon)) as raw, memfd(picture) as fd:
                send_fds(raw, data[:cut], [fd])
        wait_for(lambda: web.status()["connections"] == 1 and daemon.fds() == fds)
        wait_for(lambda: web.status()["frames"]["pending"] == 0)
        check_sum(web.status()["frames"])


def test_slow_clients_are_dropped(start_daemon, picture):
    """One that does not finish its message, one that does not read: both are gone after their time. One that waits
    for its frame, and one whose messages always come in pieces, are not."""
    daemon = start_daemon(settings=PATIENT)
    status = message("io.ocellus.Status")
    frame = infer(data=base64.b64encode(picture).decode())
    before = daemon.rss(workers=False)
    with contextlib.ExitStack() as stack:
        still, deaf, patient, piecemeal = (stack.enter_context(connect(daemon)) for _ in range(4))
        with held_workers(daemon):
            still.sendall(b'{"method":')
            patient.sendall(frame[:20])
            piecemeal.sendall(status[:9])
            time.sleep(0.1)
            patient.sendall(frame[20:])
            deaf.settimeout(1)
            with contextlib.suppress(TimeoutError):
                while True:
                    deaf.sendall(100 * status)
            assert daemon.rss(workers=False) < before + 4 * MIB
            for _ in range(30):
                time.sleep(0.2)
                piecemeal.sendall(status[9:] + status[:9])
                assert read_reply(piecemeal)["parameters"]["ready"]
            assert still.recv(1) == b""
            with daemon.web() as web:
                wait_for(lambda: web.status()["connections"] == 3, 5)
        assert read_reply(patient)["parameters"]["result"]["label"]


def test_many_connections_come_and_go(daemon, picture):
    with daemon.web() as web:
        web.status()
        fds = daemon.fds()
        for _ in range(300):
            with daemon.eye() as eye:
                assert eye.infer(picture)["label"]
        wait_for(lambda: daemon.fds() == fds)
        with pytest.raises(ocellus.Error, match="NotFound"), daemon.eye() as eye:
            eye.infer(picture, model="none")
