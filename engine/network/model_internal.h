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
    struct network_scan_meaning scan;
    int32_t exits[NETWORK_POINTS_MAX - 1];
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
extern const char *const network_base_words[]; /* 2, sqrt2 */

static inline bool network_layer_has_weights(const struct network_layer *layer)
{
    return layer->op <= NETWORK_OP_DEPTHWISE;
}

static inline bool network_layer_is_pool(const struct network_layer *layer)
{
    return layer->op >= NETWORK_OP_MAXPOOL;
}

/* Weights of one output, and bytes of a row of them in a tensor of codes. */
uint64_t network_layer_inputs(const struct network_layer *layer, struct network_shape in);
uint64_t network_codes_row(const struct network_layer *layer, uint64_t inputs);

/* Shape of the weights as the file keeps them; returns its rank. */
uint8_t network_weight_shape(const struct network_layer *layer, struct network_shape in,
                             uint64_t shape[4]);

/* What a map's codes stand for. */
enum network_value {
    NETWORK_VALUE_F32 = 0,
    NETWORK_VALUE_TERNARY,
    NETWORK_VALUE_SEVEN,
    NETWORK_VALUE_U7,
    NETWORK_VALUE_THERMOMETER,
    NETWORK_VALUE_BINARY,
    NETWORK_VALUE_LOG,
};

struct network_flow {
    struct network_shape shape;
    uint8_t value;  /* enum network_value */
    uint8_t levels; /* thermometer */
    uint8_t bits;   /* log */
    bool root;      /* log */
};

struct network_flow network_input_flow(const struct network_input *input);

/* What a layer that reads `in` gives. Shapes and codings must fit. Errors: -EBADMSG, -EFBIG. */
int network_layer_flow(const struct network_layer *layer, const struct network_flow *in,
                       struct network_flow *ret_out, const char **ret_reason);

/* Whether the layer's sums need int64: SUMS in model.h. */
bool network_layer_is_wide(const struct network_layer *layer, const struct network_flow *in);

/* Thresholds of a channel; 0 where the output has none. */
uint32_t network_layer_levels(const struct network_layer *layer);

/* A layer's arrays against their formats and bounds. Errors: -EBADMSG. */
int network_layer_check_values(const struct network_layer *layer, const struct network_flow *in,
                               const char **ret_reason);

/* Fill everything of model->description from model->json but the arrays behind the layers. Checks
 * what can be seen without tensors and shapes. Errors: -EBADMSG, -EFBIG, -ENOMEM, with reason. */
int network_model_parse(struct network_model *model, const char **ret_reason);

/* Layers against each other, weights against their bounds. Errors: -EBADMSG, -EFBIG, with reason.
 */
int network_model_check(const struct network_point *point, uint32_t labels, uint64_t *ret_macs,
                        const char **ret_reason);

#endif
