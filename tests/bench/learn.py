#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""How long 20 labelled pictures take to a changed verdict that survives a crash, and what learning costs the frames beside
it: the daemon's own time of frames in one busy worker, with the trainer idle and with labels and syncs coming as fast as they
are answered; and, where a loop device can be mounted, what a block device receives of the 20. Start it on an otherwise
idle machine of two cores or more.
Usage: learn.py BUILD-FOLDER MODEL FOLDER-OF-20-JPEGS [ROUNDS [FRAMES]], default 5 400"""
import datetime
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))
import device  # noqa: E402
import ocellus  # noqa: E402

LABELS = 20


class Daemon:
    def __init__(self, build, model, folder, state=None):
        config = folder / "conf"
        config.write_text(f"[daemon]\nhttp =\nvarlink = {folder}/socket\nworkers = 1\n"
                          f"worker = {build}/daemon/worker/ocellus-worker\n[adaptation]\nstate = {state or folder}/state\n"
                          f"budget-day = 1G\n[model m]\npath = {model}\n[camera a]\nadapter = a\n[camera b]\n")
        self.socket = str(folder / "socket")
        self.process = subprocess.Popen([build / "daemon/ocellusd", "--config", config], stderr=subprocess.DEVNULL)
        while True:
            try:
                with ocellus.Varlink(self.socket) as eye:
                    if eye.status()["ready"]:
                        return
            except OSError:
                pass
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def other_label(result):
    return next(score["label"] for score in result["scores"] if score["label"] != result["label"])


def time_to_verdict(daemon, files):
    """Seconds from the first picture to the durable update, and verdicts that it changed."""
    with ocellus.Varlink(daemon.socket) as eye:
        wanted = [other_label(eye.infer(file, camera="b")) for file in files]
        begin = time.monotonic()
        for file, label in zip(files, wanted):
            eye.label(eye.infer(file, camera="a")["frame"], label)
        reply = eye.call("io.ocellus.Sync")
        end = time.monotonic()
        if reply["state"] != "durable":
            sys.exit(f"learn.py: not durable: {reply}")
        changed = sum(eye.infer(file, camera="a")["label"] == label for file, label in zip(files, wanted))
        return end - begin, changed


def print_bytes(build, model, files):
    """Bytes of the 20 labels' records, and of the block device under an ext4 with blocks of 4 KiB."""
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        if os.geteuid() != 0:
            print("bytes at the device: not measured, mounting needs root")
            return
        disk = device.Disk(place, 1024)
        try:
            with Daemon(build, model, place, disk.mount) as daemon:
                before = disk.written()[1]
                time_to_verdict(daemon, files)
                received = disk.written()[1] - before
                with ocellus.Varlink(daemon.socket) as eye:
                    budget = eye.call("io.ocellus.AdaptationStatus")["adapters"][0]["budget"]
            print(f"{LABELS} labels: {budget['record_bytes']} bytes of records, {received} at the block device, "
                  f"{budget['charged']} by the ledger, the making of the store included")
        finally:
            disk.close()


def teach_on(socket, file):
    """Keep the trainer busy until the process is ended."""
    with ocellus.Varlink(socket) as eye:
        result = eye.infer(file, camera="a")
        while True:
            eye.label(result["frame"], other_label(result))
            eye.call("io.ocellus.Sync")


def times_of_frames(daemon, file, frames):
    """Microseconds of each frame, from whole request to checked result."""
    with ocellus.Varlink(daemon.socket) as eye:
        return sorted(eye.infer(file, camera="b")["times_us"]["total"] for _ in range(frames))


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    build, model, folder = (pathlib.Path(name).resolve() for name in sys.argv[1:4])
    rounds, frames = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((4, 5), (5, 400)))
    files = sorted(folder.glob("*.jpg"))[:LABELS]
    if len(files) < LABELS:
        sys.exit(f"learn.py: {folder} has no {LABELS} JPEGs")
    verdicts, idle, busy = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as place, Daemon(build, model, pathlib.Path(place)) as daemon:
            verdicts.append(time_to_verdict(daemon, files))
            idle.append(times_of_frames(daemon, files[0], frames))
            teacher = multiprocessing.Process(target=teach_on, args=(daemon.socket, files[1]))
            teacher.start()
            time.sleep(0.2)
            busy.append(times_of_frames(daemon, files[0], frames))
            teacher.terminate()
            teacher.join()
            with ocellus.Varlink(daemon.socket) as eye:
                labels = eye.call("io.ocellus.AdaptationStatus")["adapters"][0]["labels"]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}; {model.name}; medians of"
          f" {rounds} rounds")
    print(f"{LABELS} labelled pictures to a durable update: {statistics.median(t for t, _ in verdicts):.3f} s,"
          f" {statistics.median(c for _, c in verdicts):.0f} verdicts changed")
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        at = int(share * (frames - 1))
        print(f"{name} of a frame: trainer idle {statistics.median(t[at] for t in idle):.0f} us, busy"
              f" {statistics.median(t[at] for t in busy):.0f} us, ratio"
              f" {statistics.median(b[at] / i[at] for b, i in zip(busy, idle)):.2f}")
    print(f"({labels} labels in the last round)")
    print_bytes(build, model, files)


if __name__ == "__main__":
    main()
