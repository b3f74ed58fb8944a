/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Reads what a training left behind and compares it with packed models. Trains and writes nothing.
 */
#include "engine/lab/trained.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/master.h"

#define STATE_BYTES_MAX ((size_t)1 << 30)
#define SCORES_PER_UNIT 65536.0f

static int tell(const char *path, int r, const char *reason)
{
    lab_error("%s: %s", path, reason ? reason : strerror(-r));
    return r;
}

/* DIRECTORY/NAME; errors are told. */
static int load(const char *directory, const char *name, size_t max, uint8_t **ret_bytes,
                size_t *ret_size)
{
    char *path;
    if (asprintf(&path, "%s/%s", directory, name) < 0) {
        return tell(directory, -ENOMEM, NULL);
    }
    int r = lab_file_read(path, max, ret_bytes, ret_size);
    if (r < 0) {
        tell(path, r, r == -ENOENT ? "not there: is this a run that has ended?" : NULL);
    }
    free(path);
    return r;
}

void lab_trained_name(const struct lab_recipe *recipe, char name[LAB_TRAINED_NAME_BYTES])
{
    snprintf(name, LAB_TRAINED_NAME_BYTES, "%s%s.safetensors", recipe->name,
             lab_master_is_coarse(recipe) ? "" : "-f32");
}

int lab_trained_settle(const struct lab_recipe *recipe, struct train *train)
{
    const struct network_shape in = network_input_shape(&recipe->input);
    /* The limits of targets keep this far below overflow. */
    float *grey = calloc((size_t)in.height * in.width * in.channels, sizeof(*grey));
    if (!grey) {
        return tell(recipe->name, -ENOMEM, NULL);
    }
    train_forward(train, grey, 1, false, NULL);
    free(grey);
    return 0;
}

static int read_recipe(struct lab_trained *trained, const char *directory)
{
    uint8_t *bytes;
    size_t size;
    int r = load(directory, "recipe.ini", LAB_RECIPE_BYTES_MAX, &bytes, &size);
    if (r == 0) {
        r = lab_recipe_parse("recipe.ini", (const char *)bytes, size, &trained->recipe);
        free(bytes);
    }
    return r;
}

static int restore(struct lab_trained *trained, const char *directory, uint32_t cpu)
{
    const struct lab_recipe *recipe = &trained->recipe;
    const struct network_shape in = network_input_shape(&recipe->input);
    const struct train_network network = {
        {in.height, in.width, in.channels}, recipe->layer_count, recipe->layers};
    const struct train_settings settings = {recipe->batch, cpu, 0, recipe->gradients, false};
    const char *reason = NULL;
    uint8_t *bytes;
    size_t size;
    int r = train_create(&network, &settings, &trained->train, &reason);
    if (r < 0) {
        return tell(directory, r, reason);
    }
    r = load(directory, "checkpoint.safetensors", STATE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return r;
    }
    r = train_restore(trained->train, bytes, size, &reason);
    free(bytes);
    if (r < 0) {
        return tell(directory, r, reason);
    }
    return lab_trained_settle(recipe, trained->train);
}

static int check_master(const struct lab_trained *trained, const char *name, const uint8_t *bytes,
                        size_t size)
{
    const struct network_description *master = network_model_describe(trained->master.model);
    const char *reason = NULL;
    void *again;
    size_t again_size;
    int r = lab_master_write(&trained->recipe, trained->train, master->labels, master->label_count,
                             master->provenance ? master->provenance : "{}", &again, &again_size,
                             &reason);
    if (r < 0) {
        return tell(name, r, reason);
    }
    bool same = again_size == size && memcmp(again, bytes, size) == 0;
    free(again);
    return same ? 0 : tell(name, -EBADMSG, "not the model of the checkpoint beside it");
}

static int open_master(struct lab_trained *trained, const char *directory,
                       const struct kernel_table *kernels)
{
    char name[LAB_TRAINED_NAME_BYTES];
    uint8_t *bytes;
    size_t size;
    lab_trained_name(&trained->recipe, name);
    int r = load(directory, name, NETWORK_FILE_MAX, &bytes, &size);
    if (r < 0) {
        return r;
    }
    r = lab_model_open_bytes(&trained->master, name, bytes, size, kernels);
    if (r == 0) {
        r = check_master(trained, name, bytes, size);
    }
    free(bytes);
    return r;
}

int lab_trained_open(struct lab_trained *trained, const char *directory, uint32_t cpu,
                     const struct kernel_table *kernels)
{
    memset(trained, 0, sizeof(*trained));
    int r = read_recipe(trained, directory);
    if (r == 0) {
        r = restore(trained, directory, cpu);
    }
    if (r == 0) {
        r = open_master(trained, directory, kernels);
    }
    if (r < 0) {
        lab_trained_close(trained);
    }
    return r;
}

void lab_trained_close(struct lab_trained *trained)
{
    train_destroy(trained->train);
    lab_model_close(&trained->master);
    memset(trained, 0, sizeof(*trained));
}

static bool same_scores(const float *trainer, const int32_t *packed, uint32_t labels)
{
    bool same = true;
    for (uint32_t i = 0; i < labels; i++) {
        same = same && trainer[i] == (float)packed[i] / SCORES_PER_UNIT;
    }
    return same;
}

int lab_trained_compare(struct lab_trained *trained, struct lab_model *packed,
                        const struct lab_samples *samples, uint32_t count,
                        const struct train_workers *workers, uint32_t *ret_differ)
{
    struct lab_batch batch;
    uint32_t room = trained->recipe.batch, differ = 0;
    uint32_t *order = calloc(room, sizeof(*order));
    int r = order ? lab_batch_init(&batch, samples, room) : -ENOMEM;
    if (r < 0) {
        free(order);
        return r;
    }
    for (uint32_t at = 0; at < count; at += room) {
        uint32_t n = count - at < room ? count - at : room;
        for (uint32_t i = 0; i < n; i++) {
            order[i] = at + i;
        }
        lab_batch_fill(&batch, samples, order, n, NULL, workers);
        train_forward(trained->train, batch.images, n, false, workers);
        const float *scores = train_scores(trained->train);
        for (uint32_t i = 0; i < n; i++) {
            network_run(packed->plan, packed->arena,
                        (const uint8_t *)batch.codes + i * packed->code_bytes, packed->scores);
            differ += !same_scores(scores + i * packed->labels, packed->scores, packed->labels);
        }
    }
    lab_batch_finish(&batch);
    free(order);
    *ret_differ = differ;
    return 0;
}
