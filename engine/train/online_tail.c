/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The layers that learn: forward in exact integers, forward and backward in float. Windows of a
 * convolution are lines of adjacent values, so that the inner loops are dot products of lines.
 */
#include <math.h>
#include <string.h>

#include "engine/train/online_internal.h"

#define LANES 8u

const float *train_online_window(const struct online_node *node, uint32_t pixel)
{
    const uint32_t y = pixel / node->out.width, x = pixel % node->out.width;

    return node->in_map + y * node->stride[0] * node->pitch +
           (size_t)x * node->stride[1] * node->in.channels;
}

static size_t window_at(const struct online_node *node, uint32_t y, uint32_t x)
{
    return y * node->stride[0] * node->pitch + (size_t)x * node->stride[1] * node->in.channels;
}

/* Where value (0, 0, 0) of a node's input lies. */
static size_t inside(const struct online_node *node)
{
    return node->pad[0] * node->pitch + (size_t)node->pad[1] * node->in.channels;
}

static uint32_t pixels_of(const struct online_node *node)
{
    return node->out.height * node->out.width;
}

/* ---- integers ---- */

/* REQUANTISATION of engine/kernel/kernel.h. */
static int64_t requantise(const struct network_layer *layer, uint32_t channel, int64_t t)
{
    const int64_t h = (t * (INT64_C(1) << layer->preshift) * layer->mult[channel]) >> 32;

    return (h + (INT64_C(1) << (layer->shift - 1))) >> layer->shift;
}

static int32_t dot_codes(const int8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static int64_t sum_codes(const struct online_node *node, const int8_t *codes, const int8_t *from)
{
    const size_t line = node->columns / node->kernel[0];
    int64_t sum = 0;

    for (uint32_t k = 0; k < node->kernel[0]; k++) {
        sum += dot_codes(codes + k * line, from + k * node->pitch, line);
    }
    return sum;
}

static void exact_weighted(const struct online_node *node, const struct online_values *values,
                           int8_t *to, size_t to_pitch, int32_t *scores)
{
    for (uint32_t y = 0; y < node->out.height; y++) {
        for (uint32_t x = 0; x < node->out.width; x++) {
            const int8_t *from = node->in_codes + window_at(node, y, x);

            for (uint32_t o = 0; o < node->rows; o++) {
                const int64_t t = sum_codes(node, values->codes + (size_t)o * node->columns, from) +
                                  values->bias[o];
                const int64_t r = requantise(node->layer, o, t);

                if (scores != NULL) {
                    scores[o] = (int32_t)r;
                } else {
                    to[y * to_pitch + x * node->rows + o] = (int8_t)(r < 0 ? 0 : r > 127 ? 127 : r);
                }
            }
        }
    }
}

static void exact_pool(const struct online_node *node, int8_t *to, size_t to_pitch)
{
    const uint32_t n = node->in.channels;

    for (uint32_t y = 0; y < node->out.height; y++) {
        for (uint32_t x = 0; x < node->out.width; x++) {
            const int8_t *from = node->in_codes + window_at(node, y, x);

            for (uint32_t c = 0; c < n; c++) {
                int8_t most = INT8_MIN;

                for (uint32_t k = 0; k < (uint32_t)node->kernel[0] * node->kernel[1]; k++) {
                    const int8_t v = from[k / node->kernel[1] * node->pitch +
                                          (size_t)(k % node->kernel[1]) * n + c];
                    most = v > most ? v : most;
                }
                to[y * to_pitch + (size_t)x * n + c] = most;
            }
        }
    }
}

static void load_codes(struct online_node *node, const int8_t *latent)
{
    const size_t line = (size_t)node->in.width * node->in.channels;

    for (uint32_t y = 0; y < node->in.height; y++) {
        memcpy(node->in_codes + inside(node) + y * node->pitch, latent + y * line, line);
    }
}

void train_online_exact(struct train_online *online, enum online_which which, const int8_t *latent,
                        int32_t *scores)
{
    load_codes(&online->nodes[0], latent);
    for (uint32_t i = 0; i < online->node_count; i++) {
        struct online_node *node = &online->nodes[i];
        struct online_node *next = node == online->last ? NULL : node + 1;
        int8_t *to = next != NULL ? next->in_codes + inside(next) : NULL;
        const size_t pitch = next != NULL ? next->pitch : 0;

        if (node->weighted) {
            exact_weighted(node, which == ONLINE_SHOWN ? &node->shown : &node->trial, to, pitch,
                           next == NULL ? scores : NULL);
        } else {
            exact_pool(node, to, pitch);
        }
    }
}

/* ---- float, forward ---- */

static float dot(const float *a, const float *b, size_t n)
{
    float sums[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            sums[k] += a[i + k] * b[i + k];
        }
    }
    for (; i < n; i++) {
        sum += a[i] * b[i];
    }
    for (size_t k = 0; k < LANES; k++) {
        sum += sums[k];
    }
    return sum;
}

