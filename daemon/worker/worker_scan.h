/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/* A frame that is scanned, from bytes to boxes. Internal to the worker. */
#ifndef OCELLUS_DAEMON_WORKER_WORKER_SCAN_H
#define OCELLUS_DAEMON_WORKER_WORKER_SCAN_H

#include "daemon/worker/worker_frame.h"

/*
 * Fills in the head of the region's result but for its sequence, and the codes that are asked for.
 * The message was understood (worker_scan_understood). Errors: of image_probe, image_decode and
 * scanner_get.
 */
int worker_scan(struct worker *worker, const struct job_message *message,
                const struct worker_frame *frame);

/* The models, points and sizes that the message's scan names are there; the model and point that
 * are scanned were looked at. */
bool worker_scan_understood(const struct worker *worker, const struct job_message *message);

#endif
