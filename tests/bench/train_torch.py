#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Time training steps of the lg3 network in PyTorch on the CPU, or beside bench_train.

train_torch.py [--threads N ...]           seconds of --steps steps, one line a repeat, as bench_train prints them
train_torch.py --against BENCH_TRAIN       both in turns, one thread and two, in seconds per epoch of 50,000 images: each
                                           round runs a slice of --steps steps of each; --json writes the numbers to a
                                           file too. Exits 1 where the median of bench_train is slower than PyTorch's

Both do the same work and no more: ternary input made before the clock starts, batch norm, softmax cross-entropy, SGD with
momentum, float32. PyTorch runs in both memory layouts; the faster one counts.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

IMAGES = 50000


def measure(options):
    import torch
    from torch import nn

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    layers, channels = [], 6
    for width in (32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                   nn.MaxPool2d(2)]
        channels = width
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 10))
    images = torch.randint(-1, 2, (options.batch, 6, 32, 32)).float()
    labels = torch.randint(0, 10, (options.batch,))
    if options.channels_last:
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    loss_of = nn.CrossEntropyLoss()

    for repeat in range(options.repeats + 1):
        start = time.perf_counter()
        for _ in range(3 if repeat == 0 else options.steps):
            optimiser.zero_grad()
            loss_of(net(images), labels).backward()
            optimiser.step()
        if repeat > 0:
            print(f'{time.perf_counter() - start:.6f}', flush=True)


def epochs(options, threads, command):
    """Seconds per epoch, from one run of a command."""
    command = command + ['--threads', str(threads), '--steps', str(options.steps), '--batch', str(options.batch),
                         '--repeats', str(options.repeats)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [float(line) * IMAGES / options.batch / options.steps for line in lines]


def compare(options):
    torch = [sys.executable, __file__]
    commands = {
        'bench_train': [options.against],
        'PyTorch': torch,
        'PyTorch, channels last': torch + ['--channels-last'],
    }
    rows, ratios = [], {}
    print(f'seconds per epoch of {IMAGES} images, batch {options.batch}, float32: best, median, worst of '
          f'{options.rounds * options.repeats}')
    for threads in (1, 2):
        times = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                times[name] += epochs(options, threads, command)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, values in times.items():
            print(f'{threads} thread{"s" if threads > 1 else " "}  {name:24} {min(values):8.2f} '
                  f'{medians[name]:8.2f} {max(values):8.2f}', flush=True)
            rows.append({'threads': threads, 'name': name, 'seconds': values, 'median': medians[name]})
        ours = medians.pop('bench_train')
        ratios[threads] = min(medians.values()) / ours
        print(f'           PyTorch takes {ratios[threads]:.2f} times as long (medians)', flush=True)
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump({'images': IMAGES, 'batch': options.batch, 'steps': options.steps, 'ratios': ratios,
                       'rows': rows}, file, indent=1)
            file.write('\n')
    return 1 if min(ratios.values()) < 1 else 0


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--threads', type=int, default=1)
    options.add_argument('--steps', type=int, default=20)
    options.add_argument('--repeats', type=int, default=2)
    options.add_argument('--rounds', type=int, default=3)
    options.add_argument('--batch', type=int, default=128)
    options.add_argument('--channels-last', action='store_true')
    options.add_argument('--json', metavar='FILE')
    options.add_argument('--against', metavar='BENCH_TRAIN')
    options = options.parse_args()
    if options.against:
        return compare(options)
    measure(options)
    return 0


if __name__ == '__main__':
    sys.exit(main())
