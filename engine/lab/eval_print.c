/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The results of ocellus-lab eval as text for people and as one JSON object. */
#include "engine/lab/eval.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_sweep(const struct lab_eval *eval)
{
    bool other = eval->model_count > 1;
    printf("%-10s %9s%s\n", "exposure", "top-1", other ? "   other's   agreement" : "");
    for (uint32_t e = 0; e < eval->exposure_count; e++) {
        const struct lab_tally *tally = &eval->tallies[e];
        printf("%-10s %7.2f %%", eval->exposures[e].name, percent(tally->right, eval->pictures));
        if (other) {
            printf(" %7.2f %%   %7.2f %%", percent(tally->other_right, eval->pictures),
                   percent(tally->agreed, eval->pictures));
        }
        putchar('\n');
    }
}

static void print_classes(const struct lab_eval *eval)
{
    const struct lab_tally *tally = &eval->tallies[0];
    printf("%-20s %9s\n", "class", "top-1");
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        if (eval->class_pictures[c] > 0) {
            printf("%-20s %7.2f %%   %llu of %llu\n", eval->tree.classes[c],
                   percent(tally->class_right[c], eval->class_pictures[c]),
                   (unsigned long long)tally->class_right[c],
                   (unsigned long long)eval->class_pictures[c]);
        }
    }
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
        print_sweep(eval);
        return 0;
    }
    printf("top-1      %.2f %%\n", percent(tally->right, eval->pictures));
    if (eval->model_count > 1) {
        printf("other's    %.2f %%\nagreement  %.2f %%\n",
               percent(tally->other_right, eval->pictures), percent(tally->agreed, eval->pictures));
    }
    print_classes(eval);
    return 0;
}

static void add_model(cJSON *parent, const char *key, const struct network_model *model)
{
    cJSON *object = cJSON_AddObjectToObject(parent, key);
    cJSON_AddStringToObject(object, "name", network_model_name(model));
    cJSON_AddStringToObject(object, "id", network_model_id(model));
}

static void add_exposure(const struct lab_eval *eval, cJSON *list, uint32_t e)
{
    const struct lab_tally *tally = &eval->tallies[e];
    cJSON *item = cJSON_CreateObject();
    if (eval->exposures[e].num != 0) {
        cJSON_AddStringToObject(item, "exposure", eval->exposures[e].name);
    }
    cJSON_AddNumberToObject(item, "right", (double)tally->right);
    if (eval->model_count > 1) {
        cJSON_AddNumberToObject(item, "other_right", (double)tally->other_right);
        cJSON_AddNumberToObject(item, "agreed", (double)tally->agreed);
    }
    cJSON *classes = cJSON_AddObjectToObject(item, "right_by_class");
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        cJSON_AddNumberToObject(classes, eval->tree.classes[c], (double)tally->class_right[c]);
    }
    cJSON_AddItemToArray(list, item);
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
    cJSON *classes = cJSON_AddObjectToObject(root, "pictures_by_class");
    for (uint32_t c = 0; c < eval->tree.class_count; c++) {
        cJSON_AddNumberToObject(classes, eval->tree.classes[c], (double)eval->class_pictures[c]);
    }
    cJSON *list = cJSON_AddArrayToObject(root, "results");
    for (uint32_t e = 0; e < eval->exposure_count; e++) {
        add_exposure(eval, list, e);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) {
        return -ENOMEM;
    }
    puts(text);
    free(text);
    return 0;
}
