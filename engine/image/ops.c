/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The inner loops in portable C, for callers that bring none of their own. Plain loops that a
 * compiler vectorises.
 */
#include "engine/image/image_internal.h"

static void accumulate_u16(uint32_t *restrict acc, const uint16_t *row, size_t pitch, size_t rows,
                           size_t n, uint16_t black, uint16_t range)
{
    for (; rows > 0; rows--) {
        const uint16_t *restrict samples = row;
        for (size_t i = 0; i < n; i++) {
            uint16_t above = (uint16_t)((samples[i] > black ? samples[i] : black) - black);
            acc[i] += above < range ? above : range;
        }
        row = (const uint16_t *)(const void *)((const uint8_t *)row + pitch);
    }
}

static void accumulate_u8(uint32_t *restrict acc, const uint8_t *row, size_t pitch, size_t rows,
                          size_t n, uint8_t black, uint8_t range)
{
    for (; rows > 0; rows--, row += pitch) {
        const uint8_t *restrict samples = row;
        for (size_t i = 0; i < n; i++) {
            uint8_t above = (uint8_t)((samples[i] > black ? samples[i] : black) - black);
            acc[i] += above < range ? above : range;
        }
    }
}

static void unpack_mipi10(uint16_t *restrict out, const uint8_t *restrict in, size_t groups)
{
    for (; groups > 0; groups--, in += 5, out += 4) {
        unsigned low = in[4];
        out[0] = (uint16_t)(in[0] << 2 | (low & 3));
        out[1] = (uint16_t)(in[1] << 2 | (low >> 2 & 3));
        out[2] = (uint16_t)(in[2] << 2 | (low >> 4 & 3));
        out[3] = (uint16_t)(in[3] << 2 | low >> 6);
    }
}

static void unpack_mipi12(uint16_t *restrict out, const uint8_t *restrict in, size_t groups)
{
    for (; groups > 0; groups--, in += 3, out += 2) {
        unsigned low = in[2];
        out[0] = (uint16_t)(in[0] << 4 | (low & 15));
        out[1] = (uint16_t)(in[1] << 4 | low >> 4);
    }
}

void image_ops_init(struct image_ops *ops, const struct image_ops *wanted)
{
    *ops = wanted != NULL ? *wanted : (struct image_ops){0};
    if (ops->accumulate_u16 == NULL) {
        ops->accumulate_u16 = accumulate_u16;
    }
    if (ops->accumulate_u8 == NULL) {
        ops->accumulate_u8 = accumulate_u8;
    }
    if (ops->unpack_mipi10 == NULL) {
        ops->unpack_mipi10 = unpack_mipi10;
    }
    if (ops->unpack_mipi12 == NULL) {
        ops->unpack_mipi12 = unpack_mipi12;
    }
}
