/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Means over the seeds of the light study, and whether its claims hold. Writes no file. */
#include "engine/lab/light.h"

#include <math.h>

#define MOST_LOST_LOG   1.7 /* points; 2203.02571 */
#define LEAST_LOST_SRGB 10.0
#define NEAR_FLOAT      1.0
#define FOUR_FILTERS    3u /* index in lab_light_filters */

/* ---- means ---- */

static void add(struct lab_light_value *value, double x)
{
    value->low = value->seeds == 0 || x < value->low ? x : value->low;
    value->high = value->seeds == 0 || x > value->high ? x : value->high;
    value->seeds++;
    value->mean += (x - value->mean) / value->seeds;
}

struct lab_light_value lab_light_decoded(const struct lab_light *light, enum lab_light_input input)
{
    struct lab_light_value value = {0};
    for (uint32_t s = 0; s < light->seeds; s++) {
        const struct lab_light_curve *curve = &light->inputs[input][s];
        if (curve->pictures > 0) {
            add(&value, 100.0 * curve->decoded / curve->pictures);
        }
    }
    return value;
}

struct lab_light_value lab_light_exposed(const struct lab_light *light, enum lab_light_input input,
                                         enum lab_light_sensor sensor, uint32_t exposure)
{
    struct lab_light_value value = {0};
    for (uint32_t s = 0; s < light->seeds; s++) {
        const struct lab_light_curve *curve = &light->inputs[input][s];
        if (curve->pictures > 0) {
            add(&value, 100.0 * curve->right[sensor][exposure] / curve->pictures);
        }
    }
    return value;
}

struct lab_light_value lab_light_pruned(const struct lab_light *light, uint32_t which,
                                        uint32_t step)
{
    struct lab_light_value value = {0};
    for (uint32_t s = 0; s < light->seeds; s++) {
        const struct lab_light_pruning *pruning = &light->pruned[which][s];
        if (pruning->pictures > 0) {
            add(&value, 100.0 * pruning->right[step] / pruning->pictures);
        }
    }
    return value;
}

struct lab_light_value lab_light_similar(const struct lab_light *light, uint32_t which,
                                         uint32_t step)
{
    struct lab_light_value value = {0};
    for (uint32_t s = 0; s < light->seeds; s++) {
        const struct lab_light_pruning *pruning = &light->pruned[which][s];
        if (pruning->pictures > 0) {
            add(&value, pruning->similarity[step]);
        }
    }
    return value;
}

enum lab_light_input lab_light_for_noise(struct lab_light *light)
{
    struct lab_light_job job;
    return lab_light_input_job(light, LAB_LIGHT_NOISY, 0, &job) ? LAB_LIGHT_NOISY
                                                                : LAB_LIGHT_TERNARY;
}

static bool trained(const struct lab_light *light, enum lab_light_input input)
{
    return lab_light_decoded(light, input).seeds == light->seeds;
}

static bool all_pruned(const struct lab_light *light)
{
    return lab_light_pruned(light, 0, 0).seeds == light->seeds &&
           lab_light_pruned(light, 1, 0).seeds == light->seeds;
}

bool lab_light_complete(struct lab_light *light)
{
    struct lab_light_choice choice;
    return lab_light_choose(light, LAB_LIGHT_16, &choice) && trained(light, LAB_LIGHT_SRGB) &&
           trained(light, LAB_LIGHT_FLOAT) && trained(light, LAB_LIGHT_SEVEN) &&
           trained(light, LAB_LIGHT_TERNARY) && trained(light, lab_light_for_noise(light)) &&
           all_pruned(light);
}

/* ---- claims ---- */

static const char *verdict(bool held)
{
    return held ? "- **held**:" : "- **missed**:";
}

static void put_unknown(FILE *text, const char *claim)
{
    fprintf(text, "- not known yet: %s\n", claim);
}

/* Most points lost against exposure 1 on the 16-bit sensor. */
static double most_lost(const struct lab_light *light, enum lab_light_input input,
                        uint32_t *ret_where)
{
    double nominal = lab_light_exposed(light, input, LAB_LIGHT_16, LAB_LIGHT_NOMINAL).mean;
    double most = -INFINITY;
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        double lost = nominal - lab_light_exposed(light, input, LAB_LIGHT_16, e).mean;
        if (e != LAB_LIGHT_NOMINAL && lost > most) {
            most = lost;
            *ret_where = e;
        }
    }
    return most;
}

