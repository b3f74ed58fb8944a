/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * The natural modes of a layer with weights: eigenvalues of the autocorrelation of what its windows
 * read (Chai, Pilanci, Murmann 2020, 2002.10674). Knows no trainer and no file.
 *
 *   X [P][C T]   a row for each image and place of the window, of C channels times T = kernel rows
 *                x columns taps (im2col), the border's zeros included
 *   R = X^T X / P, its diagonal blocks R_cc [T][T] one channel's
 *
 * A step of rate mu along the gradient of a linear layer's mean squared error multiplies the error
 * along an eigenvector of R by 1 - mu lambda: it is stable below 2 / largest lambda.
 */
#ifndef OCELLUS_ENGINE_LAB_BN_EIGEN_H
#define OCELLUS_ENGINE_LAB_BN_EIGEN_H

#include <stdint.h>

#define LAB_BN_TAPS_MAX  49u   /* of one channel */
#define LAB_BN_MODES_MAX 1024u /* of all */

/* What a layer reads, interleaved [images][height][width][channels], and its windows. A dense
 * layer's window is the whole input. */
struct lab_bn_input {
    const float *x; /* values are x * step */
    float step;
    uint32_t images, height, width, channels;
    uint16_t kernel[2], stride[2], pad[2]; /* pad < kernel */
};

/* Taps of a channel times channels: rows of R. */
uint32_t lab_bn_modes(const struct lab_bn_input *input);

/* r [modes][modes], tap t of channel c at c T + t; symmetric. Errors: -EFBIG (LAB_BN_MODES_MAX, or
 * no whole window), -ENOMEM. */
int lab_bn_autocorrelation(const struct lab_bn_input *input, double *r);

/* Block R_cc of r [channels * taps][channels * taps] -> block [taps][taps]. */
void lab_bn_block(const double *r, uint32_t channels, uint32_t taps, uint32_t channel,
                  double *block);

/* Eigenvalues of the symmetric a [n][n], ascending, by cyclic Jacobi rotations (Golub and Van Loan,
 * Matrix Computations, 8.5); a is overwritten. Finite input. */
void lab_bn_eigenvalues(uint32_t n, double *a, double *values);

/* The largest eigenvalue of a positive semidefinite r [n][n], n up to LAB_BN_MODES_MAX, by power
 * iteration until it changes by less than 1e-9 of it, or 1000 times: a lower bound, tight where
 * the second eigenvalue is not near. */
double lab_bn_largest(uint32_t n, const double *r);

#endif
