/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Probe, decode to the size of level 0, evaluate windows, take boxes. No system call here but those
 * for memory and the clock.
 */
#include "daemon/worker/worker_scan.h"

#include <errno.h>
#include <string.h>

#include "daemon/worker/clock.h"
#include "daemon/worker/motion.h"
#include "engine/gradient/gradient.h"
#include "engine/network/model.h"

#define SIDE_MAX 4096u /* of a target of image_decode */
/* Light is measured on the first level with no more pixels. */
#define LIGHT_PIXELS_MAX 65536u
/* Windows of a frame that the confirming model is run on; boxes beyond are dropped. */
#define CONFIRM_MAX 256u
/* Where no window fits there is still a picture to judge. */
#define SMALL_SIDE 16u

/* One scan of one frame. */
struct pass {
    struct worker *worker;
    const struct job_message *message;
    const struct job_scan *asked;
    struct job_result *result;
    struct scanner_scan *scan;
    uint32_t quad; /* samples along a side of what is one pixel to the scan */
    struct network_scan_box boxes[NETWORK_SCAN_BOXES_MAX];
    uint32_t box_count;
    struct motion motion;
};

/* Samples along a side of a pixel. Of a RAW file with samples of every colour the half would do,
 * too, but its header does not tell. */
static uint32_t quad_of(const struct image_info *info)
{
    return (info->kind == IMAGE_KIND_RAW || info->kind == IMAGE_KIND_SENSOR) && !info->mono ? 2 : 1;
}

static uint32_t at_least_one(uint32_t value)
{
    return value > 0 ? value : 1;
}

/* What the scan is laid out for. The smallest object is held up so that level 0 can be decoded. */
static struct scanner_key make_key(const struct job_message *message,
                                   const struct network_input *input, uint32_t width,
                                   uint32_t height)
{
    const struct job_scan *asked = &message->scan;
    const uint64_t side = width > height ? width : height;
    const uint64_t limit = (side * input->target.height + SIDE_MAX - 1) / SIDE_MAX;
    uint64_t object_min = ((uint64_t)height * asked->object_min + 50) / 100;

    object_min = side > SIDE_MAX && object_min < limit ? limit : object_min;
    return (struct scanner_key){
        .model = message->model,
        .adapter = message->adapter,
        .width = width,
        .height = height,
        .settings =
            {
                .point = message->point,
                .label = asked->label,
                .object_min = at_least_one((uint32_t)object_min),
                .factor = asked->factor,
                .stride = asked->stride,
                .threshold = asked->threshold,
                .overlap = asked->overlap,
                .boxes_max = asked->boxes_max,
            },
    };
}

static bool same_picture(const struct image_info *a, const struct image_info *b)
{
    return a->kind == b->kind && a->width == b->width && a->height == b->height &&
           a->mono == b->mono;
}

static int decode(struct worker *worker, const struct worker_frame *frame,
                  const struct image_target *target, uint16_t *planes, struct image_info *info)
{
    return image_decode(worker->decoder, frame->bytes, frame->size, frame->kind, frame->sensor,
                        target, planes, info);
}

static void measure_light(struct pass *pass, const uint16_t *planes,
                          const struct image_target *target)
{
    image_measure_light(planes, target->channels, target->width, target->height,
                        pass->result->info.nominal_white, &pass->result->light);
}

/* A frame that is smaller than a window: it has light, and no boxes. */
static int look_at_small(struct pass *pass, const struct worker_frame *frame)
{
    uint16_t planes[IMAGE_RGB * SMALL_SIDE * SMALL_SIDE];
    const struct image_target target = {SMALL_SIDE, SMALL_SIDE, pass->scan->input->target.channels,
                                        IMAGE_FIT_STRETCH};
    int err = decode(pass->worker, frame, &target, planes, &pass->result->info);
    if (err == 0) {
        measure_light(pass, planes, &target);
    }
    return err;
}

