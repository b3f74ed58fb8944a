/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * A scan as others see it: levels, one plan that serves them all, margins of windows. A level, or
 * an area of one, is run over the top left part of the plan's maps, which are as large as the
 * largest level needs: weights are packed once, and nothing is allocated after creation.
 */
#include "engine/network/scan_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char **ret_reason, const char *reason)
{
    if (ret_reason != NULL) {
        *ret_reason = reason;
    }
    return -ENOTSUP;
}

/* NULL, or why the layer cannot be part of a scan. */
static const char *objection(const struct network_layer *layer, uint32_t index)
{
    if (layer->op == NETWORK_OP_ADD || layer->op == NETWORK_OP_GLOBALAVGPOOL) {
        return "A scan has no additions and no global pools.";
    }
    if (layer->input != index) {
        return "A scan's layers follow one another.";
    }
    if (layer->pad[0] != 0 || layer->pad[1] != 0) {
        return "A scan's convolutions have no padding.";
    }
    return NULL;
}

int network_scan_check(const struct network_model *model, uint32_t index, uint32_t *ret_step,
                       const char **ret_reason)
{
    const struct network_point *point = &model->points[index];
    uint64_t step[2] = {1, 1};
    bool flat = false;

    if (model->description.label_count < 2) {
        return refuse(ret_reason, "A scan's model has two labels at least.");
    }
    for (uint32_t i = 0; i < point->layer_count; i++) {
        const struct network_layer *layer = &point->layers[i];
        const char *reason = objection(layer, i);

        if (reason != NULL) {
            return refuse(ret_reason, reason);
        }
        flat = flat || layer->op == NETWORK_OP_DENSE;
        for (int k = 0; k < 2 && !flat; k++) {
            step[k] *= layer->stride[k];
            if (step[k] > UINT16_MAX) {
                return refuse(ret_reason, "A scan's step is below 65536.");
            }
        }
    }
    if (step[0] != step[1]) {
        return refuse(ret_reason, "A scan has the same step in both axes.");
    }
    *ret_step = (uint32_t)step[0];
    return 0;
}

/* The point's layers with the first dense one as a convolution as large as the window's map there,
 * from one window to the next, and all after it over 1x1 maps. */
static void unroll(const struct network_point *point, uint16_t stride, struct network_layer *layers)
{
    struct network_shape map = network_input_shape(&point->input);
    bool flat = false;

    for (uint32_t i = 0; i < point->layer_count; i++) {
        struct network_layer *layer = &layers[i];

        *layer = point->layers[i];
        if (layer->op == NETWORK_OP_DENSE) {
            layer->op = NETWORK_OP_CONV;
            layer->kernel[0] = (uint16_t)map.height;
            layer->kernel[1] = (uint16_t)map.width;
            layer->stride[0] = layer->stride[1] = flat ? 1 : stride;
            flat = true;
        } else if (flat) {
            layer->stride[0] = layer->stride[1] = 1;
        }
        (void)network_layer_shape(&point->layers[i], map, &map, NULL);
    }
}

static uint32_t scaled(uint32_t size, uint64_t scale)
{
    return (uint32_t)((size * scale + (UINT64_C(1) << 31)) >> 32);
}

/* Fills levels, first, columns and rows. Errors: -EFBIG. */
static int lay_levels(struct network_scan *scan)
{
    const struct network_scan_settings *settings = &scan->settings;
    const uint32_t object =
        settings->object_min > scan->window_height ? settings->object_min : scan->window_height;
    uint64_t scale = ((uint64_t)scan->window_height << 32) / object;

    for (; scan->levels < NETWORK_SCAN_LEVELS_MAX; scan->levels++) {
        struct network_scan_level *level = &scan->level[scan->levels];

        level->width = scaled(scan->frame_width, scale);
        level->height = scaled(scan->frame_height, scale);
        if (level->width < scan->window_width || level->height < scan->window_height) {
            break;
        }
        level->columns = (level->width - scan->window_width) / settings->stride + 1;
        level->rows = (level->height - scan->window_height) / settings->stride + 1;
        const uint64_t windows = (uint64_t)level->columns * level->rows;
        if (windows > NETWORK_SCAN_WINDOWS_MAX - scan->first[scan->levels]) {
            return -EFBIG;
        }
        scan->first[scan->levels + 1] = scan->first[scan->levels] + (uint32_t)windows;
        scan->columns = level->columns > scan->columns ? level->columns : scan->columns;
        scan->rows = level->rows > scan->rows ? level->rows : scan->rows;
        scale = scale * 1024 / settings->factor;
    }
    return 0;
}

