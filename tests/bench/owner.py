#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Enrols each person of the Yale faces in turn from three pictures and half of the other people, and tells how well the
network knows them in their other pictures, side light among them, from the people that it has not seen.

usage: tests/bench/owner.py OCELLUS_LAB RECIPE FACES     FACES: a folder for each person with its pictures"""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ENROLLED = ("normal", "happy", "centerlight")


def link(tree, faces, person):
    """tree/train and tree/test with the folders owner and other."""
    others = sorted(folder.name for folder in faces.iterdir() if folder.name != person)
    for part in ("train", "test"):
        for name in ("owner", "other"):
            (tree / part / name).mkdir(parents=True)
    for file in (faces / person).iterdir():
        (tree / ("train" if file.stem in ENROLLED else "test") / "owner" / file.name).symlink_to(file.resolve())
    for i, other in enumerate(others):
        for file in (faces / other).iterdir():
            (tree / ("train", "test")[i % 2] / "other" / f"{other}-{file.name}").symlink_to(file.resolve())


def enrol(lab, recipe, tree):
    quiet = {"check": True, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    subprocess.run([lab, "train", recipe, "--data", tree / "train", "--out", tree / "run", "--threads", "1"], **quiet)
    out = subprocess.run([lab, "eval", "--json", "--positive", "owner", tree / "run" / "owner.safetensors", tree / "test"], **quiet).stdout
    return json.loads(out)["results"][0]


def main():
    lab, recipe, faces = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    rows = []
    for person in sorted(folder.name for folder in faces.iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            link(tree, faces, person)
            result = enrol(lab, recipe, tree)
        # The curve's corners are where a count changes: the error rates are equal between two of them.
        error = min(max(mistaken, 1 - found) for mistaken, found, _ in result["roc"])
        rows.append((result["balanced_percent"], 100 * error, result["area"]))
        print(f"{person}: balanced {rows[-1][0]:.1f} %, equal errors {rows[-1][1]:.1f} %, area {rows[-1][2]:.4f}", flush=True)
    balanced, errors, areas = (statistics.mean(column) for column in zip(*rows))
    print(f"{len(rows)} people: balanced {balanced:.1f} % at confidence 0.5, equal errors {errors:.1f} %, area {areas:.4f}")


main()
