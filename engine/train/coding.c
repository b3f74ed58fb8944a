/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Master weights to codes and scales. What happens to gradients is in train.h: they pass.
 */
#include "engine/train/graph.h"

#include <math.h>
#include <string.h>

struct train_power train_power_range(const struct train_coding *coding, float peak)
{
    struct train_power p = {.low = 1, .high = 0, .root = coding->root};
    const bool linear = coding->kind == TRAIN_LEVELS;
    int fsr = coding->fsr;

    if (fsr == TRAIN_FSR_TRACKED) {
        int exponent;
        /* Peaks beyond 2^60 or below 2^-60 are no use to anybody; the exponents must stay normal
         * floats. */
        if (!(peak > 0x1p-60f && peak < 0x1p60f)) {
            return p;
        }
        /* peak = m 2^exponent, m in [1/2, 1): ceil(log2 peak) is exponent, or one less of a power
         */
        fsr = (frexpf(peak, &exponent) == 0.5f ? exponent - 1 : exponent) + !linear;
    }
    p.high = (coding->root ? 2 * fsr : fsr) - 1;
    p.low = p.high - (1 << coding->bits) + 2;
    if (linear) {
        p.step = ldexpf(1.0f, fsr - coding->bits);
        p.top = p.step * (float)((1 << coding->bits) - 1);
    }
    return p;
}

/* Largest |w| of each column. weights [rows][columns] */
static void column_peaks(uint32_t rows, uint32_t columns, const float *weights, float *peak)
{
    memset(peak, 0, columns * sizeof(*peak));
    for (uint32_t r = 0; r < rows; r++, weights += columns) {
        for (uint32_t c = 0; c < columns; c++) {
            peak[c] = fmaxf(peak[c], fabsf(weights[c]));
        }
    }
}

static void code_s8(uint32_t rows, uint32_t columns, const float *weights, float *codes,
                    float *scale)
{
    column_peaks(rows, columns, weights, scale);
    for (uint32_t c = 0; c < columns; c++) {
        scale[c] = scale[c] > 0x1p-100f ? scale[c] / 127.0f : 1.0f;
    }
    for (uint32_t r = 0; r < rows; r++, weights += columns, codes += columns) {
        for (uint32_t c = 0; c < columns; c++) {
            codes[c] = fminf(fmaxf(rintf(weights[c] / scale[c]), -127.0f), 127.0f);
        }
    }
}

/* One column: the threshold is 0.7 of the mean |w|, the scale the mean |w| beyond it. */
static float code_ternary(uint32_t rows, uint32_t columns, const float *weights, float *codes)
{
    double total = 0, kept = 0;
    uint32_t count = 0;

    for (size_t r = 0; r < rows; r++) {
        total += (double)fabsf(weights[r * columns]);
    }
    const float threshold = (float)(0.7 * total / rows);
    for (size_t r = 0; r < rows; r++) {
        float w = weights[r * columns];
        bool beyond = fabsf(w) > threshold;
        codes[r * columns] = beyond ? (w > 0.0f ? 1.0f : -1.0f) : 0.0f;
        kept += beyond ? (double)fabsf(w) : 0.0;
        count += beyond;
    }
    return count > 0 ? (float)(kept / count) : 1.0f;
}

void train_code_weights(const struct train_coding *coding, const struct train_ops *ops,
                        uint32_t fan_in, uint32_t out, const float *weights, float *codes,
                        float *scale)
{
    const size_t count = (size_t)fan_in * out;

    for (uint32_t c = 0; c < out; c++) {
        scale[c] = 1.0f;
    }
    switch ((enum train_coding_kind)coding->kind) {
    case TRAIN_F32:
    case TRAIN_U7:
        break;
    case TRAIN_S8:
        code_s8(fan_in, out, weights, codes, scale);
        break;
    case TRAIN_TERNARY:
        for (uint32_t c = 0; c < out; c++) {
            scale[c] = code_ternary(fan_in, out, weights + c, codes + c);
        }
        break;
    case TRAIN_BINARY:
        for (size_t i = 0; i < count; i++) {
            codes[i] = weights[i] >= 0.0f ? 1.0f : -1.0f;
        }
        break;
    case TRAIN_LOG:
    case TRAIN_LEVELS: {
        struct train_power p = train_power_range(coding, ops->largest(count, weights, true));
        ops->power(&p, count, weights, codes);
        break;
    }
    }
}
