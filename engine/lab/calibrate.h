/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Watching a float model run over frames: the step of every activation channel, and for every layer
 * with weights the pairs that its integer twin is fitted to. Packs nothing.
 */
#ifndef OCELLUS_ENGINE_LAB_CALIBRATE_H
#define OCELLUS_ENGINE_LAB_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/lab/fit.h"
#include "engine/network/model.h"

struct lab_model;
struct lab_progress;

/* Frames as codes of the float model and of the packed one, which share an array if they code
 * alike. */
struct lab_frames {
    uint32_t count;
    size_t float_stride, packed_stride; /* bytes from frame to frame */
    const uint8_t *float_codes, *packed_codes;
};

/* A layer. Of pools only the shapes and steps are set. */
struct lab_stage {
    const struct network_layer *layer;
    struct network_shape in, out;
    bool weighted;
    uint32_t kernel[2], stride[2], pad[2]; /* a dense layer is a convolution of one position */
    uint32_t inputs;   /* of one output: rows * columns * channels of the window */
    uint32_t in_max;   /* largest code of its input */
    uint8_t zero;      /* the code of its input that stands for 0 */
    double *step_in;   /* [in.channels] value of one code; borrowed */
    double *step_out;  /* [out.channels]; a pool's is its input's */
    float *transposed; /* [inputs][out] weights */
    struct lab_fit fit;
    float *patch, *result; /* one sampled position */
    int16_t *codes;
};

struct lab_calibration {
    struct lab_stage stages[NETWORK_LAYERS_MAX];
    uint32_t count;
    double *input_step; /* of the codes that the first layer reads */
    float *values;      /* an activation as tight floats and as codes */
    int16_t *coded;
    uint32_t frame;
    const char *reason; /* a static sentence after a failure, or NULL */
};

/*
 * front: that of the packed model. `from` must outlive the calibration. On failure it must be
 * finished, too. Errors: -ENOTSUP (a layer that cannot be packed), -EFBIG, -ENOMEM.
 */
int lab_calibration_init(struct lab_calibration *calibration, const struct network_point *from,
                         const struct gradient_spec *front);
void lab_calibration_finish(struct lab_calibration *calibration);

/*
 * Runs the model over all frames, twice. labels, one per frame, receives its answers; `progress` is
 * stepped twice per frame.
 */
void lab_calibration_watch(struct lab_calibration *calibration, struct lab_model *model,
                           const struct lab_frames *frames, struct lab_progress *progress,
                           uint32_t *labels);

#endif
