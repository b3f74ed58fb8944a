/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Sums of products of limits. It measures nothing: what is used now is in status.c. */
#include "daemon/memory_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/limits.h"

#define MIB ((uint64_t)1 << 20)

/* What a worker needs beside frames: programs, models and the tables of the decoders. Twice a
 * frame: the region, and a copy that nobody else may change. */
static uint64_t smallest_worker(const struct config *config, uint64_t models)
{
    return LIMIT_WORKER_BYTES_MIN + models + 2 * config->frame_bytes_max;
}

/* An adapter has its own copy of what it trains, gradients and factors, and weights that are on
 * their way to the workers. */
static uint64_t learning_bytes(const struct config *config, uint64_t models)
{
    uint64_t learners = 0;
    for (uint32_t i = 0; i < config->camera_count; i++) {
        learners += config->cameras[i].adapter_slot != 0;
    }
    return learners * config->adaptation.ring_bytes +
           config->adapter_count * (LIMIT_ADAPTER_BYTES + 4 * models);
}

int memory_plan_make(const struct config *config, const struct models *models, uint32_t workers,
                     uint64_t control_group, struct memory_plan *ret_plan)
{
    uint64_t files = 0;
    for (uint32_t i = 0; i < models->count; i++) {
        files += models->list[i].bytes;
    }
    struct memory_plan plan = {
        .bound = config->memory_max != 0 ? config->memory_max : control_group,
        .program = LIMIT_PROGRAM_BYTES,
        .connections =
            (uint64_t)LIMIT_CONNECTIONS * (LIMIT_HTTP_HEAD_BYTES + LIMIT_REPLY_QUEUE_BYTES),
        .subscribers = (uint64_t)LIMIT_SUBSCRIBERS * LIMIT_EVENT_QUEUE_BYTES,
        .queue = config->queue_bytes_max,
        .models = 4 * files, /* the file, and what is read from it */
        .learning = learning_bytes(config, files),
        .workers = 2 * (uint64_t)workers,
    };
    const uint64_t smallest = smallest_worker(config, files);
    const uint64_t most = LIMIT_WORKER_BYTES + 6 * config->frame_bytes_max;
    const uint64_t daemon = plan.program + plan.connections + plan.subscribers + plan.queue +
                            plan.models + plan.learning;
    const uint64_t left = plan.bound > daemon ? (plan.bound - daemon) / plan.workers : 0;
    plan.worker = plan.bound == 0 || left > most ? most : left < smallest ? smallest : left;
    plan.total = daemon + plan.workers * plan.worker;
    *ret_plan = plan;
    return plan.bound != 0 && plan.total > plan.bound ? -ENOMEM : 0;
}

static uint64_t mib(uint64_t bytes)
{
    return (bytes + MIB - 1) / MIB;
}

void memory_plan_format(const struct memory_plan *plan, char out[MEMORY_PLAN_TEXT_BYTES])
{
    char bound[64] = "no bound is set";
    if (plan->bound != 0) {
        snprintf(bound, sizeof(bound), "the bound is %" PRIu64, mib(plan->bound));
    }
    snprintf(out, MEMORY_PLAN_TEXT_BYTES,
             "memory in MiB: at most %" PRIu64 ", %s; program %" PRIu64 ", connections %" PRIu64
             ", subscribers %" PRIu64 ", queue-bytes-max %" PRIu64 ", models %" PRIu64
             ", learning %" PRIu64 ", workers %" PRIu64 " of %" PRIu64
             " each, those of a reload included",
             mib(plan->total), bound, mib(plan->program), mib(plan->connections),
             mib(plan->subscribers), mib(plan->queue), mib(plan->models), mib(plan->learning),
             plan->workers, mib(plan->worker));
}

void memory_plan_refuse(const struct memory_plan *plan, char *ret_reason, size_t size)
{
    char text[MEMORY_PLAN_TEXT_BYTES];
    memory_plan_format(plan, text);
    snprintf(ret_reason, size, "what clients can make us take does not fit: %s", text);
}

/* memory.max of one group; 0: none. */
static uint64_t read_bound(const char *group)
{
    char path[4200], text[32] = "";
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group);
    FILE *file = fopen(path, "re");
    uint64_t bound = 0;
    if (file != NULL) {
        if (fgets(text, sizeof(text), file) != NULL) {
            bound = strtoull(text, NULL, 10); /* "max" is 0 */
        }
        fclose(file);
    }
    return bound;
}

uint64_t memory_plan_control_group(void)
{
    char line[4096], group[4096] = "";
    FILE *file = fopen("/proc/self/cgroup", "re");
    uint64_t smallest = 0;
    if (file == NULL) {
        return 0;
    }
    while (group[0] == '\0' && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "0::/", 4) == 0) { /* version 2 */
            line[strcspn(line, "\n")] = '\0';
            strcpy(group, line + 3);
        }
    }
    fclose(file);
    for (char *end; (end = strrchr(group, '/')) != NULL; *end = '\0') {
        const uint64_t bound = read_bound(group);
        if (bound != 0 && (smallest == 0 || bound < smallest)) {
            smallest = bound;
        }
    }
    return smallest;
}
