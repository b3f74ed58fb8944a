/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Losses of scores against labels, and their gradients.
 */
#include "engine/train/graph.h"

#include <math.h>

/* scores, gradient [classes]; the gradient is of loss / images */
static double softmax_image(const float *scores, uint32_t label, uint32_t classes, uint32_t images,
                            float *gradient)
{
    double largest = (double)scores[0], total = 0;

    for (uint32_t c = 1; c < classes; c++) {
        double score = (double)scores[c];

        largest = score > largest ? score : largest; /* fmax breaks gcc 12 for aarch64 */
    }
    for (uint32_t c = 0; c < classes; c++) {
        total += exp((double)scores[c] - largest);
    }
    for (uint32_t c = 0; gradient != NULL && c < classes; c++) {
        double p = exp((double)scores[c] - largest) / total;
        gradient[c] = (float)((p - (c == label ? 1 : 0)) / images);
    }
    return log(total) + largest - (double)scores[label];
}

static double hinge_image(const float *scores, uint32_t label, uint32_t classes, uint32_t images,
                          float *gradient)
{
    double loss = 0;

    for (uint32_t c = 0; c < classes; c++) {
        double target = c == label ? 1 : -1;
        double below = fmax(0, 1 - target * (double)scores[c]);

        loss += below * below / classes;
        if (gradient != NULL) {
            gradient[c] = (float)(-2 * target * below / classes / images);
        }
    }
    return loss;
}

static uint32_t largest_of(const float *scores, uint32_t classes)
{
    uint32_t best = 0;

    for (uint32_t c = 1; c < classes; c++) {
        best = scores[c] > scores[best] ? c : best;
    }
    return best;
}

double train_loss_shard(uint8_t loss, const float *scores, const uint32_t *labels, uint32_t count,
                        uint32_t classes, uint32_t images, float *gradient, uint32_t *ret_correct)
{
    double total = 0;

    for (uint32_t i = 0; i < count; i++) {
        total += loss == TRAIN_SOFTMAX ? softmax_image(scores, labels[i], classes, images, gradient)
                                       : hinge_image(scores, labels[i], classes, images, gradient);
        *ret_correct += largest_of(scores, classes) == labels[i];
        scores += classes;
        gradient = gradient != NULL ? gradient + classes : NULL;
    }
    return total;
}
