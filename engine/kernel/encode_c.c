/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Portable encoding of sums: the definition of encode.h, one value after the other. */
#include "engine/kernel/isa.h"
#include "engine/kernel/requantise.h"

void kernel_encode_u7_c(const struct kernel_encode *encode, const int32_t *bias,
                        const int32_t *mult, const int32_t *in, uint8_t *out)
{
    for (uint32_t y = 0; y < encode->height; y++, in += encode->in_row, out += encode->out_row) {
        for (size_t x = 0; x < encode->width; x++) {
            for (uint32_t c = 0; c < encode->channels; c++) {
                const size_t at = x * encode->channels + c;

                out[at] = kernel_requantise_u7(in[at] + (bias != NULL ? bias[c] : 0), mult[c],
                                               encode->preshift, encode->shift);
            }
        }
    }
}

void kernel_encode_codes_c(const struct kernel_encode *encode, const int32_t *threshold,
                           const int32_t *in, uint8_t *out)
{
    for (uint32_t y = 0; y < encode->height; y++, in += encode->in_row, out += encode->out_row) {
        for (size_t x = 0; x < encode->width; x++) {
            for (uint32_t c = 0; c < encode->channels; c++) {
                const int32_t *levels = threshold + (size_t)c * encode->levels;
                const size_t at = x * encode->channels + c;
                uint32_t reached = 0;

                for (uint32_t i = 0; i < encode->levels; i++) {
                    reached += in[at] >= levels[i];
                }
                out[at] = encode->codes[reached];
            }
        }
    }
}