/* Pixels that so many windows in a row cover. */
static uint32_t covered(const struct network_scan *scan, uint32_t window, uint32_t windows)
{
    return window + (windows - 1) * scan->settings.stride;
}

/* Adds the operations of a level. Errors: -EFBIG  a limit of model.h. */
static int count_level(struct network_scan *scan, const struct network_scan_level *level,
                       uint32_t layer_count)
{
    struct network_shape map = {
        .height = covered(scan, scan->window_height, level->rows),
        .width = covered(scan, scan->window_width, level->columns),
        .channels = scan->channels,
    };

    for (uint32_t i = 0; i < layer_count; i++) {
        const struct network_layer *layer = &scan->layers[i];
        const uint64_t inputs = network_layer_inputs(layer, map);

        if (network_layer_shape(layer, map, &map, NULL) < 0) {
            return -EFBIG;
        }
        scan->macs += network_layer_has_weights(layer) ? inputs * plan_values(map) : 0;
        if (scan->macs > NETWORK_MACS_MAX) {
            return -EFBIG;
        }
    }
    return 0;
}

static size_t candidates(const struct network_scan *scan)
{
    const uint32_t windows = scan->first[scan->levels];

    return windows < NETWORK_SCAN_CANDIDATES_MAX ? windows : NETWORK_SCAN_CANDIDATES_MAX;
}

static int lay_plan(struct network_scan *scan, const struct network_model *model,
                    const struct kernel_table *kernels)
{
    const struct network_point *point = &model->points[scan->settings.point];
    uint32_t step;

    if (network_scan_check(model, scan->settings.point, &step, NULL) < 0) {
        return -ENOTSUP;
    }
    scan->settings.stride = scan->settings.stride == 0 ? step : scan->settings.stride;
    if (scan->settings.stride % step != 0 || scan->settings.stride / step > UINT16_MAX) {
        return -EINVAL;
    }
    int result = lay_levels(scan);
    if (result < 0 || scan->levels == 0) {
        return result;
    }
    scan->layers = malloc(point->layer_count * sizeof *scan->layers);
    scan->candidates = malloc(candidates(scan) * sizeof *scan->candidates);
    if (scan->layers == NULL || scan->candidates == NULL) {
        return -ENOMEM;
    }
    unroll(point, (uint16_t)(scan->settings.stride / step), scan->layers);
    for (uint32_t i = 0; i < scan->levels; i++) {
        result = count_level(scan, &scan->level[i], point->layer_count);
        if (result < 0) {
            return result;
        }
    }
    return network_plan_create_over(
        model, scan->settings.point, scan->layers, covered(scan, scan->window_width, scan->columns),
        covered(scan, scan->window_height, scan->rows), 1, kernels, &scan->plan);
}

static bool settings_fit(const struct network_scan_settings *settings,
                         const struct network_model *model)
{
    return settings->point < model->description.point_count &&
           settings->label < model->description.label_count && settings->object_min >= 1 &&
           settings->object_min <= UINT16_MAX && settings->factor > 1024 &&
           settings->factor <= 4096 && settings->stride <= UINT16_MAX && settings->overlap <= 256 &&
           settings->boxes_max >= 1 && settings->boxes_max <= NETWORK_SCAN_BOXES_MAX;
}

int network_scan_create(const struct network_model *model,
                        const struct network_scan_settings *settings, uint32_t frame_width,
                        uint32_t frame_height, const struct kernel_table *kernels,
                        struct network_scan **ret_scan)
{
    if (!settings_fit(settings, model) || frame_width < 1 || frame_width > UINT16_MAX ||
        frame_height < 1 || frame_height > UINT16_MAX) {
        return -EINVAL;
    }
    const struct network_input *input = &model->points[settings->point].input;
    struct network_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL) {
        return -ENOMEM;
    }
    scan->settings = *settings;
    scan->frame_width = frame_width;
    scan->frame_height = frame_height;
    scan->window_width = input->target.width;
    scan->window_height = input->target.height;
    scan->channels = gradient_channels(&input->front);
    scan->code_bytes = scan->channels * gradient_code_size(&input->front);
    scan->labels = model->description.label_count;
    int result = lay_plan(scan, model, kernels);
    if (result < 0) {
        network_scan_destroy(scan);
        return result;
    }
    *ret_scan = scan;
    return 0;
}

