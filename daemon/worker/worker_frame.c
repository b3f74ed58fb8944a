/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Bytes -> planes -> codes -> scores, timed. No system call here but the clock's. */
#include "daemon/worker/worker_frame.h"

#include <errno.h>
#include <string.h>

#include "daemon/worker/clock.h"
#include "engine/gradient/gradient.h"
#include "engine/network/cascade.h"

size_t worker_code_count(const struct network_input *input)
{
    return (size_t)input->target.width * input->target.height * gradient_channels(&input->front);
}

/* A frame as the stages of a cascade see it. */
struct picture {
    const struct worker_frame *frame;
    /* What worker->planes hold of it. */
    bool decoded;
    struct image_target target;
    struct image_info info;
    const struct network_input *coded; /* what worker->codes hold; NULL: nothing */
};

static bool same_target(const struct image_target *a, const struct image_target *b)
{
    return a->width == b->width && a->height == b->height && a->channels == b->channels &&
           a->fit == b->fit;
}

/* Planes of the picture as `target` asks for them. Points of a model want the same, two models of a
 * cascade often do. */
static int decode(struct worker *worker, struct picture *picture, const struct image_target *target)
{
    if (picture->decoded && same_target(&picture->target, target)) {
        return 0;
    }
    const struct worker_frame *frame = picture->frame;
    int err = image_decode(worker->decoder, frame->bytes, frame->size, frame->kind, frame->sensor,
                           target, worker->planes, &picture->info);
    picture->decoded = err == 0;
    picture->coded = NULL;
    picture->target = *target;
    return err;
}

/* What judges a frame: a model's operating point, with its own weights or an adapter's. */
struct judge {
    const struct worker_model *model;
    uint32_t point;
    const struct network_plan *plan;
    uint64_t generation;
};

static struct judge judge_by(const struct worker_model *model, uint32_t point)
{
    return (struct judge){model, point, model->plans[point], model->generation};
}

/* The whole line for one model. Adds to the times and work of `result`, and writes what else is in
 * its head but its sequence; codes stay in worker->codes. */
static int run(struct worker *worker, const struct judge *judge, struct picture *picture,
               struct job_result *result)
{
    const struct worker_model *model = judge->model;
    const struct network_input *input = network_model_input(model->model, judge->point);
    uint64_t start = clock_ns();
    int err = decode(worker, picture, &input->target);
    if (err < 0) {
        return err;
    }
    uint64_t decoded = clock_ns();
    if (picture->coded == NULL || !job_same_input(picture->coded, input)) {
        gradient_encode(&input->front, worker->planes, input->target.width, input->target.height,
                        picture->info.nominal_white, worker->codes);
        picture->coded = input;
    }
    uint64_t encoded = clock_ns();
    network_run(judge->plan, worker->arena, worker->codes, result->scores);
    result->network_ns += clock_ns() - encoded;
    result->gradient_ns += encoded - decoded;
    result->decode_ns += decoded - start;
    result->macs += network_plan_macs(judge->plan);
    result->info = picture->info;
    image_measure_light(worker->planes, input->target.channels, input->target.width,
                        input->target.height, picture->info.nominal_white, &result->light);
    result->generation = judge->generation;
    result->point = judge->point;
    result->label_count = network_model_labels(model->model);
    return 0;
}

void worker_frame_start(struct job_result *result)
{
    result->decode_ns = result->gradient_ns = result->network_ns = result->macs = 0;
    result->wake_margin = 0;
    result->awake = 0;
    memset(&result->average_ns, 0, sizeof(result->average_ns));
    memset(&result->light, 0, JOB_RESULT_HEAD_BYTES - offsetof(struct job_result, light));
}

