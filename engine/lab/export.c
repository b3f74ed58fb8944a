/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * ocellus-lab export: a float model and training pictures -> a packed model file. Decodes and codes
 * the pictures, leaves the arithmetic to quantise.c and checks the result against the float model.
 * A run directory is export_trained.c's.
 */
#include "engine/lab/export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cjson/cJSON.h>

#include "engine/image/image.h"
#include "engine/kernel/cpu.h"
#include "engine/kernel/kernel.h"
#include "engine/lab/calibrate.h"
#include "engine/lab/file.h"
#include "engine/lab/lab.h"
#include "engine/lab/model.h"
#include "engine/lab/options.h"
#include "engine/lab/progress.h"
#include "engine/lab/quantise.h"
#include "engine/lab/tree.h"

#define PICTURE_BYTES_MAX ((size_t)64 << 20)
#define IMAGES_DEFAULT    5000u
#define IMAGES_MAX        50000u

struct export
{
    const struct kernel_table *kernels;
    struct lab_model model;
    struct lab_tree tree;
    struct gradient_spec front; /* of the packed model */
    struct lab_frames frames;
    uint8_t *float_codes,
        *packed_codes; /* what frames points to; one array where both code alike */
    uint32_t *labels;  /* the float model's, per frame */
    struct lab_draft draft;
};

static int parse(const struct lab_args *args, struct kernel_table *kernels,
                 struct lab_export_request *ret_request)
{
    uint64_t images = IMAGES_DEFAULT;
    uint32_t mask;
    if (lab_args_number(args, LAB_OPTION_IMAGES, 1, IMAGES_MAX, &images) < 0 ||
        lab_args_cpu_mask(args, &mask) < 0) {
        return -EINVAL;
    }
    *ret_request = (struct lab_export_request){.model = args->operands[0],
                                               .pictures = args->values[LAB_OPTION_CALIBRATE],
                                               .output = args->values[LAB_OPTION_OUTPUT],
                                               .images = (uint32_t)images,
                                               .cpu = kernel_cpu_detect() & mask,
                                               .kernels = kernels};
    kernel_table_init(kernels, ret_request->cpu);
    return 0;
}

static int open_all(struct export *export, const struct lab_export_request *request)
{
    int r = lab_model_open(&export->model, request->model, export->kernels);
    if (r < 0) {
        return r;
    }
    const struct network_input *input = export->model.input;
    r = lab_quantise_front(&input->front, &export->front);
    if (r < 0) {
        lab_error("%s: float log-gradient codes cannot be packed", request->model);
        return r;
    }
    r = lab_tree_init(&export->tree, request->pictures);
    if (r < 0) {
        return r;
    }
    struct lab_frames *frames = &export->frames;
    size_t codes = (size_t)input->target.width * input->target.height;
    frames->float_stride =
        codes * gradient_channels(&input->front) * gradient_code_size(&input->front);
    frames->packed_stride =
        codes * gradient_channels(&export->front) * gradient_code_size(&export->front);
    frames->count =
        request->images < export->tree.file_count ? request->images : export->tree.file_count;
    export->float_codes = calloc(frames->count, frames->float_stride);
    export->packed_codes = export->front.coding == input->front.coding
                               ? export->float_codes
                               : calloc(frames->count, frames->packed_stride);
    export->labels = calloc(frames->count, sizeof(*export->labels));
    frames->float_codes = export->float_codes;
    frames->packed_codes = export->packed_codes;
    if (!export->float_codes || !export->packed_codes || !export->labels) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    return 0;
}

static void close_all(struct export *export)
{
    lab_draft_finish(&export->draft);
    if (export->packed_codes != export->float_codes) {
        free(export->packed_codes);
    }
    free(export->float_codes);
    free(export->labels);
    lab_tree_finish(&export->tree);
    lab_model_close(&export->model);
}

/* ---- pictures to codes ---- */

static int code_picture(struct export *export, struct image_decoder *decoder, uint32_t index,
                        uint16_t *planes)
{
    const struct network_input *input = export->model.input;
    const struct image_target *target = &input->target;
    struct image_info info;
    uint8_t *bytes;
    size_t size;
    int r = lab_tree_read(&export->tree, index, PICTURE_BYTES_MAX, &bytes, &size);
    if (r < 0) {
        return r;
    }
    r = image_decode(decoder, bytes, size, IMAGE_KIND_AUTO, NULL, target, planes, &info);
    free(bytes);
    if (r < 0) {
        return r;
    }
    gradient_encode(&input->front, planes, target->width, target->height, info.nominal_white,
                    export->float_codes + index * export->frames.float_stride);
    if (export->packed_codes != export->float_codes) {
        gradient_encode(&export->front, planes, target->width, target->height, info.nominal_white,
                        export->packed_codes + index * export->frames.packed_stride);
    }
    return 0;
}

