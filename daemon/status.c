/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Counters of the parts -> one tree. */
#include "daemon/status.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "daemon/json_builder.h"
#include "daemon/adaptation.h"
#include "daemon/admission.h"
#include "daemon/limits.h"
#include "daemon/models.h"
#include "daemon/server.h"

#define NOW_NS UINT64_C(10000000000) /* what happened so lately is there */

static void put_frames(struct json_builder *builder, cJSON *object,
                       const struct admission_counters *counters)
{
    cJSON *frames = json_put_object(builder, object, "frames");
    json_put_number(builder, frames, "received", (double)counters->received);
    json_put_number(builder, frames, "refused", (double)counters->refused);
    json_put_number(builder, frames, "answered", (double)counters->answered);
    json_put_number(builder, frames, "failed", (double)counters->failed);
    json_put_number(builder, frames, "superseded", (double)counters->superseded);
    json_put_number(builder, frames, "expired", (double)counters->expired);
    json_put_number(builder, frames, "cancelled", (double)counters->cancelled);
    json_put_number(builder, frames, "pending", (double)counters->pending);
}

static void put_cameras(struct json_builder *builder, cJSON *root, const struct server *server)
{
    struct admission_camera camera;
    cJSON *cameras = json_put_array(builder, root, "cameras");
    for (uint32_t i = 0; builder->good && admission_get_camera(server->admission, i, &camera);
         i++) {
        cJSON *entry = json_append_object(builder, cameras);
        json_put_string(builder, entry, "name", camera.name);
        json_put_string(builder, entry, "model", server->models->list[camera.model_index].name);
        json_put_bool(builder, entry, "enabled", camera.enabled);
        put_frames(builder, entry, &camera.counters);
    }
}

static void put_models(struct json_builder *builder, cJSON *root, const struct models *models)
{
    cJSON *list = json_put_array(builder, root, "models");
    for (uint32_t i = 0; builder->good && i < models->count; i++) {
        const struct model *model = &models->list[i];
        cJSON *entry = json_append_object(builder, list);
        json_put_string(builder, entry, "name", model->name);
        json_put_string(builder, entry, "id", network_model_id(model->network));
        json_put_number(builder, entry, "generation", (double)model->generation);
        json_put_bool(builder, entry, "loaded", model->installed);
        cJSON *points = json_put_array(builder, entry, "points");
        for (uint32_t k = 0; builder->good && k < model->point_count; k++) {
            builder->good = cJSON_AddItemToArray(points, cJSON_CreateString(model->points[k]));
        }
        if (model->wakes != 0) {
            json_put_string(builder, entry, "wakes", models->list[model->wakes - 1].name);
        }
        cJSON *labels = json_put_array(builder, entry, "labels");
        for (uint32_t k = 0; builder->good && k < network_model_labels(model->network); k++) {
            const char *label = network_model_label(model->network, k);
            builder->good = cJSON_AddItemToArray(labels, cJSON_CreateString(label));
        }
    }
}

static void put_workers(struct json_builder *builder, cJSON *root, const struct pool_stats *stats)
{
    cJSON *workers = json_put_object(builder, root, "workers");
    json_put_number(builder, workers, "configured", stats->workers);
    json_put_number(builder, workers, "ready", stats->ready);
    json_put_number(builder, workers, "busy", stats->busy);
    json_put_number(builder, workers, "frames", (double)stats->frames);
    json_put_number(builder, workers, "crashes", (double)stats->crashes);
    json_put_number(builder, workers, "timeouts", (double)stats->timeouts);
    json_put_number(builder, workers, "lies", (double)stats->lies);
    json_put_number(builder, workers, "recycled", (double)stats->recycled);
}

static void put_limits(struct json_builder *builder, cJSON *root, const struct config *config)
{
    cJSON *limits = json_put_object(builder, root, "limits");
    json_put_number(builder, limits, "frame_bytes_max", (double)config->frame_bytes_max);
    json_put_number(builder, limits, "queue_bytes_max", (double)config->queue_bytes_max);
    json_put_number(builder, limits, "pixels_max", (double)config->pixels_max);
    json_put_number(builder, limits, "cameras_max", config->cameras_max);
    json_put_number(builder, limits, "connections_max", LIMIT_CONNECTIONS);
    json_put_number(builder, limits, "deadline_ms", config->deadline_ms);
}

uint64_t status_resident_bytes(void)
{
    char text[64];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    uint64_t pages = 0;
    if (fd >= 0) {
        close(fd);
    }
    if (length > 0) {
        text[length] = '\0';
        if (sscanf(text, "%*u %" SCNu64, &pages) != 1) {
            pages = 0;
        }
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct cJSON *status_to_json(const struct server *server)
{
    struct json_builder builder = {.good = true};
    struct pool_stats stats;
    struct admission_counters totals;
    uint64_t reserved;
    cJSON *root = cJSON_CreateObject();

    pool_get_stats(server->pool, &stats);
    admission_get_totals(server->admission, &totals, &reserved);
    json_put_string(&builder, root, "version", OCELLUS_VERSION);
    json_put_number(&builder, root, "uptime_s",
                    round((double)(uv_hrtime() - server->started_ns) / 1e8) / 10.0);
    json_put_bool(&builder, root, "ready", server_ready(server));
    json_put_number(&builder, root, "configuration", (double)server->reload.done);
    if (server->reload.trouble[0] != '\0') {
        json_put_string(&builder, root, "reload_error", server->reload.trouble);
    }
    json_put_number(&builder, root, "connections", server->connection_count);
    put_frames(&builder, root, &totals);
    put_cameras(&builder, root, server);
    put_models(&builder, root, server->models);
    put_workers(&builder, root, &stats);
    put_limits(&builder, root, server->config);
    cJSON *memory = json_put_object(&builder, root, "memory_bytes");
    json_put_number(&builder, memory, "daemon", (double)status_resident_bytes());
    json_put_number(&builder, memory, "workers", (double)pool_resident_bytes(server->pool));
    json_put_number(&builder, memory, "queue", (double)reserved);
    json_put_number(&builder, memory, "learning", (double)adaptation_bytes(server->adaptation));
    return json_builder_finish(&builder, root);
}

void status_line(const struct server *server, char *out, size_t size)
{
    struct pool_stats stats;
    struct admission_counters totals;
    uint64_t reserved;
    pool_get_stats(server->pool, &stats);
    admission_get_totals(server->admission, &totals, &reserved);
    snprintf(out, size,
             "%u of %u workers ready, %" PRIu64 " frames answered, %" PRIu64 " failed, %" PRIu64
             " dropped",
             stats.ready, stats.workers, totals.answered, totals.failed,
             totals.superseded + totals.expired + totals.refused);
    if (server->metrics.lowered > 0) {
        const size_t length = strlen(out);
        snprintf(out + length, size - length,
                 ", %" PRIu64 " judged at a cheaper operating point because of load%s",
                 server->metrics.lowered,
                 uv_hrtime() - server->service.lowered_ns < NOW_NS ? ", now" : "");
    }
}
