/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab bench: how long a run of a network takes on this core, whole and by layer, with which
 * memory, and how soon after loading the first answer is there. It decodes no picture and starts no
 * thread; who wants it on one core pins it.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/kernel/rates.h"
#include "engine/lab/ceilings.h"
#include "engine/lab/energy.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/topology.h"
#include "engine/network/model.h"
#include "engine/network/plan.h"

enum { RUNS_DEFAULT = 1000, RUNS_MAX = 1000000, LAYER_RUNS = 201, LOADS = 11 };

/* A measurement ends after this, however many runs were asked for; slow ones are steadier. */
static const double limit_us = 1e6;

struct mask {
    const char *name;
    struct kernel_table kernels;
};

struct bench {
    uint32_t runs, batch;
    bool json;
    struct mask masks[3];
    uint32_t mask_count;
    double *us; /* of each run */
};

/* One network under one mask. */
struct figures {
    uint32_t runs;
    double min_us, median_us, p99_us, load_us;
    double joules;                  /* a frame, of the whole processor package; 0: nobody counts */
    bool timed[NETWORK_LAYERS_MAX]; /* a pool inside its convolution is not timed alone */
    double layer_us[NETWORK_LAYERS_MAX], layer_gops[NETWORK_LAYERS_MAX];
    double ceiling_gops[NETWORK_LAYERS_MAX]; /* 0: none is known */
    double share; /* of the time that the layers would take at their ceilings; 0: not all known */
};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof(*values), by_value);
    return values[count / 2];
}

/* Random codes of the kind that the model reads. */
static void fill_codes(const struct lab_model *model)
{
    static const int peaks[] = {[GRADIENT_CODING_TERNARY] = 1, [GRADIENT_CODING_SEVEN] = 3};
    const struct gradient_spec *front = &model->input->front;
    const struct image_target *target = &model->input->target;
    size_t count = (size_t)target->width * target->height * gradient_channels(front) * model->lanes;
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t draw = (uint32_t)(state >> 33);
        if (front->coding == GRADIENT_CODING_F32) {
            ((float *)model->codes)[i] = (float)draw * 0x1p-30f - 1.0f;
        } else if (front->source == GRADIENT_SOURCE_SRGB) {
            uint32_t codes = front->coding == GRADIENT_CODING_U7 ? 128 : front->levels + 1u;
            ((uint8_t *)model->codes)[i] = (uint8_t)(draw % codes);
        } else {
            int peak = peaks[front->coding];
            ((int8_t *)model->codes)[i] = (int8_t)((int)(draw % (2u * (uint32_t)peak + 1)) - peak);
        }
    }
}

static void run(const struct lab_model *model)
{
    network_run_many(model->plan, model->arena, model->codes, model->lanes, model->scores);
}

static void time_runs(const struct bench *bench, const struct lab_model *model,
                      struct figures *figures)
{
    double begin = now_us();
    for (uint32_t i = 0; i < bench->runs / 10 + 3 && now_us() - begin < limit_us / 10; i++) {
        run(model);
    }
    struct lab_energy energy;
    double joules = 0;
    lab_energy_begin(&energy, LAB_ENERGY_ROOT);
    begin = now_us();
    uint32_t runs = 0;
    for (double start = begin; runs < bench->runs && start - begin < limit_us; start = now_us()) {
        run(model);
        bench->us[runs++] = now_us() - start;
    }
    if (lab_energy_end(&energy, &joules)) {
        figures->joules = joules / runs / model->lanes;
    }
    figures->runs = runs;
    figures->median_us = median(bench->us, runs);
    figures->min_us = bench->us[0];
    figures->p99_us = bench->us[(uint64_t)runs * 99 / 100];
}

struct stopwatch {
    double last;
    uint32_t runs;
    bool timed[NETWORK_LAYERS_MAX];
    double us[NETWORK_LAYERS_MAX][LAYER_RUNS];
};

static void stop(void *user, uint32_t layer, const struct network_activation *activation)
{
    struct stopwatch *watch = user;
    double now = now_us();
    (void)activation;
    watch->timed[layer] = true;
    watch->us[layer][watch->runs] = now - watch->last;
    watch->last = now_us();
}

