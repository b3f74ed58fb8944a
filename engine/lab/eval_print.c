/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The results of ocellus-lab eval as text for people and as one JSON object. */
#include "engine/lab/eval.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#define CONFUSION_LABELS_MAX 12u /* columns that a terminal takes */

/* Shares of false positives at which a curve is told. */
static const double mistaken_shares[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2};

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

/* Mean over the folders of the share of their pictures that is right. */
static double balanced(const struct lab_eval *eval, uint32_t e)
{
    double sum = 0.0;
    uint32_t measured = 0;
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        if (eval->class_pictures[c] > 0) {
            sum += percent(lab_eval_right(eval, e, c), eval->class_pictures[c]);
            measured++;
        }
    }
    return sum / measured;
}

/* The curve at an exposure: 0, or -EDOM where there is none to draw. */
static int make_roc(const struct lab_eval *eval, uint32_t e, struct lab_roc *ret_roc)
{
    const struct lab_tally *tally = &eval->tallies[e];
    return tally->answers ? lab_roc_init(ret_roc, tally->answers, eval->pictures) : -EDOM;
}

/* ---- text ---- */

static int print_sweep(const struct lab_eval *eval)
{
    bool other = eval->model_count > 1, two = eval->tallies[0].answers != NULL;
    printf("%-10s %9s %10s%s%s\n", "exposure", "top-1", "balanced", two ? "      area" : "",
           other ? "   other's   agreement" : "");
    for (uint32_t e = 0; e < eval->exposure_count; e++) {
        const struct lab_tally *tally = &eval->tallies[e];
        struct lab_roc roc;
        printf("%-10s %7.2f %% %8.2f %%", eval->exposures[e].name,
               percent(tally->right, eval->pictures), balanced(eval, e));
        int r = make_roc(eval, e, &roc);
        if (r == 0) {
            printf("    %.4f", roc.area);
            lab_roc_finish(&roc);
        } else if (r == -ENOMEM) {
            return r;
        }
        if (other) {
            printf(" %7.2f %%   %7.2f %%", percent(tally->other_right, eval->pictures),
                   percent(tally->agreed, eval->pictures));
        }
        putchar('\n');
    }
    return 0;
}

static void print_classes(const struct lab_eval *eval)
{
    printf("%-20s %9s\n", "class", "top-1");
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        if (eval->class_pictures[c] > 0) {
            uint64_t right = lab_eval_right(eval, 0, c);
            printf("%-20s %7.2f %%   %llu of %llu\n", eval->tree.classes[c],
                   percent(right, eval->class_pictures[c]), (unsigned long long)right,
                   (unsigned long long)eval->class_pictures[c]);
        }
    }
}

/* What the pictures of each folder were taken for. */
static void print_confusion(const struct lab_eval *eval)
{
    uint32_t labels = eval->models[0].labels;
    if (labels > CONFUSION_LABELS_MAX) {
        return;
    }
    printf("\n%-12s", "taken for");
    for (uint32_t l = 0; l < labels; l++) {
        printf(" %10.10s", network_model_label(eval->models[0].model, l));
    }
    putchar('\n');
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        printf("%-12.12s", eval->tree.classes[c]);
        for (uint32_t l = 0; l < labels; l++) {
            printf(" %10llu", (unsigned long long)lab_eval_said(eval, 0, c, l));
        }
        putchar('\n');
    }
}

static int print_roc(const struct lab_eval *eval)
{
    const char *label = network_model_label(eval->models[0].model, eval->positive);
    struct lab_roc roc;
    int r = make_roc(eval, 0, &roc);
    if (r < 0) {
        return r == -EDOM ? 0 : r;
    }
    printf("\narea under the curve of '%s'  %.4f\n", label, roc.area);
    printf("%-10s %10s %10s %12s\n", "allowed", "mistaken", "found", "threshold");
    for (size_t i = 0; i < sizeof(mistaken_shares) / sizeof(mistaken_shares[0]); i++) {
        const struct lab_roc_point *point = lab_roc_at_mistaken(&roc, mistaken_shares[i]);
        if (point) {
            printf("%7.1f %% %8.2f %% %8.2f %% %12.6f\n", 100 * mistaken_shares[i],
                   percent(point->mistaken, roc.negatives), percent(point->found, roc.positives),
                   lab_roc_probability(point->margin));
        }
    }
    lab_roc_finish(&roc);
    return 0;
}

int lab_eval_print_text(const struct lab_eval *eval)
{
    const struct lab_tally *tally = &eval->tallies[0];
    const struct network_model *model = eval->models[0].model;
    printf("model      %s, id %s\n", network_model_name(model), network_model_id(model));
    if (eval->model_count > 1) {
        const struct network_model *other = eval->models[1].model;
        printf("other      %s, id %s\n", network_model_name(other), network_model_id(other));
    }
    printf("pictures   %llu\n", (unsigned long long)eval->pictures);
    if (eval->exposures[0].num != 0) {
        printf("sensor     %u bit, nominal white at 1/8 of full scale, %s\n", eval->bits,
               eval->noise ? "shot and read noise" : "no noise");
    }
    if (eval->exposure_count > 1) {
        return print_sweep(eval);
    }
    printf("top-1      %.2f %%\nbalanced   %.2f %%\n", percent(tally->right, eval->pictures),
           balanced(eval, 0));
    if (eval->model_count > 1) {
        printf("other's    %.2f %%\nagreement  %.2f %%\n",
               percent(tally->other_right, eval->pictures), percent(tally->agreed, eval->pictures));
    }
    print_classes(eval);
    print_confusion(eval);
    return print_roc(eval);
}

