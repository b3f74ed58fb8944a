/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Options for the pool, and its events handed on to whom they concern. */
#include "daemon/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/adaptation.h"
#include "daemon/admission.h"
#include "daemon/log.h"
#include "daemon/reload.h"
#include "daemon/server.h"

static void log_failures(struct server *server, const struct pool_stats *stats)
{
    uint64_t failures = stats->crashes + stats->timeouts + stats->lies;
    if (failures > server->failures_logged) {
        log_message(&server->log, LOG_ID_WORKERS_FAILED,
                    "workers failed and were replaced: %" PRIu64 " times since the start",
                    failures);
        server->failures_logged = failures;
    }
}

/* A worker became idle, or their number changed. */
static void on_pool_changed(void *context)
{
    struct fleet *fleet = context;
    struct server *server = fleet->server;
    struct pool_stats stats;
    if (server->admission != NULL) { /* it is made after the first pool */
        admission_changed(server->admission);
    }
    service_pool_changed(&server->service, fleet);
    service_tell(&server->service);
    pool_get_stats(fleet->pool, &stats);
    log_failures(server, &stats);
    reload_fleet_changed(&server->reload, fleet);
}

static void on_pool_finished(void *context, struct frame *frame, enum proto_error error,
                             const char *message, const struct job_result *result)
{
    struct fleet *fleet = context;
    struct server *server = fleet->server;
    struct proto_result described;
    if (frame->probe) {
        service_probe_finished(&server->service, fleet, frame, error, message);
        return;
    }
    service_note(&server->service);
    if (result != NULL) {
        admission_observe(server->admission, frame, result);
        if (frame->adapter != 0) {
            adaptation_keep(server->adaptation, frame, result);
        }
        models_describe(fleet->models, frame, result, &described);
        metrics_count_frame(&server->metrics, frame, &described);
        service_frame_judged(&server->service, frame);
        if (events_wanted(&server->events, frame->camera)) {
            events_publish(&server->events, EVENT_RESULT, frame->camera,
                           proto_result_to_json(&described));
        }
    }
    server->metrics.strikes += error == PROTO_WORKER_FAILED;
    admission_finished(server->admission, frame, error, message,
                       result != NULL ? &described : NULL);
}

uint32_t fleet_count_workers(const struct config *config)
{
    cpu_set_t set;
    if (config->workers > 0) {
        return config->workers;
    }
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > 64 ? 64 : (uint32_t)count;
}

static void fill_options(struct fleet *fleet, const struct config *config, uint64_t worker_bytes)
{
    const struct kernel_table *kernels = &fleet->server->kernels;
    snprintf(fleet->worker_path, sizeof(fleet->worker_path), "%s", config->worker_path);
    snprintf(fleet->cpu_mask, sizeof(fleet->cpu_mask), "%s", config->cpu_mask);
    struct pool_options *options = &fleet->options;
    *options = (struct pool_options){
        .worker_path = fleet->worker_path,
        .cpu_mask = fleet->cpu_mask,
        .workers = fleet_count_workers(config),
        .timeout_ms = config->worker_timeout_ms,
        .frames_max = config->worker_frames_max,
        .frame_bytes_max = config->frame_bytes_max,
        .pixels_max = config->pixels_max,
        .spin_us = config->spin_us,
        .worker_bytes = worker_bytes,
        .model_count = fleet->models->count,
        .changed = on_pool_changed,
        .finished = on_pool_finished,
        .context = fleet,
    };
    memcpy(options->rates, kernels->rates, sizeof(options->rates));
    for (uint32_t i = 0; i < fleet->models->count; i++) {
        const struct model *model = &fleet->models->list[i];
        options->models[i] = (struct pool_model){
            .memfd = model->memfd,
            .bytes = model->bytes,
            .generation = model->generation,
            .label_count = network_model_labels(model->network),
            .wakes = model->wakes,
            .wake_label = model->wake_label,
            .wake_margin = model->wake_margin,
        };
        for (uint32_t k = 0; k < model->point_count; k++) {
            options->models[i].codes_bytes[k] = models_codes_bytes(model, k);
        }
    }
}

int fleet_create(struct server *server, const struct config *config, struct models *models,
                 uint64_t worker_bytes, struct fleet **ret_fleet)
{
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    if (fleet == NULL) {
        return -ENOMEM;
    }
    fleet->server = server;
    fleet->models = models;
    fleet->users = 1;
    fill_options(fleet, config, worker_bytes);
    int r = pool_create(&server->loop, &fleet->options, &fleet->pool);
    if (r < 0) {
        free(fleet);
        return r;
    }
    fleet->next = server->fleets;
    server->fleets = fleet;
    *ret_fleet = fleet;
    return 0;
}

static bool same_models(const struct models *a, const struct models *b)
{
    if (a->count != b->count || a->standard != b->standard) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const struct model *one = &a->list[i], *other = &b->list[i];
        if (strcmp(one->name, other->name) != 0 ||
            strcmp(network_model_id(one->network), network_model_id(other->network)) != 0 ||
            one->wakes != other->wakes || one->wake_label != other->wake_label ||
            one->wake_margin != other->wake_margin) {
            return false;
        }
    }
    return true;
}

bool fleet_suits(const struct fleet *fleet, const struct config *config,
                 const struct models *models, uint64_t worker_bytes)
{
    const struct pool_options *options = &fleet->options;
    return strcmp(fleet->worker_path, config->worker_path) == 0 &&
           strcmp(fleet->cpu_mask, config->cpu_mask) == 0 &&
           options->workers == fleet_count_workers(config) &&
           options->timeout_ms == config->worker_timeout_ms &&
           options->frames_max == config->worker_frames_max &&
           options->frame_bytes_max == config->frame_bytes_max &&
           options->pixels_max == config->pixels_max && options->spin_us == config->spin_us &&
           options->worker_bytes == worker_bytes && same_models(fleet->models, models);
}

bool fleet_complete(const struct fleet *fleet)
{
    struct pool_stats stats;
    pool_get_stats(fleet->pool, &stats);
    return stats.ready == stats.workers && stats.busy == 0 && !pool_has_unproven(fleet->pool, 0);
}

static void fleet_free(struct fleet *fleet)
{
    struct fleet **link = &fleet->server->fleets;
    while (*link != fleet) {
        link = &(*link)->next;
    }
    *link = fleet->next;
    models_destroy(fleet->models);
    free(fleet);
}

static void on_pool_closed(void *context)
{
    struct fleet *fleet = context;
    fleet->pool = NULL;
    if (!fleet->pinned) {
        fleet_free(fleet);
    }
}

static void fleet_close(struct fleet *fleet)
{
    if (!fleet->closing) {
        fleet->closing = true;
        metrics_retire_pool(&fleet->server->metrics, fleet->pool);
        pool_destroy(fleet->pool, on_pool_closed, fleet);
    }
}

void fleet_drop(struct fleet *fleet)
{
    if (--fleet->users == 0) {
        fleet_close(fleet);
    }
}

void fleet_stop_all(struct server *server)
{
    for (struct fleet *fleet = server->fleets; fleet != NULL; fleet = fleet->next) {
        fleet_close(fleet);
    }
}

void fleet_free_all(struct server *server)
{
    while (server->fleets != NULL) {
        fleet_free(server->fleets);
    }
}
