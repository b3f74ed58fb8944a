# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Reloads by method and by SIGHUP: all at once or not at all, and no client notices but by what it is told.

OCELLUS_RELOADS: reloads under load, default 500; the campaign `reload` runs 10,000.
"""

import collections
import os
import re
import signal
import threading
import time

import ocellus
import pytest

from conftest import MODELS
from test_http import PATIENT, held_workers, wait_for
from test_service import manage, Manager  # noqa: F401

RELOADS = int(os.environ.get("OCELLUS_RELOADS", "500"))


def reload(daemon):
    """The number of the configuration in force, or the message of the error."""
    with daemon.eye() as eye:
        try:
            return eye.call("io.ocellus.Reload")["configuration"]
        except ocellus.Error as error:
            assert error.name == "io.ocellus.BadRequest"
            return error.message


def replace(daemon, pattern, text):
    """Change the file as an editor does, in one step."""
    old = daemon.config.read_text()
    new = re.sub(pattern, text, old)
    assert new != old
    write(daemon, new)


def write(daemon, text):
    draft = daemon.config.with_suffix(".new")
    draft.write_text(text)
    draft.rename(daemon.config)


def other_model(daemon, name="cifar10-lg3"):
    """The configuration with another file under the model's name."""
    return daemon.config.read_text().replace(f"{name}.safetensors", "cifar10-srgb3.safetensors")


def model_id(daemon, picture, camera="default"):
    with daemon.web() as web:
        return web.infer(picture, camera)["model"]["id"]


def test_cameras_and_limits_change_at_once(daemon, picture):
    workers = daemon.workers()
    with daemon.web() as web, daemon.eye() as eye:
        assert web.infer(picture, "porch")["model"]["name"] == "cifar10-lg3"
        write(daemon, daemon.config.read_text() + "[camera porch]\nmodel = cifar10-srgb3\n[camera gone]\nenabled = no\n")
        assert reload(daemon) == 2
        # Connections that are open see it too.
        assert web.infer(picture, "porch")["model"]["name"] == "cifar10-srgb3"
        with pytest.raises(ocellus.Error, match="disabled"):
            eye.infer(picture, "gone")
        assert [camera["name"] for camera in web.status()["cameras"]] == ["porch", "gone"]
        assert web.status()["configuration"] == 2
        replace(daemon, "workers = 2", "workers = 2\nframe-bytes-max = 4K")
        assert reload(daemon) == 3
        with pytest.raises(ocellus.Error, match="TooLarge|limit"):
            eye.infer(picture)
    wait_for(lambda: not set(daemon.workers()) & set(workers))  # a worker's memory depends on that limit


def test_workers_stay_when_only_the_configuration_changes(daemon, picture):
    workers = daemon.workers()
    replace(daemon, "workers = 2", "workers = 2\ndeadline = 500ms")
    with daemon.web() as web:
        web.request("POST", "/v1/reload")
        assert web.status()["limits"]["deadline_ms"] == 500
        assert web.infer(picture)["label"]
    assert daemon.workers() == workers


def test_new_model_under_the_same_name(daemon, picture):
    before = model_id(daemon, picture)
    write(daemon, other_model(daemon))
    assert reload(daemon) == 2
    after = model_id(daemon, picture)
    assert before != after
    time.sleep(0.1)  # connections of before are closed
    fds = daemon.fds()
    for _ in range(3):
        write(daemon, daemon.config.read_text() + "# touched\n")
        reload(daemon)
    wait_for(lambda: daemon.fds() <= fds and len(daemon.workers()) == 2)


