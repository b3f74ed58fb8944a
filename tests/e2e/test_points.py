# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Operating points of one model file, and cascades of two models, through both doors."""

import json
import struct
import subprocess

import ocellus
import pytest
from conftest import BUILD, MODELS, Daemon, pnm

LAB = BUILD / "engine" / "lab" / "ocellus-lab"
MODEL = MODELS / "cifar10-lg3.safetensors"


def read_model(path):
    """(description, {tensor: (dtype, shape, bytes)}) of a model file."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    description = json.loads(header.pop("__metadata__")["ocellus"])
    body = data[8 + size:]
    return description, {name: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])])
                         for name, entry in header.items()}


def write_model(path, description, tensors):
    header, body = {"__metadata__": {"ocellus": json.dumps(description)}}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.fixture
def two_points(tmp_path):
    """The shipped network as point "first", and as "second" with biases of 0 in its last layer; joined by the lab."""
    description, tensors = read_model(MODEL)
    name = f"{description['layers'][-1]['name']}.bias"
    dtype, shape, data = tensors[name]
    plain = write_model(tmp_path / "plain.safetensors", description, {**tensors, name: (dtype, shape, bytes(len(data)))})
    two = tmp_path / "two.safetensors"
    subprocess.run([LAB, "join", "-o", two, f"first={MODEL}", f"second={plain}"], check=True, stdout=subprocess.DEVNULL)
    return two


def test_what_cannot_be_joined_is_told(tmp_path, two_points):
    for operands, what in (([f"a={MODEL}", f"b={MODELS / 'person.safetensors'}"], "its labels are not those of the first"),
                           ([f"a={two_points}"], "has several operating points already"),
                           ([MODEL], "expected NAME=FILE"),
                           ([f"a={MODEL}", f"a={MODEL}"], "another operating point has that name"),
                           ([f"A B={MODEL}"], "the name of 1 to 32"),
                           ([f"p{i}={MODEL}" for i in range(9)], "at most 8")):
        done = subprocess.run([LAB, "join", "-o", tmp_path / "no", *operands], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and what in done.stderr and not (tmp_path / "no").exists(), (operands, done.stderr)


def test_a_request_or_a_camera_names_the_point(start_daemon, two_points, picture):
    daemon = start_daemon(models={"cifar10-lg3": MODEL, "two": two_points},
                          cameras={"yard": {"model": "two", "point": "second"}, "lazy": {"model": "two", "point": "auto"}})
    with daemon.eye() as eye, daemon.web() as web:
        single = eye.infer(picture)
        first = eye.infer(picture, model="two")
        second = web.infer(picture, model="two", point="second")
        assert single["model"]["point"] == "default"
        assert (first["model"]["point"], second["model"]["point"]) == ("first", "second")
        assert first["scores"] == single["scores"] != second["scores"]
        assert first["macs"] == second["macs"] > 1_000_000
        assert eye.infer(picture, camera="yard")["scores"] == second["scores"]
        assert eye.infer(picture, camera="yard", point="first")["scores"] == first["scores"]
        assert eye.infer(picture, camera="yard", model="cifar10-lg3")["model"]["point"] == "default"
        assert eye.infer(picture, camera="lazy")["model"]["point"] == "first"  # nothing waits
        for client in (eye, web):
            with pytest.raises(ocellus.Error) as refused:
                client.infer(picture, model="two", point="third")
            assert refused.value.name.endswith("NotFound")
        models = {model["name"]: model for model in eye.status()["models"]}
        assert models["two"]["points"] == ["first", "second"]


def with_exits(model, path, margins):
    description, tensors = read_model(model)
    return write_model(path, {**description, "exits": margins}, tensors)


def test_an_answer_that_is_sure_exits(start_daemon, two_points, tmp_path, picture):
    with start_daemon(models={"two": two_points}).eye() as eye:
        first, second = (eye.infer(picture, model="two", point=point) for point in ("first", "second"))
        with pytest.raises(ocellus.Error) as refused:
            eye.infer(picture, model="two", point="exit")
        assert refused.value.name.endswith("NotFound")
    best, next_best = sorted((score["score"] for score in second["scores"]), reverse=True)[:2]
    sure = with_exits(two_points, tmp_path / "sure", [best - next_best])
    unsure = with_exits(two_points, tmp_path / "unsure", [best - next_best + 1])
    daemon = start_daemon(models={"sure": sure, "unsure": unsure}, cameras={"yard": {"model": "sure", "point": "exit"}})
    with daemon.eye() as eye, daemon.web() as web:
        early, late = eye.infer(picture, model="sure", point="exit"), web.infer(picture, model="unsure", point="exit")
        assert (early["model"]["point"], late["model"]["point"]) == ("second", "first")
        assert early["scores"] == second["scores"] and late["scores"] == first["scores"]
        assert early["macs"] == second["macs"] and late["macs"] == first["macs"] + second["macs"]
        assert eye.infer(picture, camera="yard")["model"]["point"] == "second"
        for client in (eye, web):
            with pytest.raises(ocellus.Error) as refused:
                client.infer(picture, model="sure", point="exit", scan="yes")
            assert refused.value.name.endswith("BadRequest") and "one operating point" in str(refused.value)


def test_exits_of_the_lab_are_those_of_the_daemon(start_daemon, two_points, tmp_path, picture):
    """The lab chooses margins on three pictures; then its shares of answers are the daemon's."""
    with start_daemon(models={"two": two_points}).eye() as eye:
        label = eye.infer(picture, model="two")["label"]
    (tmp_path / "tree" / label).mkdir(parents=True)
    (tmp_path / "tree" / label / "1.jpg").write_bytes(picture)
    exits = tmp_path / "exits"
    told = subprocess.run([LAB, "exits", "-o", exits, two_points, tmp_path / "tree"], capture_output=True, text=True, check=True).stdout
    assert told == subprocess.run([LAB, "exits", exits, tmp_path / "tree"], capture_output=True, text=True, check=True).stdout
    shares = {line.split()[0]: float(line.split()[4]) for line in told.splitlines() if line.startswith(("first", "second"))}
    with start_daemon(models={"exits": exits}).eye() as eye:
        answer = eye.infer(picture, model="exits", point="exit")
    assert answer["label"] == label and shares[answer["model"]["point"]] == 100
    operations = next(int(line.split()[1]) for line in told.splitlines() if line.startswith("exit"))
    assert operations == 2 * answer["macs"]
    none = subprocess.run([LAB, "exits", two_points, tmp_path / "tree"], capture_output=True, text=True, check=False)
    assert none.returncode == 1 and "has no exits" in none.stderr


