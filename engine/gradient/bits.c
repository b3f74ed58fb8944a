/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Ternary codes as two bit planes and back. Unpacking checks every bit, since bit planes come from
 * stores and clients.
 */
#include "engine/gradient/gradient.h"

#include <errno.h>

size_t gradient_bits_bytes(size_t codes)
{
    return codes / 8 + (codes % 8 != 0);
}

void gradient_pack_ternary(const int8_t *codes, size_t count, uint8_t *plus, uint8_t *minus)
{
    for (size_t byte = 0; byte < gradient_bits_bytes(count); byte++) {
        size_t n = count - byte * 8 < 8 ? count - byte * 8 : 8;
        unsigned p = 0, m = 0;

        for (size_t i = 0; i < n; i++) {
            p |= (unsigned)(codes[byte * 8 + i] > 0) << i;
            m |= (unsigned)(codes[byte * 8 + i] < 0) << i;
        }
        plus[byte] = (uint8_t)p;
        minus[byte] = (uint8_t)m;
    }
}

int gradient_unpack_ternary(const uint8_t *plus, const uint8_t *minus, size_t count, int8_t *codes)
{
    const size_t bytes = gradient_bits_bytes(count);
    unsigned both = 0;

    for (size_t i = 0; i < bytes; i++) {
        both |= plus[i] & minus[i];
    }
    if (count % 8 != 0) {
        both |= (unsigned)(plus[bytes - 1] | minus[bytes - 1]) >> (count % 8);
    }
    if (both != 0) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < count; i++) {
        codes[i] = (int8_t)((plus[i / 8] >> (i % 8) & 1) - (minus[i / 8] >> (i % 8) & 1));
    }
    return 0;
}