BROKEN = {
    "unknown key": ("workers = 2", "wokers = 2", r":\d+: unknown key 'wokers'"),
    "no number": ("workers = 2", "workers = many", r":\d+: .workers. is not a number"),
    "no model": (r"cifar10-lg3\.safetensors", "nowhere.safetensors", r"model cifar10-lg3: .*nowhere.*No such file"),
    "no such worker": (r"worker = .*", "worker = /nowhere", "workers: /nowhere: No such file"),
    "workers that end": (r"worker = .*", "worker = /bin/false", "workers do not get ready"),
    "other socket": (r"http = .*", "http = /nowhere", "http cannot change without a restart"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_is_told_and_changes_nothing(manage, picture, what):  # noqa: F811
    manager = manage().launch()
    manager.wait("READY")
    daemon = manager.daemon
    daemon.expect("reload: ")
    daemon.expect("workers failed")
    before, workers, fds = model_id(daemon, picture), daemon.workers(), daemon.fds()
    good = daemon.config.read_text()
    pattern, text, words = BROKEN[what]
    replace(daemon, pattern, text)
    message = reload(daemon)
    assert re.search(words, message) and message.startswith(str(daemon.config)), message
    state = manager.wait("RELOADING")[1]
    assert abs(int(state["MONOTONIC_USEC"]) / 1e6 - time.monotonic()) < 15
    state = manager.wait("READY")[1]
    assert re.search(words, state["STATUS"])
    assert re.search("reload: .*" + words, daemon.stderr())
    with daemon.web() as web:
        assert re.search(words, web.status()["reload_error"]) and web.status()["configuration"] == 1
    assert model_id(daemon, picture) == before and daemon.workers() == workers
    wait_for(lambda: daemon.fds() <= fds)
    write(daemon, good)
    assert reload(daemon) == 2
    assert "reload failed" not in manager.wait("READY")[1]["STATUS"]
    with daemon.web() as web:
        assert "reload_error" not in web.status()


def test_hangup(manage, picture):  # noqa: F811
    manager = manage().launch()
    manager.wait("READY")
    before = model_id(manager.daemon, picture)
    write(manager.daemon, other_model(manager.daemon))
    os.kill(manager.daemon.pid, signal.SIGHUP)
    manager.wait("RELOADING")
    manager.wait("READY")
    assert model_id(manager.daemon, picture) != before


def test_frame_in_work_ends_by_what_admitted_it(start_daemon, picture):
    """One frame is held in a worker and one waits; both see the old model, and the next the new one."""
    daemon = start_daemon(settings=PATIENT)
    results = {}
    old = model_id(daemon, picture)

    def post(name, camera):
        with daemon.web() as web:
            results[name] = web.infer(picture, camera)["model"]["id"]

    with held_workers(daemon):
        threads = [threading.Thread(target=post, args=(name, camera))
                   for name, camera in (("a", "a"), ("b", "b"), ("waits", "c"))]
        for thread in threads:
            thread.start()
        with daemon.web() as web:
            wait_for(lambda: web.status()["frames"]["pending"] == 3)
        write(daemon, other_model(daemon))
        assert reload(daemon) == 2
        new = model_id(daemon, picture, "d")  # the new workers take it, while the old ones are held
        assert not results
    for thread in threads:
        thread.join()
    assert new != old and set(results.values()) == {old} and len(results) == 3
    wait_for(lambda: len(daemon.workers()) == 2)


def test_learning_goes_on_over_new_workers(start_daemon, picture):
    if not (MODELS / "person.safetensors").exists():
        pytest.skip("no model that learns")
    daemon = start_daemon(cameras={"porch": {"adapter": "porch"}}, adaptation={"commit_after": "1s", "flush": 1})
    with daemon.eye() as eye:
        def judge():
            return eye.infer(picture, "porch")

        for _ in range(4):
            told = eye.label(judge()["frame"], "ship")
        wait_for(lambda: judge()["model"]["generation"] >= told["sequence"])
        before = judge()
        replace(daemon, "workers = 2", "workers = 1")
        assert reload(daemon) == 2
        after = judge()
        assert after["scores"] == before["scores"] and after["model"] == before["model"]
        told = eye.label(after["frame"], "ship")
        wait_for(lambda: judge()["model"]["generation"] >= told["sequence"])
        replace(daemon, "adapter = porch", "adapter = garden")
        assert "adapter cannot change" in reload(daemon)
    daemon.expect("reload: ")


def test_reload_is_for_root_and_the_service(daemon):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    from test_server import NOBODY, as_user
    for path in (daemon.http, daemon.varlink):
        os.chmod(path, 0o666)
    os.chmod(daemon.directory, 0o755)
    assert "Forbidden" in as_user(NOBODY, NOBODY, [], lambda: reload_as(daemon))
    with daemon.web() as web:
        assert web.status()["configuration"] == 1


def reload_as(daemon):
    with daemon.web() as web:
        return web.request("POST", "/v1/reload")[1]["error"]


def test_reloads_under_load(start_daemon, picture):
    """Four cameras post without pause while two versions of everything take turns: in each the cameras' model, its file
    and what is refused differ together, so that an answer of neither version would show. One reload in ten is of a broken
    file, and one in ten changes the models, which takes new workers."""
    daemon = start_daemon(settings={"deadline": "20s", "worker_timeout": "10s"})
    daemon.expect("reload: ")
    text = daemon.config.read_text()
    cameras = "".join(f"[camera {name}]\nmodel = {{model}}\n" for name in "abcd")
    files = {name: MODELS / f"{name}.safetensors" for name in ("cifar10-lg3", "cifar10-srgb3")}
    names = list(files)
    base = text.split("[model ")[0]

    def version(swapped, model):
        """Which file a name stands for, and which name the cameras have."""
        first, second = (files[name] for name in (reversed(names) if swapped else names))
        return (base + f"[model {names[0]}]\npath = {first}\n[model {names[1]}]\npath = {second}\n"
                + cameras.format(model=names[model]))

    def tell(result):
        """Of a reply: whose name it bears, which file's id, and what only that file makes of the picture."""
        return (result["model"]["name"], result["model"]["id"], *(entry["score"] for entry in result["scores"]))

    with daemon.eye() as eye:
        told = {name: tell(eye.infer(picture, model=name)) for name in names}
    said = {(swapped, model): (names[model], *told[names[model ^ swapped]][1:])
            for swapped in (0, 1) for model in (0, 1)}
    assert len(set(said.values())) == 4 and told[names[0]][2:] != told[names[1]][2:]
    write(daemon, version(0, 0))
    assert reload(daemon) == 2
    history, stop = [said[0, 0]], threading.Event()  # versions; the last may be on its way into force
    in_force = 0
    counts, wrong = collections.Counter(), []

    def post(camera):
        with daemon.eye() if camera < "c" else daemon.web() as door:
            while not stop.is_set():
                first = in_force
                try:
                    reply = tell(door.infer(picture, camera))
                except Exception as error:  # every reply is a good one
                    wrong.append(repr(error))
                    return
                counts[camera] += 1
                if reply not in history[first:]:
                    wrong.append((reply, history[first:]))
                    return

    threads = [threading.Thread(target=post, args=(camera,)) for camera in "abcd"]
    for thread in threads:
        thread.start()
    swapped, model, good = 0, 0, 2
    begin = time.monotonic()
    with daemon.eye() as eye:
        for number in range(RELOADS):
            if number % 10 == 9:
                write(daemon, version(swapped, model) + "[nonsense]\n")
                with pytest.raises(ocellus.Error, match="nonsense"):
                    eye.call("io.ocellus.Reload")
                continue
            swapped, model = (1 - swapped, model) if number % 10 == 4 else (swapped, 1 - model)
            write(daemon, version(swapped, model))
            history.append(said[swapped, model])
            good += 1
            assert eye.call("io.ocellus.Reload")["configuration"] == good
            in_force += 1
            assert not wrong, wrong
    seconds = time.monotonic() - begin
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    assert min(counts.values()) > 0
    with daemon.web() as web:
        frames = web.status()["frames"]
        assert frames["answered"] == frames["received"] == sum(counts.values()) + len(names)
    print(f"{RELOADS} reloads in {seconds:.1f} s, {sum(counts.values())} frames answered meanwhile")
