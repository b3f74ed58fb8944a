/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Strict base64, four characters at a time. */
#include "proto/base64.h"

#include <errno.h>
#include <stdbool.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define DIGIT 0x40

/* Values of the digits, each marked as one; 0 of other characters. */
static const uint8_t values[256] = {
    ['A'] = DIGIT | 0,  ['B'] = DIGIT | 1,  ['C'] = DIGIT | 2,  ['D'] = DIGIT | 3,
    ['E'] = DIGIT | 4,  ['F'] = DIGIT | 5,  ['G'] = DIGIT | 6,  ['H'] = DIGIT | 7,
    ['I'] = DIGIT | 8,  ['J'] = DIGIT | 9,  ['K'] = DIGIT | 10, ['L'] = DIGIT | 11,
    ['M'] = DIGIT | 12, ['N'] = DIGIT | 13, ['O'] = DIGIT | 14, ['P'] = DIGIT | 15,
    ['Q'] = DIGIT | 16, ['R'] = DIGIT | 17, ['S'] = DIGIT | 18, ['T'] = DIGIT | 19,
    ['U'] = DIGIT | 20, ['V'] = DIGIT | 21, ['W'] = DIGIT | 22, ['X'] = DIGIT | 23,
    ['Y'] = DIGIT | 24, ['Z'] = DIGIT | 25, ['a'] = DIGIT | 26, ['b'] = DIGIT | 27,
    ['c'] = DIGIT | 28, ['d'] = DIGIT | 29, ['e'] = DIGIT | 30, ['f'] = DIGIT | 31,
    ['g'] = DIGIT | 32, ['h'] = DIGIT | 33, ['i'] = DIGIT | 34, ['j'] = DIGIT | 35,
    ['k'] = DIGIT | 36, ['l'] = DIGIT | 37, ['m'] = DIGIT | 38, ['n'] = DIGIT | 39,
    ['o'] = DIGIT | 40, ['p'] = DIGIT | 41, ['q'] = DIGIT | 42, ['r'] = DIGIT | 43,
    ['s'] = DIGIT | 44, ['t'] = DIGIT | 45, ['u'] = DIGIT | 46, ['v'] = DIGIT | 47,
    ['w'] = DIGIT | 48, ['x'] = DIGIT | 49, ['y'] = DIGIT | 50, ['z'] = DIGIT | 51,
    ['0'] = DIGIT | 52, ['1'] = DIGIT | 53, ['2'] = DIGIT | 54, ['3'] = DIGIT | 55,
    ['4'] = DIGIT | 56, ['5'] = DIGIT | 57, ['6'] = DIGIT | 58, ['7'] = DIGIT | 59,
    ['8'] = DIGIT | 60, ['9'] = DIGIT | 61, ['+'] = DIGIT | 62, ['/'] = DIGIT | 63,
};

/* Four characters are 24 bits. False: not digits. */
static bool decode_group(const char *text, uint32_t *bits)
{
    const uint32_t a = values[(uint8_t)text[0]], b = values[(uint8_t)text[1]];
    const uint32_t c = values[(uint8_t)text[2]], d = values[(uint8_t)text[3]];
    *bits = (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);
    return (a & b & c & d & DIGIT) != 0;
}

int proto_base64_decode(const char *text, size_t length, uint8_t *out, size_t *ret_size)
{
    if (length % 4 != 0) {
        return -EBADMSG;
    }
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=') {
        padding++;
    }
    const size_t whole = padding > 0 ? length - 4 : length;
    size_t used = 0;
    uint32_t bits;
    for (size_t i = 0; i < whole; i += 4) {
        if (!decode_group(text + i, &bits)) {
            return -EBADMSG;
        }
        out[used++] = (uint8_t)(bits >> 16);
        out[used++] = (uint8_t)(bits >> 8);
        out[used++] = (uint8_t)bits;
    }
    if (padding > 0) {
        const char last[] = {text[whole], text[whole + 1], padding == 1 ? text[whole + 2] : 'A',
                             'A'};
        if (!decode_group(last, &bits) || (bits & (padding == 1 ? 0xff : 0xffff)) != 0) {
            return -EBADMSG;
        }
        out[used++] = (uint8_t)(bits >> 16);
        if (padding == 1) {
            out[used++] = (uint8_t)(bits >> 8);
        }
    }
    *ret_size = used;
    return 0;
}

void proto_base64_encode(const void *bytes, size_t size, char *out)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t group = (uint32_t)from[i] << 16 |
                               (left > 1 ? (uint32_t)from[i + 1] << 8 : 0) |
                               (left > 2 ? from[i + 2] : 0);
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[group & 63] : '=';
    }
    *out = '\0';
}
