/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See study.h. Knows no study. */
#include "engine/lab/study.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"
#include "engine/lab/threads.h"

#define DEFAULT_THREADS  2u
#define EPOCHS_MAX       1000u
#define PLAN_BYTES_MAX   ((size_t)4096)
#define RESULT_BYTES_MAX ((size_t)64 << 10)
#define STATE_BYTES_MAX  ((size_t)1 << 30)
#define TIMED_STEPS      6u

static int tell(const char *name, int r, const char *reason)
{
    lab_error("%s: %s", name, reason ? reason : strerror(-r));
    return r;
}

/* ---- the command line ---- */

bool lab_study_same_sizes(const struct lab_study_sizes *a, const struct lab_study_sizes *b)
{
    return a->pictures == b->pictures && a->epochs == b->epochs && a->seeds == b->seeds &&
           a->test == b->test;
}

int lab_study_parse(const struct lab_args *args, const struct lab_study_sizes *whole,
                    const struct lab_study_sizes *quick, struct lab_study_sizes *ret_sizes,
                    uint64_t *ret_threads, uint32_t *ret_mask)
{
    *ret_sizes = lab_args_given(args, LAB_OPTION_QUICK) ? *quick : *whole;
    *ret_threads = DEFAULT_THREADS;
    *ret_mask = KERNEL_CPU_ALL;
    if (!lab_args_given(args, LAB_OPTION_TEST)) {
        lab_error("reproduce %s: --test is needed", args->operands[0]);
        return -EINVAL;
    }
    if (lab_args_number(args, LAB_OPTION_IMAGES, LAB_STUDY_PICTURES_MIN, LAB_TREE_FILES_MAX,
                        &ret_sizes->pictures) < 0 ||
        lab_args_number(args, LAB_OPTION_LIMIT, 1, LAB_TREE_FILES_MAX, &ret_sizes->test) < 0 ||
        lab_args_number(args, LAB_OPTION_EPOCHS, 1, EPOCHS_MAX, &ret_sizes->epochs) < 0 ||
        lab_args_number(args, LAB_OPTION_SEEDS, 1, LAB_STUDY_SEEDS_MAX, &ret_sizes->seeds) < 0 ||
        lab_args_number(args, LAB_OPTION_THREADS, 1, LAB_THREADS_MAX, ret_threads) < 0 ||
        lab_args_cpu_mask(args, ret_mask) < 0) {
        return -EINVAL;
    }
    return 0;
}

/* ---- what is trained on, and by what ---- */

static int check_sizes(const struct lab_study_tools *tools, struct lab_study_sizes *sizes)
{
    const struct lab_tree *data = &tools->data.tree, *test = &tools->test.tree;
    if (data->class_count != test->class_count || data->class_count < 2 ||
        data->file_count < LAB_STUDY_PICTURES_MIN) {
        lab_error("--data and --test need the same classes, two or more, and %u pictures or more",
                  LAB_STUDY_PICTURES_MIN);
        return -EINVAL;
    }
    sizes->pictures = sizes->pictures < data->file_count ? sizes->pictures : data->file_count;
    sizes->test = sizes->test < test->file_count ? sizes->test : test->file_count;
    return 0;
}

int lab_study_open(struct lab_study_tools *tools, const struct lab_args *args, uint64_t threads,
                   uint32_t mask, struct lab_study_sizes *sizes)
{
    const struct network_input input = {
        .target = {.width = 32, .height = 32, .channels = IMAGE_RGB, .fit = IMAGE_FIT_COVER},
        .front = {.source = GRADIENT_SOURCE_SRGB, .coding = GRADIENT_CODING_F32, .planes = 3}};
    struct kernel_table kernels;
    memset(tools, 0, sizeof(*tools));
    tools->cpu = kernel_cpu_detect() & mask;
    kernel_table_init(&kernels, tools->cpu);
    int r = lab_samples_init(&tools->data, args->values[LAB_OPTION_DATA], &input, &kernels);
    if (r == 0) {
        r = lab_samples_init(&tools->test, args->values[LAB_OPTION_TEST], &input, &kernels);
    }
    if (r == 0) {
        r = lab_threads_create((uint32_t)threads, &tools->threads);
        r = r < 0 ? tell("threads", r, NULL) : 0;
    }
    tools->workers = (struct train_workers){lab_threads_run, tools->threads};
    return r < 0 ? r : check_sizes(tools, sizes);
}

void lab_study_close(struct lab_study_tools *tools)
{
    lab_threads_destroy(tools->threads);
    lab_samples_finish(&tools->data);
    lab_samples_finish(&tools->test);
}

struct lab_samples lab_study_part(const struct lab_samples *all, const struct gradient_spec *front,
                                  uint32_t first, uint32_t count)
{
    struct lab_samples samples = *all;
    samples.input.front = *front;
    samples.planes += (size_t)first * samples.values;
    samples.whites += first;
    samples.labels += first;
    samples.tree.files = NULL; /* not asked for, and data in one file has none */
    samples.tree.file_count = count;
    return samples;
}

/* ---- the folder ---- */

char *lab_study_path(const char *directory, const char *name, const char *suffix)
{
    char *path;
    return asprintf(&path, "%s/%s%s", directory, name, suffix) < 0 ? NULL : path;
}

