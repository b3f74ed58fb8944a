# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Every real and every hostile file over both doors: a result or a typed error, in time, and the daemon as it was."""

import collections
import os
import time

import pytest

import ocellus

# Seconds for one frame. The sanitizer builds are not held to it: their time says nothing.
LIMIT = 1.0
# What may come back for a file that is no whole picture of a kind that is read.
REFUSALS = {"io.ocellus.Corrupt", "io.ocellus.Unsupported", "io.ocellus.TooLarge"}

# Files of data/raw that are whole pictures which LibRaw 0.20 reads; everything else there is truncated, broken, of a
# kind that it does not read, or no picture at all.
RAW_PICTURES = {
    "thorsted": ("Canon_PowerShot_G2", "Canon_PowerShot_S40", "Kodak_DC120", "Kodak_DC50"),
    "colinleroy": ("src_quicktake_tests_KDC", "src_quicktake_tests_QKTK", "src_quicktake_tests_QKTN", "src_sixforty"),
    "evanoberholster": ("testImages_CRW.CRW",),
    "KDE": ("autotests_read_raw_RAW_KODAK_C330_FORMAT_NONE_YRGB.raw",),
    "minhtcai": ("images_test.dng",),
    "syoyo": ("colorchart.dng",),
}
# JPEGs under a RAW name are pictures all the same.
JPEG_UNDER_RAW_NAME = {"nef_Issue_247-2.nef", "nef_Issue_247-3.nef"}
# Truncated files that LibRaw calls a success.
LIES = {"t_images_DNG.dng", "t_images_CanonRaw.cr3", "t_images_Nikon.nef", "t_images_Panasonic.rw2", "test_data_IMG_1361.dng"}


def is_raw_picture(path):
    known = RAW_PICTURES.get(path.parent.name, ())
    return path.name in JPEG_UNDER_RAW_NAME or any(path.name.startswith(prefix) for prefix in known)


def outcome(door, path):
    """("ok", format) or (error name, None), and the seconds it took."""
    start = time.monotonic()
    try:
        result = door.infer(path, camera="files")
        kind = ("ok", result["image"]["format"])
        assert result["label"] and 0 <= result["confidence"] <= 1
    except ocellus.Error as error:
        kind = (error.name, None)
    return kind, time.monotonic() - start


def post_all(daemon, files):
    """{file: kind}, the same over both doors; asserts the time of each."""
    kinds, slow = {}, []
    with daemon.web() as web, daemon.eye() as eye:
        for path in files:
            kind, seconds = outcome(web, path)
            again, more = outcome(eye, path)
            assert kind == again, f"{path.name}: {kind} over HTTP, {again} over Varlink"
            kinds[path] = kind
            if max(seconds, more) > LIMIT:
                slow.append(f"{path.name}: {max(seconds, more):.2f} s")
    assert not slow, slow
    return kinds


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def assert_unharmed(daemon, pid, fds, before):
    assert daemon.pid == pid and os.path.exists(f"/proc/{pid}")
    deadline = time.monotonic() + 5
    while daemon.fds() > fds and time.monotonic() < deadline:
        time.sleep(0.05)
    assert daemon.fds() <= fds
    assert daemon.rss(workers=False) <= before + (4 << 20), "the daemon's memory is not back where it was"


@pytest.mark.parametrize("folder", ["raw", "jpeg", "hostile"])
def test_every_file_gets_a_result_or_a_typed_error(daemon, shared, folder):
    files = files_of(shared / "data" / folder)
    with daemon.web() as web, daemon.eye() as eye:
        eye.status()
        web.status()
    pid, fds, before = daemon.pid, daemon.fds(), daemon.rss(workers=False)
    kinds = post_all(daemon, files)
    count = collections.Counter(name if name != "ok" else f"ok {image}" for name, image in kinds.values())
    print(f"{folder}: {len(files)} files: {dict(sorted(count.items()))}")

    assert all(name == "ok" or name in REFUSALS for name, _ in kinds.values()), count
    for path, (name, _) in kinds.items():
        if folder == "jpeg":
            assert name == "ok", f"{path.name}: {name}"
        elif folder == "raw":
            assert (name == "ok") == is_raw_picture(path), f"{path.name}: {name}"
        assert path.name not in LIES or name != "ok", f"{path.name} is truncated"
    if folder == "hostile":  # odd but valid pictures are among them: refusing everything would be no answer
        assert count["ok jpeg"] >= 150 and min(count[name] for name in REFUSALS) >= 10, count
    assert len(files) >= {"raw": 40, "jpeg": 30, "hostile": 500}[folder], "files are missing"
    assert_unharmed(daemon, pid, fds, before)
