# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""ocellus-lab as its users meet it: commands, messages, exit codes, files."""

import csv
import hashlib
import json
import math
import os
import pty
import random
import shutil
import struct
import subprocess
import sys
import tarfile

import pytest

from conftest import BUILD, MODELS, SHARED, SOURCE

LAB = BUILD / "engine" / "lab" / "ocellus-lab"
GOLDEN = SOURCE / "tests" / "data" / "golden"
LG3 = MODELS / "cifar10-lg3.safetensors"
SRGB3 = MODELS / "cifar10-srgb3.safetensors"
PERSON = MODELS / "person.safetensors"
LABELS = "airplane automobile bird cat deer dog frog horse ship truck".split()


def lab(*arguments, code=0):
    """Runs a command, checks its exit code and returns (standard output, standard error)."""
    done = subprocess.run([LAB, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def tree(tmp_path):
    """Two pictures as trucks and one as a ship, one of them a RAW file."""
    root = tmp_path / "tree"
    (root / "truck").mkdir(parents=True)
    (root / "ship").mkdir()
    shutil.copy(GOLDEN / "road.jpg", root / "truck")
    shutil.copy(GOLDEN / "disc.jpg", root / "ship")
    lab("capture", "--bits", 14, "-o", root / "truck" / "road.dng", GOLDEN / "road.jpg")
    return root


def test_help_and_version():
    for arguments in (["--help"], ["-h"], ["--version"]):
        out, err = lab(*arguments)
        assert "ocellus-lab" in out and err == ""
    for command in ("calibrate", "capture", "export", "eval", "show", "train"):
        assert command in lab("--help")[0]
        out, err = lab(command, "--help")
        assert f"ocellus-lab {command}" in out and "--help" in out and err == ""


@pytest.mark.parametrize("arguments", [
    [], ["paint"], ["show"], ["show", "a", "b"], ["show", "--json", "a"],
    ["capture", GOLDEN / "road.jpg"], ["capture", "-o", "x", "--exposure", "0", "y"],
    ["capture", "-o", "x", "--bits", "17", "y"], ["capture", "-o", "x", "--size", "1x1", "y"],
    ["eval", LG3], ["eval", "--cpu-mask", "abacus", LG3, "."], ["eval", "--limit", "0", LG3, "."],
    ["calibrate", "--recall", "101", LG3, "."], ["calibrate", "--recall", "-1", LG3, "."], ["calibrate", LG3],
    ["calibrate", "--false-positives", "1.2.3", LG3, "."], ["export", "-o", "x", "model"], ["export", "--calibrate", ".", "model"],
])
def test_wrong_command_lines_are_told_and_exit_with_2(arguments):
    out, err = lab(*arguments, code=2)
    assert out == "" and "ocellus-lab" in err


@pytest.mark.parametrize("arguments", [
    ["show", "/nonexistent"], ["show", GOLDEN / "road.jpg"], ["show", GOLDEN],
    ["capture", "-o", "/nonexistent/x.dng", GOLDEN / "road.jpg"], ["capture", "-o", "/dev/null/x", LG3],
    ["eval", LG3, GOLDEN], ["eval", LG3, "/nonexistent"], ["eval", GOLDEN / "road.jpg", GOLDEN],
    ["export", "--calibrate", GOLDEN, "-o", "/nonexistent/x", LG3],
])
def test_what_cannot_be_done_is_told_and_exits_with_1(arguments):
    out, err = lab(*arguments, code=1)
    assert out == "" and err.startswith("ocellus-lab: ")


def test_show_names_the_file():
    for model in sorted(MODELS.glob("*.safetensors")):
        out, _ = lab("show", model)
        assert f"id          {sha256(model)}" in out
        assert f"file        {model.stat().st_size} bytes" in out
        card = model.with_suffix(".md").read_text()
        assert sha256(model) in card and f"{model.stat().st_size:,} bytes" in card


def test_show_tells_the_plan():
    model = MODELS / "cifar10-lg3.safetensors"
    out, _ = lab("show", "--plan", "--cpu-mask", "c", model)
    assert "rates       bytes " in out and "plan        default, " in out
    steps = [line for line in out.splitlines() if " -> " in line and "MACs, " in line and " packed" in line]
    assert [step.split(",")[0].split() for step in steps] == [
        ["conv1", "conv", "with", "pool", "c"], ["conv2", "conv", "with", "pool", "c"],
        ["conv3", "conv", "with", "pool", "c"], ["fc", "conv", "c"]]
    assert steps[-1].split(", ")[1] == "bytes -> scores"
    assert "plan " not in lab("show", model)[0]


def test_noise_follows_the_seed(tmp_path):
    files = []
    for name, options in (("a", ["--noise", "--seed", 7]), ("b", ["--noise", "--seed", 7]),
                          ("c", ["--noise", "--seed", 8]), ("d", [])):
        path = tmp_path / name
        lab("capture", "--size", "64x48", *options, "-o", path, GOLDEN / "road.jpg")
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert len({files[0], files[2], files[3]}) == 3
    assert len(set(map(len, files))) == 1


def test_eval_counts(tree):
    out, err = lab("eval", "--json", "--compare", SRGB3, LG3, tree)
    found = json.loads(out)
    assert found["model"] == {"name": "cifar10-lg3", "id": sha256(LG3)}
    assert found["other"] == {"name": "cifar10-srgb3", "id": sha256(SRGB3)}
    assert found["pictures"] == 3 and found["unreadable"] == 0
    assert found["pictures_by_class"] == {"ship": 1, "truck": 2}
    (result,) = found["results"]
    assert result["right"] == sum(result["right_by_class"].values())
    assert "eval: 3/3" in err  # plain lines where there is no terminal
    assert "pictures   3" in lab("eval", LG3, tree)[0]
    assert json.loads(lab("eval", "--json", "--limit", 2, LG3, tree)[0])["pictures_by_class"] == {"ship": 1, "truck": 1}


def test_eval_of_two_classes_draws_curves(tmp_path):
    for name, pictures in (("person", ["disc", "stripes"]), ("background", ["road", "texture", "gradient"])):
        (tmp_path / name).mkdir()
        for picture in pictures:
            shutil.copy(GOLDEN / f"{picture}.jpg", tmp_path / name)
    found = json.loads(lab("eval", "--json", "--brightness", "--bits", 16, PERSON, tmp_path)[0])
    assert found["positive"] == "person" and len(found["results"]) == 9
    for result in found["results"]:
        table = result["taken_for"]
        right = {name: table[name].get(name, 0) for name in table}
        assert right == result["right_by_class"] and sum(right.values()) == result["right"]
        assert sum(table["person"].values()) == 2 and sum(table["background"].values()) == 3
        share = (right["person"] / 2 + right["background"] / 3) / 2
        assert abs(result["balanced_percent"] - 100 * share) < 1e-9
        mistaken, recall = zip(*[point[:2] for point in result["roc"]])
        assert list(mistaken) == sorted(set(mistaken)) and list(recall) == sorted(set(recall)) and recall[-1] == 1
        assert 0 <= result["area"] <= 1
    other = json.loads(lab("eval", "--json", "--positive", "background", PERSON, tmp_path)[0])
    plain = json.loads(lab("eval", "--json", PERSON, tmp_path)[0])
    assert other["positive"] == "background"
    assert abs(other["results"][0]["area"] - plain["results"][0]["area"]) < 1e-12
    text, _ = lab("eval", PERSON, tmp_path)
    assert "balanced" in text and "taken for" in text and "area under the curve of 'person'" in text
    assert "cat" in lab("eval", "--positive", "cat", PERSON, tmp_path, code=1)[1]


def test_calibrate_writes_a_copy_with_the_temperature(tmp_path):
    tree, copy, again = tmp_path / "tree", tmp_path / "copy", tmp_path / "again"
    for name, pictures in (("person", ["disc", "stripes"]), ("background", ["road", "texture", "gradient"])):
        (tree / name).mkdir(parents=True)
        for picture in pictures:
            shutil.copy(GOLDEN / f"{picture}.jpg", tree / name)
    found = json.loads(lab("calibrate", "--json", "--recall", "100", "-o", copy, PERSON, tree)[0])
    assert found["model"] == sha256(PERSON) and found["pictures"] == 5
    assert found["loss_after"] <= found["loss_before"]
    recall = found["thresholds"][0]
    assert (recall["wished"], recall["found_percent"]) == ("recall", 100)
    for wish in found["thresholds"][1:]:  # only where any threshold mistakes so few
        assert wish["wished"] == "false_positives" and wish["mistaken_percent"] == 0
    before, after = (json.loads(lab("eval", "--json", model, tree)[0])["results"][0] for model in (PERSON, copy))
    assert before["taken_for"] == after["taken_for"] and before["area"] == after["area"]
    # The copy is as certain as the temperature says, and needs none of its own.
    odds = [[math.log(point[2] / (1 - point[2])) for point in result["roc"]] for result in (before, after)]
    for plain, cooled in zip(*odds):
        assert abs(cooled * found["temperature"] - plain) < 1e-3 * (1 + abs(plain))
    second = json.loads(lab("calibrate", "--json", "-o", again, copy, tree)[0])
    if 0.06 < found["temperature"] < 19:  # not at a bound
        assert abs(second["temperature"] - 1) < 1e-3
    assert '"calibration":{' in lab("show", copy)[0]
    text, _ = lab("calibrate", PERSON, tree)
    assert "temperature" in text and "calibration error" in text and "found at least 95 %" in text
    float_model = tmp_path / "float"
    write_float_model(float_model)
    for name in ("ship", "truck"):
        (tmp_path / "other" / name).mkdir(parents=True)
        shutil.copy(GOLDEN / "road.jpg", tmp_path / "other" / name)
    assert "only a packed model" in lab("calibrate", "-o", again, float_model, tmp_path / "other", code=1)[1]
    assert "no label" in lab("calibrate", PERSON, tmp_path / "other", code=1)[1]


def test_eval_is_the_same_with_every_instruction_set(tree):
    results = {lab("eval", "--json", "--brightness", "--noise", "--cpu-mask", mask, LG3, tree)[0]
               for mask in ("c", "avx2", "all")}
    assert len(results) == 1
    exposures = [result["exposure"] for result in json.loads(results.pop())["results"]]
    assert exposures == ["1/32", "1/16", "1/8", "1/4", "1/2", "1", "2", "4", "8"]


def test_unreadable_pictures_are_named_and_the_rest_is_measured(tree):
    (tree / "ship" / "broken.jpg").write_bytes((GOLDEN / "disc.jpg").read_bytes()[:100])
    out, err = lab("eval", "--json", LG3, tree, code=1)
    assert json.loads(out)["pictures"] == 3 and json.loads(out)["unreadable"] == 1
    assert "broken.jpg" in err


def test_unknown_folders_are_an_error(tree):
    (tree / "ship").rename(tree / "submarine")
    assert "submarine" in lab("eval", LG3, tree, code=1)[1]


def test_progress_is_a_bar_on_a_terminal(tree):
    leader, follower = pty.openpty()
    done = subprocess.run([LAB, "eval", LG3, tree], stdout=subprocess.DEVNULL, stderr=follower, timeout=60, check=False)
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert done.returncode == 0
    assert b"eval [" in shown and b"/3, " in shown and shown.endswith(b"\r\x1b[K")


def write_float_model(path):
    """A small float model as a training script would leave it, its weights random."""
    rng = random.Random(3)
    shapes = {"conv1.weight": [8, 6, 3, 3], "bn1.weight": [8], "bn1.bias": [8], "bn1.running_mean": [8],
              "bn1.running_var": [8], "fc.weight": [10, 8 * 16 * 16], "fc.bias": [10]}
    description = {
        "name": "random", "labels": LABELS, "data": "none",
        "input": {"source": "log-gradient", "width": 32, "height": 32, "planes": "rgb", "levels": 3, "floor": 64,
                  "order": ["gx.r", "gx.g", "gx.b", "gy.r", "gy.g", "gy.b"], "ratio": [9, 8], "linear_white": 65535},
        "layers": ["conv1 3x3 pad1", "bn1", "relu", "maxpool2", "flatten chw", "fc"]}
    header, data = {"__metadata__": {"ocellus": json.dumps(description)}}, b""
    for name, shape in shapes.items():
        count = 1
        for side in shape:
            count *= side
        low, high = (0.5, 1.0) if name.endswith("var") else (-0.1, 0.1) if name.startswith("fc") else (-1.0, 1.0)
        values = struct.pack(f"<{count}f", *(rng.uniform(low, high) for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_export_packs_a_float_model(tmp_path, tree):
    master, packed, again = tmp_path / "float", tmp_path / "packed", tmp_path / "again"
    write_float_model(master)
    for number in range(6):  # more to calibrate with: the same pictures in other light
        lab("capture", "--exposure", f"{number + 1}/4", "--noise", "-o", tree / "truck" / f"{number}.dng",
            GOLDEN / "texture.jpg")
    out, _ = lab("export", "--calibrate", tree, "-o", packed, master)
    assert sha256(packed) in out and "of 9 calibration pictures" in out
    lab("export", "--calibrate", tree, "--cpu-mask", "c", "-o", again, master)
    assert packed.read_bytes() == again.read_bytes()
    shown, _ = lab("show", packed)
    assert "s8 weights" in shown and '"calibration_pictures":9' in shown
    found = json.loads(lab("eval", "--json", "--compare", master, packed, tree)[0])
    assert found["results"][0]["agreed"] >= 8
    assert "packed already" in lab("export", "--calibrate", tree, "-o", again, packed, code=1)[1]


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Some test windows of the person set."""
    data = SHARED / "data" / "person-inria.tar.xz"
    if not data.is_file():
        pytest.skip(f"no {data}")
    root, left = tmp_path_factory.mktemp("windows"), {"person": 72, "background": 36}
    with tarfile.open(data, "r|xz") as tar:
        for member in tar:
            folder, name = os.path.split(member.name)
            part, kind = folder.split("/")[-2:] if "/" in folder else ("", "")
            if part == "test" and left.get(kind, 0) > 0 and name.endswith(".jpg"):
                left[kind] -= 1
                (root / kind).mkdir(exist_ok=True)
                (root / kind / name).write_bytes(tar.extractfile(member).read())
            if not any(left.values()):
                break
    return root


def test_adapt_learns_and_reports(windows, tmp_path):
    out, _ = lab("adapt", "--seeds", 1, "--test", windows, "--out", tmp_path / "report", PERSON)
    report = (tmp_path / "report" / "report.md").read_text()
    assert "(labels.svg)" in report and report.replace("\n![Accuracy against labels](labels.svg)\n", "") == out
    with open(tmp_path / "report" / "draws.csv", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 4 * 3 and {row["labels"] for row in rows} == {"5", "10", "20"}
    last = [row for row in rows if row["labels"] == "20" and row["scheme"] == "trainer"]
    assert sum(float(row["balanced"]) - float(row["before"]) for row in last) / len(last) > 3
    assert all(0 < int(row["record"]) <= 16384 and row["device"] == "0" for row in last)
    assert all(int(row["record"]) > 20 * 32000 for row in rows if row["labels"] == "20" and row["scheme"] == "sgd")


def test_adapt_counts_what_a_disk_receives(windows, tmp_path):
    done = subprocess.run([sys.executable, SOURCE / "tests/bench/adapt.py", LAB, "--seeds", "1", "--test", windows,
                           "--out", tmp_path / "report", PERSON], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "report" / "draws.csv", encoding="ascii") as file:
        rows = [row for row in csv.DictReader(file) if row["labels"] == "20"]
    for row in rows:
        assert int(row["device"]) >= int(row["record"])
        assert row["scheme"] == "sgd" or int(row["record"]) <= int(row["store"]) <= int(row["device"]) <= 65536


def test_adapt_refuses_what_it_cannot_measure(windows, tmp_path):
    for name in ("person", "background"):
        (tmp_path / name).mkdir()
        for picture in sorted((windows / name).iterdir())[:20]:
            shutil.copy(picture, tmp_path / name)
    assert "needs pictures of more than 10" in lab("adapt", "--test", tmp_path, PERSON, code=1)[1]
    assert "no block device" in lab("adapt", "--disk", "/proc", "--test", windows, PERSON, code=1)[1]
    assert "two classes" in lab("adapt", "--test", windows, LG3, code=1)[1]
