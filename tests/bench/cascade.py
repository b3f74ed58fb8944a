#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""What a cascade saves on a stream of frames: the daemon with a detector that wakes a recogniser, the share of frames that wake
it by folder, and the operations of a frame (a multiply and an add are two) beside those of the recogniser on every frame.
Usage: cascade.py BUILD-FOLDER DETECTOR LABEL CONFIDENCE RECOGNISER TREE [FRAMES-OF-A-FOLDER]"""
import pathlib
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"))
import ocellus  # noqa: E402


def start(build, folder, detector, label, confidence, recogniser):
    config = folder / "conf"
    config.write_text(f"[daemon]\nhttp =\nvarlink = {folder}/socket\nworker = {build}/daemon/worker/ocellus-worker\nmodel = detector\n"
                      f"[model detector]\npath = {detector}\nwakes = recogniser\nwake-label = {label}\nwake-confidence = {confidence}\n"
                      f"[model recogniser]\npath = {recogniser}\n")
    return subprocess.Popen([build / "daemon/ocellusd", "--config", config], stderr=subprocess.DEVNULL)


def connect(socket):
    for _ in range(500):
        try:
            return ocellus.Varlink(str(socket))
        except OSError:
            time.sleep(0.01)
    sys.exit("cascade.py: the daemon does not answer")


def main():
    if len(sys.argv) < 7:
        sys.exit(__doc__)
    build, detector, recogniser, tree = (pathlib.Path(sys.argv[i]).resolve() for i in (1, 2, 5, 6))
    limit = int(sys.argv[7]) if len(sys.argv) > 7 else None
    frames = [(folder.name, file) for folder in tree.iterdir() for file in sorted(folder.iterdir())[:limit]]
    random.Random(1).shuffle(frames)
    woken, seen, work = {}, {}, 0
    with tempfile.TemporaryDirectory() as name:
        daemon = start(build, pathlib.Path(name), detector, sys.argv[3], sys.argv[4], recogniser)
        with connect(pathlib.Path(name) / "socket") as eye:
            for folder, file in frames:
                result = eye.infer(file.read_bytes())
                seen[folder] = seen.get(folder, 0) + 1
                woken[folder] = woken.get(folder, 0) + result["cascade"]["awake"]
                work += result["macs"]
            every = eye.infer(frames[0][1].read_bytes(), model="recogniser")["macs"]
        daemon.terminate()
        daemon.wait()
    for folder in sorted(seen):
        print(f"{folder}: {woken[folder]} of {seen[folder]} frames wake the recogniser, {100 * woken[folder] / seen[folder]:.1f} %")
    print(f"all: {100 * sum(woken.values()) / len(frames):.1f} % wake it; {2 * work / len(frames) / 1e6:.1f} million operations a frame, "
          f"{2 * every / 1e6:.1f} with the recogniser on every one")


main()
