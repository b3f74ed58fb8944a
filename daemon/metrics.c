/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Counting, and the page but for what learning says (metrics_learning.c). */
#include "daemon/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/admission.h"
#include "daemon/fleet.h"
#include "daemon/method.h"
#include "daemon/metrics_learning.h"
#include "daemon/models.h"
#include "daemon/server.h"
#include "daemon/status.h"
#include "daemon/text.h"

static const uint32_t bounds_us[METRICS_BUCKETS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,
};

/* ---- Counting ---- */

static uint32_t method_index(const struct method *method)
{
    const struct method *first = method_at(0);
    const uint32_t index = method != NULL ? (uint32_t)(method - first) : METRICS_METHODS - 1;
    return index < METRICS_METHODS ? index : METRICS_METHODS - 1;
}

void metrics_count_request(struct metrics *metrics, enum metrics_door door,
                           const struct method *method, enum proto_error error)
{
    if ((unsigned)error < PROTO_ERROR_COUNT) {
        metrics->requests[door][method_index(method)][error]++;
    }
}

static void observe(struct metrics_histogram *histogram, uint64_t ns)
{
    uint32_t bucket = 0;
    while (bucket < METRICS_BUCKETS && ns > (uint64_t)bounds_us[bucket] * 1000) {
        bucket++;
    }
    histogram->counts[bucket]++;
    histogram->sum_ns += ns;
}

/* frame->setup is that by which it was admitted, whose settings it has. */
static void note_light(struct metrics *metrics, const struct frame *frame,
                       const struct proto_light *light)
{
    const struct config *config = frame->setup->config;
    if (frame->settings == &config->other) {
        return;
    }
    struct metrics_light *place = &metrics->lights[frame->settings - config->cameras];
    memcpy(place->camera, frame->camera, sizeof(place->camera));
    place->light = *light;
}

void metrics_count_frame(struct metrics *metrics, const struct frame *frame,
                         const struct proto_result *result)
{
    const struct proto_times *times = &result->times;
    note_light(metrics, frame, &result->light);
    observe(&metrics->stages[METRICS_QUEUE], times->wait);
    observe(&metrics->stages[METRICS_DECODE], times->decode);
    observe(&metrics->stages[METRICS_FRONT], times->average + times->gradient);
    observe(&metrics->stages[METRICS_NETWORK], times->network);
    observe(&metrics->stages[METRICS_TOTAL], times->total);
    metrics->lowered += frame->point_index > 0 && strcmp(frame->point, MODELS_POINT_AUTO) == 0;
}

static void add_counters(struct pool_stats *sum, const struct pool_stats *stats)
{
    sum->frames += stats->frames;
    sum->crashes += stats->crashes;
    sum->timeouts += stats->timeouts;
    sum->lies += stats->lies;
    sum->recycled += stats->recycled;
}

void metrics_retire_pool(struct metrics *metrics, const struct pool *pool)
{
    struct pool_stats stats;
    pool_get_stats(pool, &stats);
    add_counters(&metrics->retired, &stats);
}

/* ---- The page ---- */

static void put_head(struct text *text, const char *name, const char *type, const char *help)
{
    text_add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_gauge(struct text *text, const char *name, const char *help, double value)
{
    put_head(text, name, "gauge", help);
    text_add(text, "%s %.15g\n", name, value);
}

static void put_counter(struct text *text, const char *name, const char *help, uint64_t value)
{
    put_head(text, name, "counter", help);
    text_add(text, "%s %" PRIu64 "\n", name, value);
}

void metrics_put_histogram(struct text *text, const char *name, const char *label,
                           const struct metrics_histogram *histogram)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < METRICS_BUCKETS; i++) {
        count += histogram->counts[i];
        text_add(text, "%s_bucket{%s,le=\"%.9g\"} %" PRIu64 "\n", name, label, bounds_us[i] / 1e6,
                 count);
    }
    count += histogram->counts[METRICS_BUCKETS];
    text_add(text, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, label, count);
    text_add(text, "%s_sum{%s} %.9f\n", name, label, (double)histogram->sum_ns / 1e9);
    text_add(text, "%s_count{%s} %" PRIu64 "\n", name, label, count);
}

