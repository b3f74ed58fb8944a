/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* config_load on any bytes: an error has a reason and a line of the file, a success keeps every
 * stated range. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check_config(const struct config *config)
{
    check(config->model_count >= 1 && config->model_count <= CONFIG_MODELS_MAX);
    check(config->camera_count <= CONFIG_CAMERAS_MAX &&
          config->camera_count <= config->cameras_max);
    check(config->workers <= 64 && config->spin_us <= 1000 && config->socket_mode <= 0777);
    check(config->frame_bytes_max >= 4096 && config->frame_bytes_max <= 1u << 30);
    check(config->queue_bytes_max >= config->frame_bytes_max);
    for (uint32_t i = 0; i < config->model_count; i++) {
        check(config->models[i].name[0] != '\0' && config->models[i].path[0] == '/');
    }
    for (uint32_t i = 0; i < config->camera_count; i++) {
        check(config->cameras[i].model[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct config_error error = {.line = 0};
    char path[32];
    unsigned lines = 1;
    int fd = memfd_create("config", MFD_CLOEXEC);

    check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (config_load(path, &config, &error) == 0) {
        check_config(config);
        config_destroy(config);
    } else {
        check(error.reason[0] != '\0' &&
              (strcmp(error.file, path) == 0 ? error.line <= lines : error.file[0] == '/'));
    }
    close(fd);
    return 0;
}
