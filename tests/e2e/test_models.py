# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Models that an operator hands in while the daemon runs: all of it or nothing, kept over a restart, and a way back."""

import hashlib
import json
import os
import shutil
import signal
import threading
import time

import ocellus
import pytest
from conftest import MODELS, SOURCE
from test_client import ALL_WELL, SOME_FAILED, USAGE, run
from test_http import wait_for
from test_reload import model_id, reload

NAME = "cifar10-lg3"
OTHER, THIRD = MODELS / "cifar10-srgb3.safetensors", MODELS / "binary.safetensors"


@pytest.fixture
def daemon(start_daemon):
    """One model, and a place to keep others."""
    return start_daemon(models={NAME: MODELS / f"{NAME}.safetensors"}, adaptation={})


def kept(daemon):
    """Names of files that are kept for the model."""
    directory = daemon.directory / "state" / ".models" / NAME
    return sorted(os.listdir(directory)) if directory.exists() else []


def loaded(daemon):
    with daemon.eye() as eye:
        return eye.status()["models"][0]["loaded"]


def restart(daemon):
    daemon.stop()
    daemon.start()


def load(daemon, file, **options):
    """What came of it: the model's new id, or the name of the error and its message."""
    with daemon.eye() as eye:
        try:
            return eye.load_model(file, **options)["id"]
        except ocellus.Error as error:
            return error.name.removeprefix("io.ocellus."), error.message


def rollback(daemon):
    with daemon.eye() as eye:
        try:
            return eye.rollback_model()["id"]
        except ocellus.Error as error:
            return error.name.removeprefix("io.ocellus.")


def test_a_model_stays_until_it_is_taken_back(daemon, picture):
    first = model_id(daemon, picture)
    second = load(daemon, OTHER)
    assert second != first and model_id(daemon, picture) == second and loaded(daemon)
    restart(daemon)
    assert model_id(daemon, picture) == second and loaded(daemon)
    third = load(daemon, THIRD, model=NAME)
    assert len({first, second, third}) == 3 and model_id(daemon, picture) == third
    assert kept(daemon) == ["current", "previous"]
    reload(daemon)
    restart(daemon)
    assert model_id(daemon, picture) == third
    assert rollback(daemon) == second == model_id(daemon, picture) and kept(daemon) == ["current"]
    restart(daemon)
    assert model_id(daemon, picture) == second
    assert rollback(daemon) == first == model_id(daemon, picture) and not loaded(daemon)
    restart(daemon)
    assert model_id(daemon, picture) == first and kept(daemon) == []
    assert rollback(daemon) == "NotFound"


def test_the_same_model_twice(daemon, picture):
    assert load(daemon, OTHER) == load(daemon, OTHER) == rollback(daemon) == model_id(daemon, picture)
    assert rollback(daemon) != model_id(daemon, picture) or not loaded(daemon)


def test_command(daemon, picture):
    second = load(daemon, OTHER)
    assert rollback(daemon) != second
    said = run("model", "load", OTHER, socket=daemon.varlink)
    assert said.returncode == ALL_WELL and said.stdout.decode() == f"{NAME}: {second[:16]} is in force (configuration 4)\n"
    said = run("model", "load", THIRD, "--sha256", "0" * 64, socket=daemon.varlink)
    assert said.returncode == SOME_FAILED and b"another SHA-256" in said.stderr
    said = run("model", "rollback", "--model", NAME, "--json", socket=daemon.varlink)
    assert said.returncode == ALL_WELL and json.loads(said.stdout)["id"] == model_id(daemon, picture) != second
    said = run("reload", socket=daemon.varlink)
    assert said.returncode == ALL_WELL and said.stdout == b"configuration 6 is in force\n"
    assert run("model", "load", socket=daemon.varlink).returncode == USAGE
    assert run("model", "load", "/nowhere", socket=daemon.varlink).returncode == SOME_FAILED


