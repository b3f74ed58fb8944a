/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See lrt_net.h. Convolutions are products of overlapping rows, as in engine/train/conv.c. */
#include "engine/lab/lrt_net.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/train/train.h"

#define NORM_WEIGHT  0.1f
#define SLOW_WEIGHT  0.001f
#define NORM_EPSILON 1e-8f
#define PANEL        TRAIN_PANEL

static const struct {
    uint32_t side, in_c, kernel, out_c;
    bool pool, relu;
    int norm;
} shapes[LAB_LRT_LAYERS] = {
    {28, 1, 3, 128, false, true, -1},   {26, 128, 3, 128, true, true, 0},
    {12, 128, 3, 128, false, true, -1}, {10, 128, 3, 128, true, true, 1},
    {1, 2048, 1, 512, false, true, -1}, {1, 512, 1, 10, false, false, -1},
};

static size_t panels(uint32_t columns)
{
    return (columns + PANEL - 1) / PANEL;
}

static size_t pixels_of(const struct lab_lrt_layer *l)
{
    return (size_t)l->out_h * l->out_w;
}

static size_t top_pixels(const struct lab_lrt_layer *l)
{
    return l->pool ? (size_t)(l->out_h / 2) * (l->out_w / 2) : pixels_of(l);
}

/* ---- memory ---- */

/* Hands out parts of one allocation; with memory NULL it only counts. */
struct arena {
    uint8_t *memory;
    size_t used;
};

static void *take(struct arena *arena, size_t count, size_t size)
{
    void *part = arena->memory ? arena->memory + arena->used : NULL;
    arena->used += (count * size + 63) / 64 * 64;
    return part;
}

static float *floats(struct arena *arena, size_t count)
{
    return take(arena, count, sizeof(float));
}

/* What has to be saved. */
static void lay_state(struct lab_lrt_net *net, struct arena *arena)
{
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        struct lab_lrt_layer *l = &net->layer[i];
        l->codes = take(arena, (size_t)l->out_c * l->patch, 1);
        l->bias = floats(arena, l->out_c);
    }
    for (uint32_t i = 0; i < LAB_LRT_NORMS; i++) {
        struct lab_lrt_norm *n = &net->norm[i];
        n->mean = floats(arena, n->channels);
        n->square = floats(arena, n->channels);
        n->slow_mean = floats(arena, n->channels);
        n->slow_square = floats(arena, n->channels);
        n->gamma = floats(arena, n->channels);
        n->beta = floats(arena, n->channels);
    }
}

static void lay_scratch(struct lab_lrt_net *net, struct arena *arena)
{
    size_t gradient = 0, spread = 0;
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        struct lab_lrt_layer *l = &net->layer[i];
        size_t in = (size_t)l->in_h * l->in_w * l->in_c;
        size_t side = l->in_h + l->kernel - 1u;
        l->z = floats(arena, pixels_of(l) * l->out_c);
        l->top = floats(arena, top_pixels(l) * l->out_c);
        l->tap = take(arena, top_pixels(l) * l->out_c, 1);
        l->out = l->norm < 0 ? l->top : floats(arena, top_pixels(l) * l->out_c);
        l->delta = floats(arena, pixels_of(l) * l->out_c);
        l->bias_gradient = floats(arena, l->out_c);
        l->forward = floats(arena, panels(l->out_c) * PANEL * l->patch);
        l->backward = floats(arena, panels(l->in_c) * PANEL * l->out_c * l->kernel * l->kernel);
        gradient = in > gradient ? in : gradient;
        spread = side * side * l->out_c > spread ? side * side * l->out_c : spread;
    }
    for (uint32_t i = 0; i < LAB_LRT_NORMS; i++) {
        struct lab_lrt_norm *n = &net->norm[i];
        n->mean_now = floats(arena, n->channels);
        n->scale_now = floats(arena, n->channels);
        n->gamma_gradient = floats(arena, n->channels);
        n->beta_gradient = floats(arena, n->channels);
    }
    net->gradient = floats(arena, gradient);
    net->spread = floats(arena, spread);
}

