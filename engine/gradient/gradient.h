/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/gradient: linear planes -> the codes a network's first layer reads. Log-gradient codes in
 * 3 levels (1.5 bit), 7 levels (2.75 bit) or float, after Lu & Murmann, tinyML 2022 (2203.02571),
 * and plain sRGB values for comparison. No memory is allocated, no file is read, no network is
 * known.
 *
 * LOG GRADIENT
 *   Per plane, kernel [-1 0 1] along x (gx) and y (gy), borders replicated: I0 is the left
 *   (upper), I1 the right (lower) neighbour. Float: g = ln(I1 + f) - ln(I0 + f).
 *   Level k (1..n, n = 1 for 3 levels, 3 for 7) has the threshold ratio T_k = P_k / Q_k > 1, rising
 *   with k:
 *       q >= +k  iff  (I1 + f) * Q_k > (I0 + f) * P_k
 *       q <= -k  iff  (I1 + f) * P_k < (I0 + f) * Q_k
 *   in 64-bit (or exact 32-bit) integers: no logarithm is taken on this path. Scaling all values
 *   and f by one power of two changes no code.
 *
 *   f is the floor in counts of a plane whose nominal white is 65535. For planes with another
 *   nominal white N (a sensor that keeps headroom, see image_info) the floor in force is
 *   max(1, (floor * N + 32767) / 65535): the floor belongs to the scene, not to the converter.
 *
 *   Codes are interleaved: codes[y][x][c], c = gx of each plane, then gy of each plane
 *   (GRADIENT_MERGE_ALL, 2 * planes channels), or gx, gy of the one plane with the largest
 *   |ln ratio x| + |ln ratio y| (GRADIENT_MERGE_STRONGEST, 2 channels; compared without logarithms:
 *   product of the two ratios, each taken >= 1; ties go to the lower plane index).
 *
 * sRGB (comparison front end)
 *   v = 8-bit sRGB of min(1, I / N), N the nominal white; codes[y][x][plane] = (v + 1) >> 1 held
 *   to 127 (u7, 64 stands for the zero of x = v/127.5 - 1), or that x as float.
 *
 * THERMOMETER (BinarEye, Moons et al. 2018, 1804.05554; its public code)
 *   q = 2 sgn(x) ceil(|x| M / 2) - sgn(x), M = floor(256 / (3 * 256 / f)) for f filters: 85, 42
 *   and 21 for 256, 128 and 64. q is odd, and the sum of `levels` planes of +-1, levels = M or, M
 *   being even, M - 1. codes[y][x][plane] = (q + levels) / 2: how many of the planes are +1. In
 *   integers.
 */
#ifndef OCELLUS_ENGINE_GRADIENT_GRADIENT_H
#define OCELLUS_ENGINE_GRADIENT_GRADIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gradient_source { GRADIENT_SOURCE_LOG_GRADIENT = 0, GRADIENT_SOURCE_SRGB };

enum gradient_coding {
    GRADIENT_CODING_TERNARY = 0, /* int8 -1, 0, 1    (log gradient) */
    GRADIENT_CODING_SEVEN,       /* int8 -3..3       (log gradient) */
    GRADIENT_CODING_U7,          /* uint8 0..127     (sRGB) */
    GRADIENT_CODING_F32,         /* float            (both) */
    GRADIENT_CODING_THERMOMETER, /* uint8 0..levels  (sRGB) */
};

enum gradient_merge { GRADIENT_MERGE_ALL = 0, GRADIENT_MERGE_STRONGEST };

struct gradient_ratio {
    uint16_t p, q; /* 0 < q < p <= 4096 */
};

/* What a model wants to see. `ratio` uses 1 entry for ternary and F32 (unused there), 3 for seven.
 */
struct gradient_spec {
    uint8_t source; /* enum gradient_source */
    uint8_t coding; /* enum gradient_coding */
    uint8_t merge;  /* enum gradient_merge; log gradient only */
    uint8_t planes; /* 1 or 3 */
    uint8_t levels; /* thermometer: odd, 1..127 */
    bool even;      /* thermometer: M is levels + 1 */
    uint16_t floor; /* counts at nominal white 65535; >= 1 */
    struct gradient_ratio ratio[3];
};

/* 0, or -EINVAL when the fields do not fit together. */
int gradient_spec_check(const struct gradient_spec *spec);

/* Channels per pixel, and bytes of one code (1 or 4). The spec must have passed the check. They are
 * here as a whole so that modules that only size buffers need not link this one. */
static inline uint32_t gradient_channels(const struct gradient_spec *spec)
{
    if (spec->source == GRADIENT_SOURCE_SRGB) {
        return spec->planes;
    }
    return spec->merge == GRADIENT_MERGE_STRONGEST ? 2u : 2u * spec->planes;
}

static inline size_t gradient_code_size(const struct gradient_spec *spec)
{
    return spec->coding == GRADIENT_CODING_F32 ? sizeof(float) : 1;
}

/*
 * planes: [spec->planes][height][width] uint16; codes: height * width * channels codes,
 * interleaved. nominal_white: 1..65535. width, height >= 1. Cannot fail. Any thread.
 */
void gradient_encode(const struct gradient_spec *spec, const uint16_t *planes, uint32_t width,
                     uint32_t height, uint16_t nominal_white, void *codes);

/*
 * Ternary codes as two bit planes, plus and minus: for `pixels` pixels of `channels` codes each,
 * bit i (LSB first) of plus/minus is code i in order. Each takes gradient_bits_bytes() bytes; spare
 * bits of the last byte are 0. unpack refuses (-EBADMSG) where plus and minus are both set or a
 * spare bit is.
 */
size_t gradient_bits_bytes(size_t codes);
void gradient_pack_ternary(const int8_t *codes, size_t count, uint8_t *plus, uint8_t *minus);
int gradient_unpack_ternary(const uint8_t *plus, const uint8_t *minus, size_t count, int8_t *codes);

#endif
