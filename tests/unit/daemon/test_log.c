/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Lines of the log to standard error, and how often one of them may come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/limits.h"
#include "daemon/log.h"

static char written[65536];

/* Run with standard error in a file, and read that. */
static const char *capture(void (*run)(struct log *log), struct log *log)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    const int before = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    run(log);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    written[fread(written, 1, sizeof(written) - 1, file)] = '\0';
    fclose(file);
    return written;
}

static void log_some(struct log *log)
{
    log_message(log, LOG_ID_READY, "ready");
    log_message(log, LOG_ID_START_FAILED, "%s", "a\nb\x7f");
    log_message(log, LOG_ID_WORKERS_FAILED, "%d", 3);
}

static void test_lines(void **state)
{
    (void)state;
    assert_string_equal(capture(log_some, NULL),
                        "ocellusd: ready\nocellusd: error: a?b?\nocellusd: warning: 3\n");
    setenv("JOURNAL_STREAM", "1:2", 1); /* another file than standard error */
    assert_string_equal(capture(log_some, NULL),
                        "ocellusd: ready\nocellusd: error: a?b?\nocellusd: warning: 3\n");
    unsetenv("JOURNAL_STREAM");
}

static void log_long(struct log *log)
{
    char text[4000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_message(log, LOG_ID_READY, "%s", text);
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    const char *text = capture(log_long, NULL);
    assert_in_range(strlen(text), 1000, 1100);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static unsigned count_lines(const char *text)
{
    unsigned count = 0;
    while ((text = strchr(text, '\n')) != NULL) {
        count++;
        text++;
    }
    return count;
}

static void log_often(struct log *log)
{
    for (int i = 0; i < 20; i++) {
        log_message(log, LOG_ID_WORKERS_FAILED, "worker");
    }
    log_message(log, LOG_ID_READY, "another");
}

static void test_each_message_has_its_own_limit(void **state)
{
    (void)state;
    struct log log = {.windows = {{.written = 0}}};
    const char *text = capture(log_often, &log);
    assert_int_equal(count_lines(text), LIMIT_LOG_BURST + 1);
    assert_non_null(strstr(text, "another"));
    /* The next minute. */
    log.windows[LOG_ID_WORKERS_FAILED].since_ns -= (LIMIT_LOG_WINDOW_MS + 1) * UINT64_C(1000000);
    text = capture(log_often, &log);
    assert_ptr_equal(strstr(text, "ocellusd: warning: worker (15 like it were left out)\n"), text);
    assert_int_equal(count_lines(text), LIMIT_LOG_BURST + 1);
    assert_int_equal(count_lines(capture(log_often, NULL)), 21);
}

int main(void)
{
    unsetenv("JOURNAL_STREAM");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_each_message_has_its_own_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
