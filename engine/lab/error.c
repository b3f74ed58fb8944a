/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* How ocellus-lab tells people about errors. Changes no state and ends no program. */
#include "engine/lab/lab.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void lab_error(const char *format, ...)
{
    va_list arguments;
    fputs("ocellus-lab: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

const char *lab_image_error(int error)
{
    switch (error) {
    case -EBADMSG:
        return "corrupt or truncated picture";
    case -ENOTSUP:
        return "a kind of picture that is not read";
    case -EFBIG:
        return "picture over a size limit";
    default:
        return strerror(-error);
    }
}
