/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * How the fast kernels of log.h compute: as products of signed numbers of 16 bits, or of 8, which
 * instruction sets add alone, in pairs or in fours to 32-bit sums. This header holds no function
 * bodies, so that the files of an instruction set may include it.
 *
 * PASSES
 *   Values of codes that fit are looked up in a table; larger ones are split in slices of 16 or 8
 *   bits. With base sqrt2 on one side the factors 128 and 181 are part of its table; on both
 *   sides an input code is in one of two planes, of even and of odd half-steps, and for each the
 *   weights have a table of their own: 128 E + 181 O = a_even (128 w_even + 181 w_odd) + a_odd
 *   (181 w_even + 256 w_odd). A pass goes over all taps with one plane of the input and one table;
 *   t is the sum of all passes, each shifted left. Both sides are negated, as -2^15 fits 16 bits,
 *   and 2^15 does not.
 * SUMS
 *   A 32-bit sum is safe for a number of steps that depends on the weights. Where pack finds that
 *   it could leave its range, the kernel moves all but the lowest 16 bits to a second sum (an
 *   "end"). A block without ends and shifts has 32-bit results and 32-bit thresholds.
 */
#ifndef OCELLUS_ENGINE_KERNEL_LOG_PLAN_H
#define OCELLUS_ENGINE_KERNEL_LOG_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/log.h"

#define KERNEL_LOG_PASSES_MAX 8u
#define KERNEL_LOG_PLANES_MAX 4u

/* What an instruction set works on. A step is `taps` neighbouring taps of a row of the kernel for
 * the channels of a block; decoded it is width * taps numbers [channel][tap], in vectors. */
struct kernel_log_shape {
    uint32_t bits;         /* of a number, 16 or 8 */
    uint32_t lanes;        /* numbers in a vector */
    uint32_t taps;         /* 1, 2 or 4 */
    uint32_t width, least; /* channels of a block, and of the last where that is enough */
};

struct kernel_log_plan {
    int16_t weight[KERNEL_LOG_PASSES_MAX][64]; /* by code: the highest of weight_bits is the sign */
    int16_t input[KERNEL_LOG_PLANES_MAX][32];  /* by code; unused without in_bits: -value */
    uint32_t possible; /* 0: too many passes, or 32 bits do not hold a step; the reference runs */
    uint32_t planes, passes;
    uint32_t plane[KERNEL_LOG_PASSES_MAX], shift[KERNEL_LOG_PASSES_MAX]; /* shifts ascend */
    uint32_t rare;    /* 1: plane 0 holds but the smallest codes of two planes, which are so much
                         smaller than the largest that networks hardly use them: it is worth to
                         look for steps where it is all zero */
    uint32_t nibbles; /* 1: codes of 4 bits, else bytes */
    uint32_t steps;   /* of a pass, a multiple of what one load of codes decodes to */
    uint32_t ends_max;
    uint32_t plane_row;   /* values between the rows of a plane, a multiple of 32 */
    size_t plane_bytes;   /* of one plane; 64 readable bytes follow the last */
    size_t offsets_bytes; /* uint32 [passes][steps] */
};

/* Packed: the plan, padded to 64 bytes; then blocks, or what the reference packs. A block, each
 * part padded to 64 bytes:
 *   thresholds int32 or int64 [levels][width]
 *   with rare and two passes: int32 [levels][width], thresholds of what the second pass sums up,
 *   right where the first adds nothing
 *   uint32 ends: step numbers (pass * steps + step) before which sums are split, then UINT32_MAX
 *   codes, in as many bits as a number has for each lane of a load: its bits 4 j.. or 8 j.. are the
 *   code of that lane of vector j that the load decodes to */
struct kernel_log_block {
    const void *threshold;
    const int32_t *high_threshold; /* NULL where there is none, or the second pass has ends */
    const uint32_t *ends;
    const uint8_t *codes;
    uint32_t narrow; /* 32-bit results */
    uint32_t first, left, width;
};

/* Of the input that a run reads, in values and rows. */
struct kernel_log_extent {
    uint32_t columns, rows;
};

struct kernel_log_extent kernel_log_extent(const struct kernel_log *conv);

void kernel_log_plan_init(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                          struct kernel_log_plan *plan);
size_t kernel_log_plan_packed_bytes(const struct kernel_log *conv,
                                    const struct kernel_log_shape *shape);
void kernel_log_plan_pack(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                          const int8_t *weights, const int64_t *threshold, void *packed);

/* Where the block is whose first channel is `first`; *at moves from it to the next. */
struct kernel_log_block kernel_log_plan_block(const struct kernel_log *conv,
                                              const struct kernel_log_shape *shape,
                                              const struct kernel_log_plan *plan, uint32_t first,
                                              const uint8_t **at);

/* Bytes of the packed plan, and of planes and offsets in the workspace, padded. */
size_t kernel_log_plan_bytes(void);
size_t kernel_log_plan_workspace(const struct kernel_log_plan *plan);

/* Where in the planes each step's input is, in values, for the pixel at the start. */
void kernel_log_plan_offsets(const struct kernel_log *conv, const struct kernel_log_shape *shape,
                             const struct kernel_log_plan *plan, uint32_t *offsets);

#endif
