/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab train: a recipe and folder-per-class trees -> a run directory with checkpoint,
 * metrics and a float model. The learning is engine/train's; this file feeds and saves it.
 *
 * RUN DIRECTORY
 *   recipe.ini              the recipe under a comment that says seed, pictures and classes; a run
 *                           goes on only where all of these are the same
 *   metrics.csv             a row per epoch
 *   loss.svg, accuracy.svg  drawn of it at the end, with the scripts for gnuplot beside them
 *   checkpoint.safetensors  all that is needed to go on after the last epoch
 *   NAME-f32.safetensors    the result, where a model file can say all of the recipe's layers; of
 *                           a recipe with ternary, binary or log layers NAME.safetensors, packed
 * Each is replaced as a whole, the checkpoint after the metrics: a run that is killed at any moment
 * goes on with --resume and ends in the same bytes.
 */
#include "engine/lab/lab.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/learn.h"
#include "engine/lab/master.h"
#include "engine/lab/options.h"
#include "engine/lab/plot.h"
#include "engine/lab/progress.h"
#include "engine/lab/recipe.h"
#include "engine/lab/samples.h"
#include "engine/lab/threads.h"
#include "engine/lab/trained.h"
#include "engine/lab/widen.h"

#define DEFAULT_THREADS      2u
#define STATE_BYTES_MAX      ((size_t)1 << 30)
#define METRICS_BYTES_MAX    ((size_t)64 << 20)
#define METRICS_HEADER       "epoch,rate,loss,train_accuracy,test_accuracy,test_balanced\n"
#define METRICS_NOT_MEASURED ","

struct run {
    struct lab_recipe recipe;
    struct kernel_table kernels;
    struct lab_samples data, test; /* test: none without --test */
    struct lab_threads *threads;
    struct train_workers workers;
    struct lab_learner learner;
    uint32_t cpu;
    uint64_t seed;
    const char *widen; /* run directory of the narrow network; NULL: none */
    bool no_master;    /* the layers fit no model file */
    const char *directory;
    char *text, *metrics; /* of recipe.ini and metrics.csv */
};

/* ---- files of the run directory ---- */

/* Text by format, or NULL. */
__attribute__((format(printf, 1, 2))) static char *print(const char *format, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return length < 0 ? NULL : text;
}

static int tell(const char *path, int r, const char *reason)
{
    lab_error("%s: %s", path ? path : "out of memory", reason ? reason : strerror(-r));
    return r;
}

static int save(const struct run *run, const char *name, const void *bytes, size_t size)
{
    char *path = print("%s/%s", run->directory, name);
    int r = path ? lab_file_write(path, bytes, size) : -ENOMEM;
    if (r < 0) {
        tell(path, r, NULL);
    }
    free(path);
    return r;
}

/* The whole file as text with a NUL after it; told where it fails but with -ENOENT. */
static int load(const struct run *run, const char *name, size_t max, char **ret_text,
                size_t *ret_size)
{
    char *path = print("%s/%s", run->directory, name);
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = path ? lab_file_read(path, max, &bytes, &size) : -ENOMEM;
    if (r == 0) {
        char *text = realloc(bytes, size + 1);
        r = text ? 0 : -ENOMEM;
        if (text) {
            text[size] = '\0';
            *ret_text = text;
            *ret_size = size;
        } else {
            free(bytes);
        }
    }
    if (r < 0 && r != -ENOENT) {
        tell(path, r, NULL);
    }
    free(path);
    return r;
}

/* ---- opening ---- */

static int read_recipe(struct run *run, const char *path, char **ret_text)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_file_read(path, LAB_RECIPE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return tell(path, r, NULL);
    }
    r = lab_recipe_parse(path, (const char *)bytes, size, &run->recipe);
    if (r == 0) {
        *ret_text = print("%.*s", (int)size, (const char *)bytes);
        r = *ret_text ? 0 : -ENOMEM;
    }
    free(bytes);
    return r;
}

static int check_classes(const struct run *run)
{
    const struct lab_tree *data = &run->data.tree, *test = &run->test.tree;
    uint32_t outputs = run->recipe.layers[run->recipe.layer_count - 1].out;
    if (outputs != data->class_count) {
        lab_error("the last layer has %u outputs, but there are %u classes", outputs,
                  data->class_count);
        return -EINVAL;
    }
    bool equal = test->class_count == 0 || test->class_count == data->class_count;
    for (uint32_t c = 0; equal && c < test->class_count; c++) {
        equal = strcmp(test->classes[c], data->classes[c]) == 0;
    }
    if (!equal) {
        lab_error("the classes of --test are not those of --data");
        return -EINVAL;
    }
    return 0;
}

