/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * One step of a plan for all images of a run, so that its weights stay in the cache. It allocates
 * nothing and cannot fail.
 */
#include <math.h>
#include <string.h>

#include "engine/kernel/requantise.h"
#include "engine/network/plan_internal.h"

/* A step at work. */
struct job {
    const struct network_plan *plan;
    const struct plan_step *step;
    const struct plan_head *head;
    uint8_t *arena;
};

static const void *part_of(const struct job *job, size_t at)
{
    return (const uint8_t *)job->step->packed + at;
}

static const void *source(const struct job *job, uint32_t k, uint32_t image)
{
    const struct plan_buffer *buffer = &job->plan->buffer[job->step->in[k]];

    return job->arena + buffer->at + image * buffer->stride +
           job->step->in_at[k] * plan_element(buffer->form);
}

static uint8_t *scratch(const struct job *job, size_t at)
{
    return job->arena + job->plan->buffer[job->step->scratch].at + at;
}

/* Elements from one output row of the step to the next. */
static size_t out_row(const struct job *job)
{
    const struct plan_weighted *weighted = &job->step->weighted;

    if (job->step->out == PLAN_NONE) {
        return (size_t)weighted->out_w * weighted->out_c;
    }
    const struct plan_buffer *out = &job->plan->buffer[job->step->out];
    return weighted->joined ? out->stride / plan_element(out->form) : out->row;
}

/* The kernel for `rows` output rows; `in` points to the first input row of the first. */
static void run_conv(const struct job *job, const uint8_t *in, uint32_t rows, void *to, size_t row)
{
    struct kernel_conv conv = job->step->weighted.conv;

    conv.out_h = rows;
    conv.preshift = job->head->preshift;
    conv.shift = job->head->shift;
    job->plan->kernels.conv.run(&conv, part_of(job, job->step->group.kernel), in, to, row);
}

/* The patches of `rows` output rows, in the scratch; returns those of signs. */
static const uint64_t *gather(const struct job *job, const void *in, uint32_t rows,
                              const uint64_t **ret_nonzero)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    const struct plan_buffer *from = &job->plan->buffer[job->step->in[0]];
    const struct kernel_bits_ops *ops = &job->plan->kernels.bits;
    const struct kernel_bits_conv *bits = &weighted->bits;
    struct kernel_bits_gather shape = weighted->gather;
    uint64_t *signs = (uint64_t *)(void *)scratch(job, weighted->patches);
    uint64_t *nonzero =
        bits->ternary_input ? signs + (size_t)rows * bits->pool * bits->in_row : NULL;

    shape.out_h = rows * bits->pool;
    if (from->form == PLAN_BYTES) {
        ops->gather_codes(&shape, network_code_bytes(from->flow).offset, in, signs, nonzero);
    } else {
        ops->gather(&shape, in, signs);
    }
    *ret_nonzero = nonzero;
    return signs;
}

static void run_bits(const struct job *job, const void *in, uint32_t rows, void *to, size_t row)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    struct kernel_bits_conv bits = weighted->bits;
    const uint64_t *signs = in, *nonzero = NULL;

    bits.out_h = rows;
    if (weighted->gather.in_c != 0) {
        signs = gather(job, in, rows, &nonzero);
    } else if (bits.ternary_input) {
        nonzero = signs + job->plan->buffer[job->step->in[0]].plane;
    }
    job->plan->kernels.bits.run(&bits, part_of(job, job->step->group.kernel), signs, nonzero, to,
                                row);
}

static void run_log(const struct job *job, const uint8_t *in, void *to, size_t row)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    void *workspace = job->step->scratch != PLAN_NONE ? scratch(job, weighted->workspace) : NULL;

    job->plan->kernels.log.run(&weighted->log, part_of(job, job->step->group.kernel), in, workspace,
                               to, row);
}

static void run_kernel(const struct job *job, const void *in, uint32_t rows, void *to, size_t row)
{
    if (job->step->kind == PLAN_CONV) {
        run_conv(job, in, rows, to, row);
    } else if (job->step->kind == PLAN_COUNT) {
        run_bits(job, in, rows, to, row);
    } else {
        run_log(job, in, to, row);
    }
}