static void put_build(struct text *text, const struct server *server)
{
    const double up_s = (double)(uv_hrtime() - server->started_ns) / 1e9;
    put_head(text, "ocellus_build_info", "gauge", "The version of the daemon; always 1.");
    text_add(text, "ocellus_build_info{version=\"%s\"} 1\n", OCELLUS_VERSION);
    put_gauge(text, "ocellus_uptime_seconds", "Time since the start of the daemon.",
              floor(up_s * 10) / 10);
    put_gauge(text, "ocellus_ready", "1 while frames can be judged.", server_ready(server));
    put_counter(text, "ocellus_configurations_total",
                "Configurations that took effect, that of the start included.",
                server->reload.done);
    put_gauge(text, "ocellus_reload_failed", "1 when the last reload was refused.",
              server->reload.trouble[0] != '\0');
    put_head(text, "ocellus_model_info", "gauge", "Models that are loaded; always 1.");
    for (uint32_t i = 0; i < server->models->count; i++) {
        const struct model *model = &server->models->list[i];
        text_add(text, "ocellus_model_info{name=\"%s\",sha256=\"%s\"} 1\n", model->name,
                 network_model_id(model->network));
    }
}

/* "Infer" of "io.ocellus.Infer", or the path of what is on HTTP only. */
static const char *method_label(uint32_t index)
{
    const struct method *method = method_at(index);
    if (method == NULL) {
        return "unknown";
    }
    const char *dot = method->name != NULL ? strrchr(method->name, '.') : NULL;
    return dot != NULL ? dot + 1 : method->path;
}

static const char *code_label(enum proto_error error)
{
    return error == PROTO_OK ? "OK" : strrchr(proto_error_name(error), '.') + 1;
}

static void put_requests(struct text *text, const struct metrics *metrics)
{
    static const char *const doors[METRICS_DOORS] = {"http", "varlink"};
    put_head(text, "ocellus_requests_total", "counter",
             "Requests that were answered, by how they ended.");
    for (uint32_t door = 0; door < METRICS_DOORS; door++) {
        for (uint32_t i = 0; i < METRICS_METHODS; i++) {
            for (uint32_t code = 0; code < PROTO_ERROR_COUNT; code++) {
                const uint64_t count = metrics->requests[door][i][code];
                if (count > 0) {
                    text_add(
                        text,
                        "ocellus_requests_total{door=\"%s\",method=\"%s\",code=\"%s\"} %" PRIu64
                        "\n",
                        doors[door], method_label(i), code_label(code), count);
                }
            }
        }
    }
}

/* Counters of the cameras of the configuration, then of all others together. */
static uint32_t get_cameras(const struct server *server, const char **names,
                            struct admission_counters *counters)
{
    struct admission_camera camera;
    uint64_t reserved;
    uint32_t count = 0;
    struct admission_counters rest;
    admission_get_totals(server->admission, &rest, &reserved);
    for (uint32_t i = 0; admission_get_camera(server->admission, i, &camera); i++) {
        if (camera.declared && count < CONFIG_CAMERAS_MAX) {
            names[count] = camera.name;
            counters[count++] = camera.counters;
            rest.received -= camera.counters.received;
            rest.answered -= camera.counters.answered;
            rest.refused -= camera.counters.refused;
            rest.failed -= camera.counters.failed;
            rest.superseded -= camera.counters.superseded;
            rest.expired -= camera.counters.expired;
            rest.cancelled -= camera.counters.cancelled;
        }
    }
    names[count] = "";
    counters[count++] = rest;
    return count;
}

static void put_frames(struct text *text, const struct server *server)
{
    const char *names[CONFIG_CAMERAS_MAX + 1];
    struct admission_counters counters[CONFIG_CAMERAS_MAX + 1];
    const uint32_t count = get_cameras(server, names, counters);
    put_head(text, "ocellus_frames_received_total", "counter", "Frames that came.");
    for (uint32_t i = 0; i < count; i++) {
        text_add(text, "ocellus_frames_received_total{camera=\"%s\"} %" PRIu64 "\n", names[i],
                 counters[i].received);
    }
    put_head(text, "ocellus_frames_answered_total", "counter", "Frames that were judged.");
    for (uint32_t i = 0; i < count; i++) {
        text_add(text, "ocellus_frames_answered_total{camera=\"%s\"} %" PRIu64 "\n", names[i],
                 counters[i].answered);
    }
    put_head(text, "ocellus_frames_dropped_total", "counter",
             "Frames that were not judged, and why.");
    for (uint32_t i = 0; i < count; i++) {
        const struct {
            const char *reason;
            uint64_t count;
        } dropped[] = {
            {"refused", counters[i].refused},       {"failed", counters[i].failed},
            {"superseded", counters[i].superseded}, {"expired", counters[i].expired},
            {"cancelled", counters[i].cancelled},
        };
        for (size_t k = 0; k < sizeof(dropped) / sizeof(dropped[0]); k++) {
            text_add(text,
                     "ocellus_frames_dropped_total{camera=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
                     names[i], dropped[k].reason, dropped[k].count);
        }
    }
}

