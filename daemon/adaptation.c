/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Routes between doors, rings, the trainer and the pool. It learns nothing itself. */
#include "daemon/adaptation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/adaptation_json.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/ring.h"
#include "engine/network/model.h"

struct place {
    const struct config_adapter *config;
    const struct model *model;
    char *directory;
    size_t frame_bytes; /* of packed codes of one window */
    uint64_t applied;
};

struct adaptation {
    const struct config *config;
    struct pool *pool;
    struct events *events;
    struct log log;
    struct trainer *trainer;
    uint32_t count;
    struct place places[JOB_ADAPTERS_MAX];
    struct ring *rings[CONFIG_CAMERAS_MAX]; /* by camera; NULL: no adapter, or no frame yet */
    char message[256];
};

static void on_published(void *context, uint32_t adapter, const struct pool_weights *weights,
                         uint32_t count, uint64_t generation)
{
    struct adaptation *adaptation = context;
    if (pool_publish(adaptation->pool, weights, count) < 0) {
        log_message(&adaptation->log, LOG_ID_ADAPTER_NOT_PUBLISHED,
                    "adapter %s: its weights could not be handed to the workers",
                    adaptation->places[adapter].config->name);
    }
    adaptation->places[adapter].applied = generation;
    if (events_wanted(adaptation->events, NULL)) {
        events_publish(adaptation->events, EVENT_ADAPTATION, NULL,
                       adaptation_change_to_json(adaptation, adapter));
    }
}

static void log_state(struct adaptation *adaptation, uint32_t adapter)
{
    static const char *const found[] = {
        [STORE_FRESH] = "fresh",     [STORE_CLEAN] = "clean",     [STORE_CUT] = "cut",
        [STORE_DAMAGED] = "damaged", [STORE_FOREIGN] = "foreign",
    };
    const char *name = adaptation->places[adapter].config->name;
    struct adapter_status status;
    trainer_get_status(adaptation->trainer, adapter, &status);
    if (!status.open || status.read_only) {
        log_message(NULL, LOG_ID_ADAPTER_CANNOT_LEARN, "adapter %s cannot learn: %s", name,
                    status.reason);
    } else if (status.store != STORE_FRESH) {
        log_message(NULL, LOG_ID_ADAPTER_OPENED, "adapter %s: store %s, update %llu", name,
                    found[status.store], (unsigned long long)status.sequence);
    }
}

/* Where stores lie: of the configuration, else what the service manager gave us. */
static int find_state(const struct config *config, const char **ret_state)
{
    *ret_state = config_state(config);
    if (*ret_state == NULL) {
        log_message(NULL, LOG_ID_START_FAILED,
                    "adapters need a place for what they learn: set 'state' in [adaptation]");
        return -EINVAL;
    }
    if (mkdir(*ret_state, 0700) < 0 && errno != EEXIST) {
        int error = -errno;
        log_message(NULL, LOG_ID_START_FAILED, "state: %s: %s", *ret_state, strerror(-error));
        return error;
    }
    return 0;
}

static int set_place(struct adaptation *adaptation, const struct models *models, uint32_t index,
                     const char *state, const struct kernel_table *kernels,
                     struct adapter_settings *settings)
{
    const struct config *config = adaptation->config;
    const struct config_adapter *own = &config->adapters[index];
    struct place *place = &adaptation->places[index];
    const int model = models_find(models, own->model);
    const int point = model >= 0 ? models_find_point(&models->list[model], own->point) : -ENOENT;
    if (point < 0) {
        return -EINVAL; /* the models were linked: cannot be */
    }
    place->config = own;
    place->model = &models->list[model];
    place->frame_bytes = models_codes_bytes(place->model, (uint32_t)point);
    if (asprintf(&place->directory, "%s/%s", state, own->name) < 0) {
        place->directory = NULL;
        return -ENOMEM;
    }
    *settings = (struct adapter_settings){
        .name = own->name,
        .directory = place->directory,
        .slot = index,
        .model_index = (uint32_t)model,
        .point = (uint32_t)point,
        .model = place->model->network,
        .kernels = kernels,
        .budget_day = config->adaptation.budget_day / config->adapter_count,
        .journal_allowance = (uint32_t)config->adaptation.journal_allowance,
        .flush = config->adaptation.flush,
        .commit_after_us = config->adaptation.commit_after_ms * UINT64_C(1000),
    };
    return 0;
}

