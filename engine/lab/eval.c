/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab eval: how often a model is right over a folder-per-class tree, at one exposure or
 * over a sweep. Measures only; trains and writes nothing.
 */
#include "engine/lab/eval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/image/image.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"
#include "engine/lab/tree.h"

#define PICTURE_BYTES_MAX ((size_t)64 << 20)
#define COMPLAINTS_MAX    5u /* unreadable pictures that are named */
#define DEFAULT_BITS      12u

static const struct lab_exposure sweep[] = {
    {"1/32", 1, 32}, {"1/16", 1, 16}, {"1/8", 1, 8}, {"1/4", 1, 4}, {"1/2", 1, 2},
    {"1", 1, 1},     {"2", 2, 1},     {"4", 4, 1},   {"8", 8, 1},
};
static const struct lab_exposure as_it_is = {"as it is", 0, 0};
static const struct lab_exposure nominal = {"1", 1, 1};

static int parse(const struct lab_args *args, struct lab_eval *eval, uint64_t *ret_limit)
{
    uint64_t bits = DEFAULT_BITS;
    uint32_t mask = KERNEL_CPU_ALL;
    eval->seed = 1;
    *ret_limit = LAB_TREE_FILES_MAX;
    if (lab_args_number(args, LAB_OPTION_BITS, 8, 16, &bits) < 0 ||
        lab_args_number(args, LAB_OPTION_SEED, 0, UINT64_MAX, &eval->seed) < 0 ||
        lab_args_number(args, LAB_OPTION_LIMIT, 1, LAB_TREE_FILES_MAX, ret_limit) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return -EINVAL;
    }
    eval->bits = (uint32_t)bits;
    eval->noise = lab_args_given(args, LAB_OPTION_NOISE);
    bool sensor = eval->noise || lab_args_given(args, LAB_OPTION_BITS);
    eval->exposures = sensor ? &nominal : &as_it_is;
    eval->exposure_count = 1;
    if (lab_args_given(args, LAB_OPTION_BRIGHTNESS)) {
        eval->exposures = sweep;
        eval->exposure_count = sizeof(sweep) / sizeof(sweep[0]);
    }
    kernel_table_init(&eval->kernels, kernel_cpu_detect() & mask);
    return 0;
}

/* The model's label for each folder of the tree. */
static int match_labels(struct lab_eval *eval)
{
    eval->label_of_class = calloc(eval->tree.class_count, sizeof(*eval->label_of_class));
    if (!eval->label_of_class) {
        return -ENOMEM;
    }
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        const char *name = eval->tree.classes[c];
        if (lab_model_find_label(&eval->models[0], name, &eval->label_of_class[c]) < 0) {
            lab_error("folder '%s' is no label of the model", name);
            return -EINVAL;
        }
    }
    return 0;
}

static int check_comparable(const struct lab_eval *eval)
{
    const struct lab_model *a = &eval->models[0], *b = &eval->models[1];
    bool equal = a->labels == b->labels;
    for (uint32_t i = 0; equal && i < a->labels; i++) {
        equal = strcmp(network_model_label(a->model, i), network_model_label(b->model, i)) == 0;
    }
    if (!equal) {
        lab_error("the models have different labels and cannot be compared");
        return -EINVAL;
    }
    return 0;
}

static int make_tallies(struct lab_eval *eval)
{
    uint32_t labels = eval->models[0].labels;
    eval->class_pictures = calloc(eval->tree.class_count, sizeof(*eval->class_pictures));
    bool made = eval->class_pictures != NULL;
    for (uint32_t e = 0; e < eval->exposure_count; e++) {
        struct lab_tally *tally = &eval->tallies[e];
        tally->said = calloc((size_t)eval->tree.class_count * labels, sizeof(*tally->said));
        tally->answers = labels == 2 ? calloc(eval->limit, sizeof(*tally->answers)) : NULL;
        made = made && tally->said && (labels != 2 || tally->answers);
    }
    size_t most = 0;
    for (uint32_t m = 0; m < eval->model_count; m++) {
        size_t values = lab_model_plane_values(&eval->models[m]);
        eval->planes[m] = calloc(values, sizeof(uint16_t));
        made = made && eval->planes[m];
        most = values > most ? values : most;
    }
    eval->exposed = calloc(most, sizeof(uint16_t));
    return made && eval->exposed ? 0 : -ENOMEM;
}

static int open_all(struct lab_eval *eval, const struct lab_args *args, uint64_t limit)
{
    const char *other = args->values[LAB_OPTION_COMPARE];
    int r = lab_model_open(&eval->models[0], args->operands[0], &eval->kernels);
    if (r < 0) {
        return r;
    }
    eval->model_count = 1;
    r = lab_model_positive(&eval->models[0], args->values[LAB_OPTION_POSITIVE], &eval->positive);
    if (r < 0) {
        return r;
    }
    if (other) {
        r = lab_model_open(&eval->models[1], other, &eval->kernels);
        if (r < 0) {
            return r;
        }
        eval->model_count = 2;
        r = check_comparable(eval);
        if (r < 0) {
            return r;
        }
    }
    r = lab_tree_init(&eval->tree, args->operands[1]);
    if (r < 0) {
        return r;
    }
    eval->limit = limit < eval->tree.file_count ? (uint32_t)limit : eval->tree.file_count;
    r = match_labels(eval);
    if (r < 0) {
        return r;
    }
    const struct image_ops ops = {.accumulate_u16 = eval->kernels.accumulate_u16,
                                  .accumulate_u8 = eval->kernels.accumulate_u8};
    r = image_decoder_create(NULL, &ops, &eval->decoder);
    return r < 0 ? r : make_tallies(eval);
}

