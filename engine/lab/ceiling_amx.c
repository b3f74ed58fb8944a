/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* See ceiling.h. tdpbusd: 16384 multiply-adds an instruction. Never run yet. */
#include <immintrin.h>

#include "engine/lab/ceiling.h"

enum { PIXELS = 32, TILE_BYTES = 1024, LANES = 16 };

uint64_t ceiling_amx(const int8_t *weights, size_t bytes, unsigned repeats, int32_t *sink)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t columns[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    _Alignas(64) int32_t sum[TILE_BYTES / 4] = {0};

    for (int tile = 0; tile < 8; tile++) {
        config.columns[tile] = 64;
        config.rows[tile] = 16;
    }
    bytes -= bytes % (2 * TILE_BYTES);
    __asm__ volatile("" : : : "memory"); /* the intrinsics do not say what they read */
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, sum, 64);
    _tile_loadd(5, sum, 64);
    for (unsigned repeat = 0; repeat < repeats; repeat++) {
        for (size_t at = 0; at < bytes; at += 2 * TILE_BYTES) {
            _tile_loadd(6, weights + at, 64);
            _tile_loadd(7, weights + at + TILE_BYTES, 64);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
    }
    _tile_stored(0, sum, 64);
    _tile_release();
    __asm__ volatile("" : : : "memory");
    for (int i = 0; i < LANES; i++) {
        *sink += sum[i];
    }
    return (uint64_t)repeats * bytes * PIXELS * 2;
}