int adaptation_create(uv_loop_t *loop, const struct config *config, const struct models *models,
                      const struct kernel_table *kernels, struct pool *pool, struct events *events,
                      struct adaptation **ret_adaptation)
{
    struct adapter_settings settings[JOB_ADAPTERS_MAX];
    const char *state;
    if (config->adapter_count == 0) {
        *ret_adaptation = NULL;
        return 0;
    }
    int r = find_state(config, &state);
    if (r < 0) {
        return r;
    }
    struct adaptation *adaptation = calloc(1, sizeof(*adaptation));
    if (adaptation == NULL) {
        return -ENOMEM;
    }
    adaptation->config = config;
    adaptation->pool = pool;
    adaptation->events = events;
    adaptation->count = config->adapter_count;
    for (uint32_t i = 0; i < adaptation->count && r == 0; i++) {
        r = set_place(adaptation, models, i, state, kernels, &settings[i]);
    }
    const struct trainer_options options = {.adapters = settings,
                                            .count = adaptation->count,
                                            .published = on_published,
                                            .context = adaptation};
    if (r == 0) {
        r = trainer_create(loop, &options, &adaptation->trainer);
    }
    if (r < 0) {
        log_message(NULL, LOG_ID_START_FAILED, "adapters: %s", strerror(-r));
        adaptation_destroy(adaptation);
        return r;
    }
    for (uint32_t i = 0; i < adaptation->count; i++) {
        log_state(adaptation, i);
    }
    *ret_adaptation = adaptation;
    return 0;
}

void adaptation_set_pool(struct adaptation *adaptation, struct pool *pool)
{
    if (adaptation != NULL) {
        adaptation->pool = pool;
    }
}

void adaptation_destroy(struct adaptation *adaptation)
{
    if (adaptation == NULL) {
        return;
    }
    if (adaptation->trainer != NULL) {
        trainer_destroy(adaptation->trainer);
    }
    for (uint32_t i = 0; i < CONFIG_CAMERAS_MAX; i++) {
        ring_destroy(adaptation->rings[i]);
    }
    for (uint32_t i = 0; i < adaptation->count; i++) {
        free(adaptation->places[i].directory);
    }
    free(adaptation);
}

/* ---- Rings ---- */

void adaptation_keep(struct adaptation *adaptation, const struct frame *frame,
                     const struct job_result *result)
{
    const int camera = config_find_camera(adaptation->config, frame->camera);
    if (camera < 0 || frame->adapter == 0 || result->codes_bytes == 0 ||
        result->codes_bytes % adaptation->places[frame->adapter - 1].frame_bytes != 0) {
        return;
    }
    struct ring **ring = &adaptation->rings[camera];
    if (*ring == NULL && ring_create(adaptation->config->adaptation.ring_bytes, ring) < 0) {
        return; /* the frame cannot be labelled: its label will say so */
    }
    ring_put(*ring, frame->id, result->codes, result->codes_bytes);
}

/* What of a frame's codes is meant. */
static enum proto_error choose_box(size_t boxes, int64_t box, size_t *ret_index,
                                   const char **ret_message)
{
    if (box < 0 && boxes > 1) {
        *ret_message = "the frame has several boxes: name one";
        return PROTO_BAD_REQUEST;
    }
    if (box >= 0 && (uint64_t)box >= boxes) {
        *ret_message = "the frame has no such box";
        return PROTO_BAD_REQUEST;
    }
    *ret_index = box < 0 ? 0 : (size_t)box;
    return PROTO_OK;
}

enum proto_error adaptation_recall(struct adaptation *adaptation, uint64_t frame, int64_t box,
                                   struct trainer_request **ret_request, const char **ret_message)
{
    const struct config *config = adaptation->config;
    for (uint32_t i = 0; i < config->camera_count; i++) {
        size_t size = 0, index = 0;
        const uint8_t *codes =
            adaptation->rings[i] != NULL ? ring_get(adaptation->rings[i], frame, &size) : NULL;
        if (codes == NULL) {
            continue;
        }
        const uint32_t adapter = config->cameras[i].adapter_slot - 1;
        const size_t bytes = adaptation->places[adapter].frame_bytes;
        enum proto_error error = choose_box(size / bytes, box, &index, ret_message);
        if (error != PROTO_OK) {
            return error;
        }
        *ret_request = trainer_request_create(TRAINER_LABEL, codes + index * bytes, bytes);
        if (*ret_request == NULL) {
            *ret_message = "out of memory";
            return PROTO_INTERNAL;
        }
        (*ret_request)->adapter = adapter;
        return PROTO_OK;
    }
    *ret_message = "the frame's codes are not kept: it is too old, or was not judged by an adapter";
    return PROTO_GONE;
}

