# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Scans of whole scenes, by a model that was not trained but made to match one pattern: what there is to find, and where,
is known exactly."""

import concurrent.futures
import csv
import json
import subprocess
import tarfile
import time

import ocellus
import pytest
from conftest import BUILD, MODELS, SHARED, Daemon, pnm
from test_points import write_model

SIDE = 16  # of the window
CELLS = ("#.##", "..#.", "##.#", ".#..")  # the pattern: bright and dark cells
WIDTH, HEIGHT = 320, 240
# x, y and side of the patterns in the scene
THINGS = ((40, 60, 32), (220, 132, 32), (112, 144, 64))


def bright(x, y, side):
    return CELLS[y * 4 // side][x * 4 // side] == "#"


def sign(low, high):
    return (high > low) - (high < low)


def template():
    """Ternary codes of the pattern's inside, [y][x][gx, gy]; 0 where they say nothing."""
    codes = []
    for y in range(SIDE):
        for x in range(SIDE):
            inside = 0 < x < SIDE - 1 and 0 < y < SIDE - 1
            codes.append(sign(bright(x - 1, y, SIDE), bright(x + 1, y, SIDE)) if inside else 0)
            codes.append(sign(bright(x, y - 1, SIDE), bright(x, y + 1, SIDE)) if inside else 0)
    return codes


def matcher(prefix, flip=1):
    """A layer whose margin of "thing" is 0 where half of the codes match, 4 where all do; and its tensors."""
    codes = template()
    half = sum(code != 0 for code in codes) // 2
    name = f"{prefix}fc"
    layer = {"op": "dense", "name": name, "weights": "s8", "out": 2, "activation": "none", "output": "scores",
             "preshift": 16, "shift": 1}
    weights = bytes(len(codes)) + bytes(code & 0xff for code in codes)
    mult = flip * 2 * 4 * 65536 * 65536 // half
    tensors = {f"{name}.weight": ("I8", [2, len(codes)], weights),
               f"{name}.bias": ("I32", [2], b"".join(v.to_bytes(4, "little", signed=True) for v in (0, -half))),
               f"{name}.mult": ("I32", [2], b"".join(v.to_bytes(4, "little", signed=True) for v in (1, mult)))}
    return layer, tensors