/* ---- JSON ---- */

static void add_model(cJSON *parent, const char *key, const struct network_model *model)
{
    cJSON *object = cJSON_AddObjectToObject(parent, key);
    cJSON_AddStringToObject(object, "name", network_model_name(model));
    cJSON_AddStringToObject(object, "id", network_model_id(model));
}

/* Labels that no picture of a folder was taken for are left out. */
static void add_confusion(const struct lab_eval *eval, cJSON *parent, uint32_t e)
{
    cJSON *classes = cJSON_AddObjectToObject(parent, "taken_for");
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        cJSON *row = cJSON_AddObjectToObject(classes, eval->tree.classes[c]);
        for (uint32_t l = 0; l < eval->models[0].labels; l++) {
            uint64_t said = lab_eval_said(eval, e, c, l);
            if (said > 0) {
                cJSON_AddNumberToObject(row, network_model_label(eval->models[0].model, l),
                                        (double)said);
            }
        }
    }
}

/* Of points that mistake as many, the one that finds most, and only if it finds more than those
 * before. */
static bool is_corner(const struct lab_roc *roc, size_t i)
{
    const struct lab_roc_point *point = &roc->points[i];
    uint64_t before = i > 0 ? point[-1].found : 0;
    bool last = i + 1 == roc->count;
    return point->found > before && (last || point[1].mistaken > point->mistaken);
}

static int add_roc(const struct lab_eval *eval, cJSON *parent, uint32_t e)
{
    struct lab_roc roc;
    int r = make_roc(eval, e, &roc);
    if (r < 0) {
        return r == -EDOM ? 0 : r;
    }
    cJSON_AddNumberToObject(parent, "area", roc.area);
    cJSON *points = cJSON_AddArrayToObject(parent, "roc");
    for (size_t i = 0; i < roc.count; i++) {
        if (is_corner(&roc, i)) {
            const struct lab_roc_point *point = &roc.points[i];
            const double values[] = {(double)point->mistaken / (double)roc.negatives,
                                     (double)point->found / (double)roc.positives,
                                     lab_roc_probability(point->margin)};
            cJSON_AddItemToArray(points, cJSON_CreateDoubleArray(values, 3));
        }
    }
    lab_roc_finish(&roc);
    return 0;
}

static int add_exposure(const struct lab_eval *eval, cJSON *list, uint32_t e)
{
    const struct lab_tally *tally = &eval->tallies[e];
    cJSON *item = cJSON_CreateObject();
    if (eval->exposures[e].num != 0) {
        cJSON_AddStringToObject(item, "exposure", eval->exposures[e].name);
    }
    cJSON_AddNumberToObject(item, "right", (double)tally->right);
    cJSON_AddNumberToObject(item, "balanced_percent", balanced(eval, e));
    if (eval->model_count > 1) {
        cJSON_AddNumberToObject(item, "other_right", (double)tally->other_right);
        cJSON_AddNumberToObject(item, "agreed", (double)tally->agreed);
    }
    cJSON *classes = cJSON_AddObjectToObject(item, "right_by_class");
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        cJSON_AddNumberToObject(classes, eval->tree.classes[c], (double)lab_eval_right(eval, e, c));
    }
    add_confusion(eval, item, e);
    int r = add_roc(eval, item, e);
    cJSON_AddItemToArray(list, item);
    return r;
}

int lab_eval_print_json(const struct lab_eval *eval)
{
    cJSON *root = cJSON_CreateObject();
    add_model(root, "model", eval->models[0].model);
    if (eval->model_count > 1) {
        add_model(root, "other", eval->models[1].model);
    }
    cJSON_AddNumberToObject(root, "pictures", (double)eval->pictures);
    cJSON_AddNumberToObject(root, "unreadable", eval->unreadable);
    if (eval->exposures[0].num != 0) {
        cJSON_AddNumberToObject(root, "bits", eval->bits);
        cJSON_AddBoolToObject(root, "noise", eval->noise);
    }
    if (eval->tallies[0].answers) {
        cJSON_AddStringToObject(root, "positive",
                                network_model_label(eval->models[0].model, eval->positive));
    }
    cJSON *classes = cJSON_AddObjectToObject(root, "pictures_by_class");
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        cJSON_AddNumberToObject(classes, eval->tree.classes[c], (double)eval->class_pictures[c]);
    }
    cJSON *list = cJSON_AddArrayToObject(root, "results");
    int r = 0;
    for (uint32_t e = 0; r == 0 && e < eval->exposure_count; e++) {
        r = add_exposure(eval, list, e);
    }
    char *text = r == 0 ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (!text) {
        return -ENOMEM;
    }
    puts(text);
    free(text);
    return 0;
}