static int time_layers(const struct bench *bench, const struct lab_model *model,
                       struct figures *figures)
{
    struct stopwatch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    double begin = now_us();
    while (watch->runs < LAYER_RUNS && watch->runs < bench->runs &&
           (watch->runs == 0 || now_us() - begin < limit_us / 4)) {
        watch->last = now_us();
        network_run_observed(model->plan, model->arena, model->codes, model->scores, stop, watch);
        watch->runs++;
    }
    for (uint32_t i = 0; i < NETWORK_LAYERS_MAX; i++) {
        figures->timed[i] = watch->timed[i];
        figures->layer_us[i] = watch->timed[i] ? median(watch->us[i], watch->runs) : 0;
    }
    free(watch);
    return 0;
}

/* From the bytes of a file to the first scores of a model already open, as a worker does it. */
static int load_and_run(const struct lab_model *open, const uint8_t *bytes, size_t size,
                        const struct mask *mask)
{
    struct network_model *model;
    struct network_plan *plan = NULL;
    int r = network_model_load(bytes, size, &model, NULL);
    if (r < 0) {
        return r;
    }
    r = network_plan_create(model, 0, 1, &mask->kernels, &plan);
    if (r == 0) {
        network_run(plan, open->arena, open->codes, open->scores);
    }
    network_plan_destroy(plan);
    network_model_destroy(model);
    return r;
}

static int time_load(const struct lab_model *open, const uint8_t *bytes, size_t size,
                     const struct mask *mask, struct figures *figures)
{
    double us[LOADS];
    for (int i = 0; i < LOADS; i++) {
        double start = now_us();
        int r = load_and_run(open, bytes, size, mask);
        if (r < 0) {
            return r;
        }
        us[i] = now_us() - start;
    }
    figures->load_us = median(us, LOADS);
    return 0;
}

/* The steps of a plan, by the last layer that each covers. */
static bool find_step(const struct lab_model *model, uint32_t layer, struct network_step *step)
{
    bool found = false;
    for (uint32_t i = 0; i < network_plan_steps(model->plan); i++) {
        struct network_step next;
        network_plan_step(model->plan, i, &next);
        if (next.last == layer) {
            *step = next; /* steps that only change a form come before it */
            found = true;
        }
    }
    return found;
}

/* What runs, and whether it takes the pool behind it. */
static void describe(const struct network_step *step, char text[32])
{
    snprintf(text, 32, "%s%s", step->kernel, step->last > step->first ? "+maxpool" : "");
}

static const char *name_of(const struct lab_model *model, const struct network_step *step)
{
    const struct network_point *point = &network_model_describe(model->model)->points[0];
    return point->layers[step->first].name ? point->layers[step->first].name : "";
}

/* Rates of the layers, and the ceilings beside them. */
static void compare_layers(const struct lab_model *model, struct figures *figures)
{
    double at_ceiling_us = 0, layers_us = 0;
    bool all = true;
    for (uint32_t i = 0; i < NETWORK_LAYERS_MAX; i++) {
        struct network_step step;
        if (!figures->timed[i] || !find_step(model, i, &step)) {
            continue;
        }
        figures->layer_gops[i] = 2e-3 * (double)step.macs / figures->layer_us[i];
        figures->ceiling_gops[i] = lab_ceiling(&step);
        all = all && (figures->ceiling_gops[i] > 0 || step.macs == 0);
        layers_us += figures->layer_us[i];
        at_ceiling_us +=
            figures->ceiling_gops[i] > 0 ? 2e-3 * (double)step.macs / figures->ceiling_gops[i] : 0;
    }
    figures->share = all && layers_us > 0 ? at_ceiling_us / layers_us : 0;
}

static double frames_per_s(const struct lab_model *model, const struct figures *figures)
{
    return 1e6 * model->lanes / figures->median_us;
}

static double gops(const struct lab_model *model, const struct figures *figures)
{
    return 2e-9 * (double)network_plan_macs(model->plan) * frames_per_s(model, figures);
}

/* Of all steps of a run: weights and maps, each where it is read or written, mostly in caches. */
static double bytes_moved(const struct lab_model *model)
{
    double bytes = 0;
    for (uint32_t i = 0; i < network_plan_steps(model->plan); i++) {
        struct network_step step;
        network_plan_step(model->plan, i, &step);
        bytes += (double)(step.packed_bytes + step.arena_bytes);
    }
    return bytes;
}

