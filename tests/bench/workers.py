#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""How much more two workers do than one: frames a second of a daemon with one and with two, in turn, each kept busy by
four posting processes. Start it on an otherwise idle machine of two cores or more; daemon and posting share them.
Usage: workers.py BUILD-FOLDER MODEL FILE [ROUNDS [RUNS]], default 5 300"""
import datetime
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

CLIENTS = 4


def start(build, model, folder, workers):
    config = folder / f"conf{workers}"
    config.write_text(f"[daemon]\nhttp = {folder}/http{workers}\nvarlink =\nworkers = {workers}\n"
                      f"worker = {build}/daemon/worker/ocellus-worker\n\n[model m]\npath = {model}\n")
    daemon = subprocess.Popen([build / "daemon/ocellusd", "--config", config], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    return daemon


def frames_per_second(build, socket, file, runs):
    begin = time.monotonic()
    clients = [subprocess.Popen([build / "tests/bench/bench_post", str(i), socket, f"/v1/frames/camera{i}", file,
                                 str(runs)], stdout=subprocess.DEVNULL) for i in range(CLIENTS)]
    if any(client.wait() != 0 for client in clients):
        sys.exit("workers.py: a post failed")
    return CLIENTS * (runs + 100) / (time.monotonic() - begin)  # bench_post warms up with 100


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    build, model, file = (pathlib.Path(name).resolve() for name in sys.argv[1:4])
    rounds, runs = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((4, 5), (5, 300)))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        daemons = {workers: start(build, model, folder, workers) for workers in (1, 2)}
        try:
            rates = [{workers: frames_per_second(build, folder / f"http{workers}", file, runs) for workers in daemons}
                     for _ in range(rounds)]
        finally:
            for daemon in daemons.values():
                daemon.terminate()
                daemon.wait()
    middle = {workers: statistics.median(rate[workers] for rate in rates) for workers in (1, 2)}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}; {file.name}; medians of"
          f" {rounds} rounds in turn")
    print(f"one worker {middle[1]:.0f} frames/s, two {middle[2]:.0f}, ratio"
          f" {statistics.median(rate[2] / rate[1] for rate in rates):.2f}")


if __name__ == "__main__":
    main()
