/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab prune: a trained network loses first-layer filters one by one. This file reads a run
 * directory, prints a row for each filter and writes the result; filters.c does the pruning.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/filters.h"
#include "engine/lab/lab.h"
#include "engine/lab/master.h"
#include "engine/lab/options.h"
#include "engine/lab/samples.h"
#include "engine/lab/threads.h"
#include "engine/lab/trained.h"

#define DEFAULT_FILTERS 4u
#define DEFAULT_THREADS 2u
#define EPOCHS_MAX      1000u

struct job {
    const char *out;
    uint64_t filters, epochs, seed;
    uint32_t cpu;
    struct kernel_table kernels;
    struct lab_trained trained;
    struct lab_samples data, test; /* test: none without --test */
    struct lab_threads *threads;
    struct train_workers workers;
    struct lab_pruning pruning;
    FILE *table; /* prune.csv as it grows */
    char *table_bytes;
    size_t table_size;
};

static int tell(const char *what, int r, const char *reason)
{
    reason = reason ? reason : r == -ERANGE ? "the loss is no number any more" : strerror(-r);
    lab_error("%s: %s", what, reason);
    return r;
}

static int parse(const struct lab_args *args, struct job *job, uint64_t *ret_threads)
{
    uint32_t mask = KERNEL_CPU_ALL;
    job->filters = DEFAULT_FILTERS;
    job->epochs = job->seed = 1;
    job->out = args->values[LAB_OPTION_OUT];
    *ret_threads = DEFAULT_THREADS;
    if (lab_args_number(args, LAB_OPTION_FILTERS, 1, TRAIN_CHANNELS_MAX, &job->filters) < 0 ||
        lab_args_number(args, LAB_OPTION_EPOCHS, 1, EPOCHS_MAX, &job->epochs) < 0 ||
        lab_args_number(args, LAB_OPTION_SEED, 0, UINT64_MAX, &job->seed) < 0 ||
        lab_args_number(args, LAB_OPTION_THREADS, 1, LAB_THREADS_MAX, ret_threads) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return -EINVAL;
    }
    job->cpu = kernel_cpu_detect() & mask;
    kernel_table_init(&job->kernels, job->cpu);
    return 0;
}

/* The labels of a model must be the folders of a tree. */
static int check_classes(const struct job *job, const struct lab_tree *tree, const char *directory)
{
    const struct network_description *model = network_model_describe(job->trained.master.model);
    bool equal = tree->class_count == model->label_count;
    for (uint32_t c = 0; equal && c < tree->class_count; c++) {
        equal = strcmp(tree->classes[c], model->labels[c]) == 0;
    }
    return equal ? 0 : tell(directory, -EINVAL, "its classes are not the labels of the model");
}

static int read_pictures(struct job *job, const char *directory, struct lab_samples *samples)
{
    int r = lab_samples_init(samples, directory, &job->trained.recipe.input, &job->kernels);
    return r < 0 ? r : check_classes(job, &samples->tree, directory);
}

static int open_all(struct job *job, const struct lab_args *args, uint64_t threads)
{
    const char *run = args->operands[0], *test = args->values[LAB_OPTION_TEST], *reason = NULL;
    int r = lab_trained_open(&job->trained, run, job->cpu, &job->kernels);
    if (r == 0) {
        r = read_pictures(job, args->values[LAB_OPTION_DATA], &job->data);
    }
    if (r == 0 && test) {
        r = read_pictures(job, test, &job->test);
    }
    if (r < 0) {
        return r;
    }
    r = lab_threads_create((uint32_t)threads, &job->threads);
    if (r == 0) {
        job->workers = (struct train_workers){lab_threads_run, job->threads};
        r = lab_pruning_init(&job->pruning, &job->trained.recipe, job->trained.train, &job->data,
                             job->seed, job->cpu, &job->workers, &reason);
    }
    if (r == 0) {
        job->table = open_memstream(&job->table_bytes, &job->table_size);
        r = job->table ? 0 : -ENOMEM;
    }
    return r < 0 ? tell(run, r, reason) : 0;
}

