/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* What adapters say of themselves on the page of metrics (daemon/metrics.h). */
#ifndef OCELLUS_DAEMON_METRICS_LEARNING_H
#define OCELLUS_DAEMON_METRICS_LEARNING_H

struct adaptation;
struct text;

/* NULL: nothing is written. */
void metrics_put_learning(struct text *text, struct adaptation *adaptation);

#endif
