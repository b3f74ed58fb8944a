#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Prints what tests/bench/peers/service gathered as a table. Usage: service.py RESULTS.jsonl"""
import collections
import datetime
import json
import os
import pathlib
import statistics
import sys


def main():
    times = collections.defaultdict(list)
    memory = {}
    for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
        result = json.loads(line)
        if "memory" in result:
            memory = result["memory"]
        else:
            times[result["file"], result["service"]].append(result)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}; HTTP on a Unix socket, one"
          " request at a time, one worker; medians of rounds in turn")
    print(f"{'frame':36} {'ocellus us':>10} {'p99':>8} {'node us':>10} {'p99':>8} {'ratio':>7}")
    for file in dict.fromkeys(file for file, _ in times):
        ours, theirs = times[file, "ocellus"], times[file, "node"]
        middle = lambda results, key: statistics.median(result[key] for result in results)
        ratio = statistics.median(b["median_us"] / a["median_us"] for a, b in zip(ours, theirs))
        print(f"{file:36} {middle(ours, 'median_us'):10.1f} {middle(ours, 'p99_us'):8.1f}"
              f" {middle(theirs, 'median_us'):10.1f} {middle(theirs, 'p99_us'):8.1f} {ratio:6.1f}x")
    print(f"memory after that (PSS): ocellusd and its worker {memory['ocellus'] / 1024:.1f} MiB, node"
          f" {memory['node'] / 1024:.1f} MiB, ratio {memory['node'] / memory['ocellus']:.1f}x")


if __name__ == "__main__":
    main()