/* int32 sums without gaps to the bytes of codes. */
static void encode(const struct job *job, const int32_t *sums, uint32_t rows, uint8_t *to,
                   size_t row)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    const struct plan_group *group = &job->step->group;
    const struct kernel_encode_ops *ops = &job->plan->kernels.encode;
    struct kernel_encode shape = {
        .width = weighted->out_w,
        .height = rows,
        .channels = weighted->out_c,
        .in_row = (size_t)weighted->out_w * weighted->out_c,
        .out_row = row,
        .preshift = job->head->preshift,
        .shift = job->head->shift,
        .levels = weighted->levels,
    };

    if (weighted->finish == PLAN_FINISH_U7) {
        ops->u7(&shape, part_of(job, group->bias), part_of(job, group->mult), sums, to);
        return;
    }
    memcpy(shape.codes, weighted->codes, sizeof shape.codes);
    ops->codes(&shape, part_of(job, group->threshold), sums, to);
}

/* Bytes without gaps to the bits of a map, from its row `y` on. */
static void map_bits(const struct job *job, const uint8_t *bytes, uint32_t rows, uint64_t *to,
                     size_t row)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    const struct plan_buffer *out = &job->plan->buffer[job->step->out];

    job->plan->kernels.bits.from_codes(
        &(struct kernel_bits_map){
            .width = weighted->out_w,
            .height = rows,
            .channels = weighted->out_c,
            .in_row = (size_t)weighted->out_w * weighted->out_c,
            .out_row = row,
            .zero = network_code_bytes(out->flow).offset,
        },
        bytes, to, out->form == PLAN_PLANES ? to + out->plane : NULL);
}

static void finish_scores(const struct job *job, uint32_t rows, int32_t *scores)
{
    const struct plan_group *group = &job->step->group;
    const struct plan_weighted *weighted = &job->step->weighted;
    const uint32_t labels = weighted->out_c;
    const int32_t *mult = part_of(job, group->mult);
    const int32_t *bias = group->bias != 0 ? part_of(job, group->bias) : NULL;

    for (size_t i = 0; i < (size_t)rows * weighted->out_w * labels; i++) {
        const int32_t sum = scores[i] + (bias != NULL ? bias[i % labels] : 0);

        scores[i] = kernel_requantise(sum, mult[i % labels], job->head->preshift, job->head->shift);
    }
}

static void finish_wide_scores(const struct job *job, uint32_t rows, const int64_t *sums,
                               int32_t *scores)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    const uint32_t labels = weighted->out_c;
    const int64_t *bias = part_of(job, job->step->group.bias);
    const int32_t *mult = part_of(job, job->step->group.mult);

    for (size_t i = 0; i < (size_t)rows * weighted->out_w * labels; i++) {
        const int64_t sum = (sums[i] + bias[i % labels]) >> job->head->narrow;

        scores[i] = kernel_requantise((int32_t)sum, mult[i % labels], job->head->preshift,
                                      job->head->shift);
    }
}

/* Output rows from `in` to `to`; see struct plan_weighted. */
static void run_band(const struct job *job, const void *in, uint32_t rows, void *to)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    const size_t results = (size_t)weighted->out_w * weighted->out_c, row = out_row(job);
    const bool sums = weighted->finish == PLAN_FINISH_U7 || weighted->finish == PLAN_FINISH_CODES;
    void *bytes = weighted->to_bits ? scratch(job, weighted->bytes) : to;
    const size_t bytes_row = weighted->to_bits ? results : row;

    if (weighted->finish == PLAN_FINISH_WIDE_SCORES) {
        void *wide = scratch(job, weighted->sums);

        run_kernel(job, in, rows, wide, results);
        finish_wide_scores(job, rows, wide, to);
        return;
    }
    if (sums) {
        void *narrow = scratch(job, weighted->sums);

        run_kernel(job, in, rows, narrow, results);
        encode(job, narrow, rows, bytes, bytes_row);
    } else {
        run_kernel(job, in, rows, bytes, bytes_row);
    }
    if (weighted->to_bits) {
        map_bits(job, bytes, rows, to, row);
    }
    if (weighted->finish == PLAN_FINISH_SCORES) {
        finish_scores(job, rows, to);
    }
}

