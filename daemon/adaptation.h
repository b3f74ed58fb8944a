/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The Ocellus Authors */
/*
 * Learning as the loop sees it: rings of recent codes, labels on their way to the trainer, weights
 * on their way to the workers, and the state of it all. Loop thread only; it waits for nothing but
 * at its start and end.
 */
#ifndef OCELLUS_DAEMON_ADAPTATION_H
#define OCELLUS_DAEMON_ADAPTATION_H

#include "config/config.h"
#include "daemon/models.h"
#include "daemon/pool.h"
#include "daemon/trainer.h"
#include "proto/error.h"

struct adaptation;
struct cJSON;
struct events;

/*
 * What the configuration's adapters need: NULL in *ret_adaptation where there are none. Opens their
 * stores and publishes what they hold before it returns. All is borrowed; `kernels` is the
 * workers'. Errors: logged; negative errno.
 */
int adaptation_create(uv_loop_t *loop, const struct config *config, const struct models *models,
                      const struct kernel_table *kernels, struct pool *pool, struct events *events,
                      struct adaptation **ret_adaptation);

/* Commit what can be; before the pool goes. NULL is fine. */
/* Publish to another pool from now on, which has inherited what there is. NULL is fine. */
void adaptation_set_pool(struct adaptation *adaptation, struct pool *pool);

void adaptation_destroy(struct adaptation *adaptation);

/* Keep the codes of a checked result whose frame was judged by an adapter. */
void adaptation_keep(struct adaptation *adaptation, const struct frame *frame,
                     const struct job_result *result);

/* Index of an adapter; -ENOENT. */
int adaptation_find(const struct adaptation *adaptation, const char *name);
/* Index of the camera's adapter; -ENOENT  there is no such camera, or it has none. */
int adaptation_of_camera(const struct adaptation *adaptation, const char *camera);
const char *adaptation_name(const struct adaptation *adaptation, uint32_t adapter);
const struct model *adaptation_model(const struct adaptation *adaptation, uint32_t adapter);

/*
 * A request to learn a frame of a ring, or a box of a scanned one (box -1: the whole frame, or the
 * only box). *ret_request is the caller's. PROTO_OK or the error with *ret_message.
 */
enum proto_error adaptation_recall(struct adaptation *adaptation, uint64_t frame, int64_t box,
                                   struct trainer_request **ret_request, const char **ret_message);

/* Hand a request, whose adapter is set, to the trainer; it is taken over. PROTO_OK, or the error
 * with *ret_message. */
enum proto_error adaptation_submit(struct adaptation *adaptation, struct trainer_request *request,
                                   const char **ret_message);

/* The error of a finished request. */
enum proto_error adaptation_error(struct adaptation *adaptation,
                                  const struct trainer_request *request, const char **ret_message);

/* Number of the last update that published weights contain. */
uint64_t adaptation_applied(const struct adaptation *adaptation, uint32_t adapter);

uint32_t adaptation_count(const struct adaptation *adaptation);
void adaptation_get_status(struct adaptation *adaptation, uint32_t adapter,
                           struct adapter_status *ret_status);
/* Memory: of the adapters, and of all rings. */
uint64_t adaptation_bytes(struct adaptation *adaptation);

#endif