/* The recipe under a comment with all else that the result depends on. */
static int describe(struct run *run, const char *recipe)
{
    char *classes = strdup("");
    for (uint32_t c = 0; classes && c < run->data.tree.class_count; c++) {
        char *longer = print("%s %s", classes, run->data.tree.classes[c]);
        free(classes);
        classes = longer;
    }
    run->text = classes ? print("# ocellus-lab train: seed %" PRIu64 ", %u pictures of%s%s\n%s",
                                run->seed, run->data.tree.file_count, classes,
                                run->widen ? "; from a narrower network" : "", recipe)
                        : NULL;
    free(classes);
    return run->text ? 0 : -ENOMEM;
}

static int make_learner(struct run *run, const char *path)
{
    const char *reason = NULL;
    int r = lab_learner_init(&run->learner, &run->recipe, &run->data, run->seed, run->cpu,
                             &run->workers, &reason);
    return r < 0 ? tell(path, r, reason) : 0;
}

static int parse(const struct lab_args *args, struct run *run, uint64_t *ret_threads)
{
    uint32_t mask = KERNEL_CPU_ALL;
    *ret_threads = DEFAULT_THREADS;
    run->seed = 1;
    if (lab_args_number(args, LAB_OPTION_SEED, 0, UINT64_MAX, &run->seed) < 0 ||
        lab_args_number(args, LAB_OPTION_THREADS, 1, LAB_THREADS_MAX, ret_threads) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return -EINVAL;
    }
    run->cpu = kernel_cpu_detect() & mask;
    kernel_table_init(&run->kernels, run->cpu);
    return 0;
}

static int open_all(struct run *run, const struct lab_args *args, uint64_t threads)
{
    const char *path = args->operands[0], *test = args->values[LAB_OPTION_TEST];
    char *recipe = NULL;
    int r = read_recipe(run, path, &recipe);
    run->widen = args->values[LAB_OPTION_WIDEN];
    run->directory = args->values[LAB_OPTION_OUT] ? args->values[LAB_OPTION_OUT] : run->recipe.name;
    if (r == 0) {
        r = lab_samples_init(&run->data, args->values[LAB_OPTION_DATA], &run->recipe.input,
                             &run->kernels);
    }
    if (r == 0 && test) {
        r = lab_samples_init(&run->test, test, &run->recipe.input, &run->kernels);
    }
    if (r == 0) {
        r = check_classes(run);
    }
    if (r == 0) {
        r = describe(run, recipe);
    }
    free(recipe);
    if (r == 0) {
        r = lab_threads_create((uint32_t)threads, &run->threads);
        run->workers = (struct train_workers){lab_threads_run, run->threads};
    }
    return r < 0 ? r : make_learner(run, path);
}

static void close_all(struct run *run)
{
    lab_threads_destroy(run->threads);
    lab_learner_finish(&run->learner);
    lab_samples_finish(&run->data);
    lab_samples_finish(&run->test);
    free(run->text);
    free(run->metrics);
}

/* ---- saving and going on ---- */

/* The result as it is now; `path` is for messages. */
static int make_master(const struct run *run, const char *path, void **ret_bytes, size_t *ret_size)
{
    const char *reason = NULL;
    char *provenance = print(
        "{\"trained_by\":\"ocellus-lab " OCELLUS_VERSION "\",\"recipe\":\"%s\",\"seed\":\"%" PRIu64
        "\",\"epochs\":%u,\"pictures\":%u}",
        run->recipe.name, run->seed, lab_learner_epochs(&run->learner), run->data.tree.file_count);
    int r = provenance ? lab_master_write(&run->recipe, run->learner.train,
                                          (const char *const *)run->data.tree.classes,
                                          run->data.tree.class_count, provenance, ret_bytes,
                                          ret_size, &reason)
                       : -ENOMEM;
    free(provenance);
    return r < 0 ? tell(path, r, reason) : 0;
}