static void describe(struct lab_lrt_net *net)
{
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        struct lab_lrt_layer *l = &net->layer[i];
        l->in_h = l->in_w = shapes[i].side;
        l->in_c = shapes[i].in_c;
        l->kernel = shapes[i].kernel;
        l->out_c = shapes[i].out_c;
        l->out_h = l->out_w = l->in_h - l->kernel + 1;
        l->patch = l->kernel * l->kernel * l->in_c;
        l->pool = shapes[i].pool;
        l->relu = shapes[i].relu;
        l->norm = shapes[i].norm;
        l->alpha = exp2f(floorf(log2f(sqrtf(3.0f * (l->relu ? 2.0f : 1.0f) / (float)l->patch))));
        if (l->norm >= 0) {
            net->norm[l->norm].channels = l->out_c;
        }
    }
}

int lab_lrt_net_create(struct lab_lrt_net *net, uint32_t bits, uint64_t seed, uint32_t cpu)
{
    struct arena arena = {0};
    *net = (struct lab_lrt_net){.ops = train_ops_find(cpu), .normalise = true, .bits = bits};
    describe(net);
    lay_state(net, &arena);
    net->state_bytes = arena.used;
    lay_scratch(net, &arena);
    net->memory_bytes = arena.used;
    net->memory = aligned_alloc(64, arena.used);
    if (!net->memory) {
        return -ENOMEM;
    }
    memset(net->memory, 0, arena.used);
    arena = (struct arena){.memory = net->memory};
    lay_state(net, &arena);
    lay_scratch(net, &arena);
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        struct lab_lrt_layer *l = &net->layer[i];
        for (size_t k = 0; k < (size_t)l->out_c * l->patch; k++) {
            l->codes[k] =
                (int8_t)((int)(train_random(seed, i, k) >> (64 - bits)) - (1 << (bits - 1)));
        }
        lab_lrt_net_touch(net, i);
    }
    for (uint32_t i = 0; i < LAB_LRT_NORMS; i++) {
        for (uint32_t c = 0; c < net->norm[i].channels; c++) {
            net->norm[i].gamma[c] = 1;
        }
    }
    return 0;
}

void lab_lrt_net_destroy(struct lab_lrt_net *net)
{
    free(net->memory);
    *net = (struct lab_lrt_net){0};
}

void lab_lrt_net_touch(struct lab_lrt_net *net, uint32_t layer)
{
    struct lab_lrt_layer *l = &net->layer[layer];
    const float code = lab_lrt_code(net);
    const size_t taps = (size_t)l->kernel * l->kernel, back = taps * l->out_c * PANEL;
    for (uint32_t o = 0; o < l->out_c; o++) {
        const int8_t *row = l->codes + (size_t)o * l->patch;
        float *to = l->forward + (o / PANEL) * ((size_t)l->patch * PANEL) + o % PANEL;
        for (uint32_t k = 0; k < l->patch; k++) {
            to[(size_t)k * PANEL] = (float)row[k] * code;
        }
        if (layer == 0) {
            continue; /* nobody asks for the gradient of pixels */
        }
        for (size_t t = 0; t < taps; t++) { /* flipped */
            float *line = l->backward + ((taps - 1 - t) * l->out_c + o) * PANEL;
            for (uint32_t c = 0; c < l->in_c; c++) {
                line[(c / PANEL) * back + c % PANEL] = (float)row[t * l->in_c + c] * code;
            }
        }
    }
}

/* ---- forward ---- */

static void sums(const struct lab_lrt_net *net, struct lab_lrt_layer *l)
{
    const ptrdiff_t row = (ptrdiff_t)l->in_w * l->in_c, wide = (ptrdiff_t)l->kernel * l->in_c;
    const struct train_product p = {
        .a = l->in,
        .a_line = row,
        .a_row = l->in_c,
        .a_outer = row,
        .a_inner = 1,
        .b = l->forward,
        .b_outer = wide * PANEL,
        .b_inner = PANEL,
        .panel = (ptrdiff_t)l->patch * PANEL,
        .c = l->z,
        .c_line = (ptrdiff_t)l->out_w * l->out_c,
        .c_row = l->out_c,
        .lines = l->out_h,
        .rows = l->out_w,
        .columns = l->out_c,
        .outer = l->kernel,
        .inner = (uint32_t)wide,
    };
    net->ops->product(&p);
}

static void add_bias(const struct lab_lrt_net *net, struct lab_lrt_layer *l)
{
    const size_t pixels = pixels_of(l);
    const uint32_t channels = l->out_c;
    const float alpha = l->alpha, *restrict bias = l->bias;
    for (size_t i = 0; i < pixels; i++) {
        float *restrict z = l->z + i * channels;
        if (net->exact) {
            for (uint32_t c = 0; c < channels; c++) {
                z[c] = alpha * z[c] + bias[c];
            }
            continue;
        }
        for (uint32_t c = 0; c < channels; c++) {
            z[c] = lab_lrt_bias(lab_lrt_bias(alpha * z[c]) + bias[c]);
        }
    }
}

