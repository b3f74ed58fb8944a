/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A Varlink connection's bytes: any split gives the same messages, and a call that is taken
 * survives printing and parsing again. First byte: size of the pieces. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "proto/varlink.h"

#define MESSAGES_MAX 64u

struct seen {
    size_t lengths[MESSAGES_MAX];
    size_t count;
    int error, terminator;
};

static void scan(const char *data, size_t size, size_t step, struct seen *seen)
{
    struct varlink_scanner scanner = {.terminator = VARLINK_TERMINATOR_UNKNOWN};
    size_t start = 0, end = 0;
    int r = -EAGAIN;
    *seen = (struct seen){.count = 0};
    while (r == -EAGAIN && end < size) {
        size_t length = 0, consumed = 0;
        end = end + step < size ? end + step : size;
        while ((r = varlink_scan(&scanner, data + start, end - start, &length, &consumed)) == 0) {
            if (length == 0 || consumed != length + 1 || consumed > end - start) {
                abort();
            }
            if (seen->count < MESSAGES_MAX) {
                seen->lengths[seen->count++] = length;
            }
            start += consumed;
        }
    }
    seen->error = r;
    seen->terminator = scanner.terminator;
}

static void check_call(const char *data, size_t length)
{
    struct varlink_call call, again;
    const char *reason = NULL;
    if (varlink_call_parse(data, length, &call, &reason) < 0) {
        return;
    }
    char *text = cJSON_PrintUnformatted(call.root);
    if (text == NULL || varlink_call_parse(text, strlen(text), &again, &reason) < 0 ||
        strcmp(call.method, again.method) != 0 || call.oneway != again.oneway ||
        call.more != again.more || call.upgrade != again.upgrade) {
        abort();
    }
    free(text);
    varlink_call_finish(&again);
    varlink_call_finish(&call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, pieces;
    if (size < 2) {
        return 0;
    }
    const char *stream = (const char *)data + 1;
    scan(stream, size - 1, size, &whole);
    scan(stream, size - 1, data[0] + 1u, &pieces);
    if (memcmp(&whole, &pieces, sizeof(whole)) != 0) {
        abort();
    }
    for (size_t i = 0; i < whole.count; i++) {
        check_call(stream, whole.lengths[i]);
        stream += whole.lengths[i] + 1;
    }
    return 0;
}
