/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Reads the few files of a powercap tree. Domains inside a package (cores, memory) are parts of it
 * and left out. */
#include "engine/lab/energy.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool read_number(const char *directory, const char *name, uint64_t *ret_number)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "re");
    const bool read = file && fscanf(file, "%" SCNu64, ret_number) == 1;
    if (file) {
        fclose(file);
    }
    return read;
}

static bool is_package(const char *directory)
{
    char path[128], name[32] = "";
    snprintf(path, sizeof(path), "%s/name", directory);
    FILE *file = fopen(path, "re");
    const bool read = file && fgets(name, sizeof(name), file);
    if (file) {
        fclose(file);
    }
    return read && strncmp(name, "package-", 8) == 0;
}

void lab_energy_begin(struct lab_energy *energy, const char *root)
{
    DIR *tree = opendir(root);
    energy->count = 0;
    for (struct dirent *entry; tree && (entry = readdir(tree));) {
        const uint32_t i = energy->count;
        if (entry->d_name[0] == '.' || i == LAB_ENERGY_PACKAGES ||
            snprintf(energy->paths[i], sizeof(energy->paths[i]), "%s/%s", root, entry->d_name) >=
                (int)sizeof(energy->paths[i])) {
            continue;
        }
        if (is_package(energy->paths[i]) &&
            read_number(energy->paths[i], "max_energy_range_uj", &energy->range[i]) &&
            read_number(energy->paths[i], "energy_uj", &energy->begin[i])) {
            energy->count++;
        }
    }
    if (tree) {
        closedir(tree);
    }
}

bool lab_energy_end(const struct lab_energy *energy, double *ret_joules)
{
    double joules = 0;
    for (uint32_t i = 0; i < energy->count; i++) {
        uint64_t now;
        if (!read_number(energy->paths[i], "energy_uj", &now)) {
            return false;
        }
        const uint64_t used = now >= energy->begin[i] ? now - energy->begin[i]
                                                      : now + energy->range[i] - energy->begin[i];
        joules += 1e-6 * (double)used;
    }
    if (energy->count > 0) {
        *ret_joules = joules;
    }
    return energy->count > 0;
}