/* Adds the sums of row `y` of the convolution to the scores of all rows that they are part of. */
static void unfold(const struct plan_weighted *weighted, const int32_t *restrict sums, uint32_t y,
                   int32_t *scores)
{
    const uint32_t out = weighted->out_c, step = weighted->fold_h * out;
    const size_t row = (size_t)weighted->out_w * out;

    for (uint32_t ky = 0; ky < weighted->fold_h && ky <= y; ky++) {
        const uint32_t to = (y - ky) / weighted->fold_y;
        int32_t *restrict score = scores + to * row;
        const int32_t *from = sums + ky * out;

        if ((y - ky) % weighted->fold_y != 0 || to >= weighted->out_h) {
            continue;
        }
        for (uint32_t x = 0; x < weighted->out_w; x++, from += step, score += out) {
            for (uint32_t o = 0; o < out; o++) {
                score[o] += from[o];
            }
        }
    }
}

static void run_folded(const struct job *job, int32_t *scores)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    const struct plan_buffer *in = &job->plan->buffer[job->step->in[0]];
    const uint32_t rows = (weighted->out_h - 1) * weighted->fold_y + weighted->fold_h;
    const size_t results = (size_t)weighted->out_w * weighted->out_c * weighted->fold_h;
    const uint8_t *from = source(job, 0, 0);
    int32_t *sums = (int32_t *)(void *)scratch(job, weighted->sums);

    memset(scores, 0, (size_t)weighted->out_h * weighted->out_w * weighted->out_c * sizeof *scores);
    for (uint32_t y = 0; y < rows; y += weighted->band) {
        const uint32_t band = rows - y < weighted->band ? rows - y : weighted->band;

        run_conv(job, from + y * in->row, band, sums, results);
        for (uint32_t i = 0; i < band; i++) {
            unfold(weighted, sums + i * results, y + i, scores);
        }
    }
    finish_scores(job, weighted->out_h, scores);
}

static void run_weighted(const struct job *job, uint32_t count, int32_t *scores)
{
    const struct plan_weighted *weighted = &job->step->weighted;
    const struct plan_buffer *in = &job->plan->buffer[job->step->in[0]];
    const struct plan_buffer *out =
        job->step->out != PLAN_NONE ? &job->plan->buffer[job->step->out] : NULL;
    const uint32_t images = weighted->joined ? 1 : count;
    const uint32_t rows = weighted->joined ? count : weighted->out_h;
    const size_t in_step =
        (weighted->joined ? in->stride : weighted->in_rows * in->row * plan_element(in->form));
    const size_t out_step = out_row(job) * (out != NULL ? plan_element(out->form) : sizeof *scores);

    for (uint32_t image = 0; image < images; image++) {
        const uint8_t *from = source(job, 0, image);
        uint8_t *to = out != NULL ? plan_inside(out, job->arena, image)
                                  : (uint8_t *)(scores + image * rows * out_row(job));

        for (uint32_t y = 0; y < rows; y += weighted->band) {
            const uint32_t band = rows - y < weighted->band ? rows - y : weighted->band;

            run_band(job, from + y * in_step, band, to + y * out_step);
        }
    }
}

static void run_depthwise(const struct job *job, uint32_t image)
{
    const struct plan_buffer *out = &job->plan->buffer[job->step->out];
    struct kernel_depthwise depthwise = job->step->depthwise;

    depthwise.preshift = job->head->preshift;
    depthwise.shift = job->head->shift;
    job->plan->kernels.depthwise.run(&depthwise, part_of(job, job->step->group.kernel),
                                     source(job, 0, image), plan_inside(out, job->arena, image),
                                     out->row);
}