/* Planes of level 0, and light. */
static int look(struct pass *pass, const struct worker_frame *frame)
{
    struct scanner_scan *scan = pass->scan;
    const struct network_scan_level *level = network_scan_level(scan->scan, 0);
    const struct image_target target = {level->width, level->height, scan->input->target.channels,
                                        IMAGE_FIT_STRETCH};
    struct image_info info;
    int err = decode(pass->worker, frame, &target, scan->planes, &info);
    if (err < 0) {
        return err;
    }
    if (!same_picture(&info, &pass->result->info)) {
        return -EBADMSG; /* the bytes changed under us */
    }
    pass->result->info = info;
    scanner_start(scan, &pass->worker->ops, info.nominal_white);
    return 0;
}

/* On the first level that is small enough, which is the last at the latest. */
static void light_of_scan(struct pass *pass)
{
    struct scanner_scan *scan = pass->scan;
    const struct network_scan_level *first = network_scan_level(scan->scan, 0), *level = first;
    const uint16_t *planes = scan->planes;

    for (uint32_t i = 1; i < scan->levels && level->width * level->height > LIGHT_PIXELS_MAX; i++) {
        level = network_scan_level(scan->scan, i);
    }
    const struct image_target target = {level->width, level->height, scan->input->target.channels,
                                        IMAGE_FIT_STRETCH};
    if (level != first) {
        image_average_planes(scan->ops, scan->planes, target.channels, first->width, first->height,
                             level->width, level->height, scan->scratch, scan->smaller);
        planes = scan->smaller;
    }
    measure_light(pass, planes, &target);
}

/* The codes and boxes of the frame before can be compared with. */
static bool comparable(const struct pass *pass, const struct job_motion *before)
{
    const struct scanner_scan *scan = pass->scan;
    if (scan->motion_bytes == 0 || before->bytes != scan->motion_bytes ||
        before->level != scan->motion_level || before->width != pass->result->info.width ||
        before->height != pass->result->info.height || before->box_count > NETWORK_SCAN_BOXES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < before->box_count; i++) {
        const struct job_box *box = &before->boxes[i];
        if (box->level >= scan->levels || box->width == 0 || box->height == 0 ||
            box->x >= before->width || box->width > before->width - box->x ||
            box->y >= before->height || box->height > before->height - box->y) {
            return false;
        }
        const struct network_scan_level *level = network_scan_level(scan->scan, box->level);
        if (box->column >= level->columns || box->row >= level->rows) {
            return false;
        }
    }
    return true;
}

static size_t motion_codes(const struct scanner_scan *scan)
{
    const struct network_scan_level *level = network_scan_level(scan->scan, scan->motion_level);
    return (size_t)level->width * level->height * gradient_channels(&scan->input->front);
}

/* Find what changed since `before`. False when it cannot be told. */
static bool find_motion(struct pass *pass, const struct job_motion *before)
{
    struct scanner_scan *scan = pass->scan;
    const uint32_t level_index = scan->motion_level;
    if (!pass->asked->motion || !comparable(pass, before)) {
        return false;
    }
    const struct network_scan_level *level = network_scan_level(scan->scan, level_index);
    const uint8_t *minus = before->codes + before->bytes / 2;
    if (gradient_unpack_ternary(before->codes, minus, motion_codes(scan), scan->before) < 0 ||
        motion_init(&pass->motion, level->width, level->height,
                    gradient_channels(&scan->input->front)) < 0) {
        return false;
    }
    motion_compare(&pass->motion, scan->before, scanner_codes(scan, level_index));
    motion_spread(&pass->motion, before->boxes, before->box_count, before->width, before->height);
    motion_gather(&pass->motion);
    return true;
}

/* Old boxes stand for the windows that are not evaluated again. */
static void keep_boxes(struct pass *pass, const struct job_motion *before)
{
    struct scanner_scan *scan = pass->scan;
    for (uint32_t i = 0; i < before->box_count; i++) {
        const struct job_box *box = &before->boxes[i];
        const struct network_scan_level *level = network_scan_level(scan->scan, box->level);
        scan->margins[box->level][box->row * level->columns + box->column] = box->margin;
    }
}

