/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A target for the test of fuzz_main.c: prints the size and the sum of the bytes of each input it
 * is given. */
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned long sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum += data[i];
    }
    printf("%zu %lu\n", size, sum);
    return 0;
}