/* Maximum of 2x2, the first of equals. */
static void pool(struct lab_lrt_layer *l)
{
    const size_t row = (size_t)l->out_w * l->out_c;
    float *to = l->top;
    uint8_t *tap = l->tap;
    for (uint32_t y = 0; y + 1 < l->out_h; y += 2) {
        for (uint32_t x = 0; x + 1 < l->out_w; x += 2) {
            const float *z = l->z + y * row + (size_t)x * l->out_c;
            for (uint32_t c = 0; c < l->out_c; c++) {
                float best = z[c];
                uint8_t at = 0;
                const float others[3] = {z[l->out_c + c], z[row + c], z[row + l->out_c + c]};
                for (uint8_t k = 0; k < 3; k++) {
                    at = others[k] > best ? (uint8_t)(k + 1) : at;
                    best = others[k] > best ? others[k] : best;
                }
                *to++ = best;
                *tap++ = at;
            }
        }
    }
}

static void activate(const struct lab_lrt_net *net, struct lab_lrt_layer *l)
{
    const size_t n = top_pixels(l) * l->out_c;
    const float *from = l->pool ? l->top : l->z;
    float *to = l->top;
    if (!l->relu) {
        memcpy(to, from, n * sizeof(float));
        return;
    }
    if (net->exact) {
        for (size_t i = 0; i < n; i++) {
            to[i] = from[i] > 0 ? from[i] : 0;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        to[i] = lab_lrt_grid(from[i], LAB_LRT_STEP, 0, 2.0f - LAB_LRT_STEP);
    }
}

/* The means of one picture, summed pixel by pixel in the order of memory. */
static void follow(struct lab_lrt_norm *n, const float *x, size_t pixels)
{
    float *restrict sum = n->gamma_gradient, *restrict square = n->beta_gradient;
    const uint32_t channels = n->channels;
    const float share = 1.0f / (float)pixels;
    memset(sum, 0, channels * sizeof(float));
    memset(square, 0, channels * sizeof(float));
    for (size_t i = 0; i < pixels; i++) {
        for (uint32_t c = 0; c < channels; c++) {
            const float v = x[i * channels + c];
            sum[c] += v;
            square[c] += v * v;
        }
    }
    for (uint32_t c = 0; c < channels; c++) {
        n->mean[c] += NORM_WEIGHT * (sum[c] * share - n->mean[c]);
        n->square[c] += NORM_WEIGHT * (square[c] * share - n->square[c]);
        n->slow_mean[c] += SLOW_WEIGHT * (sum[c] * share - n->slow_mean[c]);
        n->slow_square[c] += SLOW_WEIGHT * (square[c] * share - n->slow_square[c]);
    }
    n->steps++;
}

static void settle(struct lab_lrt_norm *n, bool stream)
{
    const float weight = stream ? NORM_WEIGHT : SLOW_WEIGHT;
    const float start = n->steps == 0 ? 1 : 1.0f - powf(1.0f - weight, (float)n->steps);
    for (uint32_t c = 0; c < n->channels; c++) {
        const float mean = (stream ? n->mean[c] : n->slow_mean[c]) / start;
        const float square = (stream ? n->square[c] : n->slow_square[c]) / start;
        const float variance = fminf(fmaxf(square - mean * mean, NORM_EPSILON), 1e8f);
        n->mean_now[c] = mean;
        n->scale_now[c] = 1.0f / sqrtf(variance + NORM_EPSILON);
    }
}

static void normalise(struct lab_lrt_net *net, struct lab_lrt_layer *l, bool stream)
{
    struct lab_lrt_norm *n = &net->norm[l->norm];
    const size_t pixels = top_pixels(l);
    if (stream) {
        follow(n, l->top, pixels);
    }
    settle(n, stream);
    for (size_t i = 0; i < pixels; i++) {
        const float *x = l->top + i * n->channels;
        float *y = l->out + i * n->channels;
        for (uint32_t c = 0; c < n->channels; c++) {
            float v = !net->normalise
                          ? x[c]
                          : n->gamma[c] * (x[c] - n->mean_now[c]) * n->scale_now[c] + n->beta[c];
            y[c] = net->exact ? v : lab_lrt_grid(v, 1.0f / 64, -2.0f, 2.0f - 1.0f / 64);
        }
    }
}

void lab_lrt_net_forward(struct lab_lrt_net *net, const float *pixels, bool stream)
{
    const float *in = pixels;
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        struct lab_lrt_layer *l = &net->layer[i];
        l->in = in;
        sums(net, l);
        add_bias(net, l);
        if (l->pool) {
            pool(l);
        }
        activate(net, l);
        if (l->norm >= 0) {
            normalise(net, l, stream);
        }
        in = l->out;
    }
}