static int save_master(const struct run *run)
{
    char name[LAB_TRAINED_NAME_BYTES];
    void *bytes;
    size_t size;
    lab_trained_name(&run->recipe, name);
    int r = lab_trained_settle(&run->recipe, run->learner.train);
    if (r == 0) {
        r = make_master(run, name, &bytes, &size);
    }
    if (r == 0) {
        r = save(run, name, bytes, size);
        free(bytes);
    }
    if (r == 0) {
        printf("%s/%s: %zu bytes\n", run->directory, name, size);
    }
    return r;
}

static int save_checkpoint(const struct run *run)
{
    void *bytes;
    size_t size;
    int r = save(run, "metrics.csv", run->metrics, strlen(run->metrics));
    if (r < 0) {
        return r;
    }
    r = train_save(run->learner.train, &bytes, &size);
    if (r == 0) {
        r = save(run, "checkpoint.safetensors", bytes, size);
        free(bytes);
    }
    return r;
}

static int check_same_run(const struct run *run)
{
    char *text;
    size_t size;
    int r = load(run, "recipe.ini", LAB_RECIPE_BYTES_MAX + METRICS_BYTES_MAX, &text, &size);
    if (r == -ENOENT) {
        text = NULL;
        r = 0;
    }
    if (r == 0 && (!text || strcmp(text, run->text) != 0)) {
        lab_error("%s: made with another recipe, seed or data (see its recipe.ini)",
                  run->directory);
        r = -EINVAL;
    }
    free(text);
    return r;
}

/* Rows that a killed run wrote ahead of its checkpoint are dropped. */
static int load_metrics(struct run *run)
{
    size_t size;
    free(run->metrics);
    run->metrics = NULL;
    int r = load(run, "metrics.csv", METRICS_BYTES_MAX, &run->metrics, &size);
    if (r < 0) {
        return r == -ENOENT ? tell(run->directory, r, "no metrics.csv beside the checkpoint") : r;
    }
    char *end = run->metrics;
    for (uint32_t row = 0; row <= lab_learner_epochs(&run->learner); row++) {
        end = strchr(end, '\n');
        if (!end) {
            return tell(run->directory, -EINVAL, "metrics.csv lacks epochs of the checkpoint");
        }
        end++;
    }
    *end = '\0';
    return 0;
}

static int resume(struct run *run, const char *state, size_t size)
{
    const char *reason = NULL;
    int r = check_same_run(run);
    if (r < 0) {
        return r;
    }
    r = train_restore(run->learner.train, state, size, &reason);
    return r < 0 ? tell(run->directory, r, reason) : load_metrics(run);
}

static int widen(struct run *run)
{
    const char *reason = NULL;
    struct lab_trained *narrow = calloc(1, sizeof(*narrow));
    if (!narrow) {
        return tell(NULL, -ENOMEM, NULL);
    }
    int r = lab_trained_open(narrow, run->widen, run->cpu, &run->kernels);
    if (r == 0) {
        r = lab_widen(&narrow->recipe, narrow->train, &run->recipe, run->learner.train,
                      LAB_WIDENING_NOISE, run->seed, &reason);
        r = r < 0 ? tell(run->widen, r, reason) : 0;
        lab_trained_close(narrow);
    }
    free(narrow);
    return r;
}

/* Starts or goes on. A folder with a checkpoint is not overwritten without being asked to. */
static int enter_directory(struct run *run, bool go_on)
{
    char *state = NULL;
    size_t size;
    if (mkdir(run->directory, 0777) != 0 && errno != EEXIST) {
        return tell(run->directory, -errno, NULL);
    }
    int r = load(run, "checkpoint.safetensors", STATE_BYTES_MAX, &state, &size);
    if (r == 0) {
        r = go_on ? resume(run, state, size)
                  : tell(run->directory, -EEXIST, "holds a run; --resume goes on with it");
        free(state);
        return r;
    }
    if (r != -ENOENT) {
        return r;
    }
    r = run->widen ? widen(run) : 0;
    if (r < 0) {
        return r;
    }
    run->metrics = strdup(METRICS_HEADER);
    return run->metrics ? save(run, "recipe.ini", run->text, strlen(run->text)) : -ENOMEM;
}

/* ---- learning ---- */

