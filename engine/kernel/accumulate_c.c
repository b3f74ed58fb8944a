/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Portable reference of the row accumulation that image decoding averages with. Plain loops that a
 * compiler vectorises; nothing outside the n elements is touched.
 */
#include "engine/kernel/isa.h"

void kernel_accumulate_u16_c(uint32_t *restrict acc, const uint16_t *restrict row, size_t n,
                             uint16_t black, uint16_t range)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t above = (uint16_t)((row[i] > black ? row[i] : black) - black);
        acc[i] += above < range ? above : range;
    }
}

void kernel_accumulate_u8_c(uint32_t *restrict acc, const uint8_t *restrict row, size_t n,
                            uint8_t black, uint8_t range)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t above = (uint8_t)((row[i] > black ? row[i] : black) - black);
        acc[i] += above < range ? above : range;
    }
}
