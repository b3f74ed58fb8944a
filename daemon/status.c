/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Counters of the parts -> one tree. */
#include "daemon/status.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "daemon/adaptation.h"
#include "daemon/admission.h"
#include "daemon/limits.h"
#include "daemon/models.h"
#include "daemon/server.h"

/* A tree under construction: `good` turns false when memory runs out, and stays so. */
struct builder {
    bool good;
};

static void put(struct builder *builder, cJSON *object, const char *name, cJSON *item)
{
    if (!cJSON_AddItemToObjectCS(object, name, item)) {
        cJSON_Delete(item);
        builder->good = false;
    }
}

static void put_number(struct builder *builder, cJSON *object, const char *name, double value)
{
    put(builder, object, name, cJSON_CreateNumber(value));
}

static void put_string(struct builder *builder, cJSON *object, const char *name, const char *text)
{
    put(builder, object, name, cJSON_CreateString(text));
}

static void put_bool(struct builder *builder, cJSON *object, const char *name, bool value)
{
    put(builder, object, name, cJSON_CreateBool(value));
}

static cJSON *put_object(struct builder *builder, cJSON *object, const char *name)
{
    cJSON *child = cJSON_CreateObject();
    put(builder, object, name, child);
    return builder->good ? child : NULL;
}

static cJSON *append_object(struct builder *builder, cJSON *array)
{
    cJSON *child = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, child)) {
        cJSON_Delete(child);
        builder->good = false;
        return NULL;
    }
    return child;
}

static cJSON *put_array(struct builder *builder, cJSON *object, const char *name)
{
    cJSON *child = cJSON_CreateArray();
    put(builder, object, name, child);
    return builder->good ? child : NULL;
}

static void put_frames(struct builder *builder, cJSON *object,
                       const struct admission_counters *counters)
{
    cJSON *frames = put_object(builder, object, "frames");
    put_number(builder, frames, "received", (double)counters->received);
    put_number(builder, frames, "refused", (double)counters->refused);
    put_number(builder, frames, "answered", (double)counters->answered);
    put_number(builder, frames, "failed", (double)counters->failed);
    put_number(builder, frames, "superseded", (double)counters->superseded);
    put_number(builder, frames, "expired", (double)counters->expired);
    put_number(builder, frames, "cancelled", (double)counters->cancelled);
    put_number(builder, frames, "pending", (double)counters->pending);
}

static void put_cameras(struct builder *builder, cJSON *root, const struct server *server)
{
    struct admission_camera camera;
    cJSON *cameras = put_array(builder, root, "cameras");
    for (uint32_t i = 0; builder->good && admission_get_camera(server->admission, i, &camera);
         i++) {
        cJSON *entry = append_object(builder, cameras);
        put_string(builder, entry, "name", camera.name);
        put_string(builder, entry, "model", server->models->list[camera.model_index].name);
        put_bool(builder, entry, "enabled", camera.enabled);
        put_frames(builder, entry, &camera.counters);
    }
}

static void put_models(struct builder *builder, cJSON *root, const struct models *models)
{
    cJSON *list = put_array(builder, root, "models");
    for (uint32_t i = 0; builder->good && i < models->count; i++) {
        const struct model *model = &models->list[i];
        cJSON *entry = append_object(builder, list);
        put_string(builder, entry, "name", model->name);
        put_string(builder, entry, "id", network_model_id(model->network));
        put_number(builder, entry, "generation", (double)model->generation);
        cJSON *points = put_array(builder, entry, "points");
        for (uint32_t k = 0; builder->good && k < model->point_count; k++) {
            builder->good = cJSON_AddItemToArray(points, cJSON_CreateString(model->points[k]));
        }
        if (model->wakes != 0) {
            put_string(builder, entry, "wakes", models->list[model->wakes - 1].name);
        }
        cJSON *labels = put_array(builder, entry, "labels");
        for (uint32_t k = 0; builder->good && k < network_model_labels(model->network); k++) {
            const char *label = network_model_label(model->network, k);
            builder->good = cJSON_AddItemToArray(labels, cJSON_CreateString(label));
        }
    }
}

static void put_workers(struct builder *builder, cJSON *root, const struct pool_stats *stats)
{
    cJSON *workers = put_object(builder, root, "workers");
    put_number(builder, workers, "configured", stats->workers);
    put_number(builder, workers, "ready", stats->ready);
    put_number(builder, workers, "busy", stats->busy);
    put_number(builder, workers, "frames", (double)stats->frames);
    put_number(builder, workers, "crashes", (double)stats->crashes);
    put_number(builder, workers, "timeouts", (double)stats->timeouts);
    put_number(builder, workers, "lies", (double)stats->lies);
    put_number(builder, workers, "recycled", (double)stats->recycled);
}

static void put_limits(struct builder *builder, cJSON *root, const struct config *config)
{
    cJSON *limits = put_object(builder, root, "limits");
    put_number(builder, limits, "frame_bytes_max", (double)config->frame_bytes_max);
    put_number(builder, limits, "queue_bytes_max", (double)config->queue_bytes_max);
    put_number(builder, limits, "pixels_max", (double)config->pixels_max);
    put_number(builder, limits, "cameras_max", config->cameras_max);
    put_number(builder, limits, "connections_max", LIMIT_CONNECTIONS);
    put_number(builder, limits, "deadline_ms", config->deadline_ms);
}

/* Resident bytes of this process, 0 when /proc does not tell. */
static uint64_t resident_bytes(void)
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
    struct builder builder = {.good = true};
    struct pool_stats stats;
    struct admission_counters totals;
    uint64_t reserved;
    cJSON *root = cJSON_CreateObject();

    pool_get_stats(server->pool, &stats);
    admission_get_totals(server->admission, &totals, &reserved);
    put_string(&builder, root, "version", OCELLUS_VERSION);
    put_number(&builder, root, "uptime_s",
               round((double)(uv_hrtime() - server->started_ns) / 1e8) / 10.0);
    put_bool(&builder, root, "ready", server_ready(server));
    put_number(&builder, root, "connections", server->connection_count);
    put_frames(&builder, root, &totals);
    put_cameras(&builder, root, server);
    put_models(&builder, root, server->models);
    put_workers(&builder, root, &stats);
    put_limits(&builder, root, server->config);
    cJSON *memory = put_object(&builder, root, "memory_bytes");
    put_number(&builder, memory, "daemon", (double)resident_bytes());
    put_number(&builder, memory, "workers", (double)pool_resident_bytes(server->pool));
    put_number(&builder, memory, "queue", (double)reserved);
    put_number(&builder, memory, "learning", (double)adaptation_bytes(server->adaptation));
    if (!builder.good) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
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
}