static void close_all(struct lab_eval *eval)
{
    for (uint32_t m = 0; m < 2; m++) {
        lab_model_close(&eval->models[m]);
        free(eval->planes[m]);
    }
    for (uint32_t e = 0; e < LAB_EXPOSURES_MAX; e++) {
        free(eval->tallies[e].said);
        free(eval->tallies[e].answers);
    }
    free(eval->class_pictures);
    free(eval->label_of_class);
    free(eval->exposed);
    lab_tree_finish(&eval->tree);
    image_decoder_destroy(eval->decoder);
}

static bool same_target(const struct image_target *a, const struct image_target *b)
{
    return a->width == b->width && a->height == b->height && a->channels == b->channels &&
           a->fit == b->fit;
}

/* Planes for every model; one decode serves both where they ask for the same. */
static int decode(struct lab_eval *eval, uint32_t index, uint16_t *ret_white)
{
    uint8_t *bytes;
    size_t size;
    struct image_info info = {0};
    int r = lab_tree_read(&eval->tree, index, PICTURE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return r;
    }
    for (uint32_t m = 0; r == 0 && m < eval->model_count; m++) {
        const struct image_target *target = &eval->models[m].input->target;
        if (m > 0 && same_target(target, &eval->models[0].input->target)) {
            memcpy(eval->planes[m], eval->planes[0],
                   lab_model_plane_values(&eval->models[0]) * sizeof(uint16_t));
        } else {
            r = image_decode(eval->decoder, bytes, size, IMAGE_KIND_AUTO, NULL, target,
                             eval->planes[m], &info);
        }
    }
    free(bytes);
    if (r == 0) {
        *ret_white = info.nominal_white;
    }
    return r;
}

/* The planes as a simulated sensor would have delivered them. */
static void expose(const struct lab_eval *eval, struct lab_sensor *sensor, const uint16_t *planes,
                   size_t values, uint16_t white)
{
    for (size_t i = 0; i < values; i++) {
        uint32_t light = ((uint32_t)planes[i] * 65535u + white / 2) / white;
        uint16_t raw = lab_sensor_sample(sensor, light < 65535 ? (uint16_t)light : 65535);
        eval->exposed[i] = lab_sensor_to_plane(sensor, raw);
    }
}

static uint32_t classify(struct lab_eval *eval, uint32_t m, uint32_t e, uint16_t white)
{
    if (eval->exposures[e].num == 0) {
        return lab_model_classify(&eval->models[m], eval->planes[m], white);
    }
    expose(eval, &eval->tallies[e].sensors[m], eval->planes[m],
           lab_model_plane_values(&eval->models[m]), white);
    return lab_model_classify(&eval->models[m], eval->exposed, LAB_SENSOR_NOMINAL_WHITE);
}

static void measure(struct lab_eval *eval, uint32_t class_index, uint16_t white)
{
    uint32_t truth = eval->label_of_class[class_index];
    for (uint32_t e = 0; e < eval->exposure_count; e++) {
        struct lab_tally *tally = &eval->tallies[e];
        uint32_t label = classify(eval, 0, e, white);
        tally->right += label == truth;
        tally->said[(size_t)class_index * eval->models[0].labels + label]++;
        if (tally->answers) {
            const int32_t *scores = eval->models[0].scores;
            int64_t margin = (int64_t)scores[eval->positive] - scores[1 - eval->positive];
            tally->answers[eval->pictures] = (struct lab_answer){margin, truth == eval->positive};
        }
        if (eval->model_count > 1) {
            uint32_t other = classify(eval, 1, e, white);
            tally->other_right += other == truth;
            tally->agreed += other == label;
        }
    }
    eval->class_pictures[class_index]++;
    eval->pictures++;
}

static void run(struct lab_eval *eval)
{
    struct lab_progress progress;
    for (uint32_t e = 0; e < eval->exposure_count; e++) {
        for (uint32_t m = 0; m < eval->model_count; m++) {
            lab_sensor_init(&eval->tallies[e].sensors[m], eval->bits, eval->exposures[e].num,
                            eval->exposures[e].den, eval->noise, eval->seed);
        }
    }
    lab_progress_init(&progress, "eval", eval->limit);
    for (uint32_t i = 0; i < eval->limit; i++) {
        const struct lab_tree_file *file = &eval->tree.files[i];
        uint16_t white;
        int r = decode(eval, i, &white);
        if (r == 0) {
            measure(eval, file->class_index, white);
        } else if (eval->unreadable++ < COMPLAINTS_MAX) {
            lab_error("%s: %s", file->path, lab_image_error(r));
        }
        lab_progress_step(&progress);
    }
    lab_progress_finish(&progress);
}

int lab_eval(const struct lab_args *args)
{
    struct lab_eval eval = {0};
    uint64_t limit;
    if (parse(args, &eval, &limit) < 0) {
        return LAB_EXIT_USAGE;
    }
    int r = open_all(&eval, args, limit);
    if (r == -ENOMEM) {
        lab_error("out of memory");
    }
    if (r == 0) {
        run(&eval);
        if (eval.pictures > 0) {
            r = lab_args_given(args, LAB_OPTION_JSON) ? lab_eval_print_json(&eval)
                                                      : lab_eval_print_text(&eval);
        }
        if (eval.unreadable > 0) {
            lab_error("%u of %u pictures could not be read", eval.unreadable, eval.limit);
            r = -EBADMSG;
        }
    }
    close_all(&eval);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
