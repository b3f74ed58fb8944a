/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The file of tokens with any bytes: an error has a reason and a line of the file; what is taken is
 * within its limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = calloc(1, sizeof(*config));
    struct config_error error = {.line = 0};
    unsigned lines = 1, full = 0;
    int fd = memfd_create("tokens", MFD_CLOEXEC);
    if (config == NULL || fd < 0 || write(fd, data, size) != (ssize_t)size) {
        abort();
    }
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    snprintf(config->tokens_path, sizeof(config->tokens_path), "/proc/self/fd/%d", fd);
    if (config_tokens_load(config, &error) < 0) {
        if (error.reason[0] == '\0' || strcmp(error.file, config->tokens_path) != 0 ||
            error.line > lines) {
            abort();
        }
    } else {
        for (uint32_t i = 0; i < config->token_count; i++) {
            full += config->tokens[i].name[0] != '\0' && config->tokens[i].role < CONFIG_ROLES;
        }
        if (full != config->token_count || full > CONFIG_TOKENS_MAX || full > lines) {
            abort();
        }
    }
    close(fd);
    free(config);
    return 0;
}
