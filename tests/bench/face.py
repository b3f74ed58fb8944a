#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""What a detector of faces does: area under the curve, balanced accuracy at a threshold that was chosen on a seeded fifth of
the pictures and is told of the others, and how many frames of that stream wake a second stage where 95% of the faces do.

usage: tests/bench/face.py OCELLUS_LAB MODEL TEST_DIRECTORY [--brightness]"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

SEED, PART, RECALL = 1, 5, 0.95


def evaluate(lab, model, tree, *options):
    out = subprocess.run([lab, "eval", "--json", "--positive", "face", *options, model, tree], check=True, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return json.loads(out)


def split(tree, to):
    """Two trees of links: the seeded fifth, and the rest."""
    rng = random.Random(SEED)
    for folder in sorted(pathlib.Path(tree).iterdir()):
        files = sorted(folder.iterdir())
        rng.shuffle(files)
        for name, part in (("fifth", files[:len(files) // PART]), ("rest", files[len(files) // PART:])):
            (to / name / folder.name).mkdir(parents=True)
            for file in part:
                (to / name / folder.name / file.name).symlink_to(file.resolve())


def main():
    lab, model, tree = sys.argv[1:4]
    whole = evaluate(lab, model, tree, *sys.argv[4:])
    counts = whole["pictures_by_class"]
    faces, others = counts["face"], sum(counts.values()) - counts["face"]
    print(f"{faces} faces, {others} others; exposures: area under the curve, {RECALL:.0%} of the faces found at so many others")
    for result in whole["results"]:
        mistaken = min(corner[0] for corner in result["roc"] if corner[1] >= RECALL)
        woken = (RECALL * faces + mistaken * others) / (faces + others)
        print(f"  {result.get('exposure', '1'):>5}  {result['area']:.4f}  {100 * mistaken:.1f} % of the others, {100 * woken:.1f} % of all frames wake")
    with tempfile.TemporaryDirectory() as folder:
        split(tree, pathlib.Path(folder))
        curve = evaluate(lab, model, f"{folder}/fifth")["results"][0]["roc"]
        threshold = max(curve, key=lambda corner: corner[1] - corner[0])[2]
        # The curve has a corner wherever the count of found or mistaken ones changes: this one is the threshold's.
        at = max((corner for corner in evaluate(lab, model, f"{folder}/rest")["results"][0]["roc"] if corner[2] >= threshold),
                 key=lambda corner: corner[1], default=[0, 0, 1])
        print(f"threshold {threshold:.3f} of a seeded fifth; of the other four: {100 * at[1]:.1f} % found, {100 * at[0]:.1f} % "
              f"mistaken, balanced {50 * (1 + at[1] - at[0]):.1f} %")


main()
