/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See lrt_data.h. */
#include "engine/lab/lrt_data.h"

#include <math.h>
#include <string.h>

#include "engine/train/train.h"

#define SIDE LAB_LRT_SIDE

/* Streams of train_random; below them are the layers of a network. */
enum { STREAM_DIGIT = 100, STREAM_FIELD, STREAM_MAP, STREAM_LIGHT, STREAM_NOISE, STREAM_DRIFT };

enum { SHIFT_CD = 1, SHIFT_ST = 2, SHIFT_BG = 4, SHIFT_WN = 8 };

static const struct {
    const char *name;
    unsigned what;
} segments[LAB_LRT_SEGMENTS] = {
    {"CD", SHIFT_CD},
    {"ST", SHIFT_ST},
    {"BG", SHIFT_BG},
    {"WN", SHIFT_WN},
    {"ST+WN", SHIFT_ST | SHIFT_WN},
    {"ST+BG", SHIFT_ST | SHIFT_BG},
    {"BG+WN", SHIFT_BG | SHIFT_WN},
    {"ST+BG+WN", SHIFT_ST | SHIFT_BG | SHIFT_WN},
    {"all four", SHIFT_CD | SHIFT_ST | SHIFT_BG | SHIFT_WN},
    {"none", 0},
};

const char *lab_lrt_environment_name(uint32_t environment)
{
    static const char *const names[] = {"control", "shift", "analog", "digital"};
    return names[environment];
}

const char *lab_lrt_segment_name(uint32_t segment)
{
    return segments[segment].name;
}

/* Random numbers of one picture: counters from its index on. */
struct draw {
    uint64_t seed, stream, counter;
};

static struct draw draw_of(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (struct draw){seed, stream, index << 16};
}

static double uniform(struct draw *draw, double low, double high)
{
    const uint64_t bits = train_random(draw->seed, draw->stream, draw->counter++) >> 11;
    return low + (high - low) * ((double)bits + 0.5) * 0x1p-53;
}

/* Box and Muller 1958. */
static double normal(struct draw *draw, double sigma)
{
    const double r = sqrt(-2 * log(uniform(draw, 0, 1)));
    return sigma * r * cos(2 * M_PI * uniform(draw, 0, 1));
}

/* ---- elastic distortion ---- */

static const double pairs[][2] = {{1, 0},   {2, 25},  {2, 50},  {3, 100}, {3, 150}, {4, 200},
                                  {4, 300}, {5, 300}, {5, 500}, {6, 600}, {7, 1200}};

enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]), RADIUS_MAX = SIDE };

/* One axis of the Gaussian; beyond the picture there is zero. step: 1 along x, SIDE along y. */
static void smooth(float *field, const float *kernel, int radius, size_t step, size_t across)
{
    for (size_t line = 0; line < SIDE; line++) {
        float copy[SIDE];
        for (int i = 0; i < (int)SIDE; i++) {
            const int first = i < radius ? -i : -radius;
            const int last = i + radius < (int)SIDE ? radius : (int)SIDE - 1 - i;
            float sum = 0;
            for (int k = first; k <= last; k++) {
                sum += kernel[k < 0 ? -k : k] * field[line * across + (size_t)(i + k) * step];
            }
            copy[i] = sum;
        }
        for (size_t i = 0; i < SIDE; i++) {
            field[line * across + i * step] = copy[i];
        }
    }
}

static void make_field(struct draw *draw, double sigma, double alpha, float *field)
{
    float kernel[RADIUS_MAX + 1];
    const int radius = (int)(4 * sigma + 0.5) < RADIUS_MAX ? (int)(4 * sigma + 0.5) : RADIUS_MAX;
    double sum = 0;
    for (int i = 0; i <= radius; i++) {
        kernel[i] = (float)exp(-0.5 * i * i / (sigma * sigma));
        sum += (i == 0 ? 1 : 2) * (double)kernel[i];
    }
    for (int i = 0; i <= radius; i++) {
        kernel[i] /= (float)sum;
    }
    for (size_t i = 0; i < LAB_LRT_PIXELS; i++) {
        field[i] = (float)(alpha * uniform(draw, -1, 1));
    }
    smooth(field, kernel, radius, 1, SIDE);
    smooth(field, kernel, radius, SIDE, 1);
}

