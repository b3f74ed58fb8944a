/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The prototype head: means of the last features per class, added to the scores of the last layer.
 * Nearest-mean scores -|f - mu|^2 / 2 are linear in f but for a part that all classes share, so the
 * head folds into the layer's arrays. All folding is in integers.
 *
 *   M = means, f ~ M / 2^exponent; C classes; A[c] = C M[c] - sum of all M, per feature;
 *   Q[c] = C |M[c]|^2 - sum of all |M|^2
 *   weight[c][j] + round(gain[c] A[c][j] / (C 2^(exponent + SHIFT)))         held to -127..127
 *   bias[c]      - round(gain[c] Q[c] / (2 C 2^(2 exponent + SHIFT)))
 *   rounded half away from zero. gain[c] is the head's strength in units of 2^-SHIFT sums of the
 *   layer, which differ from class to class by the multiplier.
 */
#ifndef OCELLUS_ENGINE_TRAIN_PROTOTYPE_H
#define OCELLUS_ENGINE_TRAIN_PROTOTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAIN_PROTOTYPE_SHIFT      16u
#define TRAIN_PROTOTYPE_GAIN_MAX   (1 << 26)
#define TRAIN_PROTOTYPE_VALUES_MAX (1u << 20) /* classes times features */

struct train_prototypes {
    bool present;
    uint32_t classes, features, exponent; /* exponent 0..7 */
    int32_t *gain;                        /* [classes], 0..TRAIN_PROTOTYPE_GAIN_MAX */
    uint8_t *means;                       /* [classes][features] */
};

/* Means of features [count][features], 0..127, by label; `use` (NULL: all) says which count.
 * Returns false, and changes nothing, where a class has none. gain is left alone. */
bool train_prototypes_make(struct train_prototypes *prototypes, const int8_t *features,
                           const uint32_t *labels, const bool *use, uint32_t count);

/* gain[c] = strength / scale[c], scale being what one unit of a sum adds to the score. */
void train_prototypes_strength(struct train_prototypes *prototypes, double strength,
                               const float *scale);

/* weights [classes][features] and bias [classes] with the head folded in. */
void train_prototypes_fold(const struct train_prototypes *prototypes, const int8_t *weights,
                           const int32_t *bias, int8_t *ret_weights, int32_t *ret_bias);

#endif