static void print_text(const struct lab_model *model, const struct mask *mask,
                       const struct figures *figures)
{
    printf("%-16s %-7s %5u %10.2f %10.2f %10.0f %8.1f %9zu %9zu %9.0f\n",
           network_model_name(model->model), mask->name, model->lanes, figures->median_us,
           figures->p99_us, frames_per_s(model, figures), gops(model, figures),
           network_plan_arena_bytes(model->plan), network_plan_packed_bytes(model->plan),
           figures->load_us);
    printf("    %.3f million operations and %.0f kB moved a run",
           2e-6 * model->lanes * (double)network_plan_macs(model->plan), 1e-3 * bytes_moved(model));
    if (figures->joules > 0) {
        printf(", %.4f mJ a frame of the whole package", 1e3 * figures->joules);
    }
    putchar('\n');
    if (figures->share > 0) {
        printf("    %.1f%% of the ceilings of its layers\n", 100 * figures->share);
    }
    for (uint32_t i = 0; i < NETWORK_LAYERS_MAX; i++) {
        struct network_step step;
        char kernel[32];
        if (figures->timed[i] && find_step(model, i, &step)) {
            describe(&step, kernel);
            printf("    %-12s %-10s %-8.8s %8.2f us %8.1f Gop/s", kernel, step.isa,
                   name_of(model, &step), figures->layer_us[i], figures->layer_gops[i]);
            if (figures->ceiling_gops[i] > 0) {
                printf(" %5.1f%% of %.0f", 100 * figures->layer_gops[i] / figures->ceiling_gops[i],
                       figures->ceiling_gops[i]);
            }
            putchar('\n');
        }
    }
}

static cJSON *layers_json(const struct lab_model *model, const struct figures *figures)
{
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < NETWORK_LAYERS_MAX; i++) {
        struct network_step step;
        char kernel[32];
        if (!figures->timed[i] || !find_step(model, i, &step)) {
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", name_of(model, &step));
        describe(&step, kernel);
        cJSON_AddStringToObject(item, "kernel", kernel);
        cJSON_AddStringToObject(item, "isa", step.isa);
        cJSON_AddNumberToObject(item, "us", figures->layer_us[i]);
        cJSON_AddNumberToObject(item, "gops", figures->layer_gops[i]);
        if (figures->ceiling_gops[i] > 0) {
            cJSON_AddNumberToObject(item, "ceiling_gops", figures->ceiling_gops[i]);
        }
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static int print_json(const struct lab_model *model, const struct mask *mask,
                      const struct figures *figures)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "net", network_model_name(model->model));
    cJSON_AddStringToObject(root, "mask", mask->name);
    cJSON_AddNumberToObject(root, "cpu", mask->kernels.cpu);
    cJSON_AddNumberToObject(root, "runs", figures->runs);
    cJSON_AddNumberToObject(root, "median_us", figures->median_us);
    cJSON_AddNumberToObject(root, "min_us", figures->min_us);
    cJSON_AddNumberToObject(root, "p99_us", figures->p99_us);
    cJSON_AddNumberToObject(root, "batch", model->lanes);
    cJSON_AddNumberToObject(root, "frames_per_s", frames_per_s(model, figures));
    cJSON_AddNumberToObject(root, "macs", (double)network_plan_macs(model->plan));
    cJSON_AddNumberToObject(root, "gops", gops(model, figures));
    cJSON_AddNumberToObject(root, "bytes_moved", bytes_moved(model));
    if (figures->joules > 0) {
        cJSON_AddNumberToObject(root, "joules_a_frame", figures->joules);
    }
    if (figures->share > 0) {
        cJSON_AddNumberToObject(root, "share_of_ceiling", figures->share);
    }
    cJSON_AddNumberToObject(root, "arena_bytes", (double)network_plan_arena_bytes(model->plan));
    cJSON_AddNumberToObject(root, "packed_bytes", (double)network_plan_packed_bytes(model->plan));
    cJSON_AddNumberToObject(root, "load_us", figures->load_us);
    cJSON_AddItemToObject(root, "layers", layers_json(model, figures));
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!text) {
        return -ENOMEM;
    }
    puts(text);
    free(text);
    return 0;
}

