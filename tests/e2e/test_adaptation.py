# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Learning from labels through both doors: what is told about a label holds on the next frame, after a crash, and for
everybody who may not label."""

import base64
import json
import os
import pathlib
import random
import subprocess
import threading
import time

import ocellus
import pytest
from conftest import BUILD, MODELS, Daemon, pnm

MODEL = MODELS / "cifar10-lg3.safetensors"
CAMERAS = {"porch": {"adapter": "yard"}, "gate": {"adapter": "yard"}, "plain": {}}


def picture(seed):
    """A picture of stripes and noise; each seed has its own."""
    rng = random.Random(seed)
    period, tint = rng.randrange(3, 9), [rng.randrange(40, 255) for _ in range(3)]
    noise = [rng.randrange(40) for _ in range(48 * 48)]
    return pnm(48, 48, lambda x, y: tuple(max(0, c * ((x + y) % period) // period - noise[x + 48 * y] // 2)
                                          for c in tint))


@pytest.fixture
def learner(start_daemon):
    """A daemon with an adapter shared by two cameras, and a camera without one."""
    def start(**adaptation):
        return start_daemon(models={"cifar10-lg3": MODEL}, cameras=CAMERAS, adaptation=adaptation)
    return start


def verdict(client, frame, camera="porch"):
    return client.infer(frame, camera=camera)["label"]


def call(client, name, **parameters):
    """The same method through either door."""
    if isinstance(client, ocellus.Varlink):
        return client.call(f"io.ocellus.{name}", parameters)
    path = {"Label": "/v1/labels", "AdaptationStatus": "/v1/adaptation"}.get(name, f"/v1/adaptation/{name.lower()}")
    status, reply = client.request("GET" if name == "AdaptationStatus" else "POST", path,
                                   json.dumps(parameters) if parameters else None)
    if status != 200:
        raise ocellus.Error(reply["error"], reply["parameters"]["message"])
    return reply


def wait_applied(client, sequence):
    deadline = time.monotonic() + 30
    while True:
        adapter = call(client, "AdaptationStatus")["adapters"][0]
        if adapter["applied"] >= sequence:
            return adapter
        assert time.monotonic() < deadline, adapter
        time.sleep(0.005)


def wrong(client, frames, camera="porch"):
    """(frame, another label than it has now) of each."""
    found = []
    for frame in frames:
        result = client.infer(frame, camera=camera)
        found.append((result["frame"], "ship" if result["label"] != "ship" else "frog"))
    return found


def teach(client, pairs):
    """Label frames until the daemon says so of all; the last reply."""
    for frame, label in pairs:
        reply = call(client, "Label", frame=frame, label=label)
    return reply


@pytest.mark.parametrize("door", ["eye", "web"])
def test_a_label_changes_the_next_verdict(learner, door):
    daemon = learner()
    frame = picture(1)
    with getattr(daemon, door)() as client:
        first = client.infer(frame, camera="porch")
        assert first["model"]["adapter"] == "yard" and first["model"]["generation"] == 0
        label = "ship" if first["label"] != "ship" else "frog"
        for _ in range(4):
            result = client.infer(frame, camera="porch")
            reply = call(client, "Label", frame=result["frame"], label=label)
            assert reply["adapter"] == "yard" and reply["state"] in ("accepted", "applied")
        assert call(client, "Sync")["state"] == "durable"
        after = client.infer(frame, camera="porch")
        assert after["label"] == label
        assert after["model"]["generation"] >= reply["sequence"]
        assert client.infer(frame, camera="gate")["scores"] == after["scores"]  # they learn together
        plain = client.infer(frame, camera="plain")
        assert plain["scores"] == first["scores"] and "adapter" not in plain["model"]
        adapter = call(client, "AdaptationStatus")["adapters"][0]
        assert adapter["labels"] == 4 and adapter["durable"] == adapter["sequence"]
        assert adapter["budget"]["charged"] > 0 and adapter["layers"][0]["worst"] >= 1
        assert client.status()["memory_bytes"]["learning"] > 100000


def test_images_and_codes_are_labelled_too(learner):
    daemon = learner()
    frame = picture(2)
    with daemon.eye() as eye, daemon.web() as web:
        before = eye.infer(frame, camera="porch")
        label = "ship" if before["label"] != "ship" else "frog"
        status, reply = web.request("POST", f"/v1/labels?camera=porch&label={label}", frame)
        assert status == 200 and reply["predicted"] == before["label"]
        reply = eye.call("io.ocellus.Label", {"camera": "porch", "label": label,
                                              "data": base64.b64encode(frame).decode()})
        wait_applied(eye, reply["sequence"])
        loss = reply["loss"]
        # 32 x 32 pixels of 6 ternary codes: two planes of bits.
        codes = base64.b64encode(bytes(2 * 32 * 32 * 6 // 8)).decode()
        reply = call(web, "Label", adapter="yard", codes=codes, label=label)
        assert reply["sequence"] == 3
        for bad in (codes[4:], base64.b64encode(b"\xff" * 1536).decode(), "!"):
            with pytest.raises(ocellus.Error) as refused:
                call(web, "Label", adapter="yard", codes=bad, label=label)
            assert refused.value.name.endswith("BadRequest")
        adapter = wait_applied(eye, 3)
        assert adapter["sequence"] == adapter["labels"] == 3
        assert loss > 0


def test_what_is_wrong_is_told_and_teaches_nothing(learner):
    daemon = learner(ring_bytes=8192)
    frame = picture(3)
    with daemon.eye() as eye, daemon.web() as web:
        old = eye.infer(frame, camera="porch")["frame"]
        plain = eye.infer(frame, camera="plain")["frame"]
        for _ in range(6):  # of 1.5 KiB each
            last = eye.infer(frame, camera="porch")["frame"]
        cases = [({"frame": old, "label": "cat"}, "Gone"), ({"frame": plain, "label": "cat"}, "Gone"),
                 ({"frame": 12345, "label": "cat"}, "Gone"), ({"frame": last, "label": "unicorn"}, "BadRequest"),
                 ({"frame": last, "box": 1, "label": "cat"}, "BadRequest"), ({"frame": last}, "BadRequest"),
                 ({"label": "cat"}, "BadRequest"), ({"frame": last, "label": "cat", "camera": "porch"}, "BadRequest"),
                 ({"codes": "AAAA", "adapter": "no", "label": "cat"}, "NotFound")]
        for client in (eye, web):
            for parameters, name in cases:
                with pytest.raises(ocellus.Error) as refused:
                    call(client, "Label", **parameters)
                assert refused.value.name == f"io.ocellus.{name}", parameters
            for name, parameters, error in [("Undo", {}, "Gone"), ("Rollback", {"sequence": 9}, "Gone"),
                                            ("Rollback", {}, "BadRequest"), ("Sync", {"adapter": "no"}, "NotFound"),
                                            ("Import", {"data": "AAAA"}, "BadRequest"), ("Export", {}, "Gone"),
                                            ("Undo", {"x": 1}, "BadRequest")]:
                with pytest.raises(ocellus.Error) as refused:
                    call(client, name, **parameters)
                assert refused.value.name == f"io.ocellus.{error}", (name, parameters)
        assert web.request("POST", "/v1/labels?camera=plain&label=cat", frame)[0] == 404
        assert web.request("POST", "/v1/labels?camera=porch&label=unicorn", frame)[0] == 400
        assert web.request("POST", "/v1/labels", '{"frame":')[0] == 400
        assert web.request("POST", "/v1/labels", "[1]")[0] == 400
        assert web.request("POST", "/v1/labels", " " * (600 << 10))[0] == 413
        adapter = call(eye, "AdaptationStatus")["adapters"][0]
        assert adapter["labels"] == adapter["sequence"] == 0


def test_without_adapters_there_is_nothing_to_teach(daemon, picture):
    with daemon.eye() as eye, daemon.web() as web:
        frame = eye.infer(picture)["frame"]
        for client in (eye, web):
            assert call(client, "AdaptationStatus") == {"adapters": []}
            with pytest.raises(ocellus.Error) as refused:
                call(client, "Label", frame=frame, label="cat")
            assert refused.value.name == "io.ocellus.NotFound"


def test_only_trainers_teach(start_daemon):
    if os.geteuid() != 0:
        pytest.skip("changing users takes root")
    daemon = start_daemon(settings={"socket_mode": "0666", "allow_other": "yes"}, models={"cifar10-lg3": MODEL},
                          cameras=CAMERAS, adaptation={"trainer_group": "games"})
    os.chmod(daemon.directory, 0o755)
    request = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", daemon.http, "-X", "POST"]

    def code(path, group):
        command = ["setpriv", "--reuid=65534", f"--regid={group}", "--clear-groups", *request, f"http://o{path}"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    import grp
    trainers = grp.getgrnam("games").gr_gid
    assert code("/v1/adaptation/sync", 65534) == "403"
    assert code("/v1/adaptation/sync", trainers) == "200"
    with daemon.eye() as eye:
        frame = eye.infer(picture(1), camera="porch")["frame"]
    request += ["-d", json.dumps({"frame": frame, "label": "cat"})]
    assert code("/v1/labels", 65534) == "403"
    assert code("/v1/labels", trainers) == "200"


def test_undo_rollback_and_reset(learner):
    daemon = learner()
    frames = [picture(seed) for seed in range(10, 16)]
    with daemon.eye() as eye:
        scores = [eye.infer(frame, camera="porch")["scores"] for frame in frames]

        def now():
            return [eye.infer(frame, camera="porch")["scores"] for frame in frames]

        teach(eye, wrong(eye, frames[:3]))
        one = call(eye, "Sync")
        after_one = now()
        assert after_one != scores
        teach(eye, wrong(eye, frames[3:]))
        two = call(eye, "Sync")
        after_two = now()
        assert after_two != after_one
        assert call(eye, "Undo")["state"] == "durable"
        assert now() == after_one
        # What was taken back is not learned again by what comes next.
        reply = call(eye, "Rollback", sequence=two["sequence"])
        assert now() == after_two and reply["sequence"] > two["sequence"]
        call(eye, "Rollback", sequence=one["sequence"])
        assert now() == after_one
        call(eye, "Rollback", sequence=0)
        assert now() == scores
        call(eye, "Rollback", sequence=two["sequence"])
        call(eye, "Reset")
        assert now() == scores
        # Labels that are not recorded yet go first.
        teach(eye, wrong(eye, frames[:1]))
        call(eye, "Undo")
        assert now() == scores


def test_what_one_learned_another_takes(learner):
    first, second = learner(), learner()
    frames = [picture(seed) for seed in range(20, 26)]
    with first.eye() as here, second.web() as there:
        teach(here, wrong(here, frames))
        call(here, "Sync")
        exported = call(here, "Export")["data"]
        reply = call(there, "Import", data=exported)
        assert reply["state"] == "durable"
        for frame in frames:
            assert there.infer(frame, camera="porch")["scores"] == here.infer(frame, camera="porch")["scores"]
        data = bytearray(base64.b64decode(exported))
        for at in (0, 8, 16, 24, len(data) // 2, len(data) - 1):
            bad = bytearray(data)
            bad[at] ^= 1
            with pytest.raises(ocellus.Error) as refused:
                call(there, "Import", data=base64.b64encode(bad).decode())
            assert refused.value.name == "io.ocellus.BadRequest", at
        assert call(there, "Undo")["state"] == "durable"
        # Labels that say otherwise: the same import is refused now.
        for frame in frames * 3:
            result = there.infer(frame, camera="porch")
            call(there, "Label", frame=result["frame"], label=result["label"])
        call(there, "Sync")
        with pytest.raises(ocellus.Error) as refused:
            call(there, "Import", data=exported)
        assert "worse" in refused.value.message


def test_what_was_told_durable_survives_a_crash(learner):
    """Killed at random moments; what was durable is there, with the same weights as before."""
    daemon = learner()
    rng = random.Random(7)
    frames = [picture(seed) for seed in range(30, 36)]
    durable, known = 0, None
    for _ in range(5):
        with daemon.eye() as eye:
            assert call(eye, "AdaptationStatus")["adapters"][0]["durable"] >= durable
            if known is not None:
                assert [eye.infer(frame, camera="porch")["scores"] for frame in frames] == known
            teach(eye, wrong(eye, rng.sample(frames, 3)))
            reply = call(eye, "Sync")
            durable = reply["durable"]
            assert reply["state"] == "durable"
            known = [eye.infer(frame, camera="porch")["scores"] for frame in frames]
            # More may be learned, but not recorded: it may be lost.
            for _ in range(rng.randrange(3)):
                eye.send("io.ocellus.Sync", {})
            time.sleep(rng.random() / 20)
        daemon.kill()
        daemon.start()
        assert "store clean" in daemon.stderr() or "store cut" in daemon.stderr()


def test_killed_in_the_middle_of_labels(learner):
    """Killed while labels, syncs and undos are under way, KILLS times: what was told durable is there after each."""
    daemon = learner(budget_day="1G")
    rng = random.Random(11)
    frames = [picture(seed) for seed in range(50, 54)]
    durable = met = 0
    for _ in range(int(os.environ.get("OCELLUS_KILLS", "12"))):
        killer = threading.Timer(rng.random() * 0.4, daemon.kill)
        with daemon.eye() as eye:
            adapter = call(eye, "AdaptationStatus")["adapters"][0]
            assert adapter["durable"] >= durable and adapter["durable"] == adapter["sequence"]
            killer.start()
            try:
                while True:
                    teach(eye, wrong(eye, rng.sample(frames, 2)))
                    durable = max(durable, call(eye, rng.choice(["Sync", "Sync", "Undo"]))["durable"])
                    met += 1
            except (OSError, EOFError, ocellus.Error):
                killer.join()
        daemon.start()
        assert "store clean" in daemon.stderr() or "store cut" in daemon.stderr()
    print(met, "updates durable,", durable, "the last")
    assert met > 0


def test_a_spent_budget_is_told_and_learning_goes_on(learner):
    daemon = learner(budget_day="1M")
    frame = picture(40)
    with daemon.eye() as eye:
        before = verdict(eye, frame)
        for seed in range(41, 141):
            teach(eye, wrong(eye, [picture(seed)]))
            reply = call(eye, "Sync")
            if reply["state"] != "durable":
                break
        assert reply["state"] == "applied" and reply["durable"] < reply["sequence"]
        assert 0 < reply["wait_s"] <= 86400
        pairs = [(eye.infer(frame, camera="porch")["frame"], "ship" if before != "ship" else "frog")
                 for _ in range(6)]
        last = teach(eye, pairs)
        call(eye, "Sync")
        wait_applied(eye, last["sequence"])
        assert verdict(eye, frame) == pairs[0][1]
        budget = call(eye, "AdaptationStatus")["adapters"][0]["budget"]
        assert budget["charged"] <= 1 << 20 and budget["wait_s"] > 0


def test_idle_writes_nothing(learner):
    daemon = learner()
    with daemon.eye() as eye:
        teach(eye, wrong(eye, [picture(1)]))
        call(eye, "Sync")

        def written():
            fields = pathlib.Path(f"/proc/{daemon.pid}/io").read_text().split()
            return int(fields[fields.index("write_bytes:") + 1])

        def ticks():
            return pathlib.Path(f"/proc/{daemon.pid}/stat").read_text().split()[13:15]

        # On a busy machine the trainer, of the lowest priority, ends its work a while after it answered.
        for _ in range(20):
            before = written(), ticks()
            time.sleep(0.5)
            if (written(), ticks()) == before:
                break
        time.sleep(2)
        assert (written(), ticks()) == before


@pytest.mark.parametrize("cameras, adaptation, reason", [
    ({"a": {"adapter": "x", "point": "auto"}}, {}, "needs one point, not auto"),
    ({"a": {"adapter": "x"}, "b": {"adapter": "x", "model": "two"}}, {}, "need the same model and point"),
    ({"a": {"adapter": "x"}, "b": {"adapter": "y"}}, {"adapters_max": 1}, "more adapters than"),
    ({"a": {"adapter": "x"}}, {"trainer_group": "no-such-group"}, "there is no group"),
    ({"a": {"adapter": "x"}}, {"budget_day": "1K"}, "budget-day"),
])
def test_what_does_not_fit_is_told_at_the_start(tmp_path, cameras, adaptation, reason):
    daemon = Daemon(tmp_path, models={"cifar10-lg3": MODEL, "two": MODEL}, cameras=cameras, adaptation=adaptation)
    checked = subprocess.run([BUILD / "daemon" / "ocellusd", "--check-config", "--config", daemon.config],
                             capture_output=True, text=True, timeout=60)
    assert checked.returncode != 0
    assert reason in checked.stderr


def test_damage_and_another_model_are_told(start_daemon, tmp_path):
    """A store of another model, and one with a damaged middle, teach nothing and are not touched."""
    adaptation = {"state": tmp_path / "state"}
    daemon = start_daemon(models={"cifar10-lg3": MODEL}, cameras=CAMERAS, adaptation=adaptation)
    with daemon.eye() as eye:
        for seed in range(3):
            teach(eye, wrong(eye, [picture(seed)]))
            call(eye, "Sync")
    daemon.stop()
    log = next((tmp_path / "state" / "yard").glob("log-*"))
    bytes_before = log.read_bytes()
    other = start_daemon(models={"person": MODELS / "person.safetensors"}, cameras=CAMERAS, adaptation=adaptation)
    with other.eye() as eye:
        adapter = call(eye, "AdaptationStatus")["adapters"][0]
        assert adapter["store"] == "foreign" and not adapter["learns"]
        frame = eye.infer(picture(1), camera="porch")["frame"]
        with pytest.raises(ocellus.Error) as refused:
            call(eye, "Label", frame=frame, label="person")
        assert "cannot learn" in refused.value.message
    other.stop()
    assert log.read_bytes() == bytes_before
    damaged = bytearray(bytes_before)
    damaged[300] ^= 1
    log.write_bytes(damaged)
    daemon = start_daemon(models={"cifar10-lg3": MODEL}, cameras=CAMERAS, adaptation=adaptation)
    with daemon.eye() as eye:
        adapter = call(eye, "AdaptationStatus")["adapters"][0]
        assert adapter["store"] == "damaged" and not adapter["learns"] and adapter["reason"]
        eye.infer(picture(1), camera="porch")
    daemon.stop()
    assert log.read_bytes() == bytes(damaged)


def test_the_command(learner, tmp_path):
    daemon = learner()

    def ocellus_command(*arguments, code=0):
        done = subprocess.run([BUILD / "clients" / "ocellus", *arguments, "--socket", daemon.varlink],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    with daemon.eye() as eye:
        pairs = wrong(eye, [picture(seed) for seed in range(4)])
    for frame, label in pairs:
        assert "it was seen as" in ocellus_command("label", str(frame), label)
    assert "durable" in ocellus_command("adapt", "sync", "--adapter", "yard")
    adapters = json.loads(ocellus_command("adapt", "--json"))["adapters"]
    assert adapters[0]["labels"] == 4
    assert "yard: model cifar10-lg3, update" in ocellus_command("adapt", "status")
    file = tmp_path / "export"
    ocellus_command("adapt", "export", str(file))
    assert "durable" in ocellus_command("adapt", "undo")
    assert "durable" in ocellus_command("adapt", "import", str(file))
    assert "durable" in ocellus_command("adapt", "rollback", "0")
    assert "durable" in ocellus_command("adapt", "reset")
    assert "gone" in ocellus_command("label", "1", "cat", code=1)
    for bad in (["label", "x", "cat"], ["label", "1"], ["adapt", "sing"], ["adapt", "rollback"], ["adapt", "import"]):
        ocellus_command(*bad, code=2)
    assert "No such file" in ocellus_command("adapt", "import", str(tmp_path / "none"), code=1)