FRONT = {"source": "log-gradient", "width": SIDE, "height": SIDE, "planes": "grey", "fit": "cover", "coding": "ternary",
         "merge": "all", "floor": 32, "ratio": [[9, 8]]}


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A model that finds the pattern, as points "plain" and, never content, "sour"."""
    plain, tensors = matcher("plain_")
    sour, more = matcher("sour_", flip=-1)
    description = {"format": 1, "name": "things", "labels": ["nothing", "thing"],
                   "points": [{"name": "plain", "input": FRONT, "layers": [plain]},
                              {"name": "sour", "input": FRONT, "layers": [sour]}],
                   "scan": {"label": "thing", "slope": 1.0, "offset": 0.0}}
    return write_model(tmp_path_factory.mktemp("model") / "things.safetensors", description, {**tensors, **more})


def scene(things=THINGS, base=90):
    def pixel(x, y):
        for left, top, side in things:
            if left <= x < left + side and top <= y < top + side:
                return (200, 180, 160) if bright(x - left, y - top, side) else (30, 35, 25)
        return (base + x // 16, base + y // 16, base - 20)
    return pnm(WIDTH, HEIGHT, pixel)


@pytest.fixture(scope="module")
def frame():
    return scene()


PATIENT = {"deadline": "20s", "worker_timeout": "20s"}
SCAN = {"scan-object-min": 10, "scan-factor": 1.1, "scan-confidence": 80, "scan-overlap": 20}


@pytest.fixture
def seeing(start_daemon, things):
    """Cameras of all kinds over the matching model."""
    return start_daemon(models={"things": things}, cameras={
        "yard": {"scan": "yes", **SCAN},
        "still": {**SCAN},
        "moving": {"scan": "yes", "motion": "on", "motion-whole": "3600s", **SCAN},
        "checked": {"scan": "yes", "scan-confirm": "plain", **SCAN},
        "never": {"scan": "yes", "scan-confirm": "sour", **SCAN},
        "parts": {"scan": "yes", **SCAN, "[zone parts left]\narea": "0,0 40,0 40,100 0,100",
                  "[zone parts low]\narea": "0,70 100,70 100,100 0,100",
                  "[mask parts right]\narea": "60,50 100,50 100,100 60,100"},
    })


def assert_found(result, things=THINGS, tolerance=0.2):
    """Each thing has one box, close to it, and there is no other."""
    boxes = list(result["boxes"])
    assert len(boxes) == len(things), boxes
    for left, top, side in things:
        near = [box for box in boxes
                if abs(box["x"] + box["width"] / 2 - left - side / 2) <= tolerance * side
                and abs(box["y"] + box["height"] / 2 - top - side / 2) <= tolerance * side
                and abs(box["width"] - side) <= 1.5 * tolerance * side]
        assert len(near) == 1, (left, top, side, boxes)
    confidences = [box["confidence"] for box in boxes]
    assert confidences == sorted(confidences, reverse=True)
    assert result["label"] == "thing" and result["confidence"] == confidences[0]
    assert [score["label"] for score in result["scores"]] == ["thing"]


def test_both_doors_say_the_same(seeing, frame):
    with seeing.eye() as eye, seeing.web() as web:
        first, second = eye.infer(frame, camera="yard"), web.infer(frame, camera="yard")
    assert_found(first)
    assert first["boxes"] == second["boxes"] and first["light"] == second["light"]
    for box in first["boxes"]:
        assert set(box) == {"x", "y", "width", "height", "label", "confidence", "score", "level"}
    assert first["times_us"]["average"] > 0 and "motion" not in first
    assert first["scores"][0]["score"] == first["boxes"][0]["score"]


def test_a_client_may_wish(seeing, frame, picture):
    with seeing.eye() as eye, seeing.web() as web:
        for client in (eye, web):
            assert "boxes" not in client.infer(frame, camera="yard", scan="no")
            assert "boxes" not in client.infer(frame, camera="still")
            assert_found(client.infer(frame, camera="still", scan="yes"))
            large = client.infer(frame, camera="unheard-of", scan="yes")  # with the default settings
            assert_found({**large, "boxes": large["boxes"][:1]}, [THINGS[2]])
            with pytest.raises(ocellus.Error) as refused:
                client.infer(frame, scan="perhaps")
            assert refused.value.name.endswith("BadRequest")
        nothing = eye.infer(picture, camera="yard")
        assert nothing["boxes"] == [] and nothing["label"] == "background"
        assert nothing["confidence"] == pytest.approx(1 - nothing["scores"][0]["probability"], abs=2e-6)


@pytest.mark.parametrize("mask", ["c", "avx2"])
def test_every_instruction_set_says_the_same(start_daemon, seeing, things, frame, mask):
    other = start_daemon(models={"things": things}, settings={**PATIENT, "workers": 1, "cpu_mask": mask}, cameras={"yard": {"scan": "yes", **SCAN}})
    with seeing.eye() as eye, other.eye() as same:
        one, two = eye.infer(frame, camera="yard"), same.infer(frame, camera="yard")
    assert one["boxes"] == two["boxes"] and one["scores"] == two["scores"] and one["light"] == two["light"]


def test_zones_and_masks(seeing, frame):
    with seeing.eye() as eye:
        result = eye.infer(frame, camera="parts")
    assert_found(result, [THINGS[0], THINGS[2]])
    assert {box["zone"] for box in result["boxes"] if box["width"] < 48} == {"left"}
    assert {box["zone"] for box in result["boxes"] if box["width"] > 48} == {"low"}


def test_boxes_are_confirmed(seeing, frame):
    with seeing.eye() as eye:
        plain = eye.infer(frame, camera="yard")
        checked = eye.infer(frame, camera="checked")
        assert checked["boxes"] == plain["boxes"] and checked["macs"] > plain["macs"]
        never = eye.infer(frame, camera="never")
        assert never["boxes"] == [] and never["label"] == "background"


def mosaic(ppm):
    """The picture as a sensor of RGGB with 8 bits would have it."""
    head = len(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT))
    return bytes(ppm[head + (y * WIDTH + x) * 3 + y % 2 + x % 2] for y in range(HEIGHT) for x in range(WIDTH))


def test_sources_agree(seeing, frame, tmp_path):
    """JPEG, DNG and a bare sensor buffer of one scene; no ISP has seen the latter two."""
    source, jpeg, dng = tmp_path / "scene.ppm", tmp_path / "scene.jpg", tmp_path / "scene.dng"
    source.write_bytes(frame)
    command = [BUILD / "clients" / "ocellus", "infer", source, "--socket", seeing.varlink]
    subprocess.run([*command, "--camera", "yard", "--scan", "no", "--annotate", jpeg], check=True, capture_output=True)
    subprocess.run([BUILD / "engine" / "lab" / "ocellus-lab", "capture", source, "-o", dng], check=True)
    sensor = {"width": WIDTH, "height": HEIGHT, "cfa": "RGGB", "packing": "u8"}
    with seeing.eye() as eye, seeing.web() as web:
        found = {}
        for name, data, given in (("jpeg", jpeg.read_bytes(), {}), ("raw", dng.read_bytes(), {}),
                                  ("sensor", mosaic(frame), sensor)):
            result = web.infer(data, camera="yard", **given)
            assert result["image"]["format"] == name
            assert (result["image"]["width"], result["image"]["height"]) == (WIDTH, HEIGHT)
            assert_found(result)
            again = eye.infer(data, camera="yard", **({"sensor": given} if given else {}))
            assert again["boxes"] == result["boxes"]
            found[name] = result
    assert all(result["light"]["saturated"] == 0 for result in found.values())
    assert found["sensor"]["light"]["level"] == pytest.approx(found["raw"]["light"]["level"], rel=0.1)


def test_motion_gives_the_boxes_of_a_whole_scan(seeing):
    shares = []
    with seeing.eye() as eye:
        for step in range(6):
            x = 40 + 12 * min(step, 4)  # the last stands still
            moved = ((x, 60, 32), *THINGS[1:])
            picture = scene(moved)
            moving, whole = eye.infer(picture, camera="moving"), eye.infer(picture, camera="yard")
            assert_found(moving, moved)
            assert moving["boxes"] == whole["boxes"]
            shares.append(moving["motion"]["share"])
        empty = eye.infer(scene(()), camera="moving")
        assert empty["boxes"] == [] and 0 < empty["motion"]["share"] <= 1
    assert shares[0] == 1 and shares[-1] == 0
    assert all(0 < share < 0.5 for share in shares[1:-1]), shares


def test_motion_is_checked_now_and_then(start_daemon, things, frame):
    daemon = start_daemon(models={"things": things}, settings={"workers": 1}, cameras={
        "moving": {"scan": "yes", "motion": "on", "motion-whole": "1s", **SCAN}})
    with daemon.eye() as eye:
        assert eye.infer(frame, camera="moving")["motion"]["share"] == 1
        deadline, shares = time.monotonic() + 20, []
        while shares[-1:] != [1] and time.monotonic() < deadline:
            shares.append(eye.infer(frame, camera="moving")["motion"]["share"])
        assert shares[0] == 0 and shares[-1] == 1
        # Another operating point, and another size, are other scans.
        assert eye.infer(frame, camera="moving", point="sour")["motion"]["share"] == 1
        assert eye.infer(frame, camera="moving")["motion"]["share"] == 1
        small = pnm(100, 80, lambda x, y: (x, y, 9))
        assert eye.infer(small, camera="moving")["motion"]["share"] == 1


def test_light(seeing):
    bright_red = pnm(64, 48, lambda x, y: (200, 40 + x, y))
    dark_grey = b"P5 64 48 65535\n" + b"\x00\x20" * (64 * 48)
    with seeing.eye() as eye:
        for camera in ("yard", "still"):
            red = eye.infer(bright_red, camera=camera)["light"]
            assert red["mono"] is False and red["dark"] < 0.1 and red["level"] > 0.3
            grey = eye.infer(dark_grey, camera=camera)["light"]
            assert grey["mono"] is True and grey["dark"] == 1 and grey["level"] < 0.001
    # Colour is looked for once a minute; until then what is known of the camera stands.


def test_newest_wins_while_scanning(start_daemon, things, frame):
    daemon = start_daemon(models={"things": things}, settings={"workers": 1, "deadline": "20s", "worker_timeout": "10s"},
                          cameras={"yard": {"scan": "yes", **SCAN, "scan-object-min": 8, "scan-factor": 1.06}})

    def post(_):
        with daemon.web() as web:
            try:
                return len(web.infer(frame, camera="yard")["boxes"])
            except ocellus.Error as error:
                return error.name.rpartition(".")[2]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(24)))
    assert set(answers) <= {3, "TooBusy"} and 3 in answers, answers
    with daemon.eye() as eye:
        counted = eye.status()["frames"]
        assert counted["answered"] == answers.count(3) and counted["superseded"] == answers.count("TooBusy")


def test_a_scan_that_takes_too_long(start_daemon, things, frame):
    daemon = start_daemon(models={"things": things}, settings={"workers": 1, "worker_timeout": "10ms"},
                          cameras={"slow": {"scan": "yes", "scan-object-min": 2, "scan-factor": 1.5, "scan-stride": 1}})
    daemon.expect("workers failed")
    large = b"P5 800 600 255\n" + bytes(range(240)) * (800 * 600 // 240)
    with daemon.eye() as eye:
        with pytest.raises(ocellus.Error) as refused:
            eye.infer(large, camera="slow")
        assert refused.value.name.endswith("Deadline")
        assert eye.status()["workers"]["timeouts"] == 1
        small = pnm(16, 16, lambda x, y: (x, y, 0))
        for _ in range(200):  # while the worker is replaced, and where the machine is slow
            try:
                assert "boxes" not in eye.infer(small, camera="slow", scan="no")
                return
            except ocellus.Error:
                time.sleep(0.05)
    pytest.fail("no frame was answered any more")


def test_a_model_that_cannot_scan(start_daemon, things, frame):
    daemon = start_daemon(models={"things": things, "cifar10-lg3": MODELS / "cifar10-lg3.safetensors"},
                          cameras={"yard": {"model": "things", "scan": "yes", **SCAN}})
    with daemon.eye() as eye, daemon.web() as web:
        for client in (eye, web):
            with pytest.raises(ocellus.Error) as refused:
                client.infer(frame, camera="yard", model="cifar10-lg3", scan="yes")
            assert refused.value.name.endswith("BadRequest")
        # The camera scans with its own model; another one classifies.
        assert "boxes" not in eye.infer(frame, camera="yard", model="cifar10-lg3")


@pytest.mark.parametrize("camera, words", [
    ({"model": "cifar10-lg3", "scan": "yes"}, "does not say what to scan for"),
    ({"model": "cifar10-lg3", "scan": "yes", "scan-label": "cat"}, "no padding"),
    ({"model": "things", "scan": "yes", "scan-label": "cat"}, "scan-label names no label"),
    ({"model": "things", "scan": "yes", "scan-confirm": "nobody"}, "scan-confirm names neither"),
    ({"model": "things", "scan": "yes", "scan-confirm": "cifar10-lg3"}, "without the label"),
    ({"model": "flat", "scan": "yes", "motion": "on"}, "motion needs a model whose codes are ternary"),
    ({"model": "flat", "scan": "yes", "scan-stride": 3}, ""),
    ({"model": "things", "scan": "yes", "scan-confirm": "flat"}, "does not take the same windows"),
])
def test_settings_that_do_not_fit_the_model(things, tmp_path, camera, words):
    layer, tensors = matcher("")
    tensors["fc.weight"] = ("I8", [2, SIDE * SIDE], bytes(2 * SIDE * SIDE))
    front = {"source": "srgb", "width": SIDE, "height": SIDE, "planes": "grey", "fit": "cover", "coding": "u7"}
    flat = write_model(tmp_path / "flat.safetensors", {
        "format": 1, "name": "flat", "labels": ["nothing", "thing"], "input": front, "layers": [layer],
        "scan": {"label": "thing", "slope": 1.0, "offset": 0.0}}, tensors)
    daemon = Daemon(tmp_path, models={"things": things, "flat": flat, "cifar10-lg3": MODELS / "cifar10-lg3.safetensors"},
                    cameras={"yard": camera})
    ended = subprocess.run([BUILD / "daemon" / "ocellusd", "--config", daemon.config, "--check-config"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if words:
        assert ended.returncode != 0 and words in ended.stderr and "camera yard" in ended.stderr
    else:
        assert ended.returncode == 0, ended.stderr


def test_annotate(seeing, frame, tmp_path):
    source, plain, drawn = tmp_path / "scene.ppm", tmp_path / "plain.jpg", tmp_path / "drawn.jpg"
    source.write_bytes(frame)

    def infer(*arguments):
        return subprocess.run([BUILD / "clients" / "ocellus", "infer", source, "--socket", seeing.varlink, "--camera",
                               "yard", *arguments], capture_output=True, text=True)

    said = infer("--annotate", drawn)
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("\n  thing ") == 3
    assert infer("--scan", "no", "--annotate", plain).returncode == 0
    assert plain.read_bytes()[:2] == drawn.read_bytes()[:2] == b"\xff\xd8"
    with seeing.eye() as eye:
        before, after = (eye.infer(path.read_bytes(), camera="yard", scan="no") for path in (plain, drawn))
    assert (after["image"]["width"], after["image"]["height"]) == (WIDTH, HEIGHT)
    assert before["scores"] != after["scores"]  # something was drawn
    jsoned = json.loads(infer("--json", "--annotate", drawn).stdout)
    assert len(jsoned["boxes"]) == 3
    assert infer("--annotate", tmp_path / "no" / "such.jpg").returncode == 1
    assert infer("--annotate", drawn, source).returncode == 2


def overlap(one, other):
    """Intersection over union of two boxes x, y, width, height."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(width, 0) * max(height, 0)
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def place(box):
    return box["x"], box["y"], box["width"], box["height"]


