/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A trained network as the first weights of a wider one. Learns nothing and opens no file. */
#ifndef OCELLUS_ENGINE_LAB_WIDEN_H
#define OCELLUS_ENGINE_LAB_WIDEN_H

#include <stdint.h>

#include "engine/lab/recipe.h"
#include "engine/train/train.h"

#define LAB_WIDENING_NOISE 0.5f /* by trial, of binary networks */

/*
 * Net2WiderNet (Chen, Goodfellow, Shlens 2016, 1511.05641, section 2.2) for networks whose channels
 * are 1, 2, 3 ... times as many: channel c of `wide` is channel c mod n of the narrow layer's n.
 * Its weights are copies; what reads it sums each copy, so that sums, their running means and their
 * deviations grow with the inputs, and the norm takes that away again: without noise both networks
 * give the same scores. Copies of weights, not the first n of n, move by up to `noise` times the
 * mean magnitude of their layer, either way, so that they learn to differ.
 *
 * Both networks: convolutions and dense layers in a chain, each with batch norm, alike but for
 * their channels; the last layer is the same. Errors: -EINVAL, *ret_reason a static sentence.
 */
int lab_widen(const struct lab_recipe *narrow_recipe, const struct train *narrow,
              const struct lab_recipe *wide_recipe, struct train *wide, float noise, uint64_t seed,
              const char **ret_reason);

#endif
