/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Settings, names and memories of scans. Loop thread only. */
#include "daemon/scan.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/network/scan.h"

static_assert(CONFIG_CORNERS_MAX <= JOB_CORNERS_MAX && CONFIG_POLYGONS_MAX <= JOB_MASKS_MAX,
              "every mask fits the message");

/* How often it is found out whether a camera's pictures have colour: at dusk cameras switch. */
#define COLOUR_NS UINT64_C(60000000000)
#define MS_NS     UINT64_C(1000000)

/* What a frame without a box shows. */
#define NOTHING "background"

static int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EINVAL;
}

/* Index of the label, -ENOENT. */
static int find_label(const struct model *model, const char *label)
{
    for (uint32_t i = 0; i < network_model_labels(model->network); i++) {
        if (strcmp(network_model_label(model->network, i), label) == 0) {
            return (int)i;
        }
    }
    return -ENOENT;
}

/* What margins of a label mean: as the model says, else softmax of two. */
static struct network_scan_meaning meaning_of(const struct model *model, uint32_t label)
{
    const struct network_scan_meaning *said = network_model_scan(model->network);
    if (said != NULL && said->label == label) {
        return *said;
    }
    return (struct network_scan_meaning){.label = label, .slope = 1, .offset = 0};
}

static float confidence_of(const struct network_scan_meaning *meaning, int32_t margin)
{
    return (float)(1 / (1 + exp(-(meaning->slope * margin / 65536.0 + meaning->offset))));
}

/* The margin from which on the confidence is so many percent. */
static int32_t threshold_of(const struct network_scan_meaning *meaning, uint32_t percent)
{
    const double p = percent / 100.0;
    const double margin = (log(p / (1 - p)) - meaning->offset) / meaning->slope * 65536;
    /* INT32_MIN stands for a window that was not evaluated. */
    return margin >= INT32_MAX    ? INT32_MAX
           : margin <= -INT32_MAX ? -INT32_MAX
                                  : (int32_t)lround(margin);
}

/* The point can scan, with these settings. */
static int check_point(const struct model *model, uint32_t point, const struct config_scan *config,
                       const char **ret_reason)
{
    const struct network_input *input = network_model_input(model->network, point);
    uint32_t step;
    if (network_scan_check(model->network, point, &step, ret_reason) < 0) {
        return -EINVAL;
    }
    if (config->stride % step != 0) {
        return refuse(ret_reason, "scan-stride is no multiple of the model's step");
    }
    if (config->motion && input->front.coding != GRADIENT_CODING_TERNARY) {
        return refuse(ret_reason, "motion needs a model whose codes are ternary");
    }
    return 0;
}

static int set_confirm(const struct models *models, const struct config_scan *config,
                       uint32_t model_index, uint32_t point, struct job_scan *scan,
                       const char **ret_reason)
{
    const struct model *model = &models->list[model_index];
    int own = models_find_point(model, config->confirm);
    int other = own < 0 ? models_find(models, config->confirm) : (int)model_index;
    if (other < 0) {
        return refuse(ret_reason, "scan-confirm names neither an operating point of the model nor "
                                  "a [model]");
    }
    const struct model *second = &models->list[other];
    const int label = find_label(second, network_model_label(model->network, scan->label));
    if (label < 0 || network_model_labels(second->network) < 2) {
        return refuse(ret_reason, "scan-confirm names a model without the label that is scanned "
                                  "for");
    }
    scan->confirm = 1 + (uint32_t)other;
    scan->confirm_point = own < 0 ? 0 : (uint32_t)own;
    scan->confirm_label = (uint32_t)label;
    const struct network_scan_meaning meaning = meaning_of(second, scan->confirm_label);
    scan->confirm_threshold = threshold_of(&meaning, config->confidence);
    for (uint32_t i = 0; i < model->point_count; i++) {
        if ((point == SCAN_EVERY_POINT || point == i) &&
            !job_same_input(network_model_input(model->network, i),
                            network_model_input(second->network, scan->confirm_point))) {
            return refuse(ret_reason, "scan-confirm names what does not take the same windows");
        }
    }
    return 0;
}

static void copy_polygon(struct job_polygon *to, const struct config_polygon *from)
{
    to->count = from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        to->corners[i].x = from->corners[i].x;
        to->corners[i].y = from->corners[i].y;
    }
}

static void set_masks(const struct config_scan *config, struct job_scan *scan)
{
    scan->mask_count = config->mask_count;
    for (uint32_t i = 0; i < config->mask_count; i++) {
        copy_polygon(&scan->masks[i], &config->masks[i]);
    }
}

