/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A cache of laid-out scans, and the stages of a frame from planes to margins. */
#include "daemon/worker/scanner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/worker/clock.h"
#include "engine/gradient/gradient.h"
#include "engine/image/image.h"
#include "engine/network/model.h"

#define ALIGN ((size_t)64)
/* Frames are compared on the first level that has no more, else on the last: small enough to
 * average noise away, large enough to show the smallest object move. */
#define MOTION_PIXELS_MAX ((size_t)16384)
#define SIDE_MAX          4096u /* of a target of image_decode */

static void drop(struct scanner *scanner, struct scanner_scan *scan)
{
    if (scan->scan != NULL) {
        network_scan_destroy(scan->scan);
        for (uint32_t i = 0; i < NETWORK_LAYERS_MAX; i++) {
            free(scan->weights[i]);
        }
        free(scan->slab);
        scanner->bytes -= scan->bytes;
        *scan = (struct scanner_scan){0};
    }
}

void scanner_forget(struct scanner *scanner, uint32_t model)
{
    for (size_t i = 0; i < SCANNER_COUNT; i++) {
        if (model == UINT32_MAX || scanner->scans[i].key.model == model) {
            drop(scanner, &scanner->scans[i]);
        }
    }
}

/* The next `size` bytes of a slab that is being measured or cut up: `slab` is NULL at first. */
static void *take(void *slab, size_t *used, size_t size)
{
    size_t at = *used;
    *used += (size + ALIGN - 1) / ALIGN * ALIGN;
    return slab != NULL ? (uint8_t *)slab + at : NULL;
}

/* Place the buffers in the slab; returns its size. Sides are 4096 at most, levels 32, windows 2^20:
 * no product overflows. */
static size_t place(struct scanner_scan *scan, void *slab)
{
    const struct network_input *input = scan->input;
    const size_t channels = gradient_channels(&input->front);
    const size_t code_bytes = channels * gradient_code_size(&input->front);
    const size_t plane_bytes = input->target.channels * sizeof(uint16_t);
    const struct network_scan_level *first = network_scan_level(scan->scan, 0);
    size_t used = 0;

    int32_t *margins = take(slab, &used, scan->windows * sizeof(int32_t));
    scan->masked = take(slab, &used, scan->windows);
    scan->arena = take(slab, &used, network_scan_arena_bytes(scan->scan));
    scan->planes = take(slab, &used, plane_bytes * first->width * first->height);
    scan->motion_bytes = 0;
    for (uint32_t i = 0; i < scan->levels; i++) {
        const struct network_scan_level *level = network_scan_level(scan->scan, i);
        const size_t pixels = (size_t)level->width * level->height;
        const size_t packed = 2 * gradient_bits_bytes(pixels * channels);

        scan->codes[i] = take(slab, &used, pixels * code_bytes);
        if (slab != NULL) {
            scan->margins[i] = margins;
            margins += level->columns * level->rows;
        }
        if (i == 1) {
            scan->smaller = take(slab, &used, pixels * plane_bytes);
            scan->scratch = take(slab, &used, image_average_bytes(first->width, level->width));
        }
        if (scan->motion_bytes == 0 && packed <= JOB_MOTION_MAX &&
            (pixels <= MOTION_PIXELS_MAX || i + 1 == scan->levels) &&
            input->front.coding == GRADIENT_CODING_TERNARY) {
            scan->motion_level = i;
            scan->motion_bytes = (uint32_t)packed;
            scan->before = take(slab, &used, pixels * channels);
        }
    }
    return used;
}

static int make_room(struct scanner *scanner, size_t bytes)
{
    if (bytes > SCANNER_BYTES_MAX) {
        return -EFBIG;
    }
    while (scanner->bytes > SCANNER_BYTES_MAX - bytes) {
        struct scanner_scan *oldest = NULL;
        for (size_t i = 0; i < SCANNER_COUNT; i++) {
            struct scanner_scan *scan = &scanner->scans[i];
            if (scan->scan != NULL && (oldest == NULL || scan->used < oldest->used)) {
                oldest = scan;
            }
        }
        drop(scanner, oldest);
    }
    return 0;
}

