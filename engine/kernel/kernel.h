/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * engine/kernel: the arithmetic, as one table of functions. kernel_table_init writes the C
 * reference into every slot, then each instruction set that the machine and the mask allow
 * overwrites what it does better. Every kernel of a slot gives the same bytes as the reference;
 * none reads or writes outside its buffers.
 *
 * REQUANTISATION (the only one in the project)
 *   An int32 accumulator t (bias already added) of channel c becomes
 *       h = ((int64) (t << preshift) * mult[c]) >> 32          arithmetic, floor
 *       y = (h + (1 << (shift - 1))) >> shift                  arithmetic, floor; shift 1..31
 *   held to [0, 127] for u7; kept as it is for scores. preshift is chosen so that t << preshift
 *   never leaves int32. mult is signed.
 */
#ifndef OCELLUS_ENGINE_KERNEL_KERNEL_H
#define OCELLUS_ENGINE_KERNEL_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "engine/kernel/bits.h"
#include "engine/kernel/conv.h"
#include "engine/kernel/depthwise.h"
#include "engine/kernel/encode.h"
#include "engine/kernel/log.h"
#include "engine/kernel/pool.h"
#include "engine/kernel/rates.h"
#include "engine/kernel/real.h"

struct kernel_table {
    uint32_t cpu; /* flags in force, after the mask */
    uint32_t rates[KERNEL_RATES];
    /* image_ops of engine/image, which does not see this module; same contract. */
    void (*accumulate_u16)(uint32_t *acc, const uint16_t *row, size_t pitch, size_t rows, size_t n,
                           uint16_t black, uint16_t range);
    void (*accumulate_u8)(uint32_t *acc, const uint8_t *row, size_t pitch, size_t rows, size_t n,
                          uint8_t black, uint8_t range);
    void (*unpack_mipi10)(uint16_t *out, const uint8_t *in, size_t groups);
    void (*unpack_mipi12)(uint16_t *out, const uint8_t *in, size_t groups);
    struct kernel_conv_ops conv;
    struct kernel_real_ops real;
    struct kernel_pool_ops pool;
    struct kernel_bits_ops bits;
    struct kernel_encode_ops encode;
    struct kernel_depthwise_ops depthwise;
    struct kernel_log_ops log;
};

/* Fill the table for `cpu` (kernel_cpu_detect() & mask). Call once before threads share it. */
void kernel_table_init(struct kernel_table *table, uint32_t cpu);

#endif
