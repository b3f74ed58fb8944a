/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Reads model files into sealed memfds. It parses only operators' files, never a client's bytes. */
#include "daemon/models.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "daemon/scan.h"
#include "engine/network/model.h"

/* Copy the whole file behind `from` into `to`. */
static int copy_file(int from, int to, size_t bytes)
{
    char buffer[64 * 1024];

    for (size_t done = 0; done < bytes;) {
        size_t want = bytes - done < sizeof(buffer) ? bytes - done : sizeof(buffer);
        ssize_t got = pread(from, buffer, want, (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -errno : -EIO; /* it shrank under us */
        }
        for (ssize_t put = 0; put < got;) {
            ssize_t written = write(to, buffer + put, (size_t)(got - put));
            if (written < 0 && errno != EINTR) {
                return -errno;
            }
            put += written > 0 ? written : 0;
        }
        done += (size_t)got;
    }
    return 0;
}

static int seal_file(int file, const char *name, int *ret_memfd, uint64_t *ret_bytes)
{
    struct stat status;
    int memfd, error;

    if (fstat(file, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return -EINVAL;
    }
    if (status.st_size <= 0 || (uint64_t)status.st_size > NETWORK_FILE_MAX) {
        return -EFBIG;
    }
    memfd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0) {
        return -errno;
    }
    error = copy_file(file, memfd, (size_t)status.st_size);
    if (error == 0 &&
        fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        error = -errno;
    }
    if (error < 0) {
        close(memfd);
        return error;
    }
    *ret_memfd = memfd;
    *ret_bytes = (uint64_t)status.st_size;
    return 0;
}

/* model->memfd is ours afterwards whatever happens. */
static int load_file(int file, struct model *model, const char **ret_reason)
{
    void *bytes;
    int error = seal_file(file, model->name, &model->memfd, &model->bytes);

    if (error < 0) {
        return error;
    }
    bytes = mmap(NULL, model->bytes, PROT_READ, MAP_SHARED, model->memfd, 0);
    if (bytes == MAP_FAILED) {
        return -errno;
    }
    error = network_model_load(bytes, model->bytes, &model->network, ret_reason);
    if (error == 0) {
        network_model_identify(model->network, bytes, model->bytes);
    }
    munmap(bytes, model->bytes);
    if (error == 0) {
        model->point_count = network_model_points(model->network);
        model->exits = network_model_has_exits(model->network);
        for (uint32_t i = 0; i < model->point_count; i++) {
            model->points[i] = network_model_point(model->network, i);
        }
    }
    return error;
}

static void unload(struct model *model)
{
    network_model_destroy(model->network);
    if (model->memfd >= 0) {
        close(model->memfd);
    }
    model->network = NULL;
    model->memfd = -1;
}

/* The file that was installed in place of the configured one; -1: there is none. */
static int open_installed(const struct models_source *source, const char *name)
{
    char path[4096 + CONFIG_NAME_BYTES + 16];

    if (source == NULL || source->directory == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/%s/current", source->directory, name);
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
}

/* On failure ret_reason[0..size) says why. */
static int load_one(const struct config_model *config, const struct models_source *source,
                    struct models *models, struct model *model, char *ret_reason, size_t size)
{
    const char *reason = NULL;
    const bool chosen =
        source != NULL && source->name != NULL && strcmp(source->name, config->name) == 0;
    int error;

    snprintf(model->name, sizeof(model->name), "%s", config->name);
    int file =
        chosen ? fcntl(source->file, F_DUPFD_CLOEXEC, 0) : open_installed(source, config->name);
    model->installed = chosen ? source->installed : file >= 0;
    if (!chosen && file >= 0) {
        error = load_file(file, model, &reason);
        close(file);
        if (error == 0) {
            return 0;
        }
        snprintf(models->damage, sizeof(models->damage), "model %s, as it was loaded: %s",
                 config->name, reason != NULL ? reason : strerror(-error));
        unload(model);
        model->installed = false;
        file = -1;
        reason = NULL;
    }
    if (!chosen) { /* a fifo must not hold us up */
        file = open(config->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    error = file < 0 ? -errno : load_file(file, model, &reason);
    if (error < 0) {
        snprintf(ret_reason, size, "model %s: %s: %s", config->name,
                 model->installed ? "the file that was handed in" : config->path,
                 reason != NULL ? reason : strerror(-error));
    }
    if (file >= 0) {
        close(file);
    }
    return error;
}

/* Percent -> score margin: that of two labels at which softmax gives the first so much. */
static int32_t margin_of(uint32_t confidence)
{
    double p = confidence / 100.0;
    return (int32_t)lround(log(p / (1 - p)) * 65536);
}

/* The cascade that starts with the model. The configuration has seen to it that the name is
 * another's. */
static int link_cascade(struct models *models, uint32_t index, const struct config_model *config,
                        char *ret_reason, size_t size)
{
    struct model *model = &models->list[index];
    uint32_t label = 0, labels = network_model_labels(model->network);

    if (config->wakes[0] == '\0') {
        return 0;
    }
    while (label < labels &&
           strcmp(network_model_label(model->network, label), config->wake_label) != 0) {
        label++;
    }
    if (label == labels || labels < 2) {
        snprintf(ret_reason, size, "model %s: wake-label: the model has no label '%s'%s",
                 model->name, config->wake_label, labels < 2 ? " beside another one" : "");
        return -EINVAL;
    }
    model->wakes = 1 + (uint32_t)models_find(models, config->wakes);
    model->wake_label = label;
    model->wake_margin = margin_of(config->wake_confidence);
    return 0;
}

/* What only the model files can tell about the rest of the configuration. */
static int link_config(struct models *models, const struct config *config, char *ret_reason,
                       size_t size)
{
    for (uint32_t i = 0; i < models->count; i++) {
        int error = link_cascade(models, i, &config->models[i], ret_reason, size);
        if (error < 0) {
            return error;
        }
    }
    for (uint32_t i = 0; i < config->camera_count; i++) {
        const struct config_camera *camera = &config->cameras[i];
        const struct model *model = &models->list[models_find(models, camera->model)];
        const int point = models_find_point(model, camera->point);
        const char *reason;
        struct job_scan scan;
        if (point < 0) {
            snprintf(ret_reason, size, "camera %s: model %s has no operating point '%s'",
                     camera->name, camera->model, camera->point);
            return -EINVAL;
        }
        if (camera->adapter[0] != '\0' && models_exits(model, camera->point)) {
            snprintf(ret_reason, size, "camera %s: an adapter needs one point, not exit",
                     camera->name);
            return -EINVAL;
        }
        if (camera->scan.enabled && models_exits(model, camera->point)) {
            snprintf(ret_reason, size, "camera %s: a scan takes one operating point, not exit",
                     camera->name);
            return -EINVAL;
        }
        if (camera->scan.enabled &&
            scan_settings(models, &camera->scan, (uint32_t)models_find(models, camera->model),
                          strcmp(camera->point, MODELS_POINT_AUTO) == 0 ? SCAN_EVERY_POINT
                                                                        : (uint32_t)point,
                          &scan, &reason) < 0) {
            snprintf(ret_reason, size, "camera %s: model %s: %s", camera->name, camera->model,
                     reason);
            return -EINVAL;
        }
    }
    return 0;
}

int models_load(const struct config *config, const struct models_source *source,
                struct models **ret_models, char *ret_reason, size_t size)
{
    struct models *models = calloc(1, sizeof(*models));

    if (models == NULL) {
        snprintf(ret_reason, size, "out of memory");
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < config->model_count && i < JOB_MODELS_MAX; i++) {
        struct model *model = &models->list[models->count++];
        int error;

        model->memfd = -1;
        error = load_one(&config->models[i], source, models, model, ret_reason, size);
        if (error < 0) {
            models_destroy(models);
            return error;
        }
        if (strcmp(model->name, config->default_model) == 0) {
            models->standard = i;
        }
    }
    int linked = link_config(models, config, ret_reason, size);
    if (linked < 0) {
        models_destroy(models);
        return linked;
    }
    *ret_models = models;
    return 0;
}

void models_destroy(struct models *models)
{
    if (models == NULL) {
        return;
    }
    for (uint32_t i = 0; i < models->count; i++) {
        unload(&models->list[i]);
    }
    free(models);
}

size_t models_codes_bytes(const struct model *model, uint32_t point)
{
    const struct network_input *input = network_model_input(model->network, point);
    const size_t count =
        (size_t)input->target.width * input->target.height * gradient_channels(&input->front);
    return input->front.coding == GRADIENT_CODING_TERNARY
               ? 2 * gradient_bits_bytes(count)
               : count * gradient_code_size(&input->front);
}

int models_find(const struct models *models, const char *name)
{
    for (uint32_t i = 0; i < models->count; i++) {
        if (strcmp(models->list[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -ENOENT;
}

int models_find_point(const struct model *model, const char *name)
{
    if (name[0] == '\0' || strcmp(name, MODELS_POINT_AUTO) == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < model->point_count; i++) {
        if (strcmp(model->points[i], name) == 0) {
            return (int)i;
        }
    }
    return models_exits(model, name) ? (int)model->point_count - 1 : -ENOENT;
}

bool models_exits(const struct model *model, const char *name)
{
    return model->exits && strcmp(name, MODELS_POINT_EXIT) == 0;
}

/* As the camera is scanned, where the frame names no other model, or as the client wishes. */
static enum proto_error route_scan(const struct models *models, const struct config_scan *scan,
                                   bool own, struct frame *frame, const char **ret_message)
{
    const uint32_t point =
        strcmp(frame->point, MODELS_POINT_AUTO) == 0 ? SCAN_EVERY_POINT : frame->point_index;
    const bool wanted = frame->scan_wish == PROTO_SCAN_DEFAULT ? scan->enabled && own
                                                               : frame->scan_wish == PROTO_SCAN_YES;

    frame->scan_config = scan;
    if (wanted && frame->exits) {
        *ret_message = "a scan takes one operating point, not exit";
        return PROTO_BAD_REQUEST;
    }
    if (wanted &&
        scan_settings(models, scan, frame->model_index, point, &frame->scan, ret_message) < 0) {
        return PROTO_BAD_REQUEST;
    }
    return PROTO_OK;
}

enum proto_error models_route(const struct models *models, const struct config_camera *settings,
                              uint32_t own, struct frame *frame, const char **ret_message)
{
    const int model = frame->model[0] != '\0' ? models_find(models, frame->model) : (int)own;
    if (model < 0) {
        *ret_message = "there is no such model";
        return PROTO_NOT_FOUND;
    }
    if (frame->point[0] == '\0' && (uint32_t)model == own) {
        snprintf(frame->point, sizeof(frame->point), "%s", settings->point);
    }
    const int point = models_find_point(&models->list[model], frame->point);
    if (point < 0) {
        *ret_message = "the model has no such operating point";
        return PROTO_NOT_FOUND;
    }
    frame->model_index = (uint32_t)model;
    frame->point_index = (uint32_t)point;
    frame->exits = models_exits(&models->list[model], frame->point);
    return route_scan(models, &settings->scan, (uint32_t)model == own, frame, ret_message);
}

static const char *format_name(unsigned kind)
{
    static const char *const names[] = {"unknown", "jpeg", "raw", "pnm", "sensor"};
    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : names[0];
}

static void name_scores(struct models *models, const struct network_model *network,
                        const struct job_result *result)
{
    float probabilities[NETWORK_LABELS_MAX];
    network_probabilities(result->scores, result->label_count, probabilities);
    for (uint32_t i = 0; i < result->label_count; i++) {
        models->scores[i] = (struct proto_score){
            .label = network_model_label(network, i),
            .probability = probabilities[i],
            .score = result->scores[i],
        };
    }
}

static struct proto_light describe_light(const struct frame *frame, const struct job_result *result)
{
    static const enum proto_mono monos[] = {
        [IMAGE_COLOUR_UNKNOWN] = PROTO_MONO_UNKNOWN,
        [IMAGE_COLOUR_NONE] = PROTO_MONO_YES,
        [IMAGE_COLOUR_YES] = PROTO_MONO_NO,
    };
    const struct image_light *light = &result->light;
    return (struct proto_light){
        .level = (float)light->mean / UINT16_MAX,
        .saturated = (float)light->saturated / UINT16_MAX,
        .dark = (float)light->dark / UINT16_MAX,
        .mono = result->info.mono ? PROTO_MONO_YES : monos[frame->colour],
    };
}

void models_describe(struct models *models, const struct frame *frame,
                     const struct job_result *result, struct proto_result *ret_result)
{
    const struct model *asked = &models->list[frame->model_index];
    const struct model *model = result->awake ? &models->list[asked->wakes - 1] : asked;
    const uint32_t best = network_argmax(result->scores, result->label_count);
    name_scores(models, model->network, result);
    *ret_result = (struct proto_result){
        .camera = frame->camera,
        .frame = frame->id,
        .label = models->scores[best].label,
        .confidence = models->scores[best].probability,
        .scores = models->scores,
        .score_count = result->label_count,
        .model_name = model->name,
        .model_id = network_model_id(model->network),
        .point = model->points[result->point],
        .macs = result->macs,
        .generation = result->generation,
        .adapter = frame->adapter != 0 ? frame->adapter_name : NULL,
        .format = format_name(result->info.kind),
        .width = result->info.width,
        .height = result->info.height,
        .orientation = result->info.orientation,
        .reduction = result->info.reduction,
        .times =
            {
                .wait = frame->started_ns - frame->arrived_ns,
                .decode = result->decode_ns,
                .gradient = result->gradient_ns,
                .network = result->network_ns,
                .total = uv_hrtime() - frame->arrived_ns,
            },
        .warnings = result->info.warnings,
        .light = describe_light(frame, result),
    };
    if (result->scanned) {
        scan_describe(models, frame, result, ret_result);
    } else if (asked->wakes != 0) {
        ret_result->cascade.detector = asked->name;
        ret_result->cascade.label = network_model_label(asked->network, asked->wake_label);
        ret_result->cascade.confidence = (float)(1 / (1 + exp(-result->wake_margin / 65536.0)));
        ret_result->cascade.awake = result->awake;
    }
}
