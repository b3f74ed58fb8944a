/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The loss is convex in 1 / temperature, so that a golden section search finds its minimum. */
#include "engine/lab/temperature.h"

#include <math.h>

#include "engine/network/network.h"

#define SCORES_PER_UNIT 65536.0
#define GOLDEN          0.6180339887498949
#define STEPS           48 /* 6.9e-10 of the range of log(temperature) */

/* Sum of exp of the scores less the largest. */
static double partition(const int32_t *scores, uint32_t labels, int32_t largest, double temperature)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < labels; i++) {
        sum += exp(((double)scores[i] - largest) / (SCORES_PER_UNIT * temperature));
    }
    return sum;
}

double lab_temperature_loss(const struct lab_answers *answers, enum lab_half half,
                            double temperature)
{
    double loss = 0.0;
    size_t counted = 0;
    for (size_t i = 0; i < answers->count; i++) {
        const int32_t *scores = answers->scores + i * answers->labels;
        if (half != LAB_HALF_BOTH && answers->half[i] != half) {
            continue;
        }
        int32_t largest = scores[network_argmax(scores, answers->labels)];
        loss += log(partition(scores, answers->labels, largest, temperature)) -
                ((double)scores[answers->truth[i]] - largest) / (SCORES_PER_UNIT * temperature);
        counted++;
    }
    return counted > 0 ? loss / (double)counted : 0.0;
}

double lab_temperature_fit(const struct lab_answers *answers, enum lab_half half)
{
    double low = log(LAB_TEMPERATURE_MIN), high = log(LAB_TEMPERATURE_MAX);
    double left = high - GOLDEN * (high - low), right = low + GOLDEN * (high - low);
    double at_left = lab_temperature_loss(answers, half, exp(left));
    double at_right = lab_temperature_loss(answers, half, exp(right));
    for (int step = 0; step < STEPS; step++) {
        if (at_left < at_right) {
            high = right;
            right = left;
            at_right = at_left;
            left = high - GOLDEN * (high - low);
            at_left = lab_temperature_loss(answers, half, exp(left));
        } else {
            low = left;
            left = right;
            at_left = at_right;
            right = low + GOLDEN * (high - low);
            at_right = lab_temperature_loss(answers, half, exp(right));
        }
    }
    return exp((low + high) / 2);
}

double lab_temperature_error(const struct lab_answers *answers, const double temperatures[2])
{
    double confidence[LAB_ERROR_BINS] = {0}, right[LAB_ERROR_BINS] = {0}, error = 0.0;
    for (size_t i = 0; i < answers->count; i++) {
        const int32_t *scores = answers->scores + i * answers->labels;
        uint32_t best = network_argmax(scores, answers->labels);
        double sure =
            1 / partition(scores, answers->labels, scores[best], temperatures[answers->half[i]]);
        uint32_t bin = (uint32_t)(sure * LAB_ERROR_BINS);
        bin = bin < LAB_ERROR_BINS ? bin : LAB_ERROR_BINS - 1;
        confidence[bin] += sure;
        right[bin] += best == answers->truth[i];
    }
    for (uint32_t bin = 0; bin < LAB_ERROR_BINS; bin++) {
        error += fabs(right[bin] - confidence[bin]);
    }
    return error / (double)answers->count;
}
