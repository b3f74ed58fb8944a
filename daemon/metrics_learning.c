/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Metrics of what is learned, what it costs the flash, and what the flash says of its age. */
#include "daemon/metrics_learning.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/adaptation.h"
#include "daemon/metrics.h"
#include "daemon/text.h"

#define FLASH_DEVICES_MAX 4u

/* A family with one value for each adapter. */
struct family {
    const char *name, *type, *help;
    double (*get)(const struct adapter_status *status, uint64_t applied);
};

#define GETTER(name, expression)                                                                   \
    static double name(const struct adapter_status *status, uint64_t applied)                      \
    {                                                                                              \
        (void)status;                                                                              \
        (void)applied;                                                                             \
        return (double)(expression);                                                               \
    }

static double share(uint32_t part, uint32_t whole)
{
    return whole > 0 ? (double)part / whole : 0;
}

GETTER(get_learns, status->open && !status->read_only)
GETTER(get_labels, status->online.labels)
GETTER(get_correct, status->online.correct)
GETTER(get_loss, status->online.loss)
GETTER(get_accuracy, status->accuracy < 0 ? 0 : status->accuracy)
GETTER(get_holdout, status->online.holdout)
GETTER(get_before, share(status->online.last.before, status->online.last.count))
GETTER(get_after, share(status->online.last.after, status->online.last.count))
GETTER(get_refused, status->online.refused)
GETTER(get_sequence, status->sequence)
GETTER(get_applied, applied)
GETTER(get_durable, status->durable)
GETTER(get_charged, status->ledger.charged)
GETTER(get_records, status->ledger.records)
GETTER(get_snapshots, status->ledger.snapshots)
GETTER(get_limit, status->budget_day)
GETTER(get_left, status->ledger.budget_left)

static const struct family families[] = {
    {"ocellus_adapt_learns", "gauge", "1 while the adapter can learn.", get_learns},
    {"ocellus_adapt_labels_total", "counter", "Labels since the start.", get_labels},
    {"ocellus_adapt_correct_total", "counter", "Labels predicted before learning.", get_correct},
    {"ocellus_adapt_loss", "gauge", "Running mean of the loss.", get_loss},
    {"ocellus_adapt_accuracy", "gauge", "Share predicted before learning, of the last 20 or so.",
     get_accuracy},
    {"ocellus_adapt_holdout_labels", "gauge", "Labels that are held out.", get_holdout},
    {"ocellus_adapt_holdout_accuracy_before", "gauge",
     "Share of the holdout that was right before the last update.", get_before},
    {"ocellus_adapt_holdout_accuracy", "gauge",
     "Share of the holdout that is right with the last update.", get_after},
    {"ocellus_adapt_refused_total", "counter", "Updates taken back because they did harm.",
     get_refused},
    {"ocellus_adapt_sequence", "gauge", "Number of the last update.", get_sequence},
    {"ocellus_adapt_applied", "gauge", "Number of the last update that judges frames.",
     get_applied},
    {"ocellus_adapt_durable", "gauge", "Number of the last update that survives a power cut.",
     get_durable},
    {"ocellus_state_bytes_written_total", "counter",
     "Bytes charged to the block device since the store was made.", get_charged},
    {"ocellus_state_commits_total", "counter", "Records since the store was made.", get_records},
    {"ocellus_state_snapshots_total", "counter", "Snapshots since the store was made.",
     get_snapshots},
    {"ocellus_write_budget_bytes", "gauge", "Bytes that may be written in a day.", get_limit},
    {"ocellus_write_budget_left_bytes", "gauge", "Bytes that may be written now.", get_left},
};

struct layer_family {
    const char *name, *type, *help;
    double (*get)(const struct train_online_layer_status *layer);
};

static double get_lambda(const struct train_online_layer_status *layer)
{
    return layer->lambda;
}

static double get_energy(const struct train_online_layer_status *layer)
{
    return layer->energy;
}

static double get_written(const struct train_online_layer_status *layer)
{
    return (double)layer->cells_written;
}

static double get_worst(const struct train_online_layer_status *layer)
{
    return layer->worst;
}