static int measure(const struct bench *bench, const char *name, const uint8_t *bytes, size_t size,
                   const struct mask *mask)
{
    struct figures figures = {0};
    struct lab_model model;
    int r = lab_model_open_lanes(&model, name, bytes, size, &mask->kernels, 0, bench->batch);
    if (r < 0) {
        return r;
    }
    fill_codes(&model);
    time_runs(bench, &model, &figures);
    r = time_layers(bench, &model, &figures);
    if (r == 0) {
        r = time_load(&model, bytes, size, mask, &figures);
    }
    compare_layers(&model, &figures);
    if (r == 0 && bench->json) {
        r = print_json(&model, mask, &figures);
    } else if (r == 0) {
        print_text(&model, mask, &figures);
    }
    fflush(stdout);
    lab_model_close(&model);
    if (r < 0) {
        lab_error("%s: %s", name, strerror(-r));
    }
    return r;
}

/* A topology of that name, or else a file. */
static int bench_model(const struct bench *bench, const char *name)
{
    uint8_t *bytes;
    size_t size;
    int r = lab_topology_write(name, &bytes, &size);
    if (r == -ENOENT) {
        r = lab_file_read(name, NETWORK_FILE_MAX, &bytes, &size);
    }
    if (r < 0) {
        lab_error("%s: %s", name, strerror(-r));
        return r;
    }
    for (uint32_t i = 0; r == 0 && i < bench->mask_count; i++) {
        r = measure(bench, name, bytes, size, &bench->masks[i]);
    }
    free(bytes);
    return r;
}

static int bench_all(const struct bench *bench)
{
    glob_t found;
    int r = 0;
    if (glob(OCELLUS_MODELS_DIR "/*.safetensors", 0, NULL, &found) == 0) {
        for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
            r = bench_model(bench, found.gl_pathv[i]);
        }
        globfree(&found);
    } else {
        lab_error("no models in " OCELLUS_MODELS_DIR ": only generated ones are measured");
    }
    for (size_t i = 0; r == 0 && lab_topology_name(i); i++) {
        r = bench_model(bench, lab_topology_name(i));
    }
    return r;
}

/* Does nothing where the machine makes no difference between this mask and the one before. */
static void add_mask(struct bench *bench, const char *name, uint32_t mask)
{
    uint32_t cpu = kernel_cpu_detect() & mask;
    if (bench->mask_count == 0 || bench->masks[bench->mask_count - 1].kernels.cpu != cpu) {
        struct mask *added = &bench->masks[bench->mask_count++];
        added->name = name;
        kernel_table_init(&added->kernels, cpu);
        kernel_table_measure(&added->kernels);
    }
}

static int parse(const struct lab_args *args, struct bench *bench)
{
    static const char *const usual[] = {"c", "avx2", "all"};
    uint64_t runs = RUNS_DEFAULT, batch = 1;
    uint32_t mask;
    if (lab_args_number(args, LAB_OPTION_RUNS, 1, RUNS_MAX, &runs) < 0 ||
        lab_args_number(args, LAB_OPTION_BATCH, 1, NETWORK_LANES_MAX, &batch) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return -EINVAL;
    }
    bench->runs = (uint32_t)runs;
    bench->batch = (uint32_t)batch;
    bench->json = lab_args_given(args, LAB_OPTION_JSON);
    if (lab_args_given(args, LAB_OPTION_CPU_MASK)) {
        add_mask(bench, args->values[LAB_OPTION_CPU_MASK], mask);
        return 0;
    }
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (kernel_cpu_mask_parse(usual[i], &mask) == 0) {
            add_mask(bench, usual[i], mask);
        }
    }
    return 0;
}

int lab_bench(const struct lab_args *args)
{
    struct bench bench = {0};
    if (parse(args, &bench) < 0) {
        return LAB_EXIT_USAGE;
    }
    bench.us = calloc(bench.runs, sizeof(*bench.us));
    if (!bench.us) {
        lab_error("out of memory");
        return LAB_EXIT_FAILED;
    }
    if (!bench.json) {
        printf("%-16s %-7s %5s %10s %10s %10s %8s %9s %9s %9s\n", "net", "mask", "batch",
               "median us", "p99 us", "frames/s", "Gop/s", "arena B", "packed B", "load us");
    }
    int r = args->operands[0] ? 0 : bench_all(&bench);
    for (int i = 0; r == 0 && i < LAB_OPERANDS_MAX && args->operands[i]; i++) {
        r = bench_model(&bench, args->operands[i]);
    }
    free(bench.us);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
