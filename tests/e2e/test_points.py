# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Operating points of one model file, and cascades of two models, through both doors."""

import json
import struct
import subprocess

import ocellus
import pytest
from conftest import BUILD, MODELS, Daemon

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
