#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Prints the results that tests/bench/peers/run gathered as a table. Usage: table.py RESULTS.jsonl"""
import collections
import datetime
import json
import os
import pathlib
import statistics
import sys

ISA = {"ALL": "all", "AVX512_CORE_VNNI": "avx512", "AVX512_CORE": "0x5", "AVX2": "avx2", "AVX2_VNNI": "0x3"}
# Ours, and the topology of theirs that it is compared with where the names differ: trained weights against random ones,
# and binary against int8.
BESIDE = {"cifar10-lg3": "lg3-32-64-128", "net-b-binary": "net-b", "binary-256": "bineareye-256"}


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return os.uname().machine


def gather(lines):
    """{(peer, net, mask): {round: result}}"""
    found = collections.defaultdict(dict)
    for line in lines:
        result = json.loads(line)
        mask = result["mask"] if "mask" in result else ISA.get(result["isa"], result["isa"])
        found[result.get("peer", "ocellus"), result["net"], mask][result["round"]] = result
    return found


def middle(results, key):
    return statistics.median(result[key] for result in results.values())


def main():
    found = gather(pathlib.Path(sys.argv[1]).read_text().splitlines())
    rounds = max(len(results) for results in found.values())
    print(f"{processor()}, one core, load {os.getloadavg()[0]:.1f}, {datetime.date.today()}; batch 1;"
          f" medians of {rounds} rounds in turn")
    print(f"{'net':16} {'mask':7} {'peer':12} {'ours us':>9} {'p99':>9} {'theirs us':>9} {'p99':>9}"
          f" {'theirs/ours':>11} {'of fastest':>10}")
    for (peer, net, mask), theirs in list(found.items()):
        for ours, same in BESIDE.items():
            if peer != "ocellus" and net == same:
                found[peer, ours, mask] = theirs
    for (peer, net, mask), theirs in sorted(found.items(), key=lambda item: (item[0][1], item[0][0], item[0][2])):
        ours = found.get(("ocellus", net, mask))
        if peer == "ocellus" or ours is None:
            continue
        ratio = statistics.median(theirs[i]["median_us"] / ours[i]["median_us"] for i in theirs if i in ours)
        fastest = min(r["min_us"] for r in theirs.values()) / min(r["min_us"] for r in ours.values())
        print(f"{net:16} {mask:7} {peer:12} {middle(ours, 'median_us'):9.1f} {middle(ours, 'p99_us'):9.1f}"
              f" {middle(theirs, 'median_us'):9.1f} {middle(theirs, 'p99_us'):9.1f} {ratio:10.2f}x {fastest:9.2f}x")
    call = found.get(("onnxruntime", "identity", "all"))
    if call:
        print(f"An identity graph takes onnxruntime {middle(call, 'median_us'):.1f} us a call from JavaScript;"
              " its figures contain that.")
    print("net-b-binary and binary-256 are binary networks beside the same layers in int8.")
    print("The last column compares the fastest runs of all rounds, which a busy machine disturbs least.\n"
          "cifar10-lg3 has trained weights, its peers random ones: with AVX2 ours keeps more sums in 16 bits where the\n"
          "weights are known to allow it.\n"
          "All: s8 weights a channel, else random; input handed over already quantised. Ours: u7 activations, exact int32\n"
          "sums, the input in the order of its pixels (lg3: ternary codes). onednn: u8 activations, float scales, the\n"
          "input already in the layout it asks for. onnxruntime: u8 activations, QLinearConv, input by channels. A mask\n"
          "bounds the instruction set; onnxruntime has none.")


if __name__ == "__main__":
    main()
