/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The command line, environment and descriptors of a worker process. */
#include "daemon/pool_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENVIRONMENT_MAX 6

static void fill_environment(char *environment[ENVIRONMENT_MAX], char text[3][1024])
{
    static const char *const kept[3] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
    size_t count = 0;
    environment[count++] = (char *)"TZ=UTC0";
    environment[count++] = (char *)"OMP_NUM_THREADS=1";
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(kept[i]);
        if (value != NULL && strlen(value) < 1000) {
            snprintf(text[i], 1024, "%s=%s", kept[i], value);
            environment[count++] = text[i];
        }
    }
    environment[count] = NULL;
}

/* "A,B,..."; empty where there are none. */
static void print_rates(const uint32_t rates[KERNEL_RATES], char *out)
{
    *out = '\0';
    for (uint32_t i = 0; rates[0] != 0 && i < KERNEL_RATES; i++) {
        out += sprintf(out, "%s%u", i > 0 ? "," : "", rates[i]);
    }
}

int pool_worker_spawn(struct pool_worker *worker, int doorbell, uv_exit_cb on_exit)
{
    const struct pool_options *options = &worker->pool->options;
    char frame_bytes_max[24], pixels_max[24], memory_max[24];
    char rates[KERNEL_RATES * 11 + 1], text[3][1024];
    char *environment[ENVIRONMENT_MAX];
    snprintf(frame_bytes_max, sizeof(frame_bytes_max), "%llu",
             (unsigned long long)options->frame_bytes_max);
    snprintf(pixels_max, sizeof(pixels_max), "%llu", (unsigned long long)options->pixels_max);
    snprintf(memory_max, sizeof(memory_max), "%llu",
             (unsigned long long)(options->worker_bytes != 0 ? options->worker_bytes : UINT64_MAX));
    print_rates(options->rates, rates);
    fill_environment(environment, text);
    char *arguments[] = {
        (char *)options->worker_path,
        (char *)"--frame-bytes-max",
        frame_bytes_max,
        (char *)"--pixels-max",
        pixels_max,
        (char *)"--memory-max",
        memory_max,
        (char *)"--cpu-mask",
        (char *)options->cpu_mask,
        (char *)(rates[0] != '\0' ? "--rates" : NULL),
        rates,
        NULL,
    };
    uv_stdio_container_t stdio[5] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
        {.flags = UV_INHERIT_FD, .data.fd = doorbell},
        {.flags = UV_INHERIT_FD, .data.fd = worker->region_fd},
    };
    uv_process_options_t process = {
        .exit_cb = on_exit,
        .file = options->worker_path,
        .args = arguments,
        .env = environment,
        .stdio_count = 5,
        .stdio = stdio,
    };
    return uv_spawn(worker->pool->loop, &worker->process, &process);
}
