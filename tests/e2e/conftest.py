# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Starts a real ocellusd for a test and judges it at the end: it must stop cleanly, leave nothing behind and have
complained of nothing that the test did not declare.

OCELLUS_BUILD names the build folder (default: build/ of the source), OCELLUS_SHARED the folder with the data sets.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("OCELLUS_BUILD", SOURCE / "build")).resolve()
SHARED = pathlib.Path(os.environ.get("OCELLUS_SHARED", SOURCE.parent / "shared")).resolve()
MODELS = SOURCE / "engine" / "models"

sys.path.insert(0, str(SOURCE / "clients" / "python"))
import ocellus  # noqa: E402

# What a healthy daemon never says: errors (also as syslog priorities 0 to 3) and reports of sanitizers.
COMPLAINT = re.compile(r"^<[0-3]>|\berror\b|Sanitizer|runtime error|assert|core dumped", re.IGNORECASE)
# A daemon built with sanitizers, on a busy machine, is slow to start.
START_SECONDS = 60
STOP_SECONDS = 20


def status_field(pid, name):
    """A field of /proc/PID/status in its own unit (kB for sizes)."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


class Daemon:
    """One ocellusd in a private directory. Settings are keys of [daemon]; an underscore stands for a dash."""

    def __init__(self, directory, settings=None, models=None, cameras=None, adaptation=None):
        self.directory = pathlib.Path(directory)
        self.http = str(self.directory / "http.sock")
        self.varlink = str(self.directory / "varlink.sock")
        self.config = self.directory / "ocellus.conf"
        self.process = None
        self.expected = []
        self.identity = {}  # of Popen: user, group, extra_groups
        self.write_config(settings or {}, models, cameras or {}, adaptation)

    def write_config(self, settings, models, cameras, adaptation=None):
        if models is None:
            models = {path.stem: path for path in sorted(MODELS.glob("*.safetensors"))}
        if not models:
            pytest.skip(f"no model in {MODELS}")
        keys = {"http": self.http, "varlink": self.varlink, "workers": 2,
                "worker": BUILD / "daemon" / "worker" / "ocellus-worker"}
        if "cifar10-lg3" in models:
            keys["model"] = "cifar10-lg3"
        keys.update({name.replace("_", "-"): value for name, value in settings.items()})
        lines = ["[daemon]"] + [f"{name} = {value}" for name, value in keys.items()]
        if adaptation is not None:
            keys = {"state": self.directory / "state", **adaptation}
            lines += ["[adaptation]"] + [f"{name.replace('_', '-')} = {value}" for name, value in keys.items()]
        for name, path in models.items():
            lines += [f"[model {name}]", f"path = {path}"]
        for name, fields in cameras.items():
            lines += [f"[camera {name}]"] + [f"{key} = {value}" for key, value in fields.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def start(self):
        program = BUILD / "daemon" / "ocellusd"
        if not program.exists():
            pytest.fail(f"{program} is not built")
        with open(self.directory / "stderr", "wb") as errors:
            self.process = subprocess.Popen([program, "--config", self.config], stdin=subprocess.DEVNULL,
                                            stdout=errors, stderr=errors, **self.identity)
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None:
                pytest.fail(f"ocellusd ended with {self.process.returncode} at its start:\n{self.stderr()}")
            if time.monotonic() > deadline:
                self.process.kill()
                pytest.fail(f"ocellusd was not ready in {START_SECONDS} s:\n{self.stderr()}")
            time.sleep(0.01)
        return self

    def ready(self):
        try:
            with self.web(timeout=5) as web:
                return web.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def eye(self, timeout=30.0):
        return ocellus.Varlink(self.varlink, timeout=timeout)

    def web(self, timeout=30.0):
        return ocellus.Http(self.http, timeout=timeout)

    @property
    def pid(self):
        return self.process.pid

    def workers(self):
        return children(self.pid)

    def rss(self, workers=True):
        """Resident bytes of the daemon, and of its workers."""
        total = status_field(self.pid, "VmRSS")
        for worker in self.workers() if workers else []:
            with contextlib.suppress(FileNotFoundError, KeyError, ProcessLookupError):
                total += status_field(worker, "VmRSS")
        return total * 1024

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stderr(self):
        return (self.directory / "stderr").read_text(errors="replace")

    def expect(self, pattern):
        """Declare that complaints which match the pattern belong to this test."""
        self.expected.append(re.compile(pattern))

    def complaints(self):
        return [line for line in self.stderr().splitlines()
                if COMPLAINT.search(line) and not any(known.search(line) for known in self.expected)]

    def kill(self):
        """Kill it as a crash would; its workers must notice and end."""
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        self.process = None
        deadline = time.monotonic() + STOP_SECONDS
        while any(os.path.exists(f"/proc/{worker}") for worker in workers):
            assert time.monotonic() < deadline, "workers outlived the killed daemon"
            time.sleep(0.01)

    def stop(self):
        """Stop it and judge it."""
        if self.process is None:
            return
        workers = self.workers() if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = f"still running {STOP_SECONDS} s after SIGTERM"
        self.process = None
        assert code == 0, f"ocellusd ended with {code}:\n{self.stderr()}"
        assert not self.complaints(), "\n".join(self.complaints())
        left = [worker for worker in workers if os.path.exists(f"/proc/{worker}")]
        assert not left, f"workers outlived the daemon: {left}"
        for path in (self.http, self.varlink):
            assert not os.path.exists(path), f"{path} was left behind"


@pytest.fixture
def start_daemon():
    """start_daemon(settings={...}, models={...}, cameras={...}) -> a running Daemon; stopped after the test."""
    daemons = []

    def start(**options):
        # Not pytest's tmp_path: the path of a socket has at most 107 bytes.
        directory = tempfile.mkdtemp(prefix="ocellus-")
        try:
            daemon = Daemon(directory, **options)
        except BaseException:
            shutil.rmtree(directory)
            raise
        daemons.append(daemon)
        return daemon.start()

    yield start
    failures = []
    for daemon in daemons:
        try:
            daemon.stop()
        except AssertionError as failure:
            failures.append(str(failure))
        shutil.rmtree(daemon.directory)
    assert not failures, "\n".join(failures)


@pytest.fixture
def daemon(start_daemon):
    """An ocellusd with the committed models and default limits."""
    return start_daemon()


@pytest.fixture
def shared():
    """The folder of data sets beside the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no data sets at {SHARED}")
    return SHARED


def pnm(width, height, pixel):
    """A binary PPM; pixel(x, y) gives (r, g, b)."""
    rows = bytes(value for y in range(height) for x in range(width) for value in pixel(x, y))
    return b"P6\n%d %d\n255\n" % (width, height) + rows


@pytest.fixture(scope="session")
def picture():
    """A small picture that is not constant."""
    return pnm(64, 48, lambda x, y: (x * 4, y * 5, (x * y) % 256))
