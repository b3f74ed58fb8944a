/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* One message, to the journal or to standard error. It opens nothing but the journal's socket. */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "daemon/limits.h"

#define MESSAGE "MESSAGE="
#define NS      UINT64_C(1000000000)

#define LOG_ID_ENTRY(name, priority, id) {priority, id},
static const struct {
    int priority;
    const char *id;
} messages[LOG_ID_COUNT] = {LOG_IDS(LOG_ID_ENTRY)};

/* Is it to be left out? *ret_left_out: how many were before it. */
static bool is_too_much(struct log *log, enum log_id id, uint32_t *ret_left_out)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t now_ns = (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
    const uint64_t window_ns = LIMIT_LOG_WINDOW_MS * UINT64_C(1000000);
    uint32_t *written = &log->windows[id].written, *left_out = &log->windows[id].left_out;
    if (*written == 0 || now_ns - log->windows[id].since_ns > window_ns) {
        log->windows[id].since_ns = now_ns;
        *written = 0;
    }
    if (*written == LIMIT_LOG_BURST) {
        ++*left_out;
        return true;
    }
    ++*written;
    *ret_left_out = *left_out;
    *left_out = 0;
    return false;
}

/* systemd tells which file the journal gave us as standard error (systemd.exec(5)). */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static int send_journal(enum log_id id, char *line, size_t length)
{
    char priority[16], message_id[48], identifier[] = "SYSLOG_IDENTIFIER=ocellusd";
    const int a = snprintf(priority, sizeof(priority), "PRIORITY=%d", messages[id].priority);
    const int b = snprintf(message_id, sizeof(message_id), "MESSAGE_ID=%s", messages[id].id);
    const struct iovec fields[] = {
        {line, length},
        {priority, (size_t)a},
        {message_id, (size_t)b},
        {identifier, sizeof(identifier) - 1},
    };
    return sd_journal_sendv(fields, sizeof(fields) / sizeof(fields[0]));
}

static void write_line(enum log_id id, const char *text, size_t length)
{
    char line[1200];
    const int priority = messages[id].priority;
    const char *kind = priority == LOG_ERR ? "error: " : priority == LOG_WARNING ? "warning: " : "";
    const int total = snprintf(line, sizeof(line), "ocellusd: %s%.*s\n", kind, (int)length, text);
    /* One write a line, so that lines of several threads do not mix. There is nowhere to report a
     * failure. */
    ssize_t written = write(STDERR_FILENO, line, (size_t)total);
    (void)written;
}

void log_message(struct log *log, enum log_id id, const char *format, ...)
{
    char line[1024] = MESSAGE;
    const size_t head = sizeof(MESSAGE) - 1;
    uint32_t left_out = 0;
    va_list arguments;
    if (log != NULL && is_too_much(log, id, &left_out)) {
        return;
    }
    va_start(arguments, format);
    const int length = vsnprintf(line + head, sizeof(line) - head, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    size_t end = strlen(line); /* long lines are cut */
    if (left_out > 0) {
        snprintf(line + end, sizeof(line) - end, " (%u like it were left out)", left_out);
        end = strlen(line);
    }
    for (size_t i = head; i < end; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    if (!is_journal() || send_journal(id, line, end) < 0) {
        write_line(id, line + head, end - head);
    }
}
