#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The Ocellus Authors
"""Time training steps of the lg3 network in PyTorch on the CPU: the other half of bench_train.

Prints one line a repeat: the seconds of `--steps` steps. It must do the work of bench_train and no more:
random ternary input made before the clock starts, SGD with momentum, softmax cross-entropy.
"""
import argparse
import time

import torch
from torch import nn


def network():
    layers, channels = [], 6
    for width in (32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                   nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 10))


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--threads', type=int, default=1)
    options.add_argument('--steps', type=int, default=20)
    options.add_argument('--repeats', type=int, default=3)
    options.add_argument('--batch', type=int, default=128)
    options.add_argument('--channels-last', action='store_true')
    options = options.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    net = network()
    images = torch.randint(-1, 2, (options.batch, 6, 32, 32)).float()
    labels = torch.randint(0, 10, (options.batch,))
    if options.channels_last:
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    loss_of = nn.CrossEntropyLoss()

    def step():
        optimiser.zero_grad()
        loss_of(net(images), labels).backward()
        optimiser.step()

    for _ in range(3):
        step()
    for _ in range(options.repeats):
        start = time.perf_counter()
        for _ in range(options.steps):
            step()
        print(time.perf_counter() - start, flush=True)


if __name__ == '__main__':
    main()