def hostile_files(directory):
    """Files that are no models, or none that can be used here."""
    good = OTHER.read_bytes()
    texts = {"empty": b"", "truncated": good[:-1], "head": good[:100], "longer": good + b"\0" * 100, "noise": os.urandom(4096)}
    for name, text in texts.items():
        (directory / name).write_bytes(text)
    yield from (directory / name for name in texts)
    yield from sorted((SOURCE / "tests" / "fuzz" / "corpus" / "model").iterdir())[:40]


def test_what_cannot_be_used_changes_nothing(daemon, picture, tmp_path):
    daemon.expect("reload: ")
    before, fds = model_id(daemon, picture), daemon.fds()
    refused = 0
    for file in hostile_files(tmp_path):
        answer = load(daemon, file)
        if isinstance(answer, tuple):
            assert answer[0] == "BadRequest" and answer[1], file
            refused += 1
        else:
            rollback(daemon)  # the corpus has good models too
        assert model_id(daemon, picture) == before and kept(daemon) == []
    assert refused >= 5
    assert load(daemon, OTHER, sha256=hashlib.sha256(b"").hexdigest()) == ("BadRequest", "the file has another SHA-256")
    assert load(daemon, OTHER, sha256="00") == ("BadRequest", "sha256 is 64 hexadecimal digits")
    assert load(daemon, OTHER, model="nobody")[0] == "NotFound"
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.truncate((64 << 20) + 1)
    assert load(daemon, large, sha256="0" * 64)[0] == "TooLarge"
    reading, writing = os.pipe()
    with daemon.eye() as eye:
        with pytest.raises(ocellus.Error, match="regular file"):
            eye.call("io.ocellus.LoadModel", {"fd": 0, "sha256": "0" * 64}, [reading])
        for parameters in ({}, {"fd": 0}, {"sha256": "0" * 64}, {"fd": 1, "sha256": "0" * 64}):
            with pytest.raises(ocellus.Error, match="BadRequest"):
                eye.call("io.ocellus.LoadModel", parameters, [reading] if "fd" in parameters else [])
    os.close(reading)
    os.close(writing)
    assert model_id(daemon, picture) == before and kept(daemon) == []
    wait_for(lambda: daemon.fds() <= fds)


