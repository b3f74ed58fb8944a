/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Streaming batch norm (LRT, 2009.03887, appendix E) of integer sums, in fixed point: per channel
 * running means of the value and of its square across samples, and one fold of them with gamma and
 * beta to the bias and multiplier of a packed layer. Integers only: the same bytes everywhere.
 *
 *   mean   += round((mean of the sample - mean) / window)         eta = 1 - 1 / window
 *   square += round((mean square of the sample - square) / window)
 *   weight += round((1 - weight) / window)                        1 - eta^samples
 *   both are divided by weight (bias correction); variance = square - mean^2, at least 2^-16
 *   Means are in units of 2^-16, weight of 2^-30; rounded half away from zero.
 */
#ifndef OCELLUS_ENGINE_TRAIN_STREAM_NORM_H
#define OCELLUS_ENGINE_TRAIN_STREAM_NORM_H

#include <stddef.h>
#include <stdint.h>

#define TRAIN_STREAM_VALUE_MAX  (1 << 20) /* |value|, so that nothing below leaves 64 bits */
#define TRAIN_STREAM_PIXELS_MAX (1u << 20)
#define TRAIN_STREAM_ONE        65536 /* 1 in units of 2^-16 */

/* Memory is the caller's; zeroed it is the start. */
struct train_stream_norm {
    uint32_t channels, window; /* window 1..65536, the paper's 10 */
    uint32_t weight;
    int64_t *mean, *square; /* [channels], before the correction */
};

/* values [pixels][channels] of one sample. Errors, nothing being changed: -ERANGE  a value or the
 * number of pixels is over its limit, or there are none. */
int train_stream_add(struct train_stream_norm *norm, uint32_t pixels, const int32_t *values);

/* Corrected mean and variance of a channel, in units of 2^-16. Errors: -EAGAIN  no sample yet. */
int train_stream_get(const struct train_stream_norm *norm, uint32_t channel, int64_t *ret_mean,
                     int64_t *ret_variance);

/*
 * y = gamma (t - mean) / sqrt(variance) + beta as a packed layer's requantisation: bias, and the
 * multiplier for its preshift and shift (engine/kernel/kernel.h). gamma and beta are in units of
 * 2^-16 of the output's codes. A step of weight codes in between changes nothing here: statistics
 * are of the sums. Errors, nothing being changed: -EAGAIN; -ERANGE  gamma 0, or beyond 32 bits.
 */
int train_stream_fold(const struct train_stream_norm *norm, uint32_t channel, int32_t gamma,
                      int32_t beta, uint32_t preshift, uint32_t shift, int32_t *ret_bias,
                      int32_t *ret_mult);

#endif
