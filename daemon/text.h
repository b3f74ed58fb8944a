/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Text that grows as it is written, with one look at memory at the end: after a failure nothing
 * more is written, and text_finish tells. Any thread; one text per writer.
 */
#ifndef OCELLUS_DAEMON_TEXT_H
#define OCELLUS_DAEMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialised: empty. */
struct text {
    char *bytes; /* with a NUL; NULL: nothing was written */
    size_t length, size;
    bool failed; /* memory ran out, or TEXT_BYTES_MAX was reached */
};

#define TEXT_BYTES_MAX ((size_t)1024 * 1024)

/* Append, printf-like. */
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text, which is the caller's to free; NULL, and it is gone, when it could not be written. */
char *text_finish(struct text *text);

#endif
