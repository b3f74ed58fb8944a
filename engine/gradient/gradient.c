/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Log-gradient codes of linear planes, by their definition in gradient.h. Rows are taken in chunks:
 * the codes of each channel are computed contiguously, which compilers vectorise, and then
 * interleaved. No logarithm is taken but for the float reference.
 */
#include "engine/gradient/gradient.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/gradient/srgb.h"

#define PLANES_MAX 3u
#define CHUNK      256u

static bool ratios_rise(const struct gradient_ratio *ratio, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ratio[i].q < 1 || ratio[i].q >= ratio[i].p || ratio[i].p > 4096) {
            return false;
        }
        if (i > 0 &&
            (uint32_t)ratio[i].p * ratio[i - 1].q <= (uint32_t)ratio[i - 1].p * ratio[i].q) {
            return false;
        }
    }
    return true;
}

static size_t levels(const struct gradient_spec *spec)
{
    switch (spec->coding) {
    case GRADIENT_CODING_TERNARY:
        return 1;
    case GRADIENT_CODING_SEVEN:
        return 3;
    default:
        return 0;
    }
}

int gradient_spec_check(const struct gradient_spec *spec)
{
    bool ok = spec->planes == 1 || spec->planes == 3;

    if (spec->source == GRADIENT_SOURCE_SRGB) {
        ok = ok && spec->merge == GRADIENT_MERGE_ALL &&
             (spec->coding == GRADIENT_CODING_U7 || spec->coding == GRADIENT_CODING_F32 ||
              (spec->coding == GRADIENT_CODING_THERMOMETER && spec->levels % 2 == 1 &&
               spec->levels <= 127));
    } else if (spec->source == GRADIENT_SOURCE_LOG_GRADIENT) {
        ok = ok && spec->floor >= 1 &&
             (spec->merge == GRADIENT_MERGE_ALL || spec->merge == GRADIENT_MERGE_STRONGEST) &&
             (levels(spec) > 0 || spec->coding == GRADIENT_CODING_F32) &&
             ratios_rise(spec->ratio, levels(spec));
    } else {
        ok = false;
    }
    return ok ? 0 : -EINVAL;
}

/* The neighbours of a chunk of pixels of one plane: before is left or above, after right or below.
 */
struct pair {
    const uint16_t *before, *after;
};

/* One level's -1, 0 or 1 of a pixel. (I1 + f) Q > (I0 + f) P is I1 Q - I0 P > f (P - Q), and
 * the mirrored test has the same right side. Products are of two 16-bit numbers, which baseline
 * vector units widen, and stay below 2^28. */
static inline int8_t level_of(uint16_t before, uint16_t after, struct gradient_ratio ratio,
                              int32_t margin)
{
    const int32_t up = (int32_t)((uint32_t)after * ratio.q - (uint32_t)before * ratio.p);
    const int32_t down = (int32_t)((uint32_t)before * ratio.q - (uint32_t)after * ratio.p);

    return (int8_t)((up > margin) - (down > margin));
}

/* Adds one level to codes[n]. */
static void add_level(struct pair pair, size_t n, uint16_t floor, struct gradient_ratio ratio,
                      int8_t *restrict codes)
{
    const uint16_t *restrict before = pair.before, *restrict after = pair.after;
    const int32_t margin = floor * (ratio.p - ratio.q);

    for (size_t i = 0; i < n; i++) {
        codes[i] = (int8_t)(codes[i] + level_of(before[i], after[i], ratio, margin));
    }
}

/* Both codes of each pixel of one plane, where there is one level: without a detour. */
static void code_plane(struct pair x, struct pair y, size_t n, uint16_t floor,
                       struct gradient_ratio ratio, int8_t *restrict codes)
{
    const uint16_t *restrict left = x.before, *restrict right = x.after;
    const uint16_t *restrict above = y.before, *restrict below = y.after;
    const int32_t margin = floor * (ratio.p - ratio.q);

    for (size_t i = 0; i < n; i++) {
        codes[2 * i] = level_of(left[i], right[i], ratio, margin);
        codes[2 * i + 1] = level_of(above[i], below[i], ratio, margin);
    }
}

static void code_levels(const struct gradient_spec *spec, struct pair pair, size_t n,
                        uint16_t floor, int8_t *codes)
{
    memset(codes, 0, n);
    for (size_t k = 0; k < levels(spec); k++) {
        add_level(pair, n, floor, spec->ratio[k], codes);
    }
}

static void code_float(struct pair pair, size_t n, uint16_t floor, float *codes)
{
    for (size_t i = 0; i < n; i++) {
        double b = pair.before[i] + floor, a = pair.after[i] + floor;

        codes[i] = (float)(log(a) - log(b));
    }
}

/* A product of two ratios >= 1, as one fraction: terms below 2^34. */
struct strength {
    uint64_t num, den;
};

static struct strength strength_of(struct pair x, struct pair y, size_t i, uint16_t floor)
{
    uint64_t x0 = x.before[i] + (uint64_t)floor, x1 = x.after[i] + (uint64_t)floor;
    uint64_t y0 = y.before[i] + (uint64_t)floor, y1 = y.after[i] + (uint64_t)floor;

    return (struct strength){
        .num = (x0 > x1 ? x0 : x1) * (y0 > y1 ? y0 : y1),
        .den = (x0 > x1 ? x1 : x0) * (y0 > y1 ? y1 : y0),
    };
}

/* a > b, exactly. The cross products have up to 68 bits, so they are compared as two words of base
 * 2^17. */