/* `scan` is free and gets its buffers; its network_scan is there. */
static int lay_out(struct scanner *scanner, struct scanner_scan *scan)
{
    for (uint32_t i = 0; i < scan->levels; i++) {
        const struct network_scan_level *level = network_scan_level(scan->scan, i);
        if (level->width > SIDE_MAX || level->height > SIDE_MAX) {
            return -EFBIG;
        }
        scan->windows += level->columns * level->rows;
    }
    const size_t slab_bytes = scan->levels > 0 ? place(scan, NULL) : ALIGN;
    const size_t bytes = network_scan_bytes(scan->scan) + slab_bytes;
    int err = make_room(scanner, bytes);
    if (err < 0) {
        return err;
    }
    scan->slab = aligned_alloc(ALIGN, slab_bytes);
    if (scan->slab == NULL) {
        return -ENOMEM;
    }
    memset(scan->slab, 0, slab_bytes); /* takes the page faults */
    if (scan->levels > 0) {
        place(scan, scan->slab);
    }
    scan->bytes = bytes;
    scanner->bytes += bytes;
    return 0;
}

/* A free place; that of the least recently used scan where there is none. */
static struct scanner_scan *find_place(struct scanner *scanner)
{
    struct scanner_scan *oldest = &scanner->scans[0];
    for (size_t i = 0; i < SCANNER_COUNT; i++) {
        struct scanner_scan *scan = &scanner->scans[i];
        if (scan->scan == NULL) {
            return scan;
        }
        oldest = scan->used < oldest->used ? scan : oldest;
    }
    drop(scanner, oldest);
    return oldest;
}

static bool same_key(const struct scanner_key *a, const struct scanner_key *b)
{
    const struct network_scan_settings *s = &a->settings, *t = &b->settings;
    return a->model == b->model && a->adapter == b->adapter && a->width == b->width &&
           a->height == b->height && s->point == t->point && s->label == t->label &&
           s->object_min == t->object_min && s->factor == t->factor && s->stride == t->stride &&
           s->threshold == t->threshold && s->overlap == t->overlap && s->boxes_max == t->boxes_max;
}

int scanner_get(struct scanner *scanner, const struct scanner_key *key,
                const struct network_model *model, const struct kernel_table *kernels,
                struct scanner_scan **ret_scan)
{
    struct scanner_scan made = {.key = *key};
    uint32_t step;
    for (size_t i = 0; i < SCANNER_COUNT; i++) {
        struct scanner_scan *scan = &scanner->scans[i];
        if (scan->scan != NULL && same_key(&scan->key, key)) {
            scan->used = ++scanner->ticks;
            *ret_scan = scan;
            return 0;
        }
    }
    int err = network_scan_check(model, key->settings.point, &step, NULL);
    if (err == 0) {
        err = network_scan_create(model, &key->settings, key->width, key->height, kernels,
                                  &made.scan);
    }
    if (err < 0) {
        return err;
    }
    made.input = network_model_input(model, key->settings.point);
    made.stride = key->settings.stride != 0 ? key->settings.stride : step;
    made.levels = network_scan_levels(made.scan);
    struct scanner_scan *place = find_place(scanner);
    err = lay_out(scanner, &made);
    if (err < 0) {
        network_scan_destroy(made.scan);
        return err;
    }
    made.used = ++scanner->ticks;
    *place = made;
    *ret_scan = place;
    return 0;
}

/* Pack the layer for this scan's plan, over what was packed for the generation before. */
static int adapt_layer(struct scanner *scanner, struct scanner_scan *scan, uint32_t layer,
                       const struct worker_adapter *adapter)
{
    struct network_plan *plan = network_scan_plan(scan->scan);
    const size_t bytes = network_plan_group_bytes(plan, layer);
    struct network_layer values;
    if (!adapter_layer(adapter, layer, &values)) {
        return bytes > 0 ? network_plan_use(plan, layer, NULL) : 0;
    }
    if (bytes == 0) {
        return -EINVAL;
    }
    if (scan->weights[layer] == NULL) {
        scan->weights[layer] = aligned_alloc(ALIGN, bytes);
        if (scan->weights[layer] == NULL) {
            return -ENOMEM;
        }
        scan->bytes += bytes;
        scanner->bytes += bytes;
    }
    int err = network_plan_pack(plan, layer, &values, scan->weights[layer]);
    return err < 0 ? err : network_plan_use(plan, layer, scan->weights[layer]);
}