/* Between the pixels around (x, y); zero outside. */
static float sample(const uint8_t *digit, double x, double y)
{
    if (!(x > -1 && y > -1 && x < SIDE && y < SIDE)) {
        return 0;
    }
    const int left = (int)floor(x), top = (int)floor(y);
    const double fx = x - left, fy = y - top;
    double sum = 0;
    for (int dy = 0; dy < 2; dy++) {
        for (int dx = 0; dx < 2; dx++) {
            const int px = left + dx, py = top + dy;
            if (px >= 0 && py >= 0 && px < (int)SIDE && py < (int)SIDE) {
                sum += (dx ? fx : 1 - fx) * (dy ? fy : 1 - fy) * digit[py * (int)SIDE + px];
            }
        }
    }
    return (float)(sum / 255);
}

void lab_lrt_distort(const uint8_t *digit, uint64_t seed, uint64_t index, bool affine,
                     float *pixels)
{
    float field[2][LAB_LRT_PIXELS];
    struct draw draw = draw_of(seed, STREAM_FIELD, index), map = draw_of(seed, STREAM_MAP, index);
    const double *pair = pairs[(size_t)uniform(&draw, 0, PAIRS)];
    double scale = 1, turn = 0, move[2] = {0, 0};
    make_field(&draw, pair[0], pair[1] / 10, field[0]);
    make_field(&draw, pair[0], pair[1] / 10, field[1]);
    if (affine) {
        scale = exp(normal(&map, 0.1));
        turn = normal(&map, 10 * M_PI / 180);
        move[0] = normal(&map, 2);
        move[1] = normal(&map, 2);
    }
    const double middle = (SIDE - 1) / 2.0, c = cos(turn) / scale, s = sin(turn) / scale;
    for (uint32_t y = 0; y < SIDE; y++) {
        for (uint32_t x = 0; x < SIDE; x++) {
            const double dx = x - middle - move[0], dy = y - middle - move[1];
            const size_t at = y * SIDE + x;
            pixels[at] = sample(digit, middle + c * dx + s * dy + (double)field[0][at],
                                middle - s * dx + c * dy + (double)field[1][at]);
        }
    }
}

/* ---- the stream ---- */

static void light(struct draw *draw, float *pixels)
{
    const double contrast = uniform(draw, 0.3, 1), offset = uniform(draw, 0, 0.7);
    const double slope = uniform(draw, -0.5, 0.5), turn = uniform(draw, 0, 2 * M_PI);
    for (uint32_t y = 0; y < SIDE; y++) {
        for (uint32_t x = 0; x < SIDE; x++) {
            const double along = (cos(turn) * x + sin(turn) * y) / SIDE - 0.5;
            float *p = &pixels[y * SIDE + x];
            *p = (float)(contrast * (double)*p + offset + slope * along);
        }
    }
}

static void noise(struct draw *draw, float *pixels)
{
    const double sigma = exp(uniform(draw, log(0.03), log(0.3)));
    for (size_t i = 0; i < LAB_LRT_PIXELS; i++) {
        pixels[i] += (float)normal(draw, sigma);
    }
}

static uint32_t draw_digit(const struct lab_lrt_stream *stream, struct draw *draw)
{
    switch (stream->source) {
    case LAB_LRT_FROM_OFFLINE:
        return (uint32_t)uniform(draw, 0, LAB_LRT_OFFLINE);
    case LAB_LRT_FROM_VALIDATION:
        return (uint32_t)uniform(draw, LAB_LRT_OFFLINE, LAB_LRT_OFFLINE + LAB_LRT_VALIDATION);
    default:
        return (uint32_t)uniform(draw, LAB_LRT_OFFLINE + LAB_LRT_VALIDATION, LAB_LRT_DIGITS);
    }
}

/* A digit of a class near the one of this time, most often. */
static uint32_t draw_clustered(const struct lab_lrt_stream *stream, struct draw *draw,
                               double position)
{
    const uint32_t center = (uint32_t)(position * LAB_LRT_CLASSES);
    if (uniform(draw, 0, 1) < 0.3) {
        return draw_digit(stream, draw);
    }
    const uint32_t wanted =
        (center + (uint32_t)uniform(draw, 0, 2)) % LAB_LRT_CLASSES; /* or its neighbour */
    uint32_t digit = draw_digit(stream, draw);
    for (int tries = 0; tries < 200 && stream->digits->labels[digit] != wanted; tries++) {
        digit = draw_digit(stream, draw);
    }
    return digit;
}