uint32_t lab_lrt_net_class(const struct lab_lrt_net *net)
{
    const float *z = net->layer[LAB_LRT_LAYERS - 1].z;
    uint32_t best = 0;
    for (uint32_t i = 1; i < LAB_LRT_CLASSES; i++) {
        best = z[i] > z[best] ? i : best;
    }
    return best;
}

/* ---- backward ---- */

/* Gradient of the output, in net->gradient, to that of what the norm read. */
static void norm_backward(struct lab_lrt_net *net, struct lab_lrt_layer *l)
{
    struct lab_lrt_norm *n = &net->norm[l->norm];
    const size_t pixels = top_pixels(l);
    memset(n->gamma_gradient, 0, n->channels * sizeof(float));
    memset(n->beta_gradient, 0, n->channels * sizeof(float));
    for (size_t i = 0; i < pixels; i++) {
        const float *x = l->top + i * n->channels, *y = l->out + i * n->channels;
        float *g = net->gradient + i * n->channels;
        for (uint32_t c = 0; c < n->channels; c++) {
            const bool held = !net->exact && (y[c] <= -2.0f || y[c] >= 2.0f - 1.0f / 64);
            g[c] = held ? 0 : g[c];
            if (net->normalise) {
                n->gamma_gradient[c] += g[c] * (x[c] - n->mean_now[c]) * n->scale_now[c];
                n->beta_gradient[c] += g[c];
                g[c] *= n->gamma[c] * n->scale_now[c];
            }
        }
    }
}

/* net->gradient, of top, to delta before quantisation. */
static void top_backward(struct lab_lrt_net *net, struct lab_lrt_layer *l)
{
    const size_t n = top_pixels(l) * l->out_c;
    const float high = net->exact ? INFINITY : 2.0f - LAB_LRT_STEP;
    float *g = net->gradient;
    for (size_t i = 0; l->relu && i < n; i++) {
        g[i] = l->top[i] > 0 && l->top[i] < high ? g[i] : 0;
    }
    if (!l->pool) {
        memcpy(l->delta, g, n * sizeof(float));
        return;
    }
    const size_t row = (size_t)l->out_w * l->out_c;
    const uint8_t *tap = l->tap;
    memset(l->delta, 0, pixels_of(l) * l->out_c * sizeof(float));
    for (uint32_t y = 0; y + 1 < l->out_h; y += 2) {
        for (uint32_t x = 0; x + 1 < l->out_w; x += 2) {
            float *to = l->delta + y * row + (size_t)x * l->out_c;
            for (uint32_t c = 0; c < l->out_c; c++) {
                to[(*tap / 2) * row + (size_t)(*tap % 2) * l->out_c + c] = *g++;
                tap++;
            }
        }
    }
}

/* Quantises delta, sums the bias gradient, takes alpha in. */
static void finish_delta(struct lab_lrt_net *net, struct lab_lrt_layer *l)
{
    const size_t pixels = pixels_of(l);
    const uint32_t channels = l->out_c;
    const float alpha = l->alpha;
    float *restrict bias = l->bias_gradient;
    l->silent = true;
    memset(bias, 0, channels * sizeof(float));
    for (size_t i = 0; i < pixels; i++) {
        float *restrict d = l->delta + i * channels;
        float most = 0;
        for (uint32_t c = 0; !net->fine && c < channels; c++) {
            d[c] = lab_lrt_grid(d[c], LAB_LRT_STEP, -1.0f, 1.0f - LAB_LRT_STEP);
        }
        for (uint32_t c = 0; c < channels; c++) {
            bias[c] += d[c];
            most += fabsf(d[c]);
            d[c] *= alpha;
        }
        l->silent = l->silent && most == 0;
    }
}