size_t worker_pack_codes(const struct network_input *input, const uint8_t *codes,
                         uint8_t *ret_packed, size_t room)
{
    const struct gradient_spec *front = &input->front;
    const size_t count = worker_code_count(input);
    if (front->coding == GRADIENT_CODING_TERNARY) {
        const size_t plane = gradient_bits_bytes(count);
        if (plane > room / 2) {
            return 0;
        }
        gradient_pack_ternary((const int8_t *)codes, count, ret_packed, ret_packed + plane);
        return 2 * plane;
    }
    const size_t bytes = count * gradient_code_size(front);
    if (bytes > room) {
        return 0;
    }
    memcpy(ret_packed, codes, bytes);
    return bytes;
}

int worker_frame_try(struct worker *worker, const struct worker_model *model, uint32_t point,
                     const struct worker_frame *frame)
{
    struct picture picture = {.frame = frame};
    const struct judge judge = judge_by(model, point);
    worker_frame_start(worker->region);
    return run(worker, &judge, &picture, worker->region);
}

/* From the judge's point, the cheapest, on to dearer ones until an answer stands. */
static int run_exits(struct worker *worker, struct judge *judge, struct picture *picture,
                     struct job_result *result)
{
    const struct worker_model *model = judge->model;
    int err = run(worker, judge, picture, result);
    while (err == 0 && !network_model_exits(model->model, judge->point, result->scores)) {
        *judge = judge_by(model, judge->point - 1);
        err = run(worker, judge, picture, result);
    }
    return err;
}

int worker_frame_classify(struct worker *worker, const struct job_message *message,
                          const struct worker_frame *frame)
{
    const struct worker_model *model = &worker->models[message->model];
    struct job_result *result = worker->region;
    struct picture picture = {.frame = frame};
    struct judge judge = judge_by(model, message->point);
    if (message->adapter != 0) {
        judge.plan = worker->adapters[message->adapter - 1].plan;
        judge.generation = worker->adapters[message->adapter - 1].generation;
    }
    int err = message->exits ? run_exits(worker, &judge, &picture, result)
                             : run(worker, &judge, &picture, result);
    if (err < 0) {
        return err;
    }
    if (message->wakes != 0) {
        const struct worker_model *next = &worker->models[message->wakes - 1];
        struct network_cascade cascade;
        err = network_cascade_init(&cascade, judge.plan, message->wake_label, message->wake_margin);
        if (err < 0) {
            return err;
        }
        result->wake_margin = network_cascade_margin(&cascade, result->scores);
        result->awake = network_cascade_wakes(&cascade, result->scores);
        if (result->awake) {
            judge = judge_by(next, 0);
            err = run(worker, &judge, &picture, result);
        }
    }
    if (err == 0 && message->want_codes) {
        result->codes_bytes =
            (uint32_t)worker_pack_codes(network_model_input(judge.model->model, judge.point),
                                        worker->codes, result->codes, JOB_CODES_MAX);
    }
    return err;
}

static uint32_t colour_side(uint32_t side)
{
    side /= 16;
    return side < 1 ? 1 : side < WORKER_COLOUR_SIDE ? side : WORKER_COLOUR_SIDE;
}

int worker_frame_look_for_colour(struct worker *worker, const struct worker_frame *frame)
{
    struct job_result *result = worker->region;
    const struct image_info *info = &result->info;
    const struct image_target target = {colour_side(info->width), colour_side(info->height),
                                        IMAGE_RGB, IMAGE_FIT_STRETCH};
    struct image_light light;
    struct image_info again;
    const uint64_t start = clock_ns();
    if (info->mono || info->kind == IMAGE_KIND_RAW ||
        result->light.colour != IMAGE_COLOUR_UNKNOWN) {
        return 0;
    }
    int err = image_decode(worker->decoder, frame->bytes, frame->size, frame->kind, frame->sensor,
                           &target, worker->colour, &again);
    if (err == 0) {
        err = image_measure_light(worker->colour, target.channels, target.width, target.height,
                                  again.nominal_white, &light);
    }
    if (err == 0) {
        result->light.colour = light.colour;
        result->decode_ns += clock_ns() - start;
    }
    return err;
}
