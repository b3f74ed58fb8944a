/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What the files that read, check and write models share. Not for use outside engine/network. */
#ifndef OCELLUS_ENGINE_NETWORK_MODEL_INTERNAL_H
#define OCELLUS_ENGINE_NETWORK_MODEL_INTERNAL_H

#include "engine/network/model.h"

struct cJSON;
struct network_safetensors;

struct network_model {
    struct network_safetensors *file; /* owns the tensors */
    struct cJSON *json;               /* owns the strings */
    struct network_point points[NETWORK_POINTS_MAX];
    struct network_layer *layers[NETWORK_POINTS_MAX];
    uint64_t macs[NETWORK_POINTS_MAX]; /* of one run */
    const char **labels;
    char *provenance;
    char id[NETWORK_ID_BYTES];
    struct network_description description; /* points into the above */
};

/* Words of the schema in the order of their enumerations, ending in NULL. */
extern const char *const network_source_words[];
extern const char *const network_planes_words[]; /* grey, rgb */
extern const char *const network_fit_words[];
extern const char *const network_coding_words[];
extern const char *const network_merge_words[];
extern const char *const network_op_words[];
extern const char *const network_weights_words[];
extern const char *const network_activation_words[];
extern const char *const network_output_words[];

static inline bool network_layer_has_weights(const struct network_layer *layer)
{
    return layer->op == NETWORK_OP_CONV || layer->op == NETWORK_OP_DENSE;
}

/* Fill everything of model->description from model->json but the arrays behind the layers. Checks
 * what can be seen without tensors and shapes. Errors: -EBADMSG, -EFBIG, -ENOMEM, with reason. */
int network_model_parse(struct network_model *model, const char **ret_reason);

/* Largest code of the input that the first layer gets: 1, 3 or 127; 0 of f32. Codes may be negative
 * when below 127. */
uint8_t network_input_peak(const struct network_input *input);

/* Layers against each other, weights against their bounds. Errors: -EBADMSG, -EFBIG, with reason.
 */
int network_model_check(const struct network_point *point, uint32_t labels, uint64_t *ret_macs,
                        const char **ret_reason);

#endif
