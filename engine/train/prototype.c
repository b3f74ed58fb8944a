/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Class means of features, and their integers folded into the arrays of the last layer.
 */
#include "engine/train/prototype.h"

#include <math.h>

bool train_prototypes_make(struct train_prototypes *prototypes, const int8_t *features,
                           const uint32_t *labels, const bool *use, uint32_t count)
{
    const size_t n = prototypes->features;
    double most = 0, unit;

    for (uint32_t pass = 0; pass < 2; pass++) { /* the first finds the exponent */
        unit = pass == 0 ? 0 : ldexp(1, (int)prototypes->exponent);
        for (uint32_t c = 0; c < prototypes->classes; c++) {
            uint32_t members = 0;

            for (uint32_t i = 0; i < count; i++) {
                members += labels[i] == c && (use == NULL || use[i]);
            }
            if (members == 0) {
                return false;
            }
            for (size_t j = 0; j < n; j++) {
                int64_t sum = 0;

                for (uint32_t i = 0; i < count; i++) {
                    if (labels[i] == c && (use == NULL || use[i])) {
                        sum += features[i * n + j];
                    }
                }
                if (pass == 0) {
                    most = fmax(most, (double)sum / members);
                } else {
                    prototypes->means[c * n + j] =
                        (uint8_t)floor((double)sum / members * unit + 0.5);
                }
            }
        }
        prototypes->exponent = 0;
        while (prototypes->exponent < 7 && ldexp(most, (int)prototypes->exponent + 1) <= 255) {
            prototypes->exponent++;
        }
    }
    prototypes->present = true;
    return true;
}

void train_prototypes_strength(struct train_prototypes *prototypes, double strength,
                               const float *scale)
{
    for (uint32_t c = 0; c < prototypes->classes; c++) {
        const double gain = ldexp(strength / (double)fabsf(scale[c]), TRAIN_PROTOTYPE_SHIFT);

        prototypes->gain[c] = (int32_t)fmin(floor(gain + 0.5), TRAIN_PROTOTYPE_GAIN_MAX);
    }
}

/* num / den, halves away from zero; den > 0 */
static int64_t divide(int64_t num, int64_t den)
{
    return num < 0 ? -((-num + den / 2) / den) : (num + den / 2) / den;
}

void train_prototypes_fold(const struct train_prototypes *p, const int8_t *weights,
                           const int32_t *bias, int8_t *ret_weights, int32_t *ret_bias)
{
    const size_t n = p->features;
    const int64_t unit = (int64_t)p->classes << (p->exponent + TRAIN_PROTOTYPE_SHIFT);
    int64_t squares = 0;

    for (size_t i = 0; i < p->classes * n; i++) {
        squares += (int64_t)p->means[i] * p->means[i];
    }
    for (uint32_t c = 0; c < p->classes; c++) {
        int64_t own = 0, b;

        for (size_t j = 0; j < n; j++) {
            int64_t all = 0, w;

            for (uint32_t k = 0; k < p->classes; k++) {
                all += p->means[k * n + j];
            }
            own += (int64_t)p->means[c * n + j] * p->means[c * n + j];
            w = weights[c * n + j] +
                divide(p->gain[c] * ((int64_t)p->classes * p->means[c * n + j] - all), unit);
            ret_weights[c * n + j] = (int8_t)(w < -127 ? -127 : w > 127 ? 127 : w);
        }
        /* Q is halved and brought to the scale of one exponent first: products stay in 64 bits. */
        b = divide((int64_t)p->classes * own - squares, (int64_t)2 << p->exponent);
        b = bias[c] - divide(p->gain[c] * b, unit);
        ret_bias[c] = (int32_t)(b < INT32_MIN ? INT32_MIN : b > INT32_MAX ? INT32_MAX : b);
    }
}