static void judge_loss(const struct lab_light *light, FILE *text)
{
    uint32_t where = 0;
    if (!trained(light, LAB_LIGHT_TERNARY)) {
        put_unknown(text, "points lost over 1/32 to 8 on 16 bit, log gradient");
    } else {
        double lost = most_lost(light, LAB_LIGHT_TERNARY, &where);
        fprintf(text,
                "%s 16 bit, no noise: log gradient (1.5 bit) loses at most %.1f points against "
                "exposure 1: %.2f, at %s\n",
                verdict(lost <= MOST_LOST_LOG), MOST_LOST_LOG, lost,
                lab_light_exposure_names[where]);
    }
    if (!trained(light, LAB_LIGHT_SRGB)) {
        put_unknown(text, "points lost over 1/32 to 8 on 16 bit, sRGB");
    } else {
        double lost = most_lost(light, LAB_LIGHT_SRGB, &where);
        fprintf(text, "%s 16 bit, no noise: sRGB loses at least %.0f points: %.2f, at %s\n",
                verdict(lost >= LEAST_LOST_SRGB), LEAST_LOST_SRGB, lost,
                lab_light_exposure_names[where]);
    }
}

/* The curve lies above sRGB's wherever the exposure is below 1/2 or above 2. */
static void judge_above(const struct lab_light *light, enum lab_light_input input,
                        enum lab_light_sensor sensor, const char *who, FILE *text)
{
    char where[64] = "";
    size_t length = 0;
    double least = INFINITY;
    if (!trained(light, input) || !trained(light, LAB_LIGHT_SRGB)) {
        fprintf(text, "- not known yet: %s above sRGB on %s\n", who,
                lab_light_sensor_names[sensor]);
        return;
    }
    for (uint32_t e = 0; e < LAB_LIGHT_EXPOSURES; e++) {
        if (e + 1 >= LAB_LIGHT_NOMINAL && e <= LAB_LIGHT_NOMINAL + 1) {
            continue; /* 1/2, 1 and 2 */
        }
        double margin = lab_light_exposed(light, input, sensor, e).mean -
                        lab_light_exposed(light, LAB_LIGHT_SRGB, sensor, e).mean;
        least = margin < least ? margin : least;
        if (margin <= 0.0) {
            length += (size_t)snprintf(where + length, sizeof(where) - length, "%s %s (%.2f)",
                                       length > 0 ? "," : "; not at", lab_light_exposure_names[e],
                                       margin);
            length = length < sizeof(where) ? length : sizeof(where) - 1;
        }
    }
    fprintf(
        text,
        "%s %s sensor: %s lies above sRGB at every exposure below 1/2 and above 2: least margin "
        "%.2f points%s\n",
        verdict(least > 0.0), lab_light_sensor_names[sensor], who, least, where);
}

static void judge_bits(const struct lab_light *light, enum lab_light_input input, const char *who,
                       FILE *text)
{
    if (!trained(light, LAB_LIGHT_FLOAT) || !trained(light, input)) {
        fprintf(text, "- not known yet: %s beside float\n", who);
        return;
    }
    double lost =
        lab_light_decoded(light, LAB_LIGHT_FLOAT).mean - lab_light_decoded(light, input).mean;
    fprintf(text, "%s %s is within %.0f point of float log gradient: it loses %.2f\n",
            verdict(lost <= NEAR_FLOAT), who, NEAR_FLOAT, lost);
}

static void judge_filters(const struct lab_light *light, FILE *text)
{
    if (!all_pruned(light)) {
        put_unknown(text, "points lost from 32 to 4 filters");
        put_unknown(text, "similarity of filters");
        return;
    }
    double srgb =
        lab_light_pruned(light, 0, 0).mean - lab_light_pruned(light, 0, FOUR_FILTERS).mean;
    double log_gradient =
        lab_light_pruned(light, 1, 0).mean - lab_light_pruned(light, 1, FOUR_FILTERS).mean;
    fprintf(text,
            "%s from 32 to 4 first-layer filters log gradient loses less than sRGB: %.2f and %.2f "
            "points, margin %.2f\n",
            verdict(log_gradient < srgb), log_gradient, srgb, srgb - log_gradient);
    srgb = lab_light_similar(light, 0, 0).mean;
    log_gradient = lab_light_similar(light, 1, 0).mean;
    fprintf(text,
            "%s 32 filters are more alike with log gradient than with sRGB: mean |cosine| %.3f and "
            "%.3f, margin %+.3f\n",
            verdict(log_gradient > srgb), log_gradient, srgb, log_gradient - srgb);
}

void lab_light_print_verdicts(struct lab_light *light, FILE *text)
{
    enum lab_light_input noisy = lab_light_for_noise(light);
    judge_loss(light, text);
    judge_above(light, LAB_LIGHT_TERNARY, LAB_LIGHT_12, "1.5 bit", text);
    judge_above(light, LAB_LIGHT_TERNARY, LAB_LIGHT_NOISE, "1.5 bit", text);
    if (noisy != LAB_LIGHT_TERNARY) {
        judge_above(light, noisy, LAB_LIGHT_12, "1.5 bit set for noise", text);
        judge_above(light, noisy, LAB_LIGHT_NOISE, "1.5 bit set for noise", text);
    }
    judge_bits(light, LAB_LIGHT_TERNARY, "1.5 bit", text);
    if (noisy != LAB_LIGHT_TERNARY) {
        judge_bits(light, noisy, "1.5 bit set for noise", text);
    }
    judge_filters(light, text);
}