int scanner_adapt(struct scanner *scanner, struct scanner_scan *scan,
                  const struct worker_adapter *adapter)
{
    if (scan->generation == adapter->generation || scan->levels == 0) {
        return 0;
    }
    const uint32_t layers =
        network_model_describe(adapter->base)->points[adapter->point].layer_count;
    for (uint32_t i = 0; i < layers; i++) {
        int err = adapt_layer(scanner, scan, i, adapter);
        if (err < 0) {
            drop(scanner, scan); /* its weights are of two generations */
            return err;
        }
    }
    scan->generation = adapter->generation;
    return 0;
}

void scanner_start(struct scanner_scan *scan, const struct image_ops *ops, uint16_t nominal_white)
{
    scan->ops = ops;
    scan->nominal_white = nominal_white;
    scan->windows_run = 0;
    scan->average_ns = scan->gradient_ns = scan->network_ns = 0;
    memset(scan->encoded, 0, sizeof(scan->encoded));
    for (uint32_t i = 0; i < scan->windows; i++) {
        scan->margins[0][i] = INT32_MIN;
    }
}

const void *scanner_codes(struct scanner_scan *scan, uint32_t index)
{
    const struct network_scan_level *level = network_scan_level(scan->scan, index);
    const struct network_scan_level *first = network_scan_level(scan->scan, 0);
    const uint16_t *planes = scan->planes;

    if (scan->encoded[index]) {
        return scan->codes[index];
    }
    const uint64_t start = clock_ns();
    if (index > 0) { /* cannot fail: no level is larger than the first */
        image_average_planes(scan->ops, scan->planes, scan->input->target.channels, first->width,
                             first->height, level->width, level->height, scan->scratch,
                             scan->smaller);
        planes = scan->smaller;
    }
    const uint64_t averaged = clock_ns();
    gradient_encode(&scan->input->front, planes, level->width, level->height, scan->nominal_white,
                    scan->codes[index]);
    scan->average_ns += averaged - start;
    scan->gradient_ns += clock_ns() - averaged;
    scan->encoded[index] = true;
    return scan->codes[index];
}

void scanner_run(struct scanner_scan *scan, uint32_t index, const struct network_scan_area *area)
{
    const struct network_scan_level *level = network_scan_level(scan->scan, index);
    const void *codes = scanner_codes(scan, index);
    const uint64_t start = clock_ns();

    network_scan_run(scan->scan, scan->arena, index, codes, area, scan->margins[index]);
    scan->network_ns += clock_ns() - start;
    scan->windows_run += area != NULL ? area->columns * area->rows : level->columns * level->rows;
}

static void find_masked(struct scanner_scan *scan, const struct job_polygon *masks, uint32_t count)
{
    uint8_t *masked = scan->masked;

    memcpy(scan->masks, masks, count * sizeof(*masks));
    scan->mask_count = count;
    for (uint32_t i = 0; i < scan->levels; i++) {
        const struct network_scan_level *level = network_scan_level(scan->scan, i);
        for (uint32_t k = 0; k < level->columns * level->rows; k++, masked++) {
            const struct job_box window = {
                .x = k % level->columns * scan->stride,
                .y = k / level->columns * scan->stride,
                .width = scan->input->target.width,
                .height = scan->input->target.height,
            };
            *masked = 0;
            for (uint32_t m = 0; m < count && !*masked; m++) {
                *masked = job_polygon_holds(&masks[m], &window, level->width, level->height);
            }
        }
    }
}

void scanner_mask(struct scanner_scan *scan, const struct job_polygon *masks, uint32_t count)
{
    if (count == 0 || scan->levels == 0) {
        return;
    }
    if (scan->mask_count != count || memcmp(scan->masks, masks, count * sizeof(*masks)) != 0) {
        find_masked(scan, masks, count);
    }
    for (uint32_t i = 0; i < scan->windows; i++) {
        scan->margins[0][i] = scan->masked[i] ? INT32_MIN : scan->margins[0][i];
    }
}
