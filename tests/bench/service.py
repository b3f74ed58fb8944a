#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""What the daemon costs as a service, with the default model and two workers: time from exec to READY, memory and
wake-ups of daemon and workers together while idle, and time from SIGTERM to the end. It plays the service manager.
Usage: service.py BUILD-FOLDER [STARTS [IDLE-SECONDS]], default 11 20. Needs root to see the workers' memory.

Memory is Pss of /proc/PID/smaps_rollup. Wake-ups are context switches, /proc/PID/task/*/status, of all threads: a thread
that sleeps makes none, and one that wakes up for whatever reason makes at least one when it sleeps again.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"))
import ocellus  # noqa: E402


class Service:
    def __init__(self, build, folder, watchdog_s=None, learns=False):
        source = pathlib.Path(__file__).resolve().parents[2]
        config = folder / "conf"
        config.write_text(f"[daemon]\nhttp = {folder}/http\nvarlink = {folder}/varlink\nworkers = 2\n"
                          f"worker = {build}/daemon/worker/ocellus-worker\n\n"
                          f"[model person]\npath = {source}/engine/models/person.safetensors\n" +
                          (f"[adaptation]\nstate = {folder}/state\n[camera default]\nadapter = porch\n" if learns else ""))
        self.socket = str(folder / "varlink")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (folder / "notify").unlink(missing_ok=True)
        self.notify.bind(str(folder / "notify"))
        self.notify.settimeout(30)
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        if watchdog_s is not None:
            environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        begin = time.monotonic()
        self.daemon = subprocess.Popen([build / "daemon/ocellusd", "--config", config], env=environment,
                                       stderr=subprocess.DEVNULL)
        self.receive("READY=1")
        self.start_s = time.monotonic() - begin

    def receive(self, state):
        while not self.notify.recv(4096).decode().startswith(state):
            pass

    def sleep(self, seconds):
        """Read on meanwhile, as the manager does: the daemon waits for one that does not."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.notify.settimeout(left)
            with contextlib.suppress(TimeoutError):
                self.notify.recv(4096)

    def processes(self):
        pid = self.daemon.pid
        found = [pid]
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
        return found

    def pss_kib(self):
        """Of the daemon, and of each worker."""
        return [int(next(line.split()[1] for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                         if line.startswith("Pss:"))) for pid in self.processes()]

    def switches(self):
        """Context switches so far, by process."""
        return [sum(int(line.split()[1]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                    for line in (task / "status").read_text().splitlines() if "ctxt_switches" in line)
                for pid in self.processes()]

    def teach(self, labels):
        """So many labels that are not recorded yet; the last one's number."""
        with ocellus.Varlink(self.socket) as eye:
            for number in range(labels):
                picture = b"P6\n64 48\n255\n" + bytes((number * 7 + i * i) % 256 for i in range(64 * 48 * 3))
                result = eye.infer(picture)
                other = next(score["label"] for score in result["scores"] if score["label"] != result["label"])
                reply = eye.label(result["frame"], other)
        if reply["durable"] != 0:
            sys.exit("service.py: the labels are durable already")
        return reply["sequence"]

    def durable(self):
        with ocellus.Varlink(self.socket) as eye:
            return eye.call("io.ocellus.AdaptationStatus")["adapters"][0]["durable"]

    def stop(self):
        begin = time.monotonic()
        self.daemon.send_signal(signal.SIGTERM)
        code = self.daemon.wait(30)
        self.notify.close()
        if code != 0:
            sys.exit(f"service.py: the daemon ended with {code}")
        return time.monotonic() - begin


def idle_switches(service, seconds):
    before = service.switches()
    service.sleep(seconds)
    return [after - once for after, once in zip(service.switches(), before)]


def spread(values, unit):
    return f"{statistics.median(values):.0f} {unit} (least {min(values):.0f}, most {max(values):.0f})"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[1]).resolve()
    starts, seconds = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((2, 11), (3, 20)))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        start_ms, stop_ms = [], []
        for _ in range(starts):
            service = Service(build, folder)
            service.sleep(0.3)  # both workers are ready
            start_ms.append(service.start_s * 1e3)
            stop_ms.append(service.stop() * 1e3)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {starts}")
        print(f"exec to READY: {spread(start_ms, 'ms')}; target 50")
        print(f"SIGTERM to the end: {spread(stop_ms, 'ms')}; target 100")
        stop_ms = []
        for _ in range(starts):
            service = Service(build, folder, learns=True)
            learned = service.teach(8)
            stop_ms.append(service.stop() * 1e3)
            service = Service(build, folder, learns=True)
            if service.durable() < learned:
                sys.exit("service.py: labels were lost at the end")
            service.stop()
            shutil.rmtree(folder / "state")
        print(f"the same with 8 labels to record, which the next start has: {spread(stop_ms, 'ms')}")
        service = Service(build, folder)
        service.sleep(12)  # longer than the status line and the workers' trimming wait
        pss = service.pss_kib()
        print(f"idle, daemon and workers: {' + '.join(f'{kib / 1024:.1f}' for kib in pss)} ="
              f" {sum(pss) / 1024:.1f} MiB PSS; target 16")
        print(f"idle for {seconds} s without a watchdog: {idle_switches(service, seconds)} wake-ups; target none")
        service.stop()
        service = Service(build, folder, watchdog_s=4)
        service.sleep(12)
        print(f"the same with WatchdogSec=4, fed every 2 s: {idle_switches(service, seconds)} wake-ups")
        service.stop()


if __name__ == "__main__":
    main()