static const struct layer_family layer_families[] = {
    {"ocellus_adapt_lambda_max", "gauge",
     "Largest eigenvalue of the autocorrelation of a layer's inputs.", get_lambda},
    {"ocellus_adapt_rank_energy", "gauge",
     "Share of the largest singular value in a layer's last flush.", get_energy},
    {"ocellus_adapt_cells_written_total", "counter", "Writes to cells of a layer.", get_written},
    {"ocellus_adapt_worst_cell_writes", "gauge", "Writes to the most written cell of a layer.",
     get_worst},
};

static void put_layers(struct text *text, struct adaptation *adaptation,
                       const struct layer_family *family, const struct adapter_status *all)
{
    text_add(text, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
             family->type);
    for (uint32_t i = 0; i < adaptation_count(adaptation); i++) {
        for (uint32_t k = 0; k < all[i].online.layer_count; k++) {
            const struct train_online_layer_status *layer = &all[i].online.layers[k];
            text_add(text, "%s{adapter=\"%s\",layer=\"%" PRIu32 "\"} %.15g\n", family->name,
                     adaptation_name(adaptation, i), layer->layer, family->get(layer));
        }
    }
}

void metrics_put_learning(struct text *text, struct adaptation *adaptation)
{
    const uint32_t count = adaptation_count(adaptation);
    struct adapter_status *all = count > 0 ? calloc(count, sizeof(*all)) : NULL;
    if (all == NULL) {
        text->failed |= count > 0;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        adaptation_get_status(adaptation, i, &all[i]);
    }
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        const struct family *family = &families[f];
        text_add(text, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                 family->type);
        for (uint32_t i = 0; i < count; i++) {
            text_add(text, "%s{adapter=\"%s\"} %.15g\n", family->name,
                     adaptation_name(adaptation, i),
                     family->get(&all[i], adaptation_applied(adaptation, i)));
        }
    }
    for (size_t f = 0; f < sizeof(layer_families) / sizeof(layer_families[0]); f++) {
        put_layers(text, adaptation, &layer_families[f], all);
    }
    free(all);
}

/* ---- The age of the flash ---- */

/* "0x02 0x01": life used by the two kinds of cells, in steps of a tenth, 0x0b: more than all.
 * (JEDEC JESD84-B51, DEVICE_LIFE_TIME_EST_TYP_A and _B; 0 is not defined.) */
static bool read_life(int blocks, const char *device, unsigned ret_life[2])
{
    char path[96], content[32];
    snprintf(path, sizeof(path), "%.32s/device/life_time", device);
    const int fd = openat(blocks, path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd >= 0 ? read(fd, content, sizeof(content) - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (length <= 0) {
        return false;
    }
    content[length] = '\0';
    return sscanf(content, "%x %x", &ret_life[0], &ret_life[1]) == 2 && ret_life[0] <= 11 &&
           ret_life[1] <= 11;
}

/* A whole eMMC device: "mmcblk" and a number; its boot partitions say the same. */
static bool is_flash(const char *name)
{
    return strncmp(name, "mmcblk", 6) == 0 && name[6] != '\0' && strlen(name) < 16 &&
           strspn(name + 6, "0123456789") == strlen(name + 6);
}

void metrics_put_flash(struct text *text, const char *blocks)
{
    DIR *directory = opendir(blocks);
    const struct dirent *entry;
    uint32_t count = 0;
    while (directory != NULL && count < FLASH_DEVICES_MAX && (entry = readdir(directory)) != NULL) {
        unsigned life[2];
        if (!is_flash(entry->d_name) || !read_life(dirfd(directory), entry->d_name, life)) {
            continue;
        }
        if (count++ == 0) {
            text_add(text,
                     "# HELP ocellus_emmc_life_used_ratio Life that the flash has used, as it "
                     "estimates it, rounded up to a tenth; 1.1: more than all.\n"
                     "# TYPE ocellus_emmc_life_used_ratio gauge\n");
        }
        for (unsigned i = 0; i < 2; i++) {
            text_add(text, "ocellus_emmc_life_used_ratio{device=\"%.16s\",type=\"%c\"} %.1f\n",
                     entry->d_name, i == 0 ? 'a' : 'b', life[i] / 10.0);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}
