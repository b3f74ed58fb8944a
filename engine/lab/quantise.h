/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Post-training quantisation: a float model and frames to calibrate with -> a packed model with s8
 * weights and u7 activations.
 *
 * An activation's channel c is coded in steps of its own, the largest value seen there / 127. The
 * step is absorbed on both sides: into the multiplier of the layer that makes the channel, and into
 * the weights of the layer that reads it; rectification and pools keep it. Weights are fitted
 * (fit.h) layer by layer to the outputs of the float layer, from the float model's own activations
 * rounded to their steps.
 */
#ifndef OCELLUS_ENGINE_LAB_QUANTISE_H
#define OCELLUS_ENGINE_LAB_QUANTISE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/lab/draft.h"

struct lab_frames;
struct lab_model;
struct lab_progress;

/* What the packed model's front end must be, for a float model's. Errors: -ENOTSUP. */
int lab_quantise_front(const struct gradient_spec *from, struct gradient_spec *ret_front);

/*
 * On success the draft holds layers and input; name, labels and provenance are the float model's
 * and live as long. labels, one per frame, receives the float model's answers. `progress` is
 * stepped twice per frame. Errors: -ENOTSUP (a layer that cannot be packed, *ret_reason says
 * which), -EFBIG, -ENOMEM.
 */
int lab_quantise(struct lab_model *model, const struct lab_frames *frames,
                 struct lab_progress *progress, uint32_t *labels, struct lab_draft *draft,
                 const char **ret_reason);

#endif
