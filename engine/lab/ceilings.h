/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* The most that this core can do of the arithmetic of a step of a plan, measured now. */
#ifndef OCELLUS_ENGINE_LAB_CEILINGS_H
#define OCELLUS_ENGINE_LAB_CEILINGS_H

#include "engine/network/plan.h"

/*
 * Operations in nanoseconds (Gop/s, a multiply and an add are two) of a loop that only multiplies
 * and adds, or counts bits, over as many bytes of weights as the step has, so that they lie in the
 * same cache. The median of a few runs of about 50 us. 0 where there is no such loop: portable C,
 * Arm, steps without weights.
 */
double lab_ceiling(const struct network_step *step);

#endif
