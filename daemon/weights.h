/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Weights of one layer -> a sealed memfd as workers map it (struct job_weights). Any thread.
 */
#ifndef OCELLUS_DAEMON_WEIGHTS_H
#define OCELLUS_DAEMON_WEIGHTS_H

#include <stdint.h>

#include "engine/network/model.h"

/*
 * Pack `values`, the arrays that a layer of the plan's model and point has now: an s8 conv or dense
 * layer. plan: of one image, for the kernel table of the workers. The caller closes *ret_memfd.
 * Errors: -ENOTSUP  a layer of another kind, -EINVAL  those of network_plan_pack, -ENOMEM, negative
 * errno of memfd_create and its like.
 */
int weights_seal(const struct network_model *model, uint32_t point, const struct network_plan *plan,
                 uint32_t layer, const struct network_layer *values, int *ret_memfd,
                 uint64_t *ret_bytes);

#endif