/* The windows of a level that touch what changed; all of them where that is no more work. */
static void run_changed(struct pass *pass, uint32_t index)
{
    struct scanner_scan *scan = pass->scan;
    const struct network_scan_level *level = network_scan_level(scan->scan, index);
    const struct image_target *window = &scan->input->target;
    struct network_scan_area areas[MOTION_AREAS_MAX];
    uint32_t count = 0;
    uint64_t windows = 0;

    for (uint32_t i = 0; i < pass->motion.count; i++) {
        if (motion_windows(&pass->motion, &pass->motion.areas[i], level, window->width,
                           window->height, scan->stride, &areas[count])) {
            windows += (uint64_t)areas[count].columns * areas[count].rows;
            count++;
        }
    }
    if (windows >= (uint64_t)level->columns * level->rows) {
        scanner_run(scan, index, NULL);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        scanner_run(scan, index, &areas[i]);
    }
}

static void evaluate(struct pass *pass)
{
    struct scanner_scan *scan = pass->scan;
    const struct job_motion *before = &((struct job_shared *)pass->worker->region)->before;
    const bool moving = find_motion(pass, before);

    if (moving) {
        keep_boxes(pass, before);
    }
    for (uint32_t i = 0; i < scan->levels; i++) {
        if (moving) {
            run_changed(pass, i);
        } else {
            scanner_run(scan, i, NULL);
        }
    }
    if (pass->asked->motion && scan->motion_bytes > 0) {
        struct job_result *result = pass->result;
        const int8_t *codes =
            moving ? scan->before : (const int8_t *)scanner_codes(scan, scan->motion_level);
        gradient_pack_ternary(codes, motion_codes(scan), result->motion,
                              result->motion + scan->motion_bytes / 2);
        result->motion_bytes = scan->motion_bytes;
        result->motion_level = scan->motion_level;
    }
}

/* Margin that the confirming model gives the window of a box. */
static int32_t confirm_margin(struct pass *pass, const struct network_scan_box *box)
{
    struct worker *worker = pass->worker;
    const struct job_scan *asked = pass->asked;
    const struct worker_model *model = &worker->models[asked->confirm - 1];
    const struct network_plan *plan = model->plans[asked->confirm_point];
    const uint32_t labels = network_model_labels(model->model);
    int32_t scores[NETWORK_LABELS_MAX];
    int64_t other = INT64_MIN;

    network_scan_cut(pass->scan->scan, box->level, scanner_codes(pass->scan, box->level),
                     box->column, box->row, worker->codes);
    network_run(plan, worker->arena, worker->codes, scores);
    pass->result->macs += network_plan_macs(plan);
    for (uint32_t i = 0; i < labels; i++) {
        other = i != asked->confirm_label && scores[i] > other ? scores[i] : other;
    }
    const int64_t margin = scores[asked->confirm_label] - other;
    return margin > INT32_MAX ? INT32_MAX : margin < INT32_MIN ? INT32_MIN : (int32_t)margin;
}

static bool same_window(const struct network_scan_box *a, const struct network_scan_box *b)
{
    return a->level == b->level && a->column == b->column && a->row == b->row;
}

/* Windows that the confirming model was shown and took. */
struct confirmed {
    struct network_scan_box boxes[CONFIRM_MAX];
    uint32_t count, shown;
};

static bool is_confirmed(const struct confirmed *confirmed, const struct network_scan_box *box)
{
    for (uint32_t i = 0; i < confirmed->count; i++) {
        if (same_window(&confirmed->boxes[i], box)) {
            return true;
        }
    }
    return false;
}

/* Show boxes to the confirming model. The margin of a window that it refuses is taken away. True
 * when there was none. */
