/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Makes the scenes of adapt.h, one window at a time.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/lab/adapt.h"
#include "engine/train/train.h"

#define WHITE      65535.0f
#define READ_NOISE 3.0f
#define LEVELS     4095.0f /* of 12 bits */
#define BARS       4u
#define BAR_WIDTH  2u
#define SOFTNESS   1.0f /* of patterns, pixels */

const char *const lab_adapt_names[LAB_ADAPT_SCENES] = {"dusk", "blur", "fence", "hedge", "glass"};

static float uniform(uint64_t seed, uint64_t stream, uint64_t number)
{
    return (float)(train_random(seed, stream, number) >> 40) * 0x1p-24f;
}

static float normal(uint64_t seed, uint64_t stream, uint64_t number)
{
    const float u = uniform(seed, stream, 2 * number) + 0x1p-25f;

    return sqrtf(-2 * logf(u)) * cosf(6.2831853f * uniform(seed, stream, 2 * number + 1));
}

/* Gaussian of one line; the border repeats. */
static void smooth_line(float *to, const float *from, uint32_t n, size_t pitch, float sigma)
{
    const int32_t reach = (int32_t)(3 * sigma) + 1;

    for (int32_t i = 0; i < (int32_t)n; i++) {
        float sum = 0, weights = 0;

        for (int32_t k = -reach; k <= reach; k++) {
            const int32_t at = i + k < 0 ? 0 : i + k >= (int32_t)n ? (int32_t)n - 1 : i + k;
            const float weight = expf(-0.5f * (float)(k * k) / (sigma * sigma));

            sum += weight * from[(size_t)at * pitch];
            weights += weight;
        }
        to[(size_t)i * pitch] = sum / weights;
    }
}

static void smooth(const struct lab_adapt_window *w, float *plane, float *work, float sigma)
{
    for (uint32_t y = 0; y < w->height; y++) {
        smooth_line(work + (size_t)y * w->width, plane + (size_t)y * w->width, w->width, 1, sigma);
    }
    for (uint32_t x = 0; x < w->width; x++) {
        smooth_line(plane + x, work + x, w->height, w->width, sigma);
    }
}

/* A soft pattern of 0..1, the same for all planes. */
static void make_pattern(const struct lab_adapt_window *w, uint64_t seed, float *plane, float *work)
{
    const size_t n = (size_t)w->width * w->height;
    float low = 1, high = 0;

    for (size_t i = 0; i < n; i++) {
        plane[i] = uniform(seed, 11, i);
    }
    smooth(w, plane, work, SOFTNESS);
    for (size_t i = 0; i < n; i++) {
        low = fminf(low, plane[i]);
        high = fmaxf(high, plane[i]);
    }
    for (size_t i = 0; i < n; i++) {
        plane[i] = (plane[i] - low) / (high - low);
    }
}

static float dusk(float v, float electrons, uint64_t seed, uint64_t number)
{
    const float mean = v / WHITE * electrons;
    const float seen = mean + sqrtf(mean + READ_NOISE * READ_NOISE) * normal(seed, 12, number);
    const float level =
        floorf(seen / electrons * LEVELS / 8 + 0.5f); /* white is 1/8 of the scale */

    return level * 8 / LEVELS * WHITE;
}

static bool in_bar(const struct lab_adapt_window *w, uint64_t seed, uint32_t x)
{
    for (uint32_t bar = 0; bar < BARS; bar++) {
        const uint32_t place = w->width * (2 * bar + 1) / (2 * BARS);
        const uint32_t shift = (uint32_t)(train_random(seed, 13, bar) % 3);

        if (x + 1 >= place + shift && x + 1 < place + shift + BAR_WIDTH) {
            return true;
        }
    }
    return false;
}

void lab_adapt_show(enum lab_adapt_scene scene, const struct lab_adapt_window *window,
                    double strength, uint64_t seed, uint64_t number, const uint16_t *from,
                    float *work, uint16_t *to)
{
    const struct lab_adapt_window *w = window;
    const size_t n = (size_t)w->width * w->height;
    const float s = (float)strength;
    const uint32_t hidden = (uint32_t)lround(strength * w->height);
    float *plane = work, *other = work + n;

    for (uint32_t p = 0; p < w->planes; p++, from += n, to += n) {
        if (scene == LAB_ADAPT_BLUR) {
            for (size_t i = 0; i < n; i++) {
                plane[i] = from[i];
            }
            smooth(w, plane, other, 0.05f + 4 * s);
        } else {
            make_pattern(w, seed, plane, other);
        }
        for (size_t i = 0; i < n; i++) {
            const float v = from[i], pattern = plane[i];
            float out = v;

            switch (scene) {
            case LAB_ADAPT_DUSK:
                out = dusk(v, 30000 * powf(2, -12 * s), seed, (number * w->planes + p) * n + i);
                break;
            case LAB_ADAPT_BLUR:
                out = pattern;
                break;
            case LAB_ADAPT_FENCE:
                out =
                    in_bar(w, seed, (uint32_t)(i % w->width)) ? (1 - s) * v + s * 0.02f * WHITE : v;
                break;
            case LAB_ADAPT_HEDGE:
                out = i / w->width >= w->height - hidden ? (0.05f + 0.3f * pattern) * WHITE : v;
                break;
            default:
                out = v + s * pattern * WHITE;
                break;
            }
            to[i] = (uint16_t)fminf(fmaxf(out + 0.5f, 0), WHITE);
        }
    }
}
