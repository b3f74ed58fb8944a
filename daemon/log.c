/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Writes log lines to standard error. It keeps no state and opens nothing. */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

__attribute__((format(printf, 2, 0))) static void log_line(int priority, const char *format,
                                                           va_list args)
{
    char line[1024];
    int at = 0;

    if (getenv("JOURNAL_STREAM") != NULL) {
        at = snprintf(line, sizeof(line), "<%d>", priority);
    } else {
        at = snprintf(line, sizeof(line), "ocellusd: %s",
                      priority == LOG_ERR       ? "error: "
                      : priority == LOG_WARNING ? "warning: "
                                                : "");
    }
    int length = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, format, args);
    if (length < 0) {
        return;
    }
    size_t end = (size_t)at + (size_t)length;
    end = end < sizeof(line) - 2 ? end : sizeof(line) - 2; /* long lines are cut */
    for (size_t i = (size_t)at; i < end; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    line[end++] = '\n';
    /* One write a line, so that lines of several threads do not mix. There is nowhere to report a
     * failure. */
    ssize_t written = write(STDERR_FILENO, line, end);
    (void)written;
}

#define LOG_FUNCTION(name, priority)                                                               \
    void log_##name(const char *format, ...)                                                       \
    {                                                                                              \
        va_list args;                                                                              \
                                                                                                   \
        va_start(args, format);                                                                    \
        log_line(priority, format, args);                                                          \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(error, LOG_ERR)
LOG_FUNCTION(warning, LOG_WARNING)
LOG_FUNCTION(info, LOG_INFO)
