# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""The same frames give the same scores, whatever the number of workers and the instruction set (G7)."""

import concurrent.futures
import hashlib
import itertools

from conftest import pnm

FRAMES = [pnm(40 + 3 * i, 60 - i, lambda x, y, i=i: ((x * i + y) % 256, (x * y + 7 * i) % 256, (x ^ y) * i % 256))
          for i in range(1, 17)]


def digest(daemon):
    """Of all scores of all models, asked for by several clients at once so that every worker has its share."""
    def ask(job):
        index, model = job
        with daemon.eye() as eye:
            return [score["score"] for score in eye.infer(FRAMES[index], camera=f"c{index}", model=model)["scores"]]

    with daemon.eye() as eye:
        models = sorted(model["name"] for model in eye.status()["models"])
    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        scores = []
        for model in models:  # one model after the other: a camera's newer frame replaces the older
            scores += clients.map(ask, ((index, model) for index in range(len(FRAMES))))
    assert len({tuple(score) for score in scores}) > len(models)  # the frames differ
    return hashlib.sha256(repr(scores).encode()).hexdigest()


def test_workers_and_instruction_sets_change_no_score(start_daemon):
    settings = [{"workers": workers, "cpu_mask": mask}
                for workers, mask in itertools.product((1, 3), ("c", "all"))] + [{"workers": 2, "cpu_mask": "avx2"}]
    digests = {}
    for setting in settings:
        digests[tuple(setting.values())] = digest(start_daemon(settings=setting))
    assert len(set(digests.values())) == 1, digests
