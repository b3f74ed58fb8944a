/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One buffer that doubles. */
#include "daemon/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES ((size_t)8 * 1024)

static bool make_room(struct text *text, size_t wanted)
{
    if (wanted > TEXT_BYTES_MAX - text->length) {
        return false;
    }
    size_t size = text->size > 0 ? text->size : FIRST_BYTES;
    while (size < text->length + wanted) {
        size *= 2;
    }
    char *bytes = size > text->size ? realloc(text->bytes, size) : text->bytes;
    if (bytes == NULL) {
        return false;
    }
    text->bytes = bytes;
    text->size = size;
    return true;
}

void text_add(struct text *text, const char *format, ...)
{
    for (int pass = 0; pass < 2 && !text->failed; pass++) {
        const size_t room = text->size - text->length;
        va_list arguments;
        va_start(arguments, format);
        const int length =
            vsnprintf(room > 0 ? text->bytes + text->length : NULL, room, format, arguments);
        va_end(arguments);
        if (length >= 0 && (size_t)length < room) {
            text->length += (size_t)length;
            return;
        }
        text->failed = length < 0 || !make_room(text, (size_t)length + 1);
    }
}

char *text_finish(struct text *text)
{
    if (text->failed) {
        free(text->bytes);
        text->bytes = NULL;
    }
    char *bytes = text->bytes;
    *text = (struct text){.bytes = NULL};
    return bytes;
}