void lab_lrt_picture(const struct lab_lrt_stream *stream, uint64_t index, float *pixels,
                     uint32_t *ret_label)
{
    const uint64_t seed = stream->seed + 1000 * (uint64_t)stream->source;
    const uint64_t part = (stream->length + LAB_LRT_SEGMENTS - 1) / LAB_LRT_SEGMENTS;
    const uint64_t segment = index / part < LAB_LRT_SEGMENTS ? index / part : LAB_LRT_SEGMENTS - 1;
    const unsigned what = stream->environment == LAB_LRT_SHIFT ? segments[segment].what : 0;
    struct draw draw = draw_of(seed, STREAM_DIGIT, index);
    struct draw lamp = draw_of(seed, STREAM_LIGHT, index);
    struct draw grain = draw_of(seed, STREAM_NOISE, index);
    const uint32_t digit =
        what & SHIFT_CD ? draw_clustered(stream, &draw, (double)(index % part) / (double)part)
                        : draw_digit(stream, &draw);
    lab_lrt_distort(stream->digits->pixels + (size_t)digit * LAB_LRT_PIXELS, seed, index,
                    (what & SHIFT_ST) != 0, pixels);
    if (what & SHIFT_BG) {
        light(&lamp, pixels);
    }
    if (what & SHIFT_WN) {
        noise(&grain, pixels);
    }
    for (size_t i = 0; i < LAB_LRT_PIXELS; i++) {
        pixels[i] = lab_lrt_grid(pixels[i], LAB_LRT_STEP, 0, 1);
    }
    *ret_label = stream->digits->labels[digit];
}

/* ---- drift ---- */

/* Standard normal numbers in units of a code, rounded, at the middles of 2^12 equal parts of the
 * distribution: the inverse by bisection of erf. */
static void normal_steps(double sigma, int8_t table[4096])
{
    for (int i = 0; i < 4096; i++) {
        const double p = (i + 0.5) / 4096;
        double low = -6, high = 6;
        for (int k = 0; k < 50; k++) {
            const double mid = (low + high) / 2;
            *(0.5 * (1 + erf(mid / M_SQRT2)) < p ? &low : &high) = mid;
        }
        table[i] = (int8_t)lround(sigma * low / (double)LAB_LRT_STEP);
    }
}

static void drift_analog(struct lab_lrt_layer *l, const int8_t table[4096], uint64_t seed,
                         uint64_t stream, uint64_t index)
{
    const size_t count = (size_t)l->out_c * l->patch;
    for (size_t i = 0; i < count; i += 5) { /* five of 12 bits in a random number */
        uint64_t bits = train_random(seed, stream, index * count + i);
        for (size_t k = i; k < i + 5 && k < count; k++, bits >>= 12) {
            const int code = l->codes[k] + table[bits % 4096];
            l->codes[k] = (int8_t)(code < -128 ? -128 : code > 127 ? 127 : code);
        }
    }
}

/* Lengths between flipped bits are geometric. */
static void drift_digital(struct lab_lrt_layer *l, uint64_t seed, uint64_t stream, uint64_t index)
{
    const double bits = 8.0 * l->out_c * l->patch;
    struct draw draw = {seed, stream, index << 24};
    for (double at = floor(log(uniform(&draw, 0, 1)) / log1p(-1e-4)); at < bits;
         at += 1 + floor(log(uniform(&draw, 0, 1)) / log1p(-1e-4))) {
        const size_t bit = (size_t)at;
        l->codes[bit / 8] = (int8_t)((uint8_t)l->codes[bit / 8] ^ 1u << bit % 8);
    }
}

void lab_lrt_drift(struct lab_lrt_net *net, enum lab_lrt_environment environment, uint64_t seed,
                   uint64_t index)
{
    if (environment != LAB_LRT_ANALOG && environment != LAB_LRT_DIGITAL) {
        return;
    }
    int8_t table[4096];
    normal_steps(10 / sqrt(1e5), table);
    for (uint32_t i = 0; i < LAB_LRT_LAYERS; i++) {
        struct lab_lrt_layer *l = &net->layer[i];
        if (environment == LAB_LRT_ANALOG) {
            drift_analog(l, table, seed, STREAM_DRIFT + i, index);
        } else {
            drift_digital(l, seed, STREAM_DRIFT + i, index);
        }
        lab_lrt_net_touch(net, i);
    }
}
