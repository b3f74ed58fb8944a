/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The AMX convolution over the model of its instructions, as kernel_conv_*_amx_model. */
#include <immintrin.h>

#include "tests/unit/kernel/amx_model.h"

#define KERNEL_CONV_AMX_MODEL
#include "engine/kernel/conv_amx.c"