static void run_pool(const struct job *job, uint32_t image)
{
    const struct kernel_pool_ops *ops = &job->plan->kernels.pool;
    const struct plan_buffer *out = &job->plan->buffer[job->step->out];
    const struct kernel_pool *pool = &job->step->pool;
    const bool max = job->plan->layers[job->step->first].op == NETWORK_OP_MAXPOOL;
    const void *in = source(job, 0, image);
    void *to = plan_inside(out, job->arena, image);

    if (out->form == PLAN_BITS) {
        job->plan->kernels.bits.max_binary(pool, in, to);
    } else if (out->form == PLAN_REAL) {
        (max ? ops->max_f32 : ops->mean_f32)(pool, in, to);
    } else {
        (max ? ops->max_u7 : ops->mean_u7)(pool, in, to);
    }
}

/* Halves go up; what is out of range, or no number, becomes the nearest end, or the lowest. */
static void round_scores(const float *from, size_t count, int32_t *scores)
{
    for (size_t i = 0; i < count; i++) {
        double score = floor((double)from[i] * 65536.0 + 0.5);

        scores[i] = score >= INT32_MAX   ? INT32_MAX
                    : score >= INT32_MIN ? (int32_t)score
                                         : INT32_MIN;
    }
}

static void run_real(const struct job *job, uint32_t count, int32_t *scores)
{
    struct kernel_real real = job->step->real.kernel;
    const bool joined = job->step->real.joined, last = job->step->out == PLAN_NONE;
    const struct plan_buffer *out = last ? NULL : &job->plan->buffer[job->step->out];
    const size_t scores_row = (size_t)real.out_w * real.out_c;
    const size_t row = last ? scores_row : joined ? out->stride / sizeof(float) : out->row;
    const size_t each = scores_row * real.out_h; /* scores of an image */

    real.out_h = joined ? count : real.out_h;
    for (uint32_t image = 0; image < (joined ? 1 : count); image++) {
        float *to = last ? (float *)(void *)scratch(job, image * each * sizeof(float))
                         : plan_inside(out, job->arena, image);

        job->plan->kernels.real.run(&real, part_of(job, job->step->group.kernel),
                                    source(job, 0, image), to, row);
    }
    if (last) {
        round_scores((float *)(void *)scratch(job, 0), count * each, scores);
    }
}

static void run_image(const struct job *job, uint32_t image)
{
    const struct plan_step *step = job->step;
    const struct plan_buffer *out = &job->plan->buffer[step->out];
    void *to = plan_inside(out, job->arena, image);

    switch (step->kind) {
    case PLAN_DEPTHWISE:
        run_depthwise(job, image);
        break;
    case PLAN_POOL:
        run_pool(job, image);
        break;
    case PLAN_ADD:
        if (out->form != PLAN_REAL) {
            job->plan->kernels.pool.add_u7(&step->add, source(job, 0, image), source(job, 1, image),
                                           to);
        } else {
            job->plan->kernels.pool.add_f32(&step->add, source(job, 0, image),
                                            source(job, 1, image), to);
        }
        break;
    case PLAN_FLOAT_DEPTHWISE:
        job->plan->kernels.real.depthwise(&step->real.kernel, part_of(job, step->group.kernel),
                                          part_of(job, step->group.bias), source(job, 0, image), to,
                                          out->row);
        break;
    default:
        network_run_convert(job->plan, step, job->arena, image);
        break;
    }
}

void network_run_step(const struct network_plan *plan, const struct plan_step *step, uint8_t *arena,
                      uint32_t count, int32_t *scores)
{
    const struct job job = {plan, step, step->packed, arena};

    if (step->kind <= PLAN_SHIFT && step->weighted.fold_h > 0) {
        run_folded(&job, scores);
    } else if (step->kind <= PLAN_SHIFT) {
        run_weighted(&job, count, scores);
    } else if (step->kind == PLAN_FLOAT) {
        run_real(&job, count, scores);
    } else {
        for (uint32_t image = 0; image < count; image++) {
            run_image(&job, image);
        }
    }
}