static void close_all(struct job *job)
{
    if (job->table) {
        fclose(job->table);
    }
    free(job->table_bytes);
    lab_pruning_finish(&job->pruning);
    lab_threads_destroy(job->threads);
    lab_samples_finish(&job->data);
    lab_samples_finish(&job->test);
    lab_trained_close(&job->trained);
}

static int save(const struct job *job, const char *name, const void *bytes, size_t size)
{
    char *path;
    if (asprintf(&path, "%s/%s", job->out, name) < 0) {
        return tell(name, -ENOMEM, NULL);
    }
    int r = lab_file_write(path, bytes, size);
    if (r < 0) {
        tell(path, r, NULL);
    }
    free(path);
    return r;
}

/* A row for the network as it is now, printed and put into prune.csv. */
static int record(struct job *job, const struct lab_similarity *similarity)
{
    uint32_t filters = lab_pruning_filters(&job->pruning);
    fprintf(job->table, "%u,%.6f,%.6f,", filters, similarity->mean, similarity->most);
    printf("%7u  %10.4f  %12.4f", filters, similarity->mean, similarity->most);
    if (job->test.tree.file_count > 0) {
        struct lab_score score;
        lab_learner_measure(&job->pruning.learner, &job->test, &score);
        fprintf(job->table, "%.6f,%.6f", score.accuracy, score.balanced);
        printf("  %8.2f  %8.2f", 100 * score.accuracy, 100 * score.balanced);
    } else {
        fputc(',', job->table);
    }
    fputc('\n', job->table);
    putchar('\n');
    fflush(stdout);
    return fflush(job->table) == 0 ? save(job, "prune.csv", job->table_bytes, job->table_size)
                                   : tell("prune.csv", -ENOMEM, NULL);
}

static int save_model(struct job *job)
{
    const struct network_description *from = network_model_describe(job->trained.master.model);
    const char *reason = NULL;
    char provenance[256], name[NETWORK_NAME_MAX + 32];
    void *bytes;
    size_t size;
    snprintf(provenance, sizeof(provenance),
             "{\"pruned_by\":\"ocellus-lab " OCELLUS_VERSION
             "\",\"recipe\":\"%s\",\"filters\":%u,\"seed\":\"%" PRIu64 "\",\"epochs\":%" PRIu64 "}",
             job->trained.recipe.name, lab_pruning_filters(&job->pruning), job->seed, job->epochs);
    int r = lab_master_write(&job->pruning.recipe, job->pruning.learner.train, from->labels,
                             from->label_count, provenance, &bytes, &size, &reason);
    if (r < 0) {
        return tell(job->trained.recipe.name, r, reason);
    }
    snprintf(name, sizeof(name), "%s-f32.safetensors", job->trained.recipe.name);
    r = save(job, name, bytes, size);
    free(bytes);
    return r;
}

static int work(struct job *job)
{
    struct lab_similarity similarity;
    if (mkdir(job->out, 0777) != 0 && errno != EEXIST) {
        return tell(job->out, -errno, NULL);
    }
    fputs("filters,similarity,most_similar,accuracy,balanced\n", job->table);
    puts("filters  similarity  most similar  accuracy  balanced");
    lab_pruning_compare(&job->pruning, &similarity);
    int r = record(job, &similarity);
    while (r == 0 && lab_pruning_filters(&job->pruning) > job->filters) {
        r = lab_pruning_remove(&job->pruning, similarity.redundant);
        if (r == 0) {
            r = lab_pruning_tune(&job->pruning, (uint32_t)job->epochs, 0);
        }
        if (r < 0) {
            return tell(job->out, r, NULL);
        }
        lab_pruning_compare(&job->pruning, &similarity);
        r = record(job, &similarity);
    }
    return r < 0 ? r : save_model(job);
}

int lab_prune(const struct lab_args *args)
{
    struct job *job = calloc(1, sizeof(*job));
    uint64_t threads;
    if (!job) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    if (parse(args, job, &threads) < 0) {
        free(job);
        return LAB_EXIT_USAGE;
    }
    int r = open_all(job, args, threads);
    if (r == 0) {
        r = work(job);
    }
    close_all(job);
    free(job);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
