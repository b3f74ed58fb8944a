/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Strict base64, four characters at a time. */
#include "proto/base64.h"

#include <errno.h>

/* 0..63, or -1. */
static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
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
    size_t used = 0;
    for (size_t i = 0; i < length; i += 4) {
        unsigned characters = i + 4 == length ? 4u - (unsigned)padding : 4u;
        uint32_t bits = 0;
        for (unsigned k = 0; k < 4; k++) {
            int value = k < characters ? sextet(text[i + k]) : 0;
            if (value < 0) {
                return -EBADMSG;
            }
            bits = bits << 6 | (uint32_t)value;
        }
        if ((characters == 2 && (bits & 0xffff) != 0) || (characters == 3 && (bits & 0xff) != 0)) {
            return -EBADMSG;
        }
        for (unsigned k = 0; k + 1 < characters; k++) {
            out[used++] = (uint8_t)(bits >> (16 - 8 * k));
        }
    }
    *ret_size = used;
    return 0;
}

void proto_base64_encode(const void *bytes, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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
