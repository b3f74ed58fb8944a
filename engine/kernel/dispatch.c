/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Fills the kernel table: the C reference first, then every instruction set that is allowed
 * overwrites what it does better, so that no slot can be empty. It does not detect anything.
 */
#include "engine/kernel/kernel.h"

#include "engine/kernel/cpu.h"
#include "engine/kernel/isa.h"

#define CONV_OPS(isa)                                                                              \
    (struct kernel_conv_ops)                                                                       \
    {                                                                                              \
        kernel_conv_packed_bytes_##isa, kernel_conv_pack_##isa, kernel_conv_run_##isa, #isa        \
    }

#define LOG_OPS(isa)                                                                               \
    (struct kernel_log_ops)                                                                        \
    {                                                                                              \
        kernel_log_packed_bytes_##isa, kernel_log_workspace_bytes_##isa, kernel_log_pack_##isa,    \
            kernel_log_run_##isa, #isa                                                             \
    }

/* maps: the instruction set of what only moves bits */
#define BITS_OPS(isa, maps)                                                                        \
    (struct kernel_bits_ops)                                                                       \
    {                                                                                              \
        kernel_bits_packed_bytes_##isa, kernel_bits_pack_##isa, kernel_bits_run_##isa,             \
            kernel_bits_gather_##maps, kernel_bits_gather_codes_##maps,                            \
            kernel_bits_from_codes_##maps, kernel_bits_max_binary_##maps, #isa                     \
    }

#define DEPTHWISE_OPS(isa)                                                                         \
    (struct kernel_depthwise_ops)                                                                  \
    {                                                                                              \
        kernel_depthwise_packed_bytes_##isa, kernel_depthwise_pack_##isa,                          \
            kernel_depthwise_run_##isa, #isa                                                       \
    }

/* Pools, sums and encodings of codes. */
#define SET_CODES(table, isa)                                                                      \
    do {                                                                                           \
        (table)->pool.max_u7 = kernel_pool_max_u7_##isa;                                           \
        (table)->pool.mean_u7 = kernel_pool_mean_u7_##isa;                                         \
        (table)->pool.add_u7 = kernel_pool_add_u7_##isa;                                           \
        (table)->encode =                                                                          \
            (struct kernel_encode_ops){kernel_encode_u7_##isa, kernel_encode_codes_##isa};         \
    } while (0)

void kernel_table_init(struct kernel_table *table, uint32_t cpu)
{
    *table = (struct kernel_table){
        .cpu = cpu,
        .accumulate_u16 = kernel_accumulate_u16_c,
        .accumulate_u8 = kernel_accumulate_u8_c,
        .unpack_mipi10 = kernel_unpack_mipi10_c,
        .unpack_mipi12 = kernel_unpack_mipi12_c,
        .conv = CONV_OPS(c),
        .real = {kernel_real_packed_bytes_c, kernel_real_pack_c, kernel_real_run_c,
                 kernel_real_depthwise_c},
        .pool = {kernel_pool_max_u7_c, kernel_pool_mean_u7_c, kernel_pool_max_f32_c,
                 kernel_pool_mean_f32_c, kernel_pool_add_u7_c, kernel_pool_add_f32_c},
        .bits = BITS_OPS(c, c),
        .encode = {kernel_encode_u7_c, kernel_encode_codes_c},
        .depthwise = DEPTHWISE_OPS(c),
        .log = LOG_OPS(c),
    };
#if defined(__x86_64__)
    if (cpu & KERNEL_CPU_AVX2) {
        table->accumulate_u16 = kernel_accumulate_u16_avx2;
        table->accumulate_u8 = kernel_accumulate_u8_avx2;
        table->unpack_mipi10 = kernel_unpack_mipi10_avx2;
        table->unpack_mipi12 = kernel_unpack_mipi12_avx2;
        table->conv = CONV_OPS(avx2);
        table->log = LOG_OPS(avx2);
        table->bits = BITS_OPS(avx2, avx2);
        table->depthwise = DEPTHWISE_OPS(avx2);
        SET_CODES(table, avx2);
    }
    if ((cpu & KERNEL_CPU_AVX2) && (cpu & KERNEL_CPU_AVXVNNI)) {
        table->conv = CONV_OPS(avxvnni);
    }
    if (cpu & KERNEL_CPU_AVX512) {
        table->accumulate_u16 = kernel_accumulate_u16_avx512;
        table->accumulate_u8 = kernel_accumulate_u8_avx512;
    }
    if ((cpu & KERNEL_CPU_AVX512) && (cpu & KERNEL_CPU_AVX512VNNI)) {
        table->conv = CONV_OPS(avx512vnni);
        table->depthwise = DEPTHWISE_OPS(avx512vnni);
        table->log = LOG_OPS(avx512vnni);
    }
    if ((cpu & KERNEL_CPU_AVX512) && (cpu & KERNEL_CPU_AVX512VNNI) && (cpu & KERNEL_CPU_AMX)) {
        table->conv = CONV_OPS(amx);
    }
    if ((cpu & KERNEL_CPU_AVX512) && (cpu & KERNEL_CPU_AVX512POPCNT)) {
        table->bits = BITS_OPS(avx512, avx512);
    }
#elif defined(__aarch64__)
    if (cpu & KERNEL_CPU_NEON) {
        table->conv = CONV_OPS(neon);
        table->bits = BITS_OPS(neon, neon);
        table->depthwise = DEPTHWISE_OPS(neon);
        SET_CODES(table, neon);
        table->log = LOG_OPS(neon);
    }
    if (cpu & KERNEL_CPU_DOTPROD) {
        table->conv = CONV_OPS(dotprod);
        table->log = LOG_OPS(dotprod);
    }
#endif
    kernel_rates_nominal(table);
}
