/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Integer weights by least squares. Given pairs of an integer input vector q and the output y that
 * a float layer has there, finds for each output whole numbers w of [-127, 127], a step s and a
 * bias b so that s * (w . q + b) is close to y over the pairs: coordinate descent over whole
 * numbers, from the rounded float weights. Weights rounded one by one are further off, since
 * neighbouring inputs move together and their rounding errors can cancel (Nagel et al., 2004.10568,
 * make the same point). Pure arithmetic, and the same on every machine.
 */
#ifndef OCELLUS_ENGINE_LAB_FIT_H
#define OCELLUS_ENGINE_LAB_FIT_H

#include <stdint.h>

#define LAB_FIT_INPUTS_MAX 8192u

struct lab_fit {
    uint32_t inputs, outputs;
    uint64_t pairs;
    double *moment;   /* [inputs][inputs]: sum of q q^T, its lower half until prepared */
    double *cross;    /* [inputs][outputs]: sum of q y^T */
    double *mean_in;  /* [inputs]: sum of q */
    double *mean_out; /* [outputs] */
    double ridge;
};

/* inputs 1..LAB_FIT_INPUTS_MAX. Errors: -EFBIG, -ENOMEM. */
int lab_fit_init(struct lab_fit *fit, uint32_t inputs, uint32_t outputs);
/* Accepts a zeroed one. */
void lab_fit_finish(struct lab_fit *fit);

/* One more pair. */
void lab_fit_add(struct lab_fit *fit, const int16_t *in, const float *out);

/* Ends adding, begins solving: sums become central moments. At least one pair. */
void lab_fit_prepare(struct lab_fit *fit);

/*
 * Weights of one output. prior: the float layer's weights in units of the integer inputs;
 * directions of q that the pairs hardly show keep them. scratch: 2 * inputs values. weights: one
 * per input. ret_bias is in units of ret_step.
 */
void lab_fit_solve(const struct lab_fit *fit, uint32_t output, const double *prior, double *scratch,
                   int8_t *weights, double *ret_step, double *ret_bias);

#endif
