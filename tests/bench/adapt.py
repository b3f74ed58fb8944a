#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""ocellus-lab adapt with an ext4 of its own on a loop device, so that what 20 labels write is counted where it arrives. Skips
(exit status 77) where loop devices or mounting are not to be had; then `LAB adapt ARGUMENT...` has everything but that.
Usage: adapt.py LAB ARGUMENT...
such as: adapt.py build/engine/lab/ocellus-lab --seeds 5 --data HELD --test DIR --out REPORT person.safetensors"""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))
import device  # noqa: E402


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        device.skip("mounting needs root")
    with tempfile.TemporaryDirectory() as place:
        disk = device.Disk(pathlib.Path(place), 1024)  # of this size on mkfs.ext4 takes blocks of 4 KiB
        try:
            done = subprocess.run([sys.argv[1], "adapt", "--disk", disk.mount, *sys.argv[2:]], check=False)
        finally:
            disk.close()
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