static int check_plan(const char *path, const char *plan)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, PLAN_BYTES_MAX, &bytes, &size);
    if (r == -ENOENT) {
        return lab_file_write(path, plan, strlen(plan));
    }
    if (r == 0) {
        r = size == strlen(plan) && memcmp(bytes, plan, size) == 0 ? 0 : -EEXIST;
        free(bytes);
    }
    return r;
}

int lab_study_enter(const char *directory, const char *plan)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST) {
        return tell(directory, -errno, NULL);
    }
    char *path = lab_study_path(directory, "plan", ".txt");
    int r = path ? check_plan(path, plan) : -ENOMEM;
    if (r < 0) {
        tell(path ? path : directory, r, r == -EEXIST ? "of a run with other sizes or data" : NULL);
    }
    free(path);
    return r;
}

int lab_study_load(const char *directory, const char *name, char **ret_text)
{
    char *path = lab_study_path(directory, name, ".csv");
    uint8_t *bytes;
    size_t size;
    int r = path ? lab_file_read(path, RESULT_BYTES_MAX, &bytes, &size) : -ENOMEM;
    free(path);
    *ret_text = NULL;
    if (r == -ENOENT) {
        return 0;
    }
    if (r < 0) {
        return tell(name, r, NULL);
    }
    *ret_text = strndup((const char *)bytes, size);
    free(bytes);
    return *ret_text ? 0 : tell(name, -ENOMEM, NULL);
}

int lab_study_save(const char *directory, const char *name, const char *suffix, FILE *text,
                   char **bytes, const size_t *size)
{
    char *path = lab_study_path(directory, name, suffix);
    int r = fclose(text) == 0 && path ? lab_file_write(path, *bytes, *size) : -ENOMEM;
    free(*bytes);
    free(path);
    return r < 0 ? tell(name, r, NULL) : 0;
}

/* ---- a training ---- */

int lab_study_work_open(struct lab_study_work *work, const struct lab_study_tools *tools,
                        const char *name, char *recipe, uint32_t pictures, uint64_t seed)
{
    const char *reason = NULL;
    int r = recipe ? lab_recipe_parse(name, recipe, strlen(recipe), &work->recipe) : -ENOMEM;
    free(recipe);
    if (r == 0) {
        work->data = lab_study_part(&tools->data, &work->recipe.input.front, 0, pictures);
        r = lab_learner_init(&work->learner, &work->recipe, &work->data, seed, tools->cpu,
                             &tools->workers, &reason);
    }
    return r < 0 ? tell(name, r, reason) : 0;
}

void lab_study_work_close(struct lab_study_work *work)
{
    if (work) {
        lab_learner_finish(&work->learner);
    }
    free(work);
}

static int restore(struct lab_study_work *work, const char *path, const char **ret_reason)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, STATE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return r;
    }
    r = train_restore(work->learner.train, bytes, size, ret_reason);
    free(bytes);
    if (r == 0 && lab_learner_epochs(&work->learner) != work->recipe.epochs) {
        *ret_reason = "not trained for as long as the plan says";
        r = -EBADMSG;
    }
    return r;
}

int lab_study_work_restore(struct lab_study_work *work, const char *directory, const char *name)
{
    char *path = lab_study_path(directory, name, ".safetensors");
    const char *reason = NULL;
    int r = path ? restore(work, path, &reason) : -ENOMEM;
    free(path);
    return r < 0 && r != -ENOENT ? tell(name, r, reason) : r;
}

static int save_state(const struct lab_study_work *work, const char *directory, const char *name)
{
    char *path = lab_study_path(directory, name, ".safetensors");
    void *bytes;
    size_t size;
    int r = path ? train_save(work->learner.train, &bytes, &size) : -ENOMEM;
    if (r == 0) {
        r = lab_file_write(path, bytes, size);
        free(bytes);
    }
    free(path);
    return r;
}

int lab_study_work_learn(struct lab_study_work *work, const char *directory, const char *name)
{
    const uint32_t epochs = work->recipe.epochs;
    struct lab_progress progress;
    struct train_result mean;
    float rate;
    int r = 0;
    lab_progress_init(&progress, name, (uint64_t)epochs * work->learner.steps);
    for (uint32_t epoch = 0; r == 0 && epoch < epochs; epoch++) {
        r = lab_learner_learn(&work->learner, &progress, &mean, &rate);
    }
    lab_progress_finish(&progress);
    r = r < 0 ? r : save_state(work, directory, name);
    return r < 0 && r != -ERANGE ? tell(name, r, NULL) : r;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int lab_study_work_time(struct lab_study_work *work, const struct lab_study_tools *tools,
                        double *ret_learning, double *ret_classifying)
{
    const uint32_t steps = work->learner.steps < TIMED_STEPS ? work->learner.steps : TIMED_STEPS;
    const uint32_t pictures = steps * work->learner.batch.room;
    const struct lab_samples some =
        lab_study_part(&tools->data, &work->recipe.input.front, 0, pictures);
    struct train_result mean;
    struct lab_score score;
    float rate;
    work->learner.steps = steps;
    const double start = now();
    int r = lab_learner_learn(&work->learner, NULL, &mean, &rate);
    const double between = now();
    lab_learner_measure(&work->learner, &some, &score);
    *ret_learning = (between - start) / pictures;
    *ret_classifying = (now() - between) / pictures;
    return r;
}
