/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See bn_study.h. What groups of trainings came to, and the paper's claims held against it. */
#include <math.h>
#include <stdio.h>

#include "engine/lab/bn_study.h"

#define FASTER 0.8  /* of the steps without a norm, at least */
#define ALIKE  0.95 /* more than this is not faster */

void lab_bn_study_group(const struct lab_bn_study *study, uint32_t set, uint32_t norm,
                        uint32_t rate, struct lab_bn_group *ret_group)
{
    struct lab_bn_group g = {0};
    for (uint32_t seed = 0; seed < study->sizes.seeds; seed++) {
        const struct lab_bn_outcome *o = &study->outcomes[set][norm][rate][seed];
        if (o->steps == 0) {
            continue;
        }
        g.ran++;
        g.reached += o->reached > 0;
        g.steps += o->reached > 0 ? o->reached : study->sizes.steps;
        if (o->diverged > 0) {
            g.diverged++;
            g.diverged_at += o->diverged;
        } else {
            g.stuck += o->last >= LAB_BN_STUCK;
            g.last += o->last;
        }
    }
    g.steps /= g.ran > 0 ? g.ran : 1;
    g.diverged_at /= g.diverged > 0 ? g.diverged : 1;
    g.last /= g.ran > g.diverged ? g.ran - g.diverged : 1;
    *ret_group = g;
}

double lab_bn_study_survives(const struct lab_bn_study *study, uint32_t set, uint32_t norm,
                             bool trains)
{
    double highest = 0;
    for (uint32_t rate = 0; rate < study->sizes.rate_count; rate++) {
        struct lab_bn_group g;
        lab_bn_study_group(study, set, norm, rate, &g);
        if (g.ran < study->sizes.seeds || g.diverged > 0 || (trains && g.stuck > 0)) {
            break;
        }
        highest = study->sizes.rates[rate];
    }
    return highest;
}

static bool complete(const struct lab_bn_study *study, uint32_t set, uint32_t norm)
{
    bool all = true;
    for (uint32_t rate = 0; rate < study->sizes.rate_count; rate++) {
        struct lab_bn_group g;
        lab_bn_study_group(study, set, norm, rate, &g);
        all = all && g.ran == study->sizes.seeds;
    }
    return all;
}

/* At the lowest rate at which one of the two reaches the target with every seed: below, both are
 * cut off, and nothing can be told. faster: the norm is to be faster than none, else not to be. */
static void claim_speed(const struct lab_bn_study *study, uint32_t set, uint32_t norm, bool faster,
                        struct lab_bn_claim *claim)
{
    struct lab_bn_group with, without;
    uint32_t rate = 0;
    bool told = false;
    for (; !told && rate < study->sizes.rate_count; rate += !told) {
        lab_bn_study_group(study, set, norm, rate, &with);
        lab_bn_study_group(study, set, TRAIN_NORM_NONE, rate, &without);
        told = with.ran > 0 && (with.reached == with.ran || without.reached == without.ran);
    }
    if (!told) {
        snprintf(claim->text, sizeof(claim->text), "%s is %s than no norm at a low rate",
                 lab_bn_norm_name((uint8_t)norm), faster ? "faster" : "not faster");
        claim->known = false;
        return;
    }
    const double ratio = with.steps / without.steps;
    snprintf(claim->text, sizeof(claim->text), "at rate %g %s is %s than no norm",
             study->sizes.rates[rate], lab_bn_norm_name((uint8_t)norm),
             faster ? "faster" : "not faster");
    snprintf(claim->figures, sizeof(claim->figures),
             "%.0f steps (%u of %u seeds reached), %.0f (%u of %u) without: %.2f; %s %g wanted",
             with.steps, with.reached, with.ran, without.steps, without.reached, without.ran, ratio,
             faster ? "at most" : "more than", faster ? FASTER : ALIKE);
    claim->hit = faster ? ratio <= FASTER : ratio > ALIKE;
}

static void claim_survival(const struct lab_bn_study *study, uint32_t set, uint32_t norm,
                           bool beyond, struct lab_bn_claim *claim)
{
    const double with = lab_bn_study_survives(study, set, norm, true);
    const double without = lab_bn_study_survives(study, set, TRAIN_NORM_NONE, true);
    snprintf(claim->text, sizeof(claim->text), "%s trains %s than no norm",
             lab_bn_norm_name((uint8_t)norm), beyond ? "at higher rates" : "at no higher rates");
    snprintf(claim->figures, sizeof(claim->figures),
             "up to %g, %g without; without divergence alone up to %g, %g", with, without,
             lab_bn_study_survives(study, set, norm, false),
             lab_bn_study_survives(study, set, TRAIN_NORM_NONE, false));
    claim->hit = beyond ? with > without : with <= without;
}

bool lab_bn_study_claim(const struct lab_bn_study *study, uint32_t set, uint32_t index,
                        struct lab_bn_claim *ret_claim)
{
    static const struct {
        uint8_t norm;
        bool speed, more;
    } claims[] = {
        {TRAIN_NORM_AMPLIFY, true, true},   {TRAIN_NORM_SUPPRESS, true, false},
        {TRAIN_NORM_BATCH, true, true},     {TRAIN_NORM_SUPPRESS, false, true},
        {TRAIN_NORM_AMPLIFY, false, false}, {TRAIN_NORM_BATCH, false, true},
    };
    if (index >= sizeof(claims) / sizeof(claims[0])) {
        return false;
    }
    struct lab_bn_claim claim = {.known = complete(study, set, claims[index].norm) &&
                                          complete(study, set, TRAIN_NORM_NONE)};
    (claims[index].speed ? claim_speed : claim_survival)(study, set, claims[index].norm,
                                                         claims[index].more, &claim);
    *ret_claim = claim;
    return true;
}
