#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Kills the store before and after each of its system calls, and makes each fail, on real files.

Usage: kill.py WORKLOAD SHIM [STEP]    every STEP-th call, 1 by default
"""
import os
import pathlib
import subprocess
import sys
import tempfile

COMMITS, BYTES = "160", "300"  # with three snapshots and two restarts
FATES = [("kill-before", "0"), ("kill-after", "0"), ("5", "0"), ("5", "1"), ("28", "0"), ("28", "1"), ("122", "0"), ("4", "0"), ("short", "0")]


def run(workload, directory, acks, **settings):
    directory.mkdir()
    return subprocess.run([workload, "run", directory, acks, COMMITS, BYTES], env={**os.environ, **settings}, capture_output=True, text=True)


def main():
    workload, shim = sys.argv[1:3]
    step = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    runs = violations = 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        place = pathlib.Path(name)
        calls = int(run(workload, place / "all", place / "acks", LD_PRELOAD=shim, SHIM_COUNT="1").stderr)
        for first, (what, stays) in enumerate(FATES):
            for at in range(1 + first % step, calls + 1, step):
                directory, acks = place / f"{runs}", place / f"{runs}.acks"
                result = run(workload, directory, acks, LD_PRELOAD=shim, SHIM_AT=str(at), SHIM_WHAT=what, SHIM_STAYS=stays)
                if result.returncode not in (0, 3, -9):
                    sys.exit(f"{what} at call {at}: exit status {result.returncode}: {result.stderr}")
                check = subprocess.run([workload, "check", directory, acks], capture_output=True, text=True)
                if check.returncode != 0:
                    print(f"{what} (stays: {stays}) at call {at}: {check.stdout}{check.stderr}", end="")
                    violations += 1
                subprocess.run(["rm", "-rf", directory, acks], check=True)
                runs += 1
    print(f"{runs} runs, {calls} calls, {violations} violations")
    sys.exit(violations > 0 or runs < 100)


if __name__ == "__main__":
    main()