static bool confirm_boxes(struct pass *pass, struct confirmed *confirmed)
{
    struct scanner_scan *scan = pass->scan;
    bool all = true;
    for (uint32_t i = 0; i < pass->box_count && confirmed->shown < CONFIRM_MAX; i++) {
        const struct network_scan_box *box = &pass->boxes[i];
        const struct network_scan_level *level = network_scan_level(scan->scan, box->level);
        if (is_confirmed(confirmed, box)) {
            continue;
        }
        confirmed->shown++;
        if (confirm_margin(pass, box) >= pass->asked->confirm_threshold) {
            confirmed->boxes[confirmed->count++] = *box;
        } else {
            scan->margins[box->level][box->row * level->columns + box->column] = INT32_MIN;
            all = false;
        }
    }
    return all;
}

/* Boxes; with a confirming model those that it took, where a weaker window takes the place of one
 * that it refused. */
static void take_boxes(struct pass *pass)
{
    struct scanner_scan *scan = pass->scan;
    const int32_t *const *margins = (const int32_t *const *)scan->margins;
    struct confirmed confirmed = {.count = 0};
    uint32_t kept = 0;
    bool all;

    do {
        pass->box_count = network_scan_boxes(scan->scan, margins, pass->boxes);
        all = pass->asked->confirm == 0 || confirm_boxes(pass, &confirmed);
    } while (!all && confirmed.shown < CONFIRM_MAX);
    if (pass->asked->confirm == 0) {
        return;
    }
    for (uint32_t i = 0; i < pass->box_count; i++) {
        if (is_confirmed(&confirmed, &pass->boxes[i])) {
            pass->boxes[kept++] = pass->boxes[i];
        }
    }
    pass->box_count = kept;
}

static void return_boxes(struct pass *pass)
{
    struct job_result *result = pass->result;
    const struct scanner_scan *scan = pass->scan;
    const uint32_t quad = pass->quad;

    result->peak = INT32_MIN;
    for (uint32_t i = 0; i < scan->windows; i++) {
        const int32_t margin = scan->margins[0][i];
        result->peak = margin > result->peak ? margin : result->peak;
    }
    for (uint32_t i = 0; i < pass->box_count; i++) {
        const struct network_scan_box *box = &pass->boxes[i];
        result->boxes[i] = (struct job_box){
            .x = box->x * quad,
            .y = box->y * quad,
            .width = box->width * quad,
            .height = box->height * quad,
            .margin = box->margin,
            .level = box->level,
            .column = box->column,
            .row = box->row,
        };
    }
    result->box_count = pass->box_count;
}

/* Codes of the windows of the boxes, as many of the first as fit. */
static void return_codes(struct pass *pass)
{
    struct job_result *result = pass->result;
    struct worker *worker = pass->worker;
    const struct network_input *input = pass->scan->input;
    const size_t room = JOB_CODES_MAX;

    for (uint32_t i = 0; i < pass->box_count; i++) {
        const struct network_scan_box *box = &pass->boxes[i];
        network_scan_cut(pass->scan->scan, box->level, scanner_codes(pass->scan, box->level),
                         box->column, box->row, worker->codes);
        const size_t bytes = worker_pack_codes(
            input, worker->codes, result->codes + result->codes_bytes, room - result->codes_bytes);
        if (bytes == 0) {
            return;
        }
        result->codes_bytes += (uint32_t)bytes;
    }
}

static void return_work(struct pass *pass)
{
    struct job_result *result = pass->result;
    const struct scanner_scan *scan = pass->scan;

    result->levels = scan->levels;
    result->windows = scan->windows;
    result->windows_run = scan->windows_run;
    if (scan->windows > 0) {
        result->macs +=
            (uint64_t)((double)network_scan_macs(scan->scan) * scan->windows_run / scan->windows);
    }
    result->average_ns = scan->average_ns;
    result->gradient_ns = scan->gradient_ns;
    result->network_ns += scan->network_ns;
}