@pytest.mark.parametrize("recogniser", ["cifar10-srgb3", "person"])  # of the same planes, of others
def test_a_detector_wakes_a_recogniser(start_daemon, recogniser, picture):
    label = read_model(MODEL)[0]["labels"]
    with start_daemon(models={"cifar10-lg3": MODEL}).eye() as eye:
        alone = eye.infer(picture)
    seen = alone["label"]
    other = next(name for name in label if name != seen)
    second = MODELS / f"{recogniser}.safetensors"

    def cascade(wake_label, confidence):
        daemon = start_daemon(models={
            "cifar10-lg3": f"{MODEL}\nwakes = second\nwake-label = {wake_label}\nwake-confidence = {confidence}",
            "second": second})
        with daemon.eye() as eye:
            assert {m["name"]: m.get("wakes") for m in eye.status()["models"]}["cifar10-lg3"] == "second"
            return eye.infer(picture), eye.infer(picture, model="second")

    asleep, last = cascade(other, 99)
    assert asleep["model"]["name"] == "cifar10-lg3" and asleep["scores"] == alone["scores"]
    assert asleep["cascade"]["awake"] is False and asleep["cascade"]["label"] == other
    assert "cascade" not in last
    awake, last = cascade(seen, 1)
    assert awake["model"]["name"] == "second" and awake["scores"] == last["scores"]
    assert awake["cascade"]["awake"] is True and awake["cascade"]["detector"] == "cifar10-lg3"
    assert awake["macs"] == asleep["macs"] + last["macs"]


@pytest.mark.parametrize("models, cameras, reason", [
    ({"cifar10-lg3": MODEL}, {"porch": {"point": "w64"}}, "camera porch: model cifar10-lg3 has no operating point 'w64'"),
    ({"cifar10-lg3": f"{MODEL}\nwakes = cifar10-lg3\nwake-label = cat"}, {}, "which is no other"),
    ({"cifar10-lg3": f"{MODEL}\nwakes = b", "b": MODEL}, {}, "needs both 'wakes' and 'wake-label'"),
    ({"cifar10-lg3": f"{MODEL}\nwakes = b\nwake-label = unicorn", "b": MODEL}, {}, "has no label 'unicorn'"),
])
def test_what_does_not_fit_the_models_is_told_at_the_start(tmp_path, models, cameras, reason):
    daemon = Daemon(tmp_path, models=models, cameras=cameras)
    checked = subprocess.run([BUILD / "daemon" / "ocellusd", "--check-config", "--config", daemon.config],
                             capture_output=True, text=True, timeout=60)
    assert checked.returncode != 0
    assert reason in checked.stderr


def blocks(seed):
    """Blocks of colours, another few for each seed."""
    side = 2 << seed % 4
    return pnm(32, 32, lambda x, y: tuple((x // side * (37 + 11 * seed) + y // side * (61 + 7 * c) + 53 * seed * c) % 256 for c in range(3)))


def test_shipped_exits_are_the_same_on_every_instruction_set(start_daemon):
    """The shipped binary network of three widths, on pictures of which some exit early and some late."""
    pictures = [blocks(seed) for seed in range(24)]
    answers = []
    for mask in ("c", "avx2", "avx512", "all"):
        daemon = start_daemon(settings={"cpu_mask": mask}, models={"binary": MODELS / "binary.safetensors"})
        with daemon.eye() as eye:
            replies = [eye.infer(picture, model="binary", point="exit") for picture in pictures]
        answers.append([(reply["model"]["point"], reply["scores"], reply["macs"]) for reply in replies])
    assert all(answer == answers[0] for answer in answers)
    assert {point for point, _, _ in answers[0]} == {"w64", "w128", "w256"}
