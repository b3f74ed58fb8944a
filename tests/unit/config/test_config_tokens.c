/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The file of tokens: what is taken, and what is refused with its line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/tokens.h"

#define DIGEST "00ff0102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1e"

static struct config *make(const char *text)
{
    struct config *config = calloc(1, sizeof(*config));
    int fd = memfd_create("tokens", MFD_CLOEXEC);
    assert_true(config != NULL && fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    snprintf(config->tokens_path, sizeof(config->tokens_path), "/proc/self/fd/%d", fd);
    return config;
}

static void drop(struct config *config)
{
    close(atoi(strrchr(config->tokens_path, '/') + 1));
    free(config);
}

static void test_what_is_taken(void **state)
{
    struct config_error error;
    (void)state;
    struct config *config =
        make("# of the house\n\nclient kitchen " DIGEST "\r\n trainer\tporch " DIGEST);
    assert_int_equal(config_tokens_load(config, &error), 0);
    assert_int_equal(config->token_count, 2);
    assert_string_equal(config->tokens[0].name, "kitchen");
    assert_int_equal(config->tokens[0].role, CONFIG_ROLE_CLIENT);
    assert_int_equal(config->tokens[1].role, CONFIG_ROLE_TRAINER);
    assert_string_equal(config->tokens[1].sha256,
                        "00ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e");
    drop(config);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *text, *reason;
        unsigned line;
    } bad[] = {
        {"# roles\nroot me " DIGEST "\n", "the role of a token is", 2},
        {"client", "the name of a token is", 1},
        {"client .me " DIGEST, "the name of a token is", 1},
        {"client me", "a token is told by its SHA-256", 1},
        {"client me " DIGEST "0", "a token is told by its SHA-256", 1},
        {"\nadmin me " DIGEST " more\n", "a line has a role", 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct config_error error = {.line = 77};
        struct config *config = make(bad[i].text);
        assert_int_equal(config_tokens_load(config, &error), -EBADMSG);
        assert_int_equal(error.line, bad[i].line);
        assert_string_equal(error.file, config->tokens_path);
        assert_non_null(strstr(error.reason, bad[i].reason));
        drop(config);
    }
}

static void test_where_it_is_looked_for(void **state)
{
    struct config_error error;
    struct config *config = calloc(1, sizeof(*config));
    (void)state;
    assert_non_null(config);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_equal(config_tokens_load(config, &error), 0);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/nowhere", 1), 0);
    assert_int_equal(config_tokens_load(config, &error), 0); /* other credentials may be there */
    snprintf(config->tokens_path, sizeof(config->tokens_path), "/nowhere/tokens");
    assert_int_equal(config_tokens_load(config, &error), -ENOENT);
    assert_string_equal(error.file, "/nowhere/tokens");
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_where_it_is_looked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