void network_scan_destroy(struct network_scan *scan)
{
    if (scan != NULL) {
        network_plan_destroy(scan->plan);
        free(scan->layers);
        free(scan->candidates);
        free(scan);
    }
}

uint32_t network_scan_levels(const struct network_scan *scan)
{
    return scan->levels;
}

const struct network_scan_level *network_scan_level(const struct network_scan *scan, uint32_t level)
{
    return &scan->level[level];
}

struct network_plan *network_scan_plan(struct network_scan *scan)
{
    return scan->plan;
}

/* In front of the plan's own arena. */
static size_t score_bytes(const struct network_scan *scan)
{
    return plan_round_up((size_t)scan->columns * scan->rows * scan->labels * sizeof(int32_t));
}

size_t network_scan_arena_bytes(const struct network_scan *scan)
{
    return scan->plan != NULL ? score_bytes(scan) + network_plan_arena_bytes(scan->plan)
                              : PLAN_ALIGNMENT;
}

size_t network_scan_bytes(const struct network_scan *scan)
{
    size_t bytes = sizeof *scan;

    if (scan->plan != NULL) {
        bytes += sizeof *scan->plan + scan->plan->packed_bytes;
        bytes += scan->plan->point->layer_count * sizeof *scan->layers;
        bytes += candidates(scan) * sizeof *scan->candidates;
    }
    return bytes;
}

uint64_t network_scan_macs(const struct network_scan *scan)
{
    return scan->macs;
}

/* The score of `label` less the largest other one, held to int32. */
static int32_t margin_of(const int32_t *scores, uint32_t labels, uint32_t label)
{
    int32_t other = INT32_MIN;

    for (uint32_t i = 0; i < labels; i++) {
        other = i != label && scores[i] > other ? scores[i] : other;
    }
    const int64_t margin = (int64_t)scores[label] - other;
    return margin > INT32_MAX ? INT32_MAX : margin < INT32_MIN ? INT32_MIN : (int32_t)margin;
}

static const uint8_t *pixel_at(const struct network_scan *scan, uint32_t level, const void *codes,
                               uint32_t column, uint32_t row)
{
    const size_t stride = scan->settings.stride;

    return (const uint8_t *)codes +
           (row * stride * scan->level[level].width + column * stride) * scan->code_bytes;
}

int network_scan_run(const struct network_scan *scan, void *arena, uint32_t index,
                     const void *codes, const struct network_scan_area *part, int32_t *margins)
{
    if (index >= scan->levels) {
        return -EINVAL;
    }
    const struct network_scan_level *level = &scan->level[index];
    const struct network_scan_area area =
        part != NULL ? *part : (struct network_scan_area){0, 0, level->columns, level->rows};
    int32_t *scores = arena;

    if (area.columns < 1 || area.rows < 1 || area.column >= level->columns ||
        area.row >= level->rows || area.columns > level->columns - area.column ||
        area.rows > level->rows - area.row) {
        return -EINVAL;
    }
    network_run_part(scan->plan, (uint8_t *)arena + score_bytes(scan),
                     pixel_at(scan, index, codes, area.column, area.row),
                     level->width * scan->code_bytes,
                     covered(scan, scan->window_width, area.columns),
                     covered(scan, scan->window_height, area.rows), scores);
    for (uint32_t y = 0; y < area.rows; y++) {
        int32_t *to = margins + (size_t)(area.row + y) * level->columns + area.column;

        for (uint32_t x = 0; x < area.columns; x++, scores += scan->labels) {
            to[x] = margin_of(scores, scan->labels, scan->settings.label);
        }
    }
    return 0;
}

void network_scan_cut(const struct network_scan *scan, uint32_t level, const void *codes,
                      uint32_t column, uint32_t row, void *ret_codes)
{
    const uint8_t *from = pixel_at(scan, level, codes, column, row);
    const size_t bytes = scan->window_width * scan->code_bytes;
    uint8_t *to = ret_codes;

    for (uint32_t y = 0; y < scan->window_height; y++) {
        memcpy(to, from, bytes);
        from += scan->level[level].width * scan->code_bytes;
        to += bytes;
    }
}