/* A row of metrics.csv and a line for people. */
static int record(struct run *run, uint32_t epoch, const struct train_result *mean, float rate)
{
    double seen = (double)mean->correct / ((double)run->learner.steps * run->learner.batch.room);
    char test[64] = METRICS_NOT_MEASURED, told[64] = "";
    if (run->test.tree.file_count > 0) {
        struct lab_score score;
        lab_learner_measure(&run->learner, &run->test, &score);
        snprintf(test, sizeof(test), "%.6f,%.6f", score.accuracy, score.balanced);
        snprintf(told, sizeof(told), ", test %.2f %% (balanced %.2f %%)", 100 * score.accuracy,
                 100 * score.balanced);
    }
    char *longer = print("%s%u,%.6g,%.6g,%.6f,%s\n", run->metrics, epoch + 1, (double)rate,
                         mean->loss, seen, test);
    if (!longer) {
        return tell(NULL, -ENOMEM, NULL);
    }
    free(run->metrics);
    run->metrics = longer;
    printf("epoch %u/%u: loss %.4f, training %.2f %%%s\n", epoch + 1, run->recipe.epochs,
           mean->loss, 100 * seen, told);
    fflush(stdout);
    return 0;
}

static int run_epochs(struct run *run)
{
    uint32_t done = lab_learner_epochs(&run->learner), epochs = run->recipe.epochs;
    struct lab_progress progress;
    int r = 0;
    if (done >= epochs) {
        return 0;
    }
    lab_progress_init(&progress, "train", (uint64_t)(epochs - done) * run->learner.steps);
    for (uint32_t epoch = done; r == 0 && epoch < epochs; epoch++) {
        struct train_result mean;
        float rate;
        r = lab_learner_learn(&run->learner, &progress, &mean, &rate);
        lab_progress_finish(&progress); /* the bar makes room for a line */
        if (r == -ERANGE) {
            lab_error("epoch %u: the loss is no number any more; a lower rate may help", epoch + 1);
        }
        if (r == 0) {
            r = record(run, epoch, &mean, rate);
        }
        if (r == 0) {
            r = save_checkpoint(run);
        }
    }
    return r;
}

/* Charts are no part of the result: what goes wrong is told and passed over. */
static void draw(const struct run *run)
{
    static const struct lab_series loss = {"metrics.csv", "epoch", "loss", "training", false};
    static const struct lab_series accuracy[] = {
        {"metrics.csv", "epoch", "train_accuracy", "training, as it learned", false},
        {"metrics.csv", "epoch", "test_accuracy", "test", false},
    };
    const char *name = run->recipe.name;
    const struct lab_plot plots[] = {
        {name, {"epoch", LAB_AXIS_LINEAR}, {"loss", LAB_AXIS_LOG10}, &loss, 1},
        {name,
         {"epoch", LAB_AXIS_LINEAR},
         {"share right", LAB_AXIS_LINEAR},
         accuracy,
         run->test.tree.file_count > 0 ? 2 : 1},
    };
    lab_plot_draw(&plots[0], run->directory, "loss");
    lab_plot_draw(&plots[1], run->directory, "accuracy");
}

static void print_result(struct run *run)
{
    struct lab_score score;
    if (run->test.tree.file_count == 0) {
        return;
    }
    lab_learner_measure(&run->learner, &run->test, &score);
    printf("test: %u of %u right, %.2f %%; balanced accuracy %.2f %%\n", score.right, score.count,
           100 * score.accuracy, 100 * score.balanced);
    for (uint32_t c = 0; c < run->data.tree.class_count; c++) {
        printf("  %s: %u of %u\n", run->data.tree.classes[c], run->learner.class_right[c],
               run->learner.class_count[c]);
    }
}

static int work(struct run *run, const struct lab_args *args)
{
    /* A model that cannot be written is better known before hours of training than after. */
    const char *reason = NULL;
    run->no_master = lab_master_check(&run->recipe, &reason) < 0;
    if (run->no_master) {
        lab_error("%s: %s", args->operands[0], reason);
        puts("the checkpoint will be the only result");
    }
    int r = enter_directory(run, lab_args_given(args, LAB_OPTION_RESUME));
    if (r == 0) {
        r = run_epochs(run);
    }
    if (r == 0 && !run->no_master) {
        r = save_master(run);
    }
    if (r == 0) {
        draw(run);
        print_result(run);
    }
    return r;
}

int lab_train(const struct lab_args *args)
{
    struct run *run = calloc(1, sizeof(*run));
    uint64_t threads;
    if (!run) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    if (parse(args, run, &threads) < 0) {
        free(run);
        return LAB_EXIT_USAGE;
    }
    int r = open_all(run, args, threads);
    if (r == -ENOMEM) {
        lab_error("out of memory");
    }
    if (r == 0) {
        r = work(run, args);
    }
    close_all(run);
    free(run);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