static int code_pictures(struct export *export)
{
    const struct image_ops ops = {.accumulate_u16 = export->kernels->accumulate_u16,
                                  .accumulate_u8 = export->kernels->accumulate_u8};
    struct image_decoder *decoder = NULL;
    uint16_t *planes = calloc(lab_model_plane_values(&export->model), sizeof(*planes));
    int r = planes ? image_decoder_create(NULL, &ops, &decoder) : -ENOMEM;
    if (r < 0) {
        lab_error("%s", strerror(-r));
    }
    for (uint32_t i = 0; r == 0 && i < export->frames.count; i++) {
        r = code_picture(export, decoder, i, planes);
        if (r < 0) {
            lab_error("%s: %s", export->tree.files[i].path, lab_image_error(r));
        }
    }
    image_decoder_destroy(decoder);
    free(planes);
    return r;
}

/* ---- the result ---- */

/* The float model's provenance and how this one came from it; the caller frees it. */
static char *describe_origin(const struct export *export)
{
    const char *before = network_model_describe(export->model.model)->provenance;
    cJSON *object = before ? cJSON_Parse(before) : cJSON_CreateObject();
    cJSON_AddStringToObject(object, "float_model", network_model_id(export->model.model));
    cJSON_AddStringToObject(object, "quantised_by", "ocellus-lab " OCELLUS_VERSION);
    cJSON_AddNumberToObject(object, "calibration_pictures", export->frames.count);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

static int write_model(struct export *export, const char *path)
{
    const char *reason = NULL;
    char *origin = describe_origin(export);
    void *bytes;
    size_t size;
    int r = -ENOMEM;
    if (origin) {
        export->draft.description.provenance = origin;
        r = network_model_write(&export->draft.description, &bytes, &size, &reason);
    }
    free(origin);
    if (r == 0) {
        r = lab_file_write(path, bytes, size);
        free(bytes);
    }
    if (r < 0) {
        lab_error("%s: %s", path, reason ? reason : strerror(-r));
    }
    return r;
}

/* How often the new model says what the float model said, over the calibration pictures. */
static int compare(struct export *export, const char *path)
{
    struct lab_model packed;
    int r = lab_model_open(&packed, path, export->kernels);
    if (r < 0) {
        return r;
    }
    uint32_t agreed = 0, count = export->frames.count;
    for (uint32_t i = 0; i < count; i++) {
        network_run(packed.plan, packed.arena,
                    export->packed_codes + i * export->frames.packed_stride, packed.scores);
        agreed += network_argmax(packed.scores, packed.labels) == export->labels[i];
    }
    printf("%s: %zu bytes, id %s\n", path, packed.file_bytes, network_model_id(packed.model));
    printf("agrees with the float model on %u of %u calibration pictures (%.2f %%)\n", agreed,
           count, 100.0 * agreed / count);
    lab_model_close(&packed);
    return 0;
}

static int run(struct export *export, const char *output)
{
    struct lab_progress progress;
    const char *reason = NULL;
    int r = code_pictures(export);
    if (r < 0) {
        return r;
    }
    lab_progress_init(&progress, "export", 2 * (uint64_t) export->frames.count);
    r = lab_quantise(&export->model, &export->frames, &progress, export->labels, &export->draft,
                     &reason);
    lab_progress_finish(&progress);
    if (r < 0) {
        lab_error("%s", reason ? reason : strerror(-r));
        return r;
    }
    r = write_model(export, output);
    return r < 0 ? r : compare(export, output);
}

static int export_float(const struct lab_export_request *request)
{
    struct export *export = calloc(1, sizeof(*export)); /* a draft is too large for the stack */
    if (!export) {
        lab_error("out of memory");
        return -ENOMEM;
    }
    export->kernels = request->kernels;
    int r = open_all(export, request);
    if (r == 0) {
        r = run(export, request->output);
    }
    close_all(export);
    free(export);
    return r;
}

int lab_export(const struct lab_args *args)
{
    struct lab_export_request request;
    struct kernel_table kernels;
    struct stat status;
    if (parse(args, &kernels, &request) < 0) {
        return LAB_EXIT_USAGE;
    }
    bool trained = stat(request.model, &status) == 0 && S_ISDIR(status.st_mode);
    int r = trained ? lab_export_trained(&request) : export_float(&request);
    return r < 0 ? LAB_EXIT_FAILED : LAB_EXIT_OK;
}