int scan_settings(const struct models *models, const struct config_scan *config, uint32_t model,
                  uint32_t point, struct job_scan *ret_scan, const char **ret_reason)
{
    const struct model *used = &models->list[model];
    const struct network_scan_meaning *said = network_model_scan(used->network);
    int label = said != NULL ? (int)said->label : -ENOENT;

    if (config->label[0] != '\0') {
        label = find_label(used, config->label);
    }
    if (label < 0) {
        return refuse(ret_reason, config->label[0] != '\0'
                                      ? "scan-label names no label of the model"
                                      : "the model does not say what to scan for: scan-label is "
                                        "needed");
    }
    for (uint32_t i = 0; i < used->point_count; i++) {
        if ((point == SCAN_EVERY_POINT || point == i) &&
            check_point(used, i, config, ret_reason) < 0) {
            return -EINVAL;
        }
    }
    const struct network_scan_meaning meaning = meaning_of(used, (uint32_t)label);
    struct job_scan scan = {
        .wanted = 1,
        .label = (uint32_t)label,
        .object_min = config->object_min,
        .factor = config->factor,
        .stride = config->stride,
        .overlap = (config->overlap * 256 + 50) / 100,
        .boxes_max = config->boxes_max,
        .threshold = threshold_of(&meaning, config->confidence),
        .motion = config->motion,
    };
    set_masks(config, &scan);
    if (config->confirm[0] != '\0' &&
        set_confirm(models, config, model, point, &scan, ret_reason) < 0) {
        return -EINVAL;
    }
    *ret_scan = scan;
    return 0;
}

/* The first zone that holds the box, or NULL. */
static const char *zone_of(const struct config_scan *config, const struct job_box *box,
                           const struct image_info *info)
{
    for (uint32_t i = 0; i < config->zone_count; i++) {
        struct job_polygon polygon;
        copy_polygon(&polygon, &config->zones[i]);
        if (job_polygon_holds(&polygon, box, info->width, info->height)) {
            return config->zones[i].name;
        }
    }
    return NULL;
}

void scan_describe(struct models *models, const struct frame *frame, const struct job_result *job,
                   struct proto_result *result)
{
    const struct model *model = &models->list[frame->model_index];
    const uint32_t index = frame->scan.label;
    const struct network_scan_meaning meaning = meaning_of(model, index);
    const char *label = network_model_label(model->network, index);

    for (uint32_t i = 0; i < job->box_count; i++) {
        const struct job_box *box = &job->boxes[i];
        models->boxes[i] = (struct proto_box){
            .x = box->x,
            .y = box->y,
            .width = box->width,
            .height = box->height,
            .label = label,
            .confidence = confidence_of(&meaning, box->margin),
            .score = box->margin,
            .level = box->level,
            .zone = zone_of(frame->scan_config, box, &job->info),
        };
    }
    models->scores[0] = (struct proto_score){
        .label = label,
        .probability = job->peak != INT32_MIN ? confidence_of(&meaning, job->peak) : 0,
        .score = job->peak,
    };
    result->score_count = 1;
    result->scores = models->scores;
    result->scanned = true;
    result->boxes = models->boxes;
    result->box_count = job->box_count;
    result->label = job->box_count > 0 ? label : NOTHING;
    result->confidence =
        job->box_count > 0 ? models->boxes[0].confidence : 1 - models->scores[0].probability;
    result->motion = frame->scan.motion != 0;
    result->motion_share = job->windows > 0 ? (float)job->windows_run / (float)job->windows : 1;
    result->times.average = job->average_ns;
}

void scan_recall(struct scan_memory *memory, const struct config_scan *config, struct frame *frame,
                 uint64_t now_ns)
{
    frame->want_colour = memory->colour_ns == 0 || now_ns - memory->colour_ns >= COLOUR_NS;
    frame->before = NULL;
    if (!frame->scan.wanted || !frame->scan.motion || memory->before == NULL ||
        now_ns - memory->whole_ns >= config->motion_whole_ms * MS_NS ||
        memory->model != frame->model_index || memory->point != frame->point_index ||
        memory->generation != frame->generation) {
        return;
    }
    frame->before = memory->before;
}

static void remember_motion(struct scan_memory *memory, const struct frame *frame,
                            const struct job_result *result, uint64_t now_ns)
{
    if (memory->before == NULL) {
        memory->before = malloc(sizeof(*memory->before));
    }
    if (memory->before == NULL) {
        return; /* the next scan is a whole one, too */
    }
    if (frame->before == NULL || result->windows_run == result->windows) {
        memory->whole_ns = now_ns;
    }
    memory->model = frame->model_index;
    memory->point = frame->point_index;
    memory->generation = result->generation;
    memory->before->width = result->info.width;
    memory->before->height = result->info.height;
    memory->before->box_count = result->box_count;
    memcpy(memory->before->boxes, result->boxes, result->box_count * sizeof(result->boxes[0]));
    memory->before->level = result->motion_level;
    memory->before->bytes = result->motion_bytes;
    memcpy(memory->before->codes, result->motion, result->motion_bytes);
}

void scan_remember(struct scan_memory *memory, struct frame *frame, const struct job_result *result,
                   uint64_t now_ns)
{
    if (frame->want_colour || result->light.colour != IMAGE_COLOUR_UNKNOWN) {
        memory->colour = (enum image_colour)result->light.colour;
        memory->colour_ns = now_ns;
    }
    frame->colour = memory->colour;
    if (result->scanned && frame->scan.motion) {
        remember_motion(memory, frame, result, now_ns);
    }
}

void scan_forget(struct scan_memory *memory)
{
    free(memory->before);
    *memory = (struct scan_memory){0};
}