static void put_light(struct text *text, const struct server *server)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } families[] = {
        {"ocellus_light_level", "Mean level of the last frame, 1 is nominal white.",
         offsetof(struct proto_light, level)},
        {"ocellus_light_saturated_ratio", "Share of saturated pixels of the last frame.",
         offsetof(struct proto_light, saturated)},
        {"ocellus_light_dark_ratio", "Share of dark pixels of the last frame.",
         offsetof(struct proto_light, dark)},
    };
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        put_head(text, families[f].name, "gauge", families[f].help);
        for (uint32_t i = 0; i < server->config->camera_count; i++) {
            const struct metrics_light *place = &server->metrics.lights[i];
            float value;
            memcpy(&value, (const char *)&place->light + families[f].offset, sizeof(value));
            if (strcmp(place->camera, server->config->cameras[i].name) == 0) {
                text_add(text, "%s{camera=\"%s\"} %.4g\n", families[f].name, place->camera,
                         (double)value);
            }
        }
    }
}

static void put_stages(struct text *text, const struct metrics *metrics)
{
    static const char *const labels[METRICS_STAGES] = {
        "stage=\"queue\"",   "stage=\"decode\"", "stage=\"front_end\"",
        "stage=\"network\"", "stage=\"total\"",
    };
    put_head(text, "ocellus_inference_seconds", "histogram", "Time of judged frames, by stage.");
    for (uint32_t i = 0; i < METRICS_STAGES; i++) {
        metrics_put_histogram(text, "ocellus_inference_seconds", labels[i], &metrics->stages[i]);
    }
}

static void put_workers(struct text *text, const struct server *server)
{
    struct pool_stats now, sum = server->metrics.retired;
    pool_get_stats(server->pool, &now);
    for (const struct fleet *fleet = server->fleets; fleet != NULL; fleet = fleet->next) {
        if (fleet->pool != NULL && !fleet->closing) {
            struct pool_stats stats;
            pool_get_stats(fleet->pool, &stats);
            add_counters(&sum, &stats);
        }
    }
    put_gauge(text, "ocellus_workers", "Workers that there should be.", now.workers);
    put_gauge(text, "ocellus_workers_ready", "Workers that have loaded their models.", now.ready);
    put_gauge(text, "ocellus_workers_busy", "Workers that have a frame.", now.busy);
    put_counter(text, "ocellus_worker_frames_total", "Frames that workers were handed.",
                sum.frames);
    put_head(text, "ocellus_worker_restarts_total", "counter",
             "Workers that were replaced, and why.");
    text_add(text, "ocellus_worker_restarts_total{reason=\"crash\"} %" PRIu64 "\n", sum.crashes);
    text_add(text, "ocellus_worker_restarts_total{reason=\"timeout\"} %" PRIu64 "\n", sum.timeouts);
    text_add(text, "ocellus_worker_restarts_total{reason=\"lie\"} %" PRIu64 "\n", sum.lies);
    text_add(text, "ocellus_worker_restarts_total{reason=\"recycled\"} %" PRIu64 "\n",
             sum.recycled);
}

static void put_load(struct text *text, const struct server *server)
{
    struct admission_counters totals;
    uint64_t reserved;
    admission_get_totals(server->admission, &totals, &reserved);
    put_gauge(text, "ocellus_connections", "Connections of clients.", server->connection_count);
    put_gauge(text, "ocellus_queue_depth", "Frames that came and are not answered yet.",
              (double)totals.pending);
    put_gauge(text, "ocellus_queue_bytes", "Memory of requests.", (double)reserved);
    put_gauge(text, "ocellus_queue_bytes_limit", "Most memory that requests may take together.",
              (double)server->config->queue_bytes_max);
    put_counter(text, "ocellus_frames_lowered_total",
                "Frames judged at a cheaper operating point, chosen by load.",
                server->metrics.lowered);
    put_gauge(text, "ocellus_subscribers", "Connections that are told of events.",
              server->events.count);
    put_counter(text, "ocellus_events_lost_total", "Events that slow subscribers lost.",
                server->events.lost);
    put_counter(text, "ocellus_strikes_total",
                "Frames that cost a worker; who sent many has to wait.", server->metrics.strikes);
    put_gauge(text, "ocellus_resident_bytes", "Resident memory of the daemon without workers.",
              (double)status_resident_bytes());
}

char *metrics_text(const struct server *server)
{
    struct text text = {.bytes = NULL};
    put_build(&text, server);
    put_requests(&text, &server->metrics);
    put_frames(&text, server);
    put_light(&text, server);
    put_stages(&text, &server->metrics);
    put_load(&text, server);
    put_workers(&text, server);
    metrics_put_learning(&text, server->adaptation);
    metrics_put_flash(&text, "/sys/block");
    return text_finish(&text);
}