@pytest.fixture(scope="module")
def persons(tmp_path_factory):
    """Frames with persons on photographs: {"jpeg": {name: bytes}, "raw": the same scenes}, and where they are."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no data sets at {SHARED}")
    folder = tmp_path_factory.mktemp("persons")
    (folder / "crops").mkdir()
    (folder / "photographs").mkdir()
    with tarfile.open(SHARED / "data" / "person-inria.tar.xz", "r|xz") as archive:
        for member in archive:
            if len(list((folder / "crops").iterdir())) == 20:
                break
            if member.name.startswith("test/person/") and member.name.endswith("a.jpg"):
                (folder / "crops" / member.name.rpartition("/")[2]).write_bytes(archive.extractfile(member).read())
    for name in ("HP_Photosmart_M417_HPIM0005", "Nikon_CoolPix_S3100_DSCN0138"):  # it was not trained with these
        (folder / "photographs" / f"{name}.jpg").write_bytes((SHARED / "data" / "jpeg" / f"{name}.JPG").read_bytes())
    compose = [BUILD / "engine" / "lab" / "ocellus-lab", "compose", folder / "crops", folder / "photographs",
               "--images", "16"]
    frames = {}
    for name, options in (("jpeg", []), ("raw", ["--exposure", "1/2"])):
        subprocess.run([*compose, "--out", folder / name, *options], check=True, capture_output=True)
        frames[name] = {path.stem: path.read_bytes() for path in sorted((folder / name).glob("0*"))}
    truth = {}
    with open(folder / "jpeg" / "truth.csv", newline="") as table:
        for row in csv.DictReader(line for line in table if not line.startswith("#")):
            box = tuple(int(row[key]) for key in ("x", "y", "width", "height"))
            truth.setdefault(row["frame"].partition(".")[0], []).append(box)
    return frames, truth


def test_the_shipped_model_finds_persons(start_daemon, persons):
    frames, truth = persons
    daemon = start_daemon(models={"person": MODELS / "person.safetensors"}, settings=PATIENT,
                          cameras={"porch": {"scan": "yes"}})
    found, seen = {}, {}
    with daemon.eye() as eye, daemon.web() as web:
        for source, pictures in frames.items():
            hits = false = 0
            for name, picture in pictures.items():
                result = web.infer(picture, camera="porch")
                assert result["image"]["format"] == source
                assert eye.infer(picture, camera="porch")["boxes"] == result["boxes"]
                boxes = [place(box) for box in result["boxes"]]
                hits += sum(any(overlap(box, person) >= 0.5 for box in boxes) for person in truth[name])
                false += sum(all(overlap(box, person) < 0.5 for person in truth[name]) for box in boxes)
                seen[source, name] = result["boxes"]
            found[source] = (hits, false)
    count = sum(map(len, truth.values()))
    print(found, "of", count)
    assert found["jpeg"][0] >= 0.6 * count and found["jpeg"][1] <= len(frames["jpeg"]) / 2
    # A sensor's quads are half as fine: a window is 128 rows of it. What is larger is found there, too.
    large = [(name, place(box)) for name in frames["jpeg"] for box in seen["jpeg", name]
             if box["height"] >= 160 and box["confidence"] >= 0.9]
    same = [any(overlap(place(other), box) >= 0.5 for other in seen["raw", name]) for name, box in large]
    print(sum(same), "of", len(large), "large boxes in the sensor's frames")
    assert len(large) >= 5 and sum(same) >= 0.8 * len(large)


def test_boxes_teach(start_daemon, things, frame):
    """What a box is said to be changes the scores of the next scan, on every window alike."""
    daemon = start_daemon(models={"things": things}, settings=PATIENT, adaptation={},
                          cameras={"porch": {"scan": "yes", "adapter": "home", **SCAN}, "plain": {"scan": "yes", **SCAN}})
    with daemon.eye() as eye:
        before = eye.infer(frame, camera="porch")
        untaught = eye.infer(frame, camera="plain")
        assert before["boxes"] == untaught["boxes"] and len(before["boxes"]) == len(THINGS)
        for box in range(len(THINGS)):
            reply = eye.call("io.ocellus.Label", {"frame": before["frame"], "box": box, "label": "nothing"})
            assert reply["predicted"] == "thing"
        with pytest.raises(ocellus.Error) as error:
            eye.call("io.ocellus.Label", {"frame": before["frame"], "box": len(THINGS), "label": "nothing"})
        assert error.value.name == "io.ocellus.BadRequest"
        assert eye.call("io.ocellus.Sync", {})["state"] == "durable"
        deadline = time.monotonic() + 10
        while (after := eye.infer(frame, camera="porch"))["model"]["generation"] == 0:
            assert time.monotonic() < deadline
        assert after["scores"][0]["score"] < before["scores"][0]["score"]
        assert eye.infer(frame, camera="plain")["boxes"] == untaught["boxes"]