def test_no_reply_is_lost_meanwhile(daemon, picture):
    """Frames are judged by one model or the other while they change twenty times."""
    ids, answers, done = {model_id(daemon, picture)}, [], threading.Event()

    def post(camera):
        with daemon.web() as web:
            while not done.is_set():
                status, reply = web.request("PUT", f"/v1/frames/{camera}", picture)
                answers.append(reply["model"]["id"] if status == 200 else reply)

    threads = [threading.Thread(target=post, args=[f"c{number}"]) for number in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        ids |= {load(daemon, OTHER), rollback(daemon)}
    done.set()
    for thread in threads:
        thread.join()
    assert len(ids) == 2 and all(answer in ids for answer in answers) and ids <= set(answers)


def test_one_at_a_time_and_clients_that_leave(daemon, picture):
    """Of two that ask at once one may be told to come again; who has left is obeyed all the same."""
    before = model_id(daemon, picture)
    digest = hashlib.sha256(OTHER.read_bytes()).hexdigest()
    with open(OTHER, "rb") as file, daemon.eye() as eye, daemon.eye() as other:
        for client in (eye, other):
            client.send("io.ocellus.LoadModel", {"fd": 0, "sha256": digest}, [file.fileno()])
        replies = [client.receive() for client in (eye, other)]
        good = [reply for reply in replies if "error" not in reply]
        assert good and all(reply["error"] == "io.ocellus.TooBusy" for reply in replies if reply not in good)
        while rollback(daemon) != before:
            pass
        eye.send("io.ocellus.LoadModel", {"fd": 0, "sha256": digest}, [file.fileno()])
    while load(daemon, OTHER)[0] == "TooBusy":
        pass
    assert model_id(daemon, picture) == good[0]["parameters"]["id"]


def test_reloads_beside_it(daemon, picture):
    """SIGHUP at any time of a load takes the model from before or the new one, never half of one."""
    ids = {model_id(daemon, picture)}
    done = threading.Event()

    def reload_often():
        while not done.is_set():
            daemon.process.send_signal(signal.SIGHUP)
            time.sleep(0.003)

    thread = threading.Thread(target=reload_often)
    thread.start()
    for _ in range(15):
        ids |= {load(daemon, OTHER), rollback(daemon)}
    done.set()
    thread.join()
    assert len(ids) == 2 and reload(daemon) > 30 and model_id(daemon, picture) in ids


def test_killed_at_any_time(daemon, picture):
    """After a crash there is the model from before or the one that was handed in; once told, the latter."""
    first, second = model_id(daemon, picture), load(daemon, OTHER)
    assert rollback(daemon) == first
    digest = hashlib.sha256(OTHER.read_bytes()).hexdigest()
    seen = set()
    for turn in range(12):
        with open(OTHER, "rb") as file, daemon.eye() as eye:
            eye.send("io.ocellus.LoadModel", {"fd": 0, "sha256": digest}, [file.fileno()])
            eye.socket.settimeout(0.004 * turn if turn < 11 else 30)
            try:
                told = eye.receive()
            except (TimeoutError, BlockingIOError):
                told = None
            daemon.kill()
        daemon.start()
        now = model_id(daemon, picture)
        assert now in (first, second) and (told is None or now == second)
        seen.add(now)
        while now == second and rollback(daemon) != first:
            pass
    assert second in seen


def test_damaged_file_gives_way_to_the_configured_one(daemon, picture):
    before = model_id(daemon, picture)
    load(daemon, OTHER)
    daemon.stop()
    with open(daemon.directory / "state" / ".models" / NAME / "current", "r+b") as file:
        file.truncate(1000)
    daemon.expect("as it was loaded: .*; the configured file is used")
    daemon.start()
    assert model_id(daemon, picture) == before and not loaded(daemon)
    assert "the configured file is used" in daemon.stderr()
    assert load(daemon, OTHER) == model_id(daemon, picture)


def test_full_disk(start_daemon, picture):
    """Nothing changes when the file cannot be kept."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    daemon = start_daemon(models={NAME: MODELS / f"{NAME}.safetensors"}, adaptation={})
    state = daemon.directory / "state"
    state.mkdir()
    if os.system(f"mount -t tmpfs -o size=64k tmpfs {state} 2>/dev/null") != 0:
        pytest.skip("mounting is not allowed here")
    try:
        before = model_id(daemon, picture)
        assert load(daemon, THIRD) == ("Internal", "the model cannot be kept: No space left on device")
        assert model_id(daemon, picture) == before and kept(daemon) == []
    finally:
        os.system(f"umount {state}")


def test_no_place_to_keep_it(start_daemon, picture):
    daemon = start_daemon(models={NAME: MODELS / f"{NAME}.safetensors"})
    before = model_id(daemon, picture)
    assert load(daemon, OTHER) == ("BadRequest", "there is no place to keep models: set 'state' in [adaptation]")
    assert model_id(daemon, picture) == before


def test_model_that_somebody_learns_over(start_daemon, picture):
    """What was learned belongs to the model below it."""
    daemon = start_daemon(models={NAME: MODELS / f"{NAME}.safetensors"}, adaptation={}, cameras={"porch": {"adapter": "yard"}})
    daemon.expect("reload: ")
    before = model_id(daemon, picture)
    error, message = load(daemon, OTHER)
    assert error == "BadRequest" and "the model of an adapter cannot change" in message
    assert model_id(daemon, picture) == before and kept(daemon) == []


def test_stop_in_the_middle(daemon):
    digest = hashlib.sha256(OTHER.read_bytes()).hexdigest()
    with open(OTHER, "rb") as file, daemon.eye() as eye:
        eye.send("io.ocellus.LoadModel", {"fd": 0, "sha256": digest}, [file.fileno()])
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(20) == 0
