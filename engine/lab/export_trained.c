/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab export of a run directory: the integers that the training had in its loop become the
 * packed model as they are. It is written only if its scores are the trainer's own.
 */
#include "engine/lab/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/kernel/kernel.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/master.h"
#include "engine/lab/samples.h"
#include "engine/lab/threads.h"
#include "engine/lab/trained.h"

#define THREADS 2u

struct packing {
    const char *output;
    struct lab_trained trained;
    struct lab_samples samples;
    struct lab_model packed;
    uint32_t pictures; /* to compare with */
    void *bytes;       /* of the packed model */
    size_t size;
};

/* The run's provenance, and how the model was packed; the caller frees it. */
static char *describe_origin(const struct packing *packing)
{
    const struct network_model *master = packing->trained.master.model;
    const char *before = network_model_describe(master)->provenance;
    cJSON *object = before ? cJSON_Parse(before) : cJSON_CreateObject();
    if (!lab_master_is_coarse(&packing->trained.recipe)) {
        cJSON_AddStringToObject(object, "float_model", network_model_id(master));
    }
    cJSON_AddStringToObject(object, "packed_by", "ocellus-lab " OCELLUS_VERSION);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

static int pack(struct packing *packing, const struct kernel_table *kernels)
{
    const struct lab_trained *trained = &packing->trained;
    const struct network_description *master = network_model_describe(trained->master.model);
    const char *reason = NULL;
    char *origin = describe_origin(packing);
    int r = origin ? lab_master_pack(&trained->recipe, trained->train, master->labels,
                                     master->label_count, origin, &packing->bytes, &packing->size,
                                     &reason)
                   : -ENOMEM;
    free(origin);
    if (r < 0) {
        lab_error("%s: %s", trained->recipe.name, reason ? reason : strerror(-r));
        return r;
    }
    return lab_model_open_bytes(&packing->packed, trained->recipe.name, packing->bytes,
                                packing->size, kernels);
}

static int compare(struct packing *packing)
{
    struct lab_threads *threads = NULL;
    uint32_t differ = 0;
    int r = lab_threads_create(THREADS, &threads);
    if (r == 0) {
        const struct train_workers workers = {lab_threads_run, threads};
        r = lab_trained_compare(&packing->trained, &packing->packed, &packing->samples,
                                packing->pictures, &workers, &differ);
    }
    lab_threads_destroy(threads);
    if (r < 0) {
        lab_error("%s", strerror(-r));
    } else if (differ > 0) {
        lab_error("%s: not written: the packed model's scores are not the trainer's on %u of %u "
                  "pictures",
                  packing->output, differ, packing->pictures);
        r = -EBADMSG;
    }
    return r;
}

static int write_model(const struct packing *packing)
{
    int r = lab_file_write(packing->output, packing->bytes, packing->size);
    if (r < 0) {
        lab_error("%s: %s", packing->output, strerror(-r));
        return r;
    }
    printf("%s: %zu bytes, id %s\n", packing->output, packing->size,
           network_model_id(packing->packed.model));
    printf("gives the trainer's own scores on all of %u pictures\n", packing->pictures);
    return 0;
}

static int run(struct packing *packing, const struct lab_export_request *request)
{
    int r = lab_trained_open(&packing->trained, request->model, request->cpu, request->kernels);
    if (r == 0) {
        r = pack(packing, request->kernels);
    }
    if (r == 0) {
        r = lab_samples_init(&packing->samples, request->pictures, &packing->trained.recipe.input,
                             request->kernels);
    }
    if (r == 0) {
        uint32_t count = packing->samples.tree.file_count;
        packing->pictures = request->images < count ? request->images : count;
        r = compare(packing);
    }
    return r < 0 ? r : write_model(packing);
}

int lab_export_trained(const struct lab_export_request *request)
{
    struct packing *packing = calloc(1, sizeof(*packing)); /* a recipe is large */
    if (!packing) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    packing->output = request->output;
    int r = run(packing, request);
    lab_model_close(&packing->packed);
    lab_samples_finish(&packing->samples);
    lab_trained_close(&packing->trained);
    free(packing->bytes);
    free(packing);
    return r;
}
