# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The page of metrics: its syntax, and that known traffic moves each counter by what it was."""

import os
import re
import signal

import ocellus
import pytest
from conftest import MODELS
from test_http import PATIENT, wait_for

SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{([^}]*)\})? (-?[0-9.]+(?:e[+-][0-9]+)?)')
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')


def scrape(daemon):
    """{name and labels: value} of a page whose syntax is right."""
    with daemon.web() as web:
        status, page = web.request("GET", "/metrics")
    assert status == 200 and page.endswith(b"\n")
    return parse(page.decode("ascii"))


def parse(page):
    kinds, helps, samples, family = {}, set(), {}, None
    for line in page.splitlines():
        if line.startswith("# HELP "):
            family, text = line[7:].split(" ", 1)
            assert family not in helps and text.endswith("."), line
            helps.add(family)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == family and name not in kinds and kind in ("counter", "gauge", "histogram"), line
            kinds[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            pairs = LABEL.findall(labels or "")
            assert ",".join(f'{key}="{text}"' for key, text in pairs) == (labels or ""), line
            base = re.sub(r"_(bucket|sum|count)$", "", name) if kinds.get(family) == "histogram" else name
            assert base == family, f"{line}: in the family {family}"
            assert (kinds[family] == "counter") == name.endswith("_total"), line
            key = (name, *sorted(pairs))
            assert key not in samples, line
            samples[key] = float(value)
    assert helps == set(kinds)
    check_histograms(samples, {name for name, kind in kinds.items() if kind == "histogram"})
    return samples


def check_histograms(samples, names):
    series = {}
    for (name, *labels), value in samples.items():
        if name.endswith("_bucket") and name[:-7] in names:
            bounds = dict(labels)
            bound = float(bounds.pop("le"))
            series.setdefault((name[:-7], *sorted(bounds.items())), []).append((bound, value))
    assert series
    for (name, *labels), buckets in series.items():
        assert buckets == sorted(buckets) and [b for b, _ in buckets] == sorted({b for b, _ in buckets})
        assert [v for _, v in buckets] == sorted(v for _, v in buckets)
        assert buckets[-1] == (float("inf"), samples[(f"{name}_count", *labels)])
        assert (f"{name}_sum", *labels) in samples


def moved(before, after):
    """What changed, without what changes by itself."""
    still = {"ocellus_uptime_seconds", "ocellus_resident_bytes", "ocellus_connections"}
    return {key: after[key] - before.get(key, 0) for key in after
            if after[key] != before.get(key, 0) and key[0] not in still and not key[0].endswith(("_bucket", "_sum"))}


def test_known_traffic_moves_the_counters(start_daemon, picture):
    daemon = start_daemon(cameras={"porch": {}, "shed": {"enabled": "no"}})
    before = scrape(daemon)
    with daemon.eye() as eye, daemon.web() as web:
        for _ in range(3):
            light = eye.infer(picture, camera="porch")["light"]
        for _ in range(2):
            web.infer(picture, camera="visitor")
        with pytest.raises(ocellus.Error):
            web.infer(b"P6\n8 8\n255\n", camera="porch")
        with pytest.raises(ocellus.Error):
            web.infer(picture, camera="shed")
        assert web.request("GET", "/nothing")[0] == 404
        assert web.request("POST", "/v1/status")[0] == 405
        with pytest.raises(ocellus.Error):
            eye.call("io.ocellus.Nothing")
    wait_for(lambda: scrape(daemon)[("ocellus_connections",)] == 1)
    after = scrape(daemon)
    scrapes = after[("ocellus_requests_total", ("code", "OK"), ("door", "http"), ("method", "/metrics"))]
    assert scrapes >= 1

    def request(door, method, code):
        return "ocellus_requests_total", ("code", code), ("door", door), ("method", method)

    def frames(what, camera, *reason):
        return f"ocellus_frames_{what}_total", ("camera", camera), *(("reason", text) for text in reason)

    expected = {
        request("varlink", "Infer", "OK"): 3,
        request("http", "Infer", "OK"): 2,
        request("http", "Infer", "Corrupt"): 1,
        request("http", "Infer", "Forbidden"): 1,
        request("http", "unknown", "NotFound"): 1,
        request("http", "Status", "MethodNotFound"): 1,
        request("varlink", "unknown", "MethodNotFound"): 1,
        ("ocellus_worker_frames_total",): 6,
        frames("received", "porch"): 4,
        frames("answered", "porch"): 3,
        frames("dropped", "porch", "failed"): 1,
        frames("received", "shed"): 1,
        frames("dropped", "shed", "refused"): 1,
        frames("received", ""): 2,
        frames("answered", ""): 2,
        **{("ocellus_inference_seconds_count", ("stage", stage)): 5
           for stage in ("queue", "decode", "front_end", "network", "total")},
    }
    seen = moved(before, after)
    for name, member in (("level", "level"), ("saturated_ratio", "saturated"), ("dark_ratio", "dark")):
        key = f"ocellus_light_{name}", ("camera", "porch")
        assert key not in before and after[key] == pytest.approx(light[member], rel=1e-3)
        seen.pop(key, None)
    assert seen.pop(request("http", "/metrics", "OK")) == scrapes - before.get(request("http", "/metrics", "OK"), 0)
    # A bad picture may cost a worker its place.
    seen = {key: value for key, value in seen.items() if not key[0].startswith(("ocellus_workers_", "ocellus_worker_restarts"))}
    assert seen == expected
    assert not any("visitor" in str(key) for key in after)


def test_the_page_names_models_and_workers(daemon):
    with daemon.eye() as eye:
        status = eye.status()
    page = scrape(daemon)
    for model in status["models"]:
        assert page[("ocellus_model_info", ("name", model["name"]), ("sha256", model["id"]))] == 1
    assert page[("ocellus_build_info", ("version", status["version"]))] == 1
    assert page[("ocellus_workers",)] == 2 and page[("ocellus_ready",)] == 1


def test_what_adapters_learn_is_on_the_page(start_daemon, picture):
    daemon = start_daemon(models={"cifar10-lg3": MODELS / "cifar10-lg3.safetensors"}, adaptation={},
                          cameras={"porch": {"adapter": "porch"}})
    before = scrape(daemon)
    with daemon.eye() as eye:
        for _ in range(4):
            eye.label(eye.infer(picture, camera="porch")["frame"], "cat")
        eye.call("io.ocellus.Sync")
        status = eye.call("io.ocellus.AdaptationStatus")["adapters"][0]
    after = scrape(daemon)
    own = ("adapter", "porch")
    assert after[("ocellus_adapt_labels_total", own)] - before[("ocellus_adapt_labels_total", own)] == 4
    for name, value in {"ocellus_adapt_loss": status["loss"], "ocellus_adapt_sequence": status["sequence"],
                        "ocellus_adapt_durable": status["durable"],
                        "ocellus_state_bytes_written_total": status["budget"]["charged"],
                        "ocellus_write_budget_bytes": status["budget"]["day"]}.items():
        assert after[(name, own)] == pytest.approx(value), name
    assert after[("ocellus_state_bytes_written_total", own)] > before[("ocellus_state_bytes_written_total", own)]
    for layer in status["layers"]:
        place = (own, ("layer", str(layer["layer"])))
        assert after[("ocellus_adapt_lambda_max", *place)] == pytest.approx(layer["lambda_max"])
        assert after[("ocellus_adapt_worst_cell_writes", *place)] == layer["worst"]


def test_a_frame_that_costs_its_worker_is_a_strike(start_daemon, picture):
    daemon = start_daemon(settings={**PATIENT, "workers": 1})
    before = scrape(daemon)
    worker, = daemon.workers()
    os.kill(worker, signal.SIGSTOP)
    with daemon.eye() as eye:
        fd = ocellus.sealed_memfd(picture)
        eye.send("io.ocellus.Infer", {"fd": 0}, [fd])
        os.close(fd)
        wait_for(lambda: scrape(daemon)[("ocellus_workers_busy",)] == 1)
        os.kill(worker, signal.SIGKILL)
        assert eye.receive()["error"].endswith("WorkerFailed")
    seen = moved(before, scrape(daemon))
    assert seen[("ocellus_strikes_total",)] == 1
    assert seen[("ocellus_worker_restarts_total", ("reason", "crash"))] == 1


def test_counters_outlive_workers(start_daemon, picture):
    """A reload that brings new workers takes nothing from the sums."""
    daemon = start_daemon()
    with daemon.eye() as eye:
        eye.infer(picture)
        before = scrape(daemon)[("ocellus_worker_frames_total",)]
        text = daemon.config.read_text()
        daemon.config.write_text(text.replace("workers = 2", "workers = 3"))
        eye.call("io.ocellus.Reload")
        eye.infer(picture)
        after = scrape(daemon)
    assert after[("ocellus_workers",)] == 3
    assert after[("ocellus_worker_frames_total",)] == before + 1
    assert after[("ocellus_configurations_total",)] == 2