static bool stronger(struct strength a, struct strength b)
{
    const uint64_t low = (1u << 17) - 1;
    uint64_t a_low = (a.num & low) * b.den, b_low = (b.num & low) * a.den;
    uint64_t a_high = (a.num >> 17) * b.den + (a_low >> 17);
    uint64_t b_high = (b.num >> 17) * a.den + (b_low >> 17);

    return a_high > b_high || (a_high == b_high && (a_low & low) > (b_low & low));
}

static void pick_strongest(const struct pair *x, const struct pair *y, uint32_t planes, size_t n,
                           uint16_t floor, uint8_t *picks)
{
    for (size_t i = 0; i < n; i++) {
        struct strength best = strength_of(x[0], y[0], i, floor);

        picks[i] = 0;
        for (uint32_t p = 1; p < planes; p++) {
            struct strength other = strength_of(x[p], y[p], i, floor);

            if (stronger(other, best)) {
                best = other;
                picks[i] = (uint8_t)p;
            }
        }
    }
}

/* The codes of up to CHUNK pixels, one channel after the other: gx of each plane, then gy. */
union channels {
    int8_t s8[2 * PLANES_MAX][CHUNK];
    float f32[2 * PLANES_MAX][CHUNK];
};

static void interleave_s8(int8_t from[][CHUNK], uint32_t channels, size_t n, int8_t *restrict to)
{
    for (size_t i = 0; i < n; i++) {
        for (uint32_t c = 0; c < channels; c++) {
            to[i * channels + c] = from[c][i];
        }
    }
}

static void interleave_f32(float from[][CHUNK], uint32_t channels, size_t n, float *restrict to)
{
    for (size_t i = 0; i < n; i++) {
        for (uint32_t c = 0; c < channels; c++) {
            to[i * channels + c] = from[c][i];
        }
    }
}

static void emit(const struct gradient_spec *spec, union channels *from, const uint8_t *picks,
                 size_t n, size_t at, void *codes)
{
    const uint32_t planes = spec->planes, channels = gradient_channels(spec);
    const bool is_float = spec->coding == GRADIENT_CODING_F32;

    if (spec->merge == GRADIENT_MERGE_ALL) {
        if (is_float) {
            interleave_f32(from->f32, channels, n, (float *)codes + at * channels);
        } else {
            interleave_s8(from->s8, channels, n, (int8_t *)codes + at * channels);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (uint32_t c = 0; c < 2; c++) {
            uint32_t source = c * planes + picks[i];

            if (is_float) {
                ((float *)codes)[(at + i) * 2 + c] = from->f32[source][i];
            } else {
                ((int8_t *)codes)[(at + i) * 2 + c] = from->s8[source][i];
            }
        }
    }
}

/* row[x - 1 .. x + n] with the borders replicated, into line[0 .. n + 1]. */
static void copy_line(const uint16_t *row, size_t width, size_t x, size_t n, uint16_t *line)
{
    line[0] = row[x > 0 ? x - 1 : 0];
    memcpy(line + 1, row + x, n * sizeof *row);
    line[n + 1] = row[x + n < width ? x + n : width - 1];
}

static void encode_chunk(const struct gradient_spec *spec, const struct pair *x,
                         const struct pair *y, size_t n, uint16_t floor, size_t at, void *codes)
{
    const uint32_t planes = spec->planes;
    union channels channels;
    uint8_t picks[CHUNK];

    for (uint32_t p = 0; p < planes; p++) {
        if (spec->coding == GRADIENT_CODING_F32) {
            code_float(x[p], n, floor, channels.f32[p]);
            code_float(y[p], n, floor, channels.f32[planes + p]);
        } else {
            code_levels(spec, x[p], n, floor, channels.s8[p]);
            code_levels(spec, y[p], n, floor, channels.s8[planes + p]);
        }
    }
    if (spec->merge == GRADIENT_MERGE_STRONGEST) {
        pick_strongest(x, y, planes, n, floor, picks);
    }
    emit(spec, &channels, picks, n, at, codes);
}

static void encode_log(const struct gradient_spec *spec, const uint16_t *planes, size_t width,
                       size_t height, uint16_t floor, void *codes)
{
    struct pair x[PLANES_MAX], y[PLANES_MAX];
    uint16_t lines[PLANES_MAX][CHUNK + 2];
    const bool direct = spec->planes == 1 && levels(spec) == 1;

    for (size_t row = 0; row < height; row++) {
        size_t above = row > 0 ? row - 1 : 0, below = row + 1 < height ? row + 1 : row;

        for (size_t at = 0; at < width; at += CHUNK) {
            size_t n = width - at < CHUNK ? width - at : CHUNK;

            for (uint32_t p = 0; p < spec->planes; p++) {
                const uint16_t *plane = planes + p * width * height;

                copy_line(plane + row * width, width, at, n, lines[p]);
                x[p] = (struct pair){lines[p], lines[p] + 2};
                y[p] = (struct pair){plane + above * width + at, plane + below * width + at};
            }
            if (direct) {
                code_plane(x[0], y[0], n, floor, spec->ratio[0],
                           (int8_t *)codes + 2 * (row * width + at));
            } else {
                encode_chunk(spec, x, y, n, floor, row * width + at, codes);
            }
        }
    }
}

void gradient_encode(const struct gradient_spec *spec, const uint16_t *planes, uint32_t width,
                     uint32_t height, uint16_t nominal_white, void *codes)
{
    if (spec->source == GRADIENT_SOURCE_SRGB) {
        gradient_srgb_encode(spec, planes, (size_t)width * height, nominal_white, codes);
        return;
    }

    uint32_t floor = ((uint32_t)spec->floor * nominal_white + 32767) / 65535;
    encode_log(spec, planes, width, height, (uint16_t)(floor > 0 ? floor : 1), codes);
}