static int run_pass(struct pass *pass, const struct worker_frame *frame)
{
    struct job_result *result = pass->result;
    uint64_t start = clock_ns();
    int err = pass->scan->levels == 0 ? look_at_small(pass, frame) : look(pass, frame);
    result->decode_ns += clock_ns() - start;
    if (err < 0) {
        return err;
    }
    if (pass->scan->levels == 0) {
        result->peak = INT32_MIN;
        return 0;
    }
    start = clock_ns();
    light_of_scan(pass);
    pass->scan->average_ns += clock_ns() - start;
    evaluate(pass);
    start = clock_ns();
    const uint64_t made = pass->scan->average_ns + pass->scan->gradient_ns;
    scanner_mask(pass->scan, pass->asked->masks, pass->asked->mask_count);
    take_boxes(pass);
    return_boxes(pass);
    if (pass->message->want_codes) {
        return_codes(pass);
    }
    result->network_ns =
        clock_ns() - start - (pass->scan->average_ns + pass->scan->gradient_ns - made);
    return_work(pass);
    return 0;
}

int worker_scan(struct worker *worker, const struct job_message *message,
                const struct worker_frame *frame)
{
    const struct worker_model *model = &worker->models[message->model];
    const struct worker_adapter *adapter =
        message->adapter != 0 ? &worker->adapters[message->adapter - 1] : NULL;
    struct job_result *result = worker->region;
    struct pass pass = {
        .worker = worker,
        .message = message,
        .asked = &message->scan,
        .result = result,
    };
    uint64_t start = clock_ns();
    int err = image_probe(worker->decoder, frame->bytes, frame->size, frame->kind, frame->sensor,
                          &result->info);
    if (err < 0) {
        return err;
    }
    result->decode_ns = clock_ns() - start;
    pass.quad = quad_of(&result->info);
    const struct scanner_key key =
        make_key(message, network_model_input(model->model, message->point),
                 at_least_one(result->info.width / pass.quad),
                 at_least_one(result->info.height / pass.quad));
    err = scanner_get(&worker->scanner, &key, model->model, &worker->kernels, &pass.scan);
    if (err == 0 && adapter != NULL) {
        err = scanner_adapt(&worker->scanner, pass.scan, adapter);
    }
    if (err == 0) {
        err = run_pass(&pass, frame);
    }
    if (err < 0) {
        return err;
    }
    result->scanned = 1;
    result->generation = adapter != NULL ? adapter->generation : model->generation;
    result->point = message->point;
    result->label_count = network_model_labels(model->model);
    return 0;
}

static bool masks_understood(const struct job_scan *scan)
{
    for (uint32_t i = 0; i < scan->mask_count; i++) {
        if (scan->masks[i].count < 3 || scan->masks[i].count > JOB_CORNERS_MAX) {
            return false;
        }
    }
    return true;
}

/* The confirming model takes codes like those that are scanned. */
static bool confirm_understood(const struct worker *worker, const struct job_message *message)
{
    const struct job_scan *scan = &message->scan;
    if (scan->confirm == 0) {
        return true;
    }
    if (scan->confirm > JOB_MODELS_MAX) {
        return false;
    }
    const struct network_model *model = worker->models[scan->confirm - 1].model;
    return model != NULL && scan->confirm_point < network_model_points(model) &&
           scan->confirm_label < network_model_labels(model) && network_model_labels(model) > 1 &&
           job_same_input(
               network_model_input(model, scan->confirm_point),
               network_model_input(worker->models[message->model].model, message->point));
}

bool worker_scan_understood(const struct worker *worker, const struct job_message *message)
{
    const struct job_scan *scan = &message->scan;
    if (scan->wanted == 0) {
        return true;
    }
    return scan->wanted == 1 && scan->object_min >= 1 && scan->object_min <= 100 &&
           scan->boxes_max >= 1 && scan->boxes_max <= NETWORK_SCAN_BOXES_MAX &&
           scan->mask_count <= JOB_MASKS_MAX && masks_understood(scan) &&
           confirm_understood(worker, message);
}