/* ---- Requests ---- */

enum proto_error adaptation_submit(struct adaptation *adaptation, struct trainer_request *request,
                                   const char **ret_message)
{
    if (trainer_submit(adaptation->trainer, request) < 0) {
        trainer_request_destroy(request);
        *ret_message = "too much waits to be learned";
        return PROTO_TOO_BUSY;
    }
    return PROTO_OK;
}

enum proto_error adaptation_error(struct adaptation *adaptation,
                                  const struct trainer_request *request, const char **ret_message)
{
    struct adapter_status status;
    switch (request->result) {
    case 0:
        return PROTO_OK;
    case -EROFS:
        trainer_get_status(adaptation->trainer, request->adapter, &status);
        snprintf(adaptation->message, sizeof(adaptation->message), "the adapter cannot learn: %s",
                 status.reason);
        *ret_message = adaptation->message;
        return PROTO_INTERNAL;
    case -EDQUOT:
        *ret_message = "the write budget is spent and too much waits for it";
        return PROTO_TOO_BUSY;
    case -ENOENT:
        *ret_message = request->op == TRAINER_EXPORT
                           ? "nothing was learned, or it is no longer kept in single steps"
                           : "that state is no longer kept, or never was";
        return PROTO_GONE;
    case -EBADMSG:
        *ret_message = request->op == TRAINER_IMPORT ? "no export of an adapter over this model"
                                                     : "no codes of this model";
        return PROTO_BAD_REQUEST;
    case -ERANGE:
        *ret_message = "a step of it is larger than any that is learned here";
        return PROTO_BAD_REQUEST;
    case -ECANCELED:
        *ret_message = "refused: labelled frames would come out worse";
        return PROTO_BAD_REQUEST;
    case -EINVAL:
        *ret_message = "the request does not fit the model";
        return PROTO_BAD_REQUEST;
    default:
        *ret_message = "out of memory";
        return PROTO_INTERNAL;
    }
}

/* ---- What is ---- */

int adaptation_find(const struct adaptation *adaptation, const char *name)
{
    for (uint32_t i = 0; i < adaptation->count; i++) {
        if (strcmp(adaptation->places[i].config->name, name) == 0) {
            return (int)i;
        }
    }
    return -ENOENT;
}

int adaptation_of_camera(const struct adaptation *adaptation, const char *camera)
{
    const int index = config_find_camera(adaptation->config, camera);
    return index >= 0 && adaptation->config->cameras[index].adapter_slot != 0
               ? (int)adaptation->config->cameras[index].adapter_slot - 1
               : -ENOENT;
}

const char *adaptation_name(const struct adaptation *adaptation, uint32_t adapter)
{
    return adaptation->places[adapter].config->name;
}

const struct model *adaptation_model(const struct adaptation *adaptation, uint32_t adapter)
{
    return adaptation->places[adapter].model;
}

uint64_t adaptation_applied(const struct adaptation *adaptation, uint32_t adapter)
{
    return adaptation->places[adapter].applied;
}

uint32_t adaptation_count(const struct adaptation *adaptation)
{
    return adaptation != NULL ? adaptation->count : 0;
}

void adaptation_get_status(struct adaptation *adaptation, uint32_t adapter,
                           struct adapter_status *ret_status)
{
    trainer_get_status(adaptation->trainer, adapter, ret_status);
}

uint64_t adaptation_bytes(struct adaptation *adaptation)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < adaptation_count(adaptation); i++) {
        struct adapter_status status;
        trainer_get_status(adaptation->trainer, i, &status);
        sum += status.bytes;
    }
    for (uint32_t i = 0; adaptation != NULL && i < CONFIG_CAMERAS_MAX; i++) {
        sum += adaptation->rings[i] != NULL ? adaptation->config->adaptation.ring_bytes : 0;
    }
    return sum;
}
