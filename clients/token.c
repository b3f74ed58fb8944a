/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Random bytes -> text -> digest. */
#include "clients/token.h"

#include <errno.h>
#include <sha2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "proto/result.h"

#define SECRET_BYTES 32u
#define TOKEN_CHARS  43u /* of base64url without padding */

static void encode(const uint8_t bytes[SECRET_BYTES], char token[TOKEN_CHARS + 1])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (unsigned i = 0; i < TOKEN_CHARS; i++) {
        const unsigned bit = 6 * i, shift = bit % 8;
        const unsigned low = bit / 8 + 1 < SECRET_BYTES ? bytes[bit / 8 + 1] : 0;
        token[i] = letters[((unsigned)bytes[bit / 8] << 8 | low) >> (10 - shift) & 63];
    }
    token[TOKEN_CHARS] = '\0';
}

bool token_make(const char *role, const char *name)
{
    uint8_t bytes[SECRET_BYTES];
    char token[TOKEN_CHARS + 1], digest[SHA256_DIGEST_STRING_LENGTH];
    errno = 0;
    if ((strcmp(role, "client") != 0 && strcmp(role, "trainer") != 0 &&
         strcmp(role, "admin") != 0) ||
        !proto_name_valid(name)) {
        return false;
    }
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return false;
    }
    encode(bytes, token);
    SHA256Data((const uint8_t *)token, TOKEN_CHARS, digest);
    if (isatty(STDOUT_FILENO)) {
        fputs("The token, shown this once, and the line for the daemon's file of tokens:\n",
              stderr);
    }
    printf("%s\n%s %s %s\n", token, role, name, digest);
    return true;
}
