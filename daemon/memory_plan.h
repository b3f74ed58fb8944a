/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * How much memory the daemon and its workers can take at most, from the limits of limits.h and the
 * configuration, and whether that is within the bound that they are given. What is left of the
 * bound is the workers', whose address space ends there. It allocates nothing.
 */
#ifndef OCELLUS_DAEMON_MEMORY_PLAN_H
#define OCELLUS_DAEMON_MEMORY_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "daemon/models.h"

#define MEMORY_PLAN_TEXT_BYTES 1024u

/* All in bytes. */
struct memory_plan {
    uint64_t bound;       /* memory-max, or else that of the control group; 0: there is none */
    uint64_t program;     /* the daemon itself */
    uint64_t connections; /* what they send and are sent, but for bodies */
    uint64_t subscribers; /* events that wait */
    uint64_t queue;       /* bodies and Varlink messages, all clients together */
    uint64_t models;      /* and the next ones while a reload brings them */
    uint64_t learning;    /* rings of codes, adapters */
    uint64_t worker;      /* each */
    uint64_t workers;     /* how many at once: twice as many while a reload brings new ones */
    uint64_t total;
};

/*
 * `control_group` is the bound of the control group, 0: none; `workers` how many there are without
 * a reload. *ret_plan is set in any case. Errors: -ENOMEM  it does not fit.
 */
int memory_plan_make(const struct config *config, const struct models *models, uint32_t workers,
                     uint64_t control_group, struct memory_plan *ret_plan);

/* The parts, in MiB, on one line. */
void memory_plan_format(const struct memory_plan *plan, char out[MEMORY_PLAN_TEXT_BYTES]);

/* Why a plan does not fit: a sentence with its parts. */
void memory_plan_refuse(const struct memory_plan *plan, char *ret_reason, size_t size);

/* The smallest memory.max of our control group and those above it; 0: none, or it is not known. */
uint64_t memory_plan_control_group(void);

#endif
