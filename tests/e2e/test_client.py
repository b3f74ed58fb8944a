# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The command `ocellus` as a script sees it: lines, JSON, exit codes, and what it says when something is wrong."""

import json
import os
import signal
import subprocess

import pytest

from conftest import BUILD, SOURCE

GOLDEN = SOURCE / "tests" / "data" / "golden"
ALL_WELL, SOME_FAILED, USAGE, NO_DAEMON = 0, 1, 2, 3


def run(*arguments, socket=None, **options):
    environment = {key: value for key, value in os.environ.items() if key != "OCELLUS_SOCKET"}
    if socket is not None:
        environment["OCELLUS_SOCKET"] = socket
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([BUILD / "clients" / "ocellus", *map(str, arguments)], capture_output=True, timeout=60,
                          env=environment, **options)


def lines(result):
    return result.stdout.decode().splitlines()


def test_one_line_for_each_file(daemon):
    files = sorted(GOLDEN.glob("*.jpg"))
    result = run("infer", *files, socket=daemon.varlink)
    assert result.returncode == ALL_WELL and result.stderr == b""
    assert len(lines(result)) == len(files) >= 2
    for file, line in zip(files, lines(result)):
        assert line.startswith(f"{file}: ") and "%" in line and "decode" in line and "network" in line


def test_json_is_what_the_daemon_says(daemon):
    file = GOLDEN / "road.jpg"
    result = run("infer", "--json", "--camera", "porch", file, "--socket", daemon.varlink)
    assert result.returncode == ALL_WELL and len(lines(result)) == 1
    said = json.loads(lines(result)[0])
    assert said.pop("file") == str(file) and said["camera"] == "porch"
    with daemon.eye() as eye:
        again = eye.infer(file, camera="porch")
    for changing in ("frame", "times_us"):
        assert type(said.pop(changing)) is type(again.pop(changing))
    assert said == again


def test_frames_that_fail(daemon, tmp_path):
    broken, good = tmp_path / "broken \"quoted\".jpg", GOLDEN / "road.jpg"
    broken.write_bytes(good.read_bytes()[:300])
    result = run("infer", "--json", broken, tmp_path / "missing", tmp_path, good, socket=daemon.varlink)
    assert result.returncode == SOME_FAILED
    said = [json.loads(line) for line in lines(result)]
    assert [entry["file"] for entry in said] == [str(broken), str(tmp_path / "missing"), str(tmp_path), str(good)]
    assert [entry.get("error") for entry in said] == ["corrupt", "unreadable", "unreadable", None]
    assert all(entry["message"] for entry in said[:3]) and said[3]["label"]
    assert result.stderr.decode().count("\n") == 3


def test_unknown_model_and_bad_camera(daemon):
    result = run("infer", "--model", "owl", GOLDEN / "road.jpg", socket=daemon.varlink)
    assert result.returncode == SOME_FAILED and b"not found" in result.stderr
    result = run("infer", "--camera", "../x", GOLDEN / "road.jpg", socket=daemon.varlink)
    assert result.returncode == SOME_FAILED and b"bad request" in result.stderr


@pytest.mark.parametrize("way", ["pipe", "file", "fifo"])
def test_streams(daemon, tmp_path, way):
    picture = GOLDEN / "road.jpg"
    if way == "pipe":
        result = run("infer", "-", socket=daemon.varlink, input=picture.read_bytes())
    elif way == "file":
        with open(picture, "rb") as file:
            result = run("infer", "-", socket=daemon.varlink, stdin=file)
    else:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        with subprocess.Popen(["cp", picture, fifo]):
            result = run("infer", fifo, socket=daemon.varlink)
    assert result.returncode == ALL_WELL, result.stderr
    with daemon.eye() as eye:
        assert f": {eye.infer(picture)['label']} " in lines(result)[0]


def test_status(daemon):
    run("infer", "--camera", "porch", GOLDEN / "road.jpg", socket=daemon.varlink)
    result = run("status", "--json", socket=daemon.varlink)
    assert result.returncode == ALL_WELL and len(lines(result)) == 1
    with daemon.eye() as eye:
        assert json.loads(lines(result)[0]).keys() == eye.status().keys()
    result = run("status", socket=daemon.varlink)
    assert result.returncode == ALL_WELL
    text = result.stdout.decode()
    assert "2 of 2 ready" in text and "1 received, 1 answered" in text and "camera    porch" in text


@pytest.mark.parametrize("arguments", [
    [], ["infer"], ["status", "x"], ["look", "x"], ["infer", "--nonsense", "x"], ["infer", "x", "--camera"]])
def test_wrong_usage(arguments):
    result = run(*arguments, socket="/nowhere")
    assert result.returncode == USAGE and b"--help" in result.stderr and result.stdout == b""


def test_help_and_version():
    assert b"exit status" in run("--help").stdout
    assert run("--version").stdout.startswith(b"ocellus ")


def test_no_daemon(tmp_path):
    result = run("infer", GOLDEN / "road.jpg", "--socket", tmp_path / "socket")
    assert result.returncode == NO_DAEMON
    assert b"no daemon at" in result.stderr and b"Is ocellusd running?" in result.stderr
    assert run("status", "--socket", "/" + 200 * "x").returncode == NO_DAEMON


def test_daemon_that_stalls_and_dies(daemon):
    """The daemon is held before it reads the call and killed: the command says so at once."""
    os.kill(daemon.pid, signal.SIGSTOP)
    client = subprocess.Popen([BUILD / "clients" / "ocellus", "infer", GOLDEN / "road.jpg", GOLDEN / "disc.jpg",
                               "--socket", daemon.varlink], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.3)
    finally:
        daemon.kill()
    _, errors = client.communicate(timeout=30)
    assert client.returncode == NO_DAEMON and errors.count(b"disconnected") == 1


def test_full_disk(daemon):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([BUILD / "clients" / "ocellus", "status", "--socket", daemon.varlink], stdout=full,
                                stderr=subprocess.PIPE)
    assert result.returncode == SOME_FAILED and b"cannot write" in result.stderr