static void forward_weighted(struct online_node *node, float *to, size_t to_pitch)
{
    const size_t line = node->columns / node->kernel[0];

    for (uint32_t p = 0; p < pixels_of(node); p++) {
        const float *from = train_online_window(node, p);
        float *out =
            to + p / node->out.width * to_pitch + (size_t)(p % node->out.width) * node->rows;

        for (uint32_t o = 0; o < node->rows; o++) {
            const float *weights = node->weights + (size_t)o * node->columns;
            float t = (float)node->shown.bias[o], z, y;

            for (uint32_t k = 0; k < node->kernel[0]; k++) {
                t += dot(weights + k * line, from + k * node->pitch, line);
            }
            z = t * node->scale[o];
            node->z[(size_t)p * node->rows + o] = z;
            y = floorf(z + 0.5f);
            out[o] = to_pitch == 0 ? z : y < 0 ? 0 : y > 127 ? 127 : y;
        }
    }
}

static void forward_pool(struct online_node *node, float *to, size_t to_pitch)
{
    const uint32_t n = node->in.channels;

    for (uint32_t y = 0; y < node->out.height; y++) {
        for (uint32_t x = 0; x < node->out.width; x++) {
            for (uint32_t c = 0; c < n; c++) {
                const size_t at = window_at(node, y, x) + c;
                size_t best = at;

                for (uint32_t k = 1; k < (uint32_t)node->kernel[0] * node->kernel[1]; k++) {
                    const size_t tap =
                        at + k / node->kernel[1] * node->pitch + (size_t)(k % node->kernel[1]) * n;
                    best = node->in_map[tap] > node->in_map[best] ? tap : best;
                }
                to[y * to_pitch + (size_t)x * n + c] = node->in_map[best];
                node->tap[((size_t)y * node->out.width + x) * n + c] = (uint32_t)best;
            }
        }
    }
}

void train_online_forward(struct train_online *online, const int8_t *latent, float *z)
{
    struct online_node *first = &online->nodes[0];
    const size_t line = (size_t)first->in.width * first->in.channels;

    for (uint32_t y = 0; y < first->in.height; y++) {
        float *to = first->in_map + inside(first) + y * first->pitch;

        for (size_t i = 0; i < line; i++) {
            to[i] = latent[y * line + i];
        }
    }
    for (uint32_t i = 0; i < online->node_count; i++) {
        struct online_node *node = &online->nodes[i];
        struct online_node *next = node == online->last ? NULL : node + 1;
        float *to = next != NULL ? next->in_map + inside(next) : z;
        const size_t pitch = next != NULL ? next->pitch : 0;

        if (node->weighted) {
            forward_weighted(node, to, pitch);
        } else {
            forward_pool(node, to, pitch);
        }
    }
}

/* ---- float, backward ---- */

/* dt from the gradient of the outputs: NULL: of the last layer, where it is dz. */
static void gate(struct online_node *node, const float *delta, bool scores)
{
    const size_t count = (size_t)pixels_of(node) * node->rows;

    for (size_t i = 0; i < count; i++) {
        const bool pass = scores || (node->z[i] > 0 && node->z[i] < 127);

        node->dt[i] = pass ? delta[i] * node->scale[i % node->rows] : 0;
    }
}

static void spread_weighted(const struct online_node *node)
{
    const size_t line = node->columns / node->kernel[0];

    for (uint32_t p = 0; p < pixels_of(node); p++) {
        float *to = node->gradient + (train_online_window(node, p) - node->in_map);

        for (uint32_t o = 0; o < node->rows; o++) {
            const float by = node->dt[(size_t)p * node->rows + o];
            const float *weights = node->weights + (size_t)o * node->columns;

            if (by == 0) {
                continue;
            }
            for (uint32_t k = 0; k < node->kernel[0]; k++) {
                for (size_t i = 0; i < line; i++) {
                    to[k * node->pitch + i] += by * weights[k * line + i];
                }
            }
        }
    }
}

/* in_delta from dt (or, of a pool, from the gradient of its outputs). */
static void spread(struct online_node *node, const float *delta)
{
    const size_t line = (size_t)node->in.width * node->in.channels;
    const size_t height = node->in.height + 2u * node->pad[0];

    memset(node->gradient, 0, height * node->pitch * sizeof(*node->gradient));
    if (node->weighted) {
        spread_weighted(node);
    } else {
        for (size_t i = 0; i < (size_t)pixels_of(node) * node->in.channels; i++) {
            node->gradient[node->tap[i]] += delta[i];
        }
    }
    for (uint32_t y = 0; y < node->in.height; y++) {
        memcpy(node->in_delta + y * line, node->gradient + inside(node) + y * node->pitch,
               line * sizeof(*node->in_delta));
    }
}

void train_online_backward(struct train_online *online, const float *dz)
{
    const float *delta = dz;

    for (uint32_t i = online->node_count; i-- > 0;) {
        struct online_node *node = &online->nodes[i];

        if (node->weighted) {
            gate(node, delta, node == online->last);
        }
        if (i > 0) {
            spread(node, delta);
            delta = node->in_delta;
        }
    }
}
