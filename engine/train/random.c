/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Random numbers by counter, and permutations from them. There is no state.
 */
#include "engine/train/train.h"

/* The finaliser of SplitMix64. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t train_random(uint64_t seed, uint64_t stream, uint64_t counter)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;

    return mix(mix(seed + mix((stream + 1) * golden)) + (counter + 1) * golden);
}

void train_shuffle(uint64_t seed, uint64_t stream, uint32_t count, uint32_t *order)
{
    for (uint32_t i = 0; i < count; i++) {
        /* Fisher and Yates, from inside out; the bias of the product is below 2^-32. */
        uint64_t r = train_random(seed, stream, i) >> 32;
        uint32_t j = (uint32_t)((r * (i + 1)) >> 32);

        order[i] = order[j];
        order[j] = i;
    }
}
