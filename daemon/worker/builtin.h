/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* Two tiny pictures, so that a worker's libraries are initialised before its sandbox closes. */
#ifndef OCELLUS_DAEMON_WORKER_BUILTIN_H
#define OCELLUS_DAEMON_WORKER_BUILTIN_H

#include <stdint.h>

extern const uint8_t builtin_jpeg[329];
extern const uint8_t builtin_dng[702];

#endif
