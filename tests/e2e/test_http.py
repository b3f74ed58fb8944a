# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The HTTP door: every route and error, and clients that are slow, rude or many."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import ocellus
import pytest
from conftest import BUILD

MIB = 1 << 20
# For tests that hold the workers: nothing else may end a frame.
PATIENT = {"deadline": "60s", "worker_timeout": "60s"}


def connect(path, timeout=20):
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(timeout)
    raw.connect(path)
    return raw


def read_reply(raw):
    """(status, headers, body) of the next reply on a raw socket; reads not a byte beyond it."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = raw.recv(1)
        assert byte, f"the connection ended after {data!r}"
        data += byte
    lines = data.decode().split("\r\n")
    status = int(lines[0].split()[1])
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        piece = raw.recv(int(headers["content-length"]) - len(body))
        assert piece, "the connection ended in a body"
        body += piece
    return status, headers, json.loads(body) if body else None


def put_head(camera, length, *headers):
    lines = [f"PUT /v1/frames/{camera} HTTP/1.1", "Host: x", f"Content-Length: {length}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def error_of(reply):
    return reply["error"].rpartition(".")[2]


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def frames(daemon, camera=None):
    with daemon.web() as web:
        status = web.status()
    if camera is None:
        return status["frames"]
    return next(entry["frames"] for entry in status["cameras"] if entry["name"] == camera)


def check_sum(counters):
    ends = ("refused", "answered", "failed", "superseded", "expired", "cancelled", "pending")
    assert counters["received"] == sum(counters[end] for end in ends), counters


@contextlib.contextmanager
def held_workers(daemon):
    """All workers stand still, so that frames stay where they are."""
    with daemon.web() as web:
        wait_for(lambda: web.status()["workers"]["ready"] == web.status()["workers"]["configured"])
    workers = daemon.workers()
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)


# ---- Results and errors ----

@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_frame_gets_a_result(daemon, picture, method):
    with daemon.web() as web:
        status, first = web.request(method, "/v1/frames/porch", picture)
        _, second = web.request(method, "/v1/frames/porch?format=pnm", picture)
    assert status == 200
    assert first["camera"] == "porch"
    assert first["label"] in [score["label"] for score in first["scores"]]
    best = max(first["scores"], key=lambda score: score["score"])
    assert (best["label"], best["probability"]) == (first["label"], first["confidence"])
    assert sum(score["probability"] for score in first["scores"]) == pytest.approx(1, abs=1e-4)
    assert len(first["model"]["id"]) == 64
    assert first["image"] == {"format": "pnm", "width": 64, "height": 48, "orientation": 1, "reduction": 1}
    times = first["times_us"]
    assert 0 < times["wait"] + times["decode"] + times["gradient"] + times["network"] <= times["total"] + 1
    assert first["warnings"] == []
    assert first["frame"] < second["frame"] < 2**53
    assert first["scores"] == second["scores"]


def test_status_and_health(daemon, picture):
    with daemon.web() as web:
        assert web.request("GET", "/healthz") == (200, {"alive": True})
        assert web.request("GET", "/readyz") == (200, {"ready": True})
        web.infer(picture, camera="porch")
        status = web.status()
    assert status["ready"] and status["version"] and status["connections"] == 1
    assert [camera["name"] for camera in status["cameras"]] == ["porch"]
    assert status["cameras"][0]["frames"]["answered"] == 1
    assert 1 <= status["workers"]["ready"] <= status["workers"]["configured"] == 2
    assert all(len(model["labels"]) >= 2 for model in status["models"])
    assert status["limits"]["frame_bytes_max"] == 32 * MIB
    assert status["memory_bytes"]["daemon"] > 0 and status["memory_bytes"]["workers"] > 0
    assert status["memory_bytes"]["queue"] == 0
    check_sum(status["frames"])


SENSOR = "format=sensor&width=4&height=4&cfa=GBRG&packing=u8"
ERRORS = [
    ("GET", "/", b"", 404, "NotFound"),
    ("GET", "/v1", b"", 404, "NotFound"),
    ("GET", "/v1/status/", b"", 404, "NotFound"),
    ("GET", "/healthz2", b"", 404, "NotFound"),
    ("PUT", "/v1/frames/", b"x", 404, "NotFound"),
    ("PUT", "/v1/frames", b"x", 404, "NotFound"),
    ("GET", "/v1/frames/porch", b"", 405, "MethodNotFound"),
    ("DELETE", "/v1/frames/porch", b"", 405, "MethodNotFound"),
    ("PUT", "/v1/status", b"x", 405, "MethodNotFound"),
    ("GET", "/v1/status", b"x", 400, "BadRequest"),
    ("PUT", "/v1/frames/a%2Fb", b"x", 400, "BadRequest"),
    ("PUT", "/v1/frames/a/b", b"x", 400, "BadRequest"),
    ("PUT", "/v1/frames/..", b"x", 400, "BadRequest"),
    ("PUT", "/v1/frames/" + 64 * "a", b"x", 400, "BadRequest"),
    ("PUT", "/v1/frames/porch?what=1", b"x", 400, "BadRequest"),
    ("PUT", "/v1/frames/porch?format=png", b"x", 400, "BadRequest"),
    ("PUT", "/v1/frames/porch?format=sensor", b"x", 400, "BadRequest"),
    ("PUT", "/v1/frames/porch?" + SENSOR + "&black=255", b"0123456789abcdef", 400, "BadRequest"),
    ("PUT", "/v1/frames/porch?" + SENSOR, b"0123456789abcde", 422, "Corrupt"),
    ("PUT", "/v1/frames/porch", b"", 400, "BadRequest"),
    ("PUT", "/v1/frames/porch?model=none", b"x", 404, "NotFound"),
    ("PUT", "/v1/frames/garage", b"x", 403, "Forbidden"),
    ("PUT", "/v1/frames/porch", 100 * b"no image", 415, "Unsupported"),
    ("PUT", "/v1/frames/porch", b"P6\n64 48\n255\nxyz", 422, "Corrupt"),
    ("PUT", "/v1/frames/porch?format=jpeg", b"P6\n1 1\n255\nxyz", 422, "Corrupt"),
    ("PUT", "/v1/frames/porch", b"P5\n65535 65535\n255\n", 413, "TooLarge"),
    ("PUT", "/v1/frames/porch", bytes(MIB + 1), 413, "TooLarge"),
]


def test_errors(start_daemon, picture):
    daemon = start_daemon(settings={"frame_bytes_max": "1M"}, cameras={"garage": {"enabled": "no"}})
    for method, path, body, status, name in ERRORS:
        with daemon.web() as web:
            answer = web.request(method, path, body)
            assert (answer[0], error_of(answer[1])) == (status, name), (method, path)
            assert answer[1]["parameters"]["message"]
    with daemon.web() as web:
        assert web.infer(picture)["label"]
    check_sum(frames(daemon))
    assert frames(daemon, "garage")["refused"] == 1


def test_errors_leave_the_connection_in_step(daemon, picture):
    """Errors that were answered after a whole request do not end the connection."""
    with contextlib.closing(connect(daemon.http)) as raw:
        raw.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n" + put_head("a", 5) + b"12345" +
                    b"PATCH /v1/status HTTP/1.1\r\nHost: x\r\n\r\n" + put_head("b", len(picture)) + picture)
        replies = [read_reply(raw) for _ in range(4)]
    assert [reply[0] for reply in replies] == [404, 422, 405, 200]
    assert replies[2][1]["allow"] == "get"
    assert all(reply[1]["connection"] == "keep-alive" for reply in replies)


BAD_REQUESTS = [
    b"hello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n",
    b"PUT /v1/frames/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"PUT /v1/frames/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"PUT /v1/frames/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n12345",
    b"PUT /v1/frames/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
]


@pytest.mark.parametrize("request_bytes", BAD_REQUESTS)
def test_what_is_not_http_is_refused_once(daemon, request_bytes):
    with contextlib.closing(connect(daemon.http)) as raw:
        raw.sendall(request_bytes)
        status, headers, body = read_reply(raw)
        assert (status, error_of(body), headers["connection"]) == (400, "BadRequest", "close")
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(100) == b""


def test_head_has_a_limit(daemon):
    with contextlib.closing(connect(daemon.http)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + 20000 * b"a")
        assert read_reply(raw)[0] == 413


def test_compressed_body_is_unsupported(daemon, picture):
    with daemon.web() as web:
        status, body = web.request("PUT", "/v1/frames/a", picture, {"Content-Encoding": "gzip"})
    assert (status, error_of(body)) == (415, "Unsupported")


def test_sensor_buffer(daemon):
    buffer = bytes((x * 7 + y * 13) % 256 for y in range(48) for x in range(64))
    with daemon.web() as web, daemon.eye() as eye:
        by_http = web.infer(buffer, format="sensor", width=64, height=48, cfa="GBRG", packing="u8", black=3)
        by_varlink = eye.infer(buffer, sensor={"width": 64, "height": 48, "cfa": "GBRG", "packing": "u8", "black": 3})
        unlike = web.infer(buffer, format="sensor", width=64, height=48, cfa="RGGB", packing="u8", black=90)
    assert by_http["image"]["format"] == "sensor"
    assert by_http["scores"] == by_varlink["scores"] != unlike["scores"]


def test_model_of_request_camera_and_default(start_daemon, picture):
    daemon = start_daemon(cameras={"night": {"model": "cifar10-srgb3"}})
    with daemon.web() as web:
        assert web.infer(picture, camera="a")["model"]["name"] == "cifar10-lg3"
        assert web.infer(picture, camera="night")["model"]["name"] == "cifar10-srgb3"
        assert web.infer(picture, camera="a", model="cifar10-srgb3")["model"]["name"] == "cifar10-srgb3"


# ---- Ways to send ----

def test_expect_continue(start_daemon, picture):
    daemon = start_daemon(settings={"frame_bytes_max": "64K"})
    with contextlib.closing(connect(daemon.http)) as raw:
        for _ in range(2):
            raw.sendall(put_head("a", len(picture), "Expect: 100-continue"))
            assert read_reply(raw)[0] == 100
            raw.sendall(picture)
            assert read_reply(raw)[0] == 200
        # A frame that is refused is never asked for.
        raw.sendall(put_head("a", 70000, "Expect: 100-continue"))
        assert read_reply(raw)[0] == 413
    with contextlib.closing(connect(daemon.http)) as raw:
        raw.sendall(put_head("a", len(picture), "Expect: a-miracle"))
        assert read_reply(raw)[0] == 415


def test_chunks_of_any_size(start_daemon, picture):
    daemon = start_daemon(settings={"frame_bytes_max": "64K"})
    with daemon.web() as web:
        whole = web.infer(picture)
        for size in (1, 100, 4096, len(picture)):
            pieces = (picture[i:i + size] for i in range(0, len(picture), size))
            status, result = web.request("PUT", "/v1/frames/a", pieces)
            assert status == 200 and result["scores"] == whole["scores"]
    with daemon.web() as web:
        status, body = web.request("PUT", "/v1/frames/a", (bytes(1000) for _ in range(66)))
        assert (status, error_of(body)) == (413, "TooLarge")


def test_byte_by_byte(daemon, picture):
    request = put_head("a", len(picture)) + picture
    with contextlib.closing(connect(daemon.http)) as raw:
        for i in range(200):
            raw.sendall(request[i:i + 1])
        raw.sendall(request[200:])
        assert read_reply(raw)[0] == 200


def test_large_body_arrives_unchanged(daemon):
    """A body that grows through many sizes is the one that was sent: its result is that of the same pixels by fd."""
    picture = b"P6\n2000 1500\n255\n" + os.urandom(2000 * 1500 * 3)
    with daemon.web() as web, daemon.eye() as eye:
        by_varlink = eye.infer(picture)
        assert web.infer(picture)["scores"] == by_varlink["scores"]
        pieces = (picture[i:i + 70001] for i in range(0, len(picture), 70001))
        assert web.request("PUT", "/v1/frames/a", pieces)[1]["scores"] == by_varlink["scores"]


def test_pipelining_keeps_order(daemon, picture):
    """Far more than fits any buffer, and every reply in its place."""
    with contextlib.closing(connect(daemon.http)) as raw:
        requests = []
        for i in range(100):
            requests.append(put_head(f"camera-{i % 7}", len(picture)) + picture if i % 3 == 0 else
                            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" if i % 3 == 1 else
                            b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        sender = threading.Thread(target=raw.sendall, args=(b"".join(requests),))
        sender.start()
        for i in range(100):
            status, _, body = read_reply(raw)
            assert status == (200, 200, 404)[i % 3]
            if i % 3 == 0:
                assert body["camera"] == f"camera-{i % 7}"
        sender.join()


def test_keep_alive_and_close(daemon):
    head = b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.closing(connect(daemon.http)) as raw:
        raw.sendall(head + head)  # the body of this error would be taken for the next reply
        assert read_reply(raw)[:2] == (405, {"content-type": "application/json", "content-length": "114",
                                             "allow": "get", "connection": "close"})
        assert raw.recv(1) == b""
    for request, kept in [(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", True),
                          (b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
                          (b"GET /healthz HTTP/1.0\r\n\r\n", False),
                          (b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True)]:
        with contextlib.closing(connect(daemon.http)) as raw:
            raw.sendall(request)
            assert read_reply(raw)[1]["connection"] == ("keep-alive" if kept else "close")
            if kept:
                raw.sendall(request)
                assert read_reply(raw)[0] == 200
            else:
                assert raw.recv(1) == b""


def test_half_closed_client_gets_its_reply(daemon, picture):
    with contextlib.closing(connect(daemon.http)) as raw:
        raw.sendall(put_head("a", len(picture)) + picture + put_head("b", len(picture)) + picture)
        raw.shutdown(socket.SHUT_WR)
        assert read_reply(raw)[2]["camera"] == "a"
        assert read_reply(raw)[2]["camera"] == "b"
        assert raw.recv(1) == b""


def test_refused_upload_still_reads_its_reply(start_daemon):
    """A client that sends all of a body that is too large finds the reply, not a broken connection."""
    daemon = start_daemon(settings={"frame_bytes_max": "1M"})
    for _ in range(10):
        with daemon.web() as web:
            assert web.request("PUT", "/v1/frames/a", bytes(8 * MIB))[0] == 413


def test_tcp(start_daemon, picture, tmp_path):
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, line = subprocess.run([BUILD / "clients" / "ocellus", "token", "client", "kitchen"], capture_output=True,
                                 text=True, check=True).stdout.splitlines()
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# of the kitchen\n{line}\n")
    daemon = start_daemon(settings={"http_tcp": f"127.0.0.1:{port}", "tokens": tokens})
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as web:
        for header in ({}, {"Authorization": f"Bearer {token[:-1]}"}, {"Authorization": f"Basic {token}"},
                       {"Authorization": f"Bearer {token} "[:-1] + "x"}, {"Authorization": "Bearer "}):
            web.request("GET", "/v1/status", headers=header)
            response = web.getresponse()
            assert response.status == 401 and response.headers["WWW-Authenticate"] == "Bearer"
            assert json.loads(response.read())["error"] == "io.ocellus.Forbidden"
        for path in ("/healthz", "/readyz"):
            web.request("GET", path)
            response = web.getresponse()
            assert response.status == 200 and response.read()
        good = {"Authorization": f"Bearer {token}"}
        for _ in range(2):
            web.request("PUT", "/v1/frames/yard", picture, headers=good)
            response = web.getresponse()
            assert response.status == 200 and json.loads(response.read())["camera"] == "yard"
        web.request("POST", "/v1/reload", headers=good)
        response = web.getresponse()
        assert response.status == 403 and response.read()
        # A token of one request is not that of the next.
        web.request("GET", "/v1/status")
        response = web.getresponse()
        assert response.status == 401 and response.read()
        with daemon.web() as local:
            tokens.write_text("client kitchen 12\n")
            daemon.expect("reload: .*tokens:1: a token is told by")
            assert local.request("POST", "/v1/reload")[0] == 400
            web.request("GET", "/v1/status", headers=good)
            response = web.getresponse()
            assert response.status == 200 and response.read()
            tokens.write_text("")
            assert local.request("POST", "/v1/reload")[0] == 200
        web.request("GET", "/v1/status", headers=good)
        response = web.getresponse()
        assert response.status == 401 and response.read()
    assert "a token that is not known, from ::ffff:127.0.0.1" in daemon.stderr() and token not in daemon.stderr()


# ---- Slow, vanishing and many clients ----

def test_slow_clients_are_dropped(daemon, picture):
    """A head that trickles, a body that stands still, a body that trickles: each is over within its time, and a good
    client is served meanwhile."""
    trickle_head, still_body, trickle_body = (connect(daemon.http) for _ in range(3))
    trickle_head.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    still_body.sendall(put_head("a", 1000) + b"12345")
    trickle_body.sendall(put_head("a", 100000))
    start = time.monotonic()
    over = {}
    while len(over) < 3:
        assert time.monotonic() - start < 10
        time.sleep(0.3)
        with daemon.web() as web:
            assert web.infer(picture, camera="good")["label"]
        for raw, byte in ((trickle_head, b"A"), (still_body, b""), (trickle_body, b"x")):
            if raw in over:
                continue
            with contextlib.suppress(BrokenPipeError):
                raw.sendall(byte)
            raw.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                over[raw] = raw.recv(12)
            raw.settimeout(20)
    assert set(over.values()) == {b"HTTP/1.1 400"}
    assert time.monotonic() - start > 4
    for raw in over:
        raw.close()


def test_client_that_does_not_read_is_dropped(daemon):
    before = daemon.rss(workers=False)
    with contextlib.closing(connect(daemon.http)) as raw:
        raw.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while True:
                raw.sendall(100 * b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert daemon.rss(workers=False) < before + 4 * MIB
        wait_for(lambda: json.loads(json.dumps(connections(daemon))) == 1, 12)


def connections(daemon):
    with daemon.web() as web:
        return web.status()["connections"]


def test_clients_that_vanish(daemon, picture):
    """At any byte of a request, and while the frame is at work: nothing stays behind."""
    request = put_head("a", len(picture), "Expect: 100-continue") + picture
    connections(daemon)
    fds = daemon.fds()
    for cut in [0, 1, 10, len(request) - len(picture), len(request) - len(picture) + 1, len(request) - 1, len(request)]:
        for rude in (False, True):
            raw = connect(daemon.http)
            raw.sendall(request[:cut])
            if rude:
                raw.shutdown(socket.SHUT_RDWR)
            raw.close()
    wait_for(lambda: connections(daemon) == 1 and daemon.fds() == fds)
    wait_for(lambda: frames(daemon)["pending"] == 0)
    check_sum(frames(daemon))
    with daemon.web() as web:  # a frame at work keeps its bytes until the worker is done with it
        wait_for(lambda: web.status()["memory_bytes"]["queue"] == 0)


def test_vanished_client_cancels_its_frames(start_daemon, picture):
    daemon = start_daemon(settings=PATIENT)
    with held_workers(daemon):
        clients = [connect(daemon.http) for _ in range(4)]
        for number, raw in enumerate(clients):
            raw.sendall(put_head(f"camera-{number}", len(picture)) + picture)
        wait_for(lambda: frames(daemon)["pending"] == 4)
        for raw in clients:
            raw.close()
        wait_for(lambda: frames(daemon)["cancelled"] == 4)
        assert frames(daemon)["pending"] == 0
    with daemon.web() as web:
        assert web.infer(picture, camera="camera-0")["label"]
        wait_for(lambda: web.status()["memory_bytes"]["queue"] == 0)
    check_sum(frames(daemon))


def test_newest_frame_wins(start_daemon, picture):
    daemon = start_daemon(settings=PATIENT)
    with held_workers(daemon):
        clients = [connect(daemon.http) for _ in range(4)]
        for number, raw in enumerate(clients):
            raw.sendall(put_head("porch", len(picture)) + picture)
            wait_for(lambda number=number: frames(daemon)["received"] == number + 1)
        # The first is in work, the last waits; those between were pushed out, and told at once.
        for raw in clients[1:3]:
            status, headers, body = read_reply(raw)
            assert (status, error_of(body), headers["retry-after"]) == (503, "TooBusy", "1")
            assert "newer" in body["parameters"]["message"]
    assert [read_reply(raw)[0] for raw in (clients[0], clients[3])] == [200, 200]
    counters = frames(daemon, "porch")
    assert (counters["answered"], counters["superseded"], counters["pending"]) == (2, 2, 0)
    check_sum(counters)
    for raw in clients:
        raw.close()


def test_overload_answers_busy_and_counts_add_up(start_daemon, picture):
    daemon = start_daemon(settings={"workers": 1})
    seen, lock = [], threading.Lock()

    def client(number):
        with daemon.web() as web:
            for _ in range(40):
                status, _ = web.request("PUT", f"/v1/frames/camera-{number % 2}", picture)
                with lock:
                    seen.append(status)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counters = frames(daemon)
    assert len(seen) == counters["received"] == 480 and set(seen) == {200, 503}
    assert seen.count(200) == counters["answered"]
    assert seen.count(503) == counters["superseded"] + counters["refused"]
    check_sum(counters)


def test_deadline_while_waiting_and_in_work(start_daemon, picture):
    daemon = start_daemon(settings={"deadline": "200ms", "workers": 2})
    with held_workers(daemon):
        start = time.monotonic()
        clients = [connect(daemon.http) for _ in range(3)]
        for number, raw in enumerate(clients):
            raw.sendall(put_head(f"camera-{number}", len(picture)) + picture)
        replies = [read_reply(raw) for raw in clients]
        assert time.monotonic() - start < 1
        for raw in clients:
            raw.close()
    assert [(reply[0], error_of(reply[2])) for reply in replies] == 3 * [(504, "Deadline")]
    counters = frames(daemon)
    assert (counters["expired"], counters["pending"]) == (3, 0)
    check_sum(counters)

    def served():
        with daemon.web() as web:
            return web.request("PUT", "/v1/frames/camera-0", picture)[0] == 200

    wait_for(served)


def test_bodies_have_a_common_limit(start_daemon, picture):
    """A length alone holds nothing; bytes do, up to queue-bytes-max, and they come back."""
    daemon = start_daemon(settings={"frame_bytes_max": "4M", "queue_bytes_max": "8M"})
    clients = [connect(daemon.http) for _ in range(4)]
    for number, raw in enumerate(clients):
        raw.sendall(put_head(f"camera-{number}", 4 * MIB))
    with daemon.web() as web:
        assert web.status()["memory_bytes"]["queue"] <= 2 * MIB
        for raw in clients[:2]:
            raw.sendall(bytes(4 * MIB - 1))
        wait_for(lambda: web.status()["memory_bytes"]["queue"] == 8 * MIB)
        status, reply = web.request("PUT", "/v1/frames/x", picture)
        assert (status, error_of(reply)) == (503, "TooBusy")
    for raw in clients:
        raw.close()
    with daemon.web() as web:
        wait_for(lambda: web.status()["memory_bytes"]["queue"] == 0)
        assert web.infer(picture)["label"]


def test_connections_of_one_user_are_limited(daemon, picture):
    with daemon.web() as web:
        wait_for(lambda: web.status()["connections"] == 1)
        fds = daemon.fds() - 1
    held = [connect(daemon.http) for _ in range(40)] + [connect(daemon.varlink) for _ in range(24)]
    # Each listener has a queue of its own: one more could be taken from one before the other is empty.
    wait_for(lambda: daemon.fds() == fds + 64)
    with contextlib.closing(connect(daemon.http)) as raw:
        status, headers, body = read_reply(raw)
        assert (status, error_of(body), headers["retry-after"]) == (503, "TooBusy", "1")
        assert raw.recv(1) == b""
    with contextlib.closing(connect(daemon.varlink)) as raw:
        assert json.loads(raw.recv(1000).rstrip(b"\0"))["error"] == "io.ocellus.TooBusy"
    for raw in held:
        raw.close()

    def served():
        with contextlib.suppress(ocellus.Error, OSError, http.client.HTTPException), daemon.web() as web:
            return bool(web.infer(picture)["label"])
        return False

    wait_for(served)


def test_cameras_make_room_for_each_other(start_daemon, picture):
    daemon = start_daemon(settings={"cameras_max": 3, **PATIENT}, cameras={"porch": {}})
    with daemon.web() as web:
        for camera in ("a", "b", "a", "c"):
            web.infer(picture, camera=camera)
        status = web.status()
        assert sorted(entry["name"] for entry in status["cameras"]) == ["a", "c", "porch"]
        assert status["frames"]["answered"] == 4
        check_sum(status["frames"])
        with held_workers(daemon):
            clients = [connect(daemon.http) for _ in range(3)]
            for camera, raw in zip(("porch", "a", "c"), clients):
                raw.sendall(put_head(camera, len(picture)) + picture)
            wait_for(lambda: web.status()["frames"]["pending"] == 3)
            refused = web.request("PUT", "/v1/frames/d", picture)
            assert (refused[0], error_of(refused[1])) == (503, "TooBusy")
        assert [read_reply(raw)[0] for raw in clients] == 3 * [200]
        for raw in clients:
            raw.close()