/* delta with zeros around it, so that the flipped kernel finds every gradient. */
static const float *spread_out(struct lab_lrt_net *net, const struct lab_lrt_layer *l)
{
    const uint32_t edge = l->kernel - 1, width = l->in_w + edge;
    const size_t line = (size_t)l->out_w * l->out_c;
    if (edge == 0) {
        return l->delta;
    }
    memset(net->spread, 0, (size_t)(l->in_h + edge) * width * l->out_c * sizeof(float));
    for (uint32_t y = 0; y < l->out_h; y++) {
        memcpy(net->spread + ((size_t)(y + edge) * width + edge) * l->out_c, l->delta + y * line,
               line * sizeof(float));
    }
    return net->spread;
}

/* delta -> net->gradient, of the layer's input */
static void input_gradient(struct lab_lrt_net *net, const struct lab_lrt_layer *l)
{
    const float *from = spread_out(net, l);
    const ptrdiff_t row = (ptrdiff_t)(l->in_w + l->kernel - 1) * l->out_c;
    const ptrdiff_t wide = (ptrdiff_t)l->kernel * l->out_c;
    const struct train_product p = {
        .a = from,
        .a_line = row,
        .a_row = l->out_c,
        .a_outer = row,
        .a_inner = 1,
        .b = l->backward,
        .b_outer = wide * PANEL,
        .b_inner = PANEL,
        .panel = wide * l->kernel * PANEL,
        .c = net->gradient,
        .c_line = (ptrdiff_t)l->in_w * l->in_c,
        .c_row = l->in_c,
        .lines = l->in_h,
        .rows = l->in_w,
        .columns = l->in_c,
        .outer = l->kernel,
        .inner = (uint32_t)wide,
    };
    net->ops->product(&p);
}

static float loss_gradient(const float *scores, uint32_t label, float *gradient)
{
    float most = scores[0], sum = 0;
    for (uint32_t i = 1; i < LAB_LRT_CLASSES; i++) {
        most = fmaxf(most, scores[i]);
    }
    for (uint32_t i = 0; i < LAB_LRT_CLASSES; i++) {
        gradient[i] = expf(scores[i] - most);
        sum += gradient[i];
    }
    for (uint32_t i = 0; i < LAB_LRT_CLASSES; i++) {
        gradient[i] = gradient[i] / sum - (i == label ? 1.0f : 0.0f);
    }
    return logf(sum) - (scores[label] - most);
}

float lab_lrt_net_backward(struct lab_lrt_net *net, uint32_t label)
{
    float loss = loss_gradient(net->layer[LAB_LRT_LAYERS - 1].z, label, net->gradient);
    bool silent = false;
    for (uint32_t i = LAB_LRT_LAYERS; i-- > 0;) {
        struct lab_lrt_layer *l = &net->layer[i];
        if (silent) { /* nothing came through the layer above */
            memset(net->gradient, 0, top_pixels(l) * l->out_c * sizeof(float));
        }
        if (l->norm >= 0) {
            norm_backward(net, l);
        }
        top_backward(net, l);
        finish_delta(net, l);
        silent = l->silent;
        if (i > 0 && !silent) {
            input_gradient(net, l);
        }
    }
    return loss;
}

/* 1 where a value is not zero. */
static const float *indicate(const float *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i] != 0 ? 1.0f : 0.0f;
    }
    return to;
}

void lab_lrt_net_weight_gradient(struct lab_lrt_net *net, uint32_t layer, bool count,
                                 float *gradient)
{
    const struct lab_lrt_layer *l = &net->layer[layer];
    const size_t row = (size_t)l->in_w * l->in_c;
    const float *delta = l->delta, *in = l->in;
    if (count) {
        delta = indicate(delta, pixels_of(l) * l->out_c, net->spread);
        in = indicate(in, l->in_h * row, net->gradient);
    }
    for (uint32_t ky = 0; ky < l->kernel; ky++) {
        const struct train_product p = {
            .a = delta,
            .a_row = 1,
            .a_outer = (ptrdiff_t)l->out_w * l->out_c,
            .a_inner = l->out_c,
            .b = in + ky * row,
            .b_outer = (ptrdiff_t)row,
            .b_inner = l->in_c,
            .c = gradient + (size_t)ky * l->kernel * l->in_c,
            .c_row = l->patch,
            .lines = 1,
            .rows = l->out_c,
            .columns = l->kernel * l->in_c,
            .outer = l->out_h,
            .inner = l->out_w,
            .accumulate = true,
        };
        net->ops->product(&p);
    }
}
