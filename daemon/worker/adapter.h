/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * An adapter in a worker: a plan of its own over a model that it borrows, whose layers read weights
 * that the daemon packed and sealed. It maps them; it learns nothing and writes no weight.
 */
#ifndef OCELLUS_DAEMON_WORKER_ADAPTER_H
#define OCELLUS_DAEMON_WORKER_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/worker/job.h"
#include "engine/network/model.h"

struct worker_adapter { /* zero-initialised: none */
    const struct network_model *base;
    uint32_t model, point;
    struct network_plan *plan; /* NULL: no weights have come yet */
    uint64_t generation;
    struct {
        const struct job_weights *bytes; /* NULL: the model's own */
        size_t size;
    } maps[NETWORK_LAYERS_MAX];
};

void adapter_finish(struct worker_adapter *adapter);

/*
 * Take the weights of a WEIGHTS message over `model`; the fd stays the caller's. Errors, what was
 * there staying as it was: -EINVAL  another point than before, no such layer, or weights packed for
 * another plan; -ENOMEM.
 */
int adapter_take(struct worker_adapter *adapter, const struct network_model *model,
                 const struct kernel_table *kernels, const struct job_message *message, int fd);

/* The layer as the adapter has it; false: as the model has it. */
bool adapter_layer(const struct worker_adapter *adapter, uint32_t layer,
                   struct network_layer *ret_values);

#endif
