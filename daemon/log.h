/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The daemon's log: state changes and faults, never a line for each frame, never raw bytes of a
 * client. Where standard error is the journal, a message goes there with its id and priority, else
 * as one line to standard error.
 */
#ifndef OCELLUS_DAEMON_LOG_H
#define OCELLUS_DAEMON_LOG_H

#include <stdint.h>

#include "daemon/log_ids.h"

/* Zero-initialised: nothing was written yet. */
struct log {
    struct {
        uint64_t since_ns; /* when the first of those was written */
        uint32_t written;
        uint32_t left_out;
    } windows[LOG_ID_COUNT];
};

/*
 * printf-like; the line needs no newline, control characters are replaced by '?'. Of each message
 * LIMIT_LOG_BURST are written in LIMIT_LOG_WINDOW_MS; the next one after that says how many were
 * left out. `log` belongs to the calling thread; NULL, at the start and the end: without a limit.
 */
void log_message(struct log *log, enum log_id id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
