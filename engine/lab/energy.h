/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Joules that the processor packages used, by the counters that Linux shows (powercap: RAPL and the
 * like). Where the kernel shows none, or not to this user, there is no figure: none is made up. */
#ifndef OCELLUS_ENGINE_LAB_ENERGY_H
#define OCELLUS_ENGINE_LAB_ENERGY_H

#include <stdbool.h>
#include <stdint.h>

#define LAB_ENERGY_ROOT     "/sys/class/powercap"
#define LAB_ENERGY_PACKAGES 8u

struct lab_energy {
    uint32_t count; /* of packages; 0: there is no counter */
    char paths[LAB_ENERGY_PACKAGES][96];
    uint64_t begin[LAB_ENERGY_PACKAGES], range[LAB_ENERGY_PACKAGES]; /* microjoules */
};

/* Find the counters below `root` and begin to count. */
void lab_energy_begin(struct lab_energy *energy, const char *root);

/* Joules since the beginning, of everything that ran on the packages. A counter that has wrapped
 * once is understood; one wraps after minutes. False: there is none. */
bool lab_energy_end(const struct lab_energy *energy, double *ret_joules);

#endif
