# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The memory that all limits together allow: refused where it is more than the bound, and kept where it fits."""

import contextlib
import re
import subprocess
import tempfile

import ocellus
import pytest
from conftest import BUILD, MODELS, Daemon, status_field

MODEL = {"cifar10-lg3": MODELS / "cifar10-lg3.safetensors"}
PARTS = ("program", "connections", "subscribers", "queue-bytes-max", "models", "learning", "workers")


def check(daemon):
    return subprocess.run([BUILD / "daemon" / "ocellusd", "--config", daemon.config, "--check-config"],
                          capture_output=True, text=True, timeout=60, check=False)


def test_bound_that_is_too_small_is_refused_with_its_parts():
    with tempfile.TemporaryDirectory(prefix="ocellus-") as directory:
        daemon = Daemon(directory, settings={"memory_max": "512M"}, models=MODEL)
        told = check(daemon)
        assert told.returncode == 1 and all(f"{part} " in told.stderr for part in PARTS), told.stderr
        started = subprocess.run([BUILD / "daemon" / "ocellusd", "--config", daemon.config], capture_output=True,
                                 text=True, timeout=60, check=False)
        assert started.returncode == 1 and "the bound is 512" in started.stderr
        daemon.write_config({"memory_max": "512M", "workers": 1, "queue_bytes_max": "16M", "frame_bytes_max": "1M"}, MODEL, {})
        told = check(daemon)
        assert told.returncode == 0
        total, bound = (int(re.search(words + r" (\d+)", told.stdout).group(1)) for words in ("at most", "bound is"))
        assert total <= bound == 512


def test_workers_get_what_is_left(start_daemon, picture):
    """Their address space ends where the plan says, and in that they work."""
    daemon = start_daemon(settings={"memory_max": "616M", "frame_bytes_max": "1M", "queue_bytes_max": "16M"},
                          models=MODEL)
    each = int(re.search(r"(\d+)\s+each", check(daemon).stdout).group(1))
    for worker in daemon.workers():
        with open(f"/proc/{worker}/limits", encoding="ascii") as limits:
            space = re.search(r"Max address space\s+(\w+)", limits.read()).group(1)
        if space == "unlimited":
            pytest.skip("workers with sanitizers have no bound")
        assert (each - 1) << 20 < int(space) <= each << 20
        assert status_field(worker, "VmPeak") <= each << 10
    with daemon.web() as web:
        assert web.infer(picture)["label"]
        # More pixels than fit in what a worker may take: an answer, and the next frame is judged.
        with contextlib.suppress(ocellus.Error):
            web.infer(b"P5\n9000 9000\n255\n" + b"x" * 1000)
        assert web.infer(picture)["label"]


def test_reload_that_does_not_fit_is_refused(start_daemon, picture):
    daemon = start_daemon(models=MODEL)
    daemon.expect("does not fit")
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("workers = 2", "workers = 2\nmemory-max = 256M"))
    with daemon.eye() as eye:
        with pytest.raises(ocellus.Error, match="does not fit"):
            eye.call("io.ocellus.Reload")
        assert eye.infer(picture)["label"]
        assert eye.status()["configuration"] == 1
