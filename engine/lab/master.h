/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A trained network as a float or a packed model in the network's schema. */
#ifndef OCELLUS_ENGINE_LAB_MASTER_H
#define OCELLUS_ENGINE_LAB_MASTER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/lab/recipe.h"

/*
 * Whether a recipe has ternary, binary or log layers. No float model says what these do: what such
 * a training gives is the packed model.
 */
bool lab_master_is_coarse(const struct lab_recipe *recipe);

/* Whether the schema has all layers of the recipe's result. Errors: -ENOTSUP with a static sentence
 * in *ret_reason. */
int lab_master_check(const struct lab_recipe *recipe, const char **ret_reason);

/*
 * What a training gives: master weights with batch norms folded into them, max pools as layers of
 * their own; or, of a coarse recipe, lab_master_pack.
 * provenance: an object as JSON text. The caller frees *ret_bytes. Errors: -ENOMEM, -EFBIG,
 * -ENOTSUP where the schema has no such layer, and what network_model_write refuses; the last two
 * with a static sentence in *ret_reason (else untouched).
 */
int lab_master_write(const struct lab_recipe *recipe, const struct train *train,
                     const char *const *labels, uint32_t label_count, const char *provenance,
                     void **ret_bytes, size_t *ret_size, const char **ret_reason);

/*
 * The same as a packed model, by train_fold: its scores are those of the trainer's passes without
 * learning, of which one must have been the last. Errors: also -ENOTSUP where the recipe's codings
 * are not those of a packed model.
 */
int lab_master_pack(const struct lab_recipe *recipe, const struct train *train,
                    const char *const *labels, uint32_t label_count, const char *provenance,
                    void **ret_bytes, size_t *ret_size, const char **ret_reason);

#endif
